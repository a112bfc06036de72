//! What is to be done next, from the state alone.
//!
//! Pure and level-triggered: [`decide`] looks at the state, not at what just happened, and returns
//! the records of every decision that is due. The driver journals them, applies them, carries out
//! the intents among them, and asks again. A restart needs nothing else: replay, then ask.

use super::failure::{ErrorType, Failure, Stage};
use super::record::{Body, Intent};
use super::state::{State, Step, Task};

/// The decisions that are due now, in order; empty where only facts can move things on.
///
/// Apply them all before asking again: the same state gives the same decisions.
pub fn decide(state: &State) -> Vec<Body> {
    if state.finished.is_some() {
        return Vec::new();
    }
    let mut due = Vec::new();
    if state.cancelled.is_some() {
        end_interrupted(state, &mut due);
    } else {
        file_sub_issues(state, &mut due);
        start_batch(state, &mut due);
        admit(state, &mut due);
        move_on(state, &mut due);
    }
    record_outcomes(state, &mut due);
    if due.is_empty() {
        wind_up(state, &mut due);
    }
    due
}

/// Sub-issues are filed one after another, so that their numbers are in the order of the tasks.
fn file_sub_issues(state: &State, due: &mut Vec<Body>) {
    let next = state.tasks.iter().find(|task| task.step == Step::Planned);
    if let Some(task) = next
        && task.doing.is_none()
    {
        due.push(intend(Intent::FileSubIssue {
            agent: task.spec.agent,
        }));
    }
}

/// A batch ends before the next begins, and none begins before every sub-issue is filed.
fn start_batch(state: &State, due: &mut Vec<Body>) {
    let filed = state.tasks.iter().all(|task| task.step > Step::Planned);
    let through = state
        .batch_tasks(state.batch)
        .iter()
        .all(|task| task.step == Step::Closed);
    if filed && through && state.batch < state.batches() {
        let batch = state.batch + 1;
        due.push(Body::BatchStarted {
            batch,
            batches: state.batches(),
            agents: state
                .batch_tasks(batch)
                .iter()
                .map(|task| task.spec.agent)
                .collect(),
        });
    }
}

/// Gives free slots to waiting tasks, in the order of their agents.
fn admit(state: &State, due: &mut Vec<Body>) {
    let busy = state.tasks.iter().filter(|task| task.holds_slot()).count();
    let free = state.start.settings.max_workers.saturating_sub(busy);
    let waiting = state
        .batch_tasks(state.batch)
        .iter()
        .filter(|task| task.step == Step::Filed && task.doing.is_none());
    due.extend(waiting.take(free).map(|task| {
        intend(Intent::Prepare {
            agent: task.spec.agent,
        })
    }));
}

/// Moves every idle task with a slot one step on.
fn move_on(state: &State, due: &mut Vec<Body>) {
    let settings = &state.start.settings;
    for task in state.tasks.iter().filter(|task| task.doing.is_none()) {
        let agent = task.spec.agent;
        let start = Intent::StartAgent {
            agent,
            attempt: task.attempts + 1,
        };
        let next = match task.step {
            Step::Prepared if settings.setup.is_some() => Intent::Setup { agent },
            Step::Prepared | Step::SetUp => start,
            Step::Ran => Intent::Inspect { agent },
            Step::Inspected if settings.verify.is_some() => Intent::Verify { agent },
            Step::Inspected | Step::Verified => Intent::OpenPull { agent },
            Step::Ended if task.failure.is_some() => Intent::FileDiagnostic { agent },
            Step::Ended => Intent::Clean { agent },
            Step::Planned | Step::Filed | Step::Settled | Step::Closed => continue,
        };
        due.push(intend(next));
    }
}

/// What an interruption leaves: tasks that had begun fail as cancelled, the others stay pending.
fn end_interrupted(state: &State, due: &mut Vec<Body>) {
    for task in state.tasks.iter().filter(|task| task.doing.is_none()) {
        let under_way = task.began.is_some() && task.step < Step::Settled;
        if under_way {
            due.push(Body::StepFailed {
                agent: task.spec.agent,
                failure: Failure::new(
                    Stage::Implementation,
                    ErrorType::Cancelled,
                    "the run was interrupted",
                ),
            });
        }
    }
}

fn record_outcomes(state: &State, due: &mut Vec<Body>) {
    for task in state.tasks.iter().filter(|task| task.step == Step::Settled) {
        due.push(Body::TaskEnded {
            agent: task.spec.agent,
            failure: task.failure.clone(),
            seconds: task.seconds(state.at),
            pr_number: task.pull.as_ref().map(|pull| pull.number),
        });
    }
}

/// Summary, comment, end: once nothing else is due or under way.
fn wind_up(state: &State, due: &mut Vec<Body>) {
    let over = |task: &Task| match state.cancelled {
        None => task.step == Step::Closed,
        Some(_) => task.doing.is_none(),
    };
    if state.doing.is_some() || !state.tasks.iter().all(over) {
        return;
    }
    if !state.summarized {
        due.push(intend(Intent::WriteSummary));
    } else if !state.commented && state.cancelled.is_none() {
        due.push(intend(Intent::PostComment));
    } else {
        due.push(Body::Finished {
            exit_code: state.exit_code(),
            summary: Box::new(state.summary()),
        });
    }
}

const fn intend(intent: Intent) -> Body {
    Body::Intended { intent }
}
