//! What is to be done next, from the state alone.
//!
//! Pure and level-triggered: [`decide`] looks at the state, not at what just happened, and returns
//! the records of every decision that is due. The driver journals them, applies them, carries out
//! the intents among them, and asks again. A restart needs nothing else: replay, then ask.

use std::time::Duration;

use super::facts::Again;
use super::failure::{ErrorType, Failure, Stage};
use super::options::LONGEST_PAUSE;
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
        if state.is_out_of_budget() {
            end_unaffordable(state, &mut due);
        }
        start_batch(state, &mut due);
        pause(state, &mut due);
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
    let is_open = |task: &&Task| task.step != Step::Closed;
    let filed = state.tasks.iter().all(|task| task.step > Step::Planned);
    let through = !state
        .batch_tasks(state.batch)
        .iter()
        .any(|task| is_open(&task));
    if !filed || !through {
        return;
    }
    // After a resumption some batches have nothing left to do.
    let open = |batch: u32| state.batch_tasks(batch).iter().filter(is_open);
    let next = (state.batch + 1..=state.batches()).find(|batch| open(*batch).next().is_some());
    if let Some(batch) = next {
        due.push(Body::BatchStarted {
            batch,
            batches: state.batches(),
            agents: open(batch).map(|task| task.spec.agent).collect(),
        });
    }
}

/// Where an agent met a limit of its provider, the pool waits: until the provider's own time, or
/// for the first pause, doubled with every one that did not help, up to the longest. A time that is
/// over (the clocks may differ) is none: agents would meet the same limit without a pause.
fn pause(state: &State, due: &mut Vec<Body>) {
    let (reason, until) = match state.limit_met {
        None | Some(Again::NoSession) => return,
        Some(Again::Overloaded) => ("the model's provider is overloaded", None),
        Some(Again::UsageLimit { until }) => ("the account's usage limit is reached", until),
    };
    let doubled = state.start.settings.first_pause * f64::from(1_u32 << state.pauses.min(16));
    let patience = Duration::from_secs_f64(doubled.min(LONGEST_PAUSE)).as_millis();
    let now = state.wall(state.at);
    let until = match until.map(|seconds| seconds.saturating_mul(1000)) {
        Some(until) if until > now => until,
        _ => now.saturating_add(i64::try_from(patience).unwrap_or(i64::MAX)),
    };
    due.push(Body::PoolPaused {
        reason: reason.to_owned(),
        until: until.max(state.paused.unwrap_or(now)),
    });
}

/// Whether the pool may go on at `wall`, in milliseconds since 1970.
pub fn pause_is_over(state: &State, wall: i64) -> bool {
    state.paused.is_some_and(|until| wall >= until)
}

/// Whether agents may start.
fn is_open(state: &State) -> bool {
    state.paused.is_none() && state.limit_met.is_none() && !state.is_out_of_budget()
}

/// Gives free slots to waiting tasks, in the order of their agents.
fn admit(state: &State, due: &mut Vec<Body>) {
    if !is_open(state) {
        return;
    }
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
    let is_open = is_open(state);
    for task in state.tasks.iter().filter(|task| task.doing.is_none()) {
        let agent = task.spec.agent;
        let start = Intent::StartAgent {
            agent,
            attempt: task.attempts + 1,
        };
        let next = match task.step {
            Step::Prepared | Step::SetUp if !is_open => continue,
            Step::Prepared if settings.setup.is_some() => Intent::Setup { agent },
            Step::Prepared | Step::SetUp => start,
            Step::Ran => Intent::Inspect { agent },
            Step::Inspected if settings.verify.is_some() => Intent::Verify { agent },
            Step::Inspected | Step::Verified if state.start.remote.is_some() => {
                Intent::Push { agent }
            }
            Step::Inspected | Step::Verified | Step::Pushed => Intent::OpenPull { agent },
            Step::Ended if task.failure.is_some() => Intent::FileDiagnostic { agent },
            Step::Ended if task.has_failed => Intent::CloseDiagnostic { agent },
            Step::Ended if settings.keep_worktrees => {
                due.push(Body::Cleaned { agent, kept: None });
                continue;
            }
            Step::Ended => Intent::Clean { agent },
            Step::Planned | Step::Filed | Step::Settled | Step::Closed => continue,
        };
        due.push(intend(next));
    }
}

/// A budget that is used up ends what has not begun to work; agents at work end by themselves.
fn end_unaffordable(state: &State, due: &mut Vec<Body>) {
    let waits = |task: &&Task| {
        task.doing.is_none() && matches!(task.step, Step::Filed | Step::Prepared | Step::SetUp)
    };
    let budget = state.start.settings.budget_usd.unwrap_or_default();
    for task in state.tasks.iter().filter(waits) {
        due.push(Body::StepFailed {
            agent: task.spec.agent,
            failure: Failure::new(
                Stage::Implementation,
                ErrorType::Cancelled,
                format!("the budget of ${budget:.2} was used up before its agent could start"),
            ),
        });
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
    let has_branches = state.tasks.iter().any(Task::succeeded);
    if state.merges.is_none() && has_branches && state.cancelled.is_none() {
        due.push(intend(Intent::TryMerges));
    } else if !state.summarized {
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

#[cfg(test)]
mod tests;
