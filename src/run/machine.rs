//! What is to be done next, from the state alone.
//!
//! Pure and level-triggered: [`decide`] looks at the state, not at what just happened, and returns
//! the records of every decision that is due. The driver journals them, applies them, carries out
//! the intents among them, and asks again. A restart needs nothing else: replay, then ask.

use std::time::Duration;

use super::failure::{ErrorType, Failure, Stage};
use super::options::LONGEST_PAUSE;
use super::record::{Again, Body, Intent};
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
mod tests {
    use super::*;
    use crate::agent::stream::Usage;
    use crate::run::record::tests_support::{spec, start};
    use crate::run::record::{Filed, Proof, Record, Settings, UnitEnd, VERSION};

    /// A run in which facts are told by hand.
    struct Stepped {
        state: State,
        seq: u64,
    }

    impl Stepped {
        fn new(tasks: u32, settings: impl FnOnce(&mut Settings)) -> Self {
            let specs = (1..=tasks).map(|agent| spec(agent, &format!("key{agent}")));
            let mut start = start(specs.collect());
            settings(&mut start.settings);
            Self {
                state: State::new(start, 0),
                seq: 0,
            }
        }

        fn tell(&mut self, body: Body) {
            self.seq += 1;
            let record = Record {
                v: VERSION,
                seq: self.seq,
                time: 0,
                at: self.seq * 1_000_000,
                body,
            };
            self.state.apply(&record);
        }

        /// Everything that is decided until facts are needed; the intents among it.
        fn decide(&mut self) -> Vec<Intent> {
            let mut intents = Vec::new();
            loop {
                let due = decide(&self.state);
                if due.is_empty() {
                    return intents;
                }
                for body in due {
                    if let Body::Intended { intent } = body {
                        intents.push(intent);
                    }
                    self.tell(body);
                }
            }
        }

        fn file_all(&mut self) -> Vec<Intent> {
            loop {
                let intents = self.decide();
                let [Intent::FileSubIssue { agent }] = intents[..] else {
                    return intents;
                };
                let filed = Filed {
                    number: 1 + u64::from(agent),
                    url: String::new(),
                    existed: false,
                };
                self.tell(Body::SubIssueFiled {
                    agent,
                    filed,
                    title: String::new(),
                });
            }
        }

        fn prepared(&mut self, agent: u32) {
            let text = String::new;
            self.tell(Body::Prepared {
                agent,
                path: text(),
                branch: text(),
                head: text(),
            });
        }

        fn ran(&mut self, agent: u32) {
            let end = UnitEnd {
                outcome: "success".to_owned(),
                exit_code: Some(0),
                seconds: 1.0,
                failure: None,
                excerpt: None,
                usage: None,
                again: None,
            };
            self.tell(Body::AgentEnded {
                agent,
                attempt: 1,
                end,
            });
        }

        fn works(&mut self, agent: u32) {
            let proof = Proof {
                commits: 1,
                files: 1,
                head: "1".to_owned(),
                ..Proof::default()
            };
            self.tell(Body::Inspected { agent, proof });
        }
    }

    #[test]
    fn no_agent_starts_before_every_sub_issue_is_filed_one_after_another() {
        let mut run = Stepped::new(3, |_| {});
        assert_eq!(run.decide(), [Intent::FileSubIssue { agent: 1 }]);
        assert_eq!(run.decide(), [], "one at a time");
        let prepare: Vec<_> = (1..=3).map(|agent| Intent::Prepare { agent }).collect();
        let mut run = Stepped::new(3, |_| {});
        assert_eq!(run.file_all(), prepare);
    }

    #[test]
    fn a_slot_is_held_until_the_work_is_verified_and_not_while_it_is_published() {
        let mut run = Stepped::new(2, |settings| {
            settings.max_workers = 1;
            settings.verify = Some("make test".to_owned());
        });
        assert_eq!(run.file_all(), [Intent::Prepare { agent: 1 }]);
        run.prepared(1);
        assert_eq!(
            run.decide(),
            [Intent::StartAgent {
                agent: 1,
                attempt: 1
            }]
        );
        run.ran(1);
        assert_eq!(run.decide(), [Intent::Inspect { agent: 1 }]);
        run.works(1);
        assert_eq!(run.decide(), [Intent::Verify { agent: 1 }]);
        let end = UnitEnd {
            outcome: "success".to_owned(),
            exit_code: Some(0),
            seconds: 1.0,
            failure: None,
            excerpt: None,
            usage: None,
            again: None,
        };
        run.tell(Body::VerifyEnded { agent: 1, end });
        let next = run.decide();
        assert!(next.contains(&Intent::OpenPull { agent: 1 }), "{next:?}");
        assert!(next.contains(&Intent::Prepare { agent: 2 }), "{next:?}");
    }

    #[test]
    fn a_batch_ends_before_the_next_begins() {
        let mut run = Stepped::new(2, |settings| settings.batch_size = Some(1));
        assert_eq!(run.file_all(), [Intent::Prepare { agent: 1 }]);
        let failure = Failure::new(Stage::Parsing, ErrorType::FileConflict, "no worktree");
        run.tell(Body::StepFailed { agent: 1, failure });
        assert_eq!(run.decide(), [Intent::FileDiagnostic { agent: 1 }]);
        run.tell(Body::DiagnosticFailed {
            agent: 1,
            reason: "down".to_owned(),
        });
        assert_eq!(run.decide(), [Intent::Prepare { agent: 2 }]);
        assert_eq!(run.state.batch, 2);
    }

    /// An agent whose attempt does not count.
    fn sent_away(run: &mut Stepped, agent: u32, again: Again) {
        let end = UnitEnd {
            outcome: "failed".to_owned(),
            exit_code: Some(1),
            seconds: 1.0,
            failure: None,
            excerpt: None,
            usage: None,
            again: Some(again),
        };
        run.tell(Body::AgentEnded {
            agent,
            attempt: 1,
            end,
        });
    }

    #[test]
    fn a_task_lasts_until_its_work_is_done_not_until_the_forge_has_it() {
        let mut run = Stepped::new(1, |_| {});
        run.file_all();
        run.prepared(1);
        run.decide();
        run.ran(1);
        run.decide();
        run.works(1);
        assert_eq!(run.decide(), [Intent::OpenPull { agent: 1 }]);
        let worked = run.state.tasks[0].seconds(run.state.at);
        // The forge takes its time.
        run.seq += 600;
        let filed = Filed {
            number: 9,
            url: String::new(),
            existed: false,
        };
        run.tell(Body::PullOpened { agent: 1, filed });
        run.decide();
        assert!(run.state.tasks[0].succeeded());
        let lasted = run.state.summary().tasks[0].duration_seconds;
        assert!(lasted <= worked, "{lasted}");
    }

    #[test]
    fn a_task_does_not_last_while_the_pool_pauses() {
        let mut run = Stepped::new(1, |_| {});
        run.file_all();
        run.prepared(1);
        run.decide();
        sent_away(&mut run, 1, Again::UsageLimit { until: None });
        run.decide();
        run.seq += 3600;
        run.tell(Body::PoolResumed);
        run.decide();
        run.ran(1);
        assert!(run.state.tasks[0].seconds(run.state.at) < 60.0);
    }

    #[test]
    fn a_usage_limit_pauses_the_pool_until_its_reset_and_costs_no_attempt() {
        let mut run = Stepped::new(2, |settings| settings.max_workers = 1);
        run.file_all();
        run.prepared(1);
        run.decide();
        run.tell(Body::SessionChosen {
            agent: 1,
            session: "s".to_owned(),
        });
        let until = Some(2_000_000_000);
        sent_away(&mut run, 1, Again::UsageLimit { until });
        assert_eq!(run.decide(), [], "nobody starts while the pool is paused");
        assert_eq!(run.state.paused, Some(2_000_000_000_000));
        assert!(!pause_is_over(&run.state, 1_999_999_999_999));
        assert!(pause_is_over(&run.state, 2_000_000_000_000));
        run.tell(Body::PoolResumed);
        let again = Intent::StartAgent {
            agent: 1,
            attempt: 1,
        };
        assert_eq!(run.decide(), [again]);
        assert!(run.state.tasks[0].resumes, "in the session that it had");
    }

    #[test]
    fn without_a_known_reset_pauses_double_until_an_agent_ends_by_itself() {
        let mut run = Stepped::new(1, |_| {});
        run.file_all();
        run.prepared(1);
        let mut lengths = Vec::new();
        for _ in 0..6 {
            run.decide();
            sent_away(&mut run, 1, Again::UsageLimit { until: None });
            let before = run.state.wall(run.state.at);
            run.decide();
            lengths.push((run.state.paused.unwrap() - before) / 1000);
            run.tell(Body::PoolResumed);
        }
        assert_eq!(lengths, [60, 120, 240, 480, 900, 900]);
        run.decide();
        run.ran(1);
        assert_eq!(run.state.pauses, 0);
    }

    #[test]
    fn a_reset_that_is_over_is_no_reason_to_go_on_at_once() {
        let mut run = Stepped::new(1, |_| {});
        run.file_all();
        run.prepared(1);
        run.decide();
        sent_away(&mut run, 1, Again::UsageLimit { until: Some(1) });
        let before = run.state.wall(run.state.at);
        run.decide();
        assert_eq!(run.state.paused, Some(before + 60_000));
    }

    #[test]
    fn agents_that_meet_one_limit_together_pause_the_pool_once() {
        let mut run = Stepped::new(3, |_| {});
        run.file_all();
        for agent in 1..=3 {
            run.prepared(agent);
        }
        run.decide();
        sent_away(&mut run, 1, Again::Overloaded);
        run.decide();
        let until = run.state.paused;
        sent_away(&mut run, 2, Again::Overloaded);
        assert_eq!(run.decide(), []);
        assert_eq!((run.state.paused, run.state.pauses), (until, 1));
        let later = 2_000_000_000;
        sent_away(&mut run, 3, Again::UsageLimit { until: Some(later) });
        run.decide();
        assert_eq!(run.state.paused, Some(later * 1000), "a later end is news");
    }

    #[test]
    fn a_used_up_budget_starts_nobody_and_lets_those_at_work_end_well() {
        let mut run = Stepped::new(3, |settings| {
            settings.max_workers = 2;
            settings.budget_usd = Some(1.0);
        });
        run.file_all();
        run.prepared(1);
        run.prepared(2);
        run.decide();
        run.tell(Body::AgentUsed {
            agent: 2,
            usage: Usage {
                cost_usd: Some(1.0),
                ..Usage::default()
            },
        });
        assert_eq!(run.decide(), [Intent::FileDiagnostic { agent: 3 }]);
        let failure = run.state.tasks[2].failure.as_ref().unwrap();
        assert_eq!(failure.error, ErrorType::Cancelled);
        run.ran(1);
        assert_eq!(run.decide(), [Intent::Inspect { agent: 1 }]);
        run.works(1);
        assert_eq!(run.decide(), [Intent::OpenPull { agent: 1 }]);
    }

    #[test]
    fn a_branch_is_pushed_before_its_change_request_where_there_is_a_remote() {
        let mut run = Stepped::new(1, |_| {});
        run.state.start.remote = Some("origin".to_owned());
        run.file_all();
        run.prepared(1);
        run.decide();
        run.ran(1);
        run.decide();
        run.works(1);
        assert_eq!(run.decide(), [Intent::Push { agent: 1 }]);
        run.tell(Body::Pushed {
            agent: 1,
            branch: String::new(),
        });
        assert_eq!(run.decide(), [Intent::OpenPull { agent: 1 }]);
    }

    #[test]
    fn an_agent_without_a_change_fails_and_is_diagnosed() {
        let mut run = Stepped::new(1, |_| {});
        run.file_all();
        run.prepared(1);
        run.decide();
        run.ran(1);
        run.decide();
        run.tell(Body::Inspected {
            agent: 1,
            proof: Proof::default(),
        });
        assert_eq!(run.decide(), [Intent::FileDiagnostic { agent: 1 }]);
        let failure = run.state.tasks[0].failure.as_ref().unwrap();
        assert_eq!(failure.error, ErrorType::NoChanges);
    }

    #[test]
    fn after_a_cancel_nothing_begins_but_the_summary_and_waiting_tasks_stay_pending() {
        let mut run = Stepped::new(2, |settings| settings.max_workers = 1);
        run.file_all();
        run.prepared(1);
        run.decide();
        run.tell(Body::CancelRequested { exit_code: 130 });
        assert_eq!(run.decide(), [], "the agent has to end first");
        let failure = Failure::new(Stage::Implementation, ErrorType::Cancelled, "interrupted");
        let end = UnitEnd {
            outcome: "cancelled".to_owned(),
            exit_code: None,
            seconds: 1.0,
            failure: Some(failure),
            excerpt: None,
            usage: None,
            again: None,
        };
        run.tell(Body::AgentEnded {
            agent: 1,
            attempt: 1,
            end,
        });
        assert_eq!(run.decide(), [Intent::WriteSummary]);
        run.tell(Body::SummaryWritten { problem: None });
        assert_eq!(run.decide(), []);
        assert_eq!(run.state.finished, Some(130));
        assert_eq!(
            (run.state.tasks[1].step, run.state.tasks[1].began),
            (Step::Filed, None)
        );
    }
}
