//! The run's decisions, stepped by hand.

use super::*;
use crate::agent::stream::Usage;
use crate::run::facts::tests_support::{spec, start};
use crate::run::facts::{Filed, Proof, Settings, UnitEnd};
use crate::run::record::{Record, VERSION};
use crate::run::resumption::Resumption;

/// How a unit ends that ends well.
fn ended() -> UnitEnd {
    UnitEnd {
        outcome: "success".to_owned(),
        exit_code: Some(0),
        seconds: 1.0,
        failure: None,
        excerpt: None,
        usage: None,
        again: None,
    }
}

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
        let end = ended();
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
    let end = ended();
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
        again: Some(again),
        ..ended()
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
        failure: Some(failure),
        ..ended()
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

#[test]
fn what_an_interruption_keeps_from_being_cleared_up_is_cleared_up_by_the_next_run() {
    let mut run = Stepped::new(1, |_| {});
    run.state.tasks[0].has_failed = true;
    run.file_all();
    run.prepared(1);
    run.decide();
    run.ran(1);
    run.decide();
    run.works(1);
    assert_eq!(run.decide(), [Intent::OpenPull { agent: 1 }]);
    let filed = Filed {
        number: 9,
        url: String::new(),
        existed: false,
    };
    run.tell(Body::PullOpened { agent: 1, filed });
    assert_eq!(run.decide(), [Intent::CloseDiagnostic { agent: 1 }]);
    run.tell(Body::CancelRequested { exit_code: 130 });
    run.tell(Body::DiagnosticClosed {
        agent: 1,
        numbers: Vec::new(),
        problem: Some("interrupted".to_owned()),
    });
    assert_eq!(run.decide(), [Intent::WriteSummary]);
    run.tell(Body::SummaryWritten { problem: None });
    run.decide();

    run.tell(Body::Resumed(Box::new(Resumption {
        retry: false,
        tasks: Vec::new(),
        successful: 1,
        total: 1,
        settings: run.state.start.settings.clone(),
        engine: String::new(),
    })));
    assert_eq!(run.decide(), [Intent::CloseDiagnostic { agent: 1 }]);
    run.tell(Body::DiagnosticClosed {
        agent: 1,
        numbers: vec![8],
        problem: None,
    });
    assert_eq!(run.decide(), [Intent::Clean { agent: 1 }]);
    run.tell(Body::CancelRequested { exit_code: 130 });
    run.tell(Body::Cleaned {
        agent: 1,
        kept: Some("git worktree remove was interrupted".to_owned()),
    });
    assert_eq!(run.state.tasks[0].step, Step::Ended);
}
