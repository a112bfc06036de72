//! An orchestration as it stands, also where the program that ran it is dead: what `status` shows.
//!
//! Pure: a projection of the state, and of who works on it now. A journal tells what was done and
//! never that somebody still does it, so whoever calls says which process holds the lock.

mod words;

use std::borrow::Cow;

use serde::Serialize;

use super::facts::Start;
use super::failure::{ErrorType, Failure, Stage};
use super::publish::rfc3339;
use super::resumption::Which;
use super::source::Source;
use super::state::{State, Task};
use super::status;

/// What has become of an orchestration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A process works on it.
    Running,
    /// It has come to its end; where the engine or the forge broke, with their exit code.
    Finished,
    /// A person or the system ended it.
    Interrupted,
    /// It has no end, and nobody works on it.
    Crashed,
    /// Nobody works on it, and its journal tells only of a part: it may have gone on.
    Damaged,
}

/// What `status --json` shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    /// Its id.
    pub orchestration: String,
    /// The number of its master issue.
    pub issue: u64,
    /// What names the master to the command.
    pub source: String,
    /// The title of the master issue.
    pub title: String,
    /// What has become of it.
    pub state: Condition,
    /// It runs, and was asked to end.
    pub stopping: bool,
    /// The process that works on it; 0 where it is not known by number.
    pub pid: Option<u32>,
    /// When it was begun.
    pub started: String,
    /// When its last record was made.
    pub updated: String,
    /// When it came to its end, as far as is told.
    pub ended: Option<String>,
    /// The exit code that it ended with, as far as is told.
    pub exit_code: Option<u8>,
    /// What all agents said they cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// What is damaged: all else is as of before the damage.
    pub damage: Option<String>,
    /// What to do next, for people.
    #[serde(skip)]
    pub hint: Option<String>,
    /// One row a task: that of `summary.json`, and what it is at.
    pub tasks: Vec<serde_json::Value>,
}

/// An orchestration as it stands at `now` (milliseconds since 1970). `holder` is the process that
/// works on it, where there is one. `damage` says why the state is that of a part of the journal.
pub fn overview(state: &State, holder: Option<u32>, damage: Option<String>, now: i64) -> Overview {
    let condition = condition(state, holder, damage.is_some());
    // Behind the damage it may have gone on.
    let finished = state.finished.filter(|_| condition != Condition::Damaged);
    let costs: Vec<_> = state
        .tasks
        .iter()
        .filter_map(|task| task.usage().cost_usd)
        .collect();
    Overview {
        orchestration: state.start.orchestration.clone(),
        issue: state.start.master.number,
        source: state.start.source.clone(),
        title: state.start.title.clone(),
        state: condition,
        stopping: condition == Condition::Running && state.cancelled.is_some(),
        pid: holder.filter(|_| condition == Condition::Running),
        started: rfc3339(state.wall(0)),
        updated: rfc3339(state.wall(state.at)),
        ended: finished.map(|_| rfc3339(state.wall(state.at))),
        exit_code: finished,
        cost_usd: (!costs.is_empty()).then(|| costs.iter().sum()),
        damage,
        hint: hint(state, condition),
        tasks: state
            .tasks
            .iter()
            .map(|task| row(state, task, condition, now))
            .collect(),
    }
}

const fn condition(state: &State, holder: Option<u32>, damaged: bool) -> Condition {
    match (state.finished, holder) {
        (Some(_), _) | (None, None) if damaged => Condition::Damaged,
        (Some(130 | 143), _) => Condition::Interrupted,
        // Whoever holds the lock now has only just taken it, or is about to give it back.
        (Some(_), _) => Condition::Finished,
        (None, Some(_)) => Condition::Running,
        (None, None) => Condition::Crashed,
    }
}

fn hint(state: &State, condition: Condition) -> Option<String> {
    let orchestration = &state.start.orchestration;
    let source = source(&state.start);
    if condition == Condition::Running {
        let command = format!("parallel-orchestrate watch {orchestration}");
        Some(format!("follow it with: {command}"))
    } else if condition == Condition::Damaged {
        None // nothing goes on from a part
    } else if state.is_broken_off() {
        Some(format!("go on with: parallel-orchestrate {source}"))
    } else if state.reruns(Which::Failed).is_empty() {
        None
    } else {
        let command = format!("parallel-orchestrate {source} --retry");
        Some(format!("run again what failed with: {command}"))
    }
}

/// What names the issue to the command, in any folder of the repository: a plan's path was true
/// where the plan was run, and while there was such a file.
fn source(start: &Start) -> String {
    let issue = match Source::parse(&start.source) {
        Source::Issue(address) if !start.local => address,
        _ => start.label.replace("local-", "local#"),
    };
    shlex::try_quote(&issue).map_or_else(|_| issue.clone(), Cow::into_owned)
}

/// The summary's row, told as of now: while somebody works on it, what has no outcome has not
/// failed; and once nobody does, nothing is in progress any more. What had no outcome before the
/// damage may have had one behind it.
fn row(state: &State, task: &Task, condition: Condition, now: i64) -> serde_json::Value {
    let mut summary = state.row(task);
    let runs = condition == Condition::Running;
    let is_open = task.failure.is_none() && !task.succeeded();
    let is_unknown = is_open && condition == Condition::Damaged;
    let was_broken_off = is_open && !runs && !is_unknown && task.began.is_some();
    let failure = match &task.failure {
        Some(failure) => Some(failure.clone()),
        None if was_broken_off && summary.error.is_none() => Some(broken_off(condition)),
        None => None,
    };
    if is_open && (runs || is_unknown || failure.is_some()) {
        summary.error = failure.as_ref().map(Failure::status_text);
        summary.error_label = failure.as_ref().map(|f| f.error.label().to_owned());
        summary.failure_stage = failure.as_ref().map(|f| f.stage);
    }
    if runs && let (Some(began), None) = (task.began, task.ended) {
        let since = now.saturating_sub(state.wall(began)).max(0);
        summary.duration_seconds = since as f64 / 1e3;
    }
    let status = if is_unknown {
        "unknown"
    } else if was_broken_off || (is_open && summary.error.is_some()) {
        "failed"
    } else {
        status::status(task)
    };
    // Plain data with string keys always has a JSON form.
    let mut row = serde_json::to_value(&summary).unwrap_or_default();
    row["status"] = status.into();
    row["stage"] = status::stage(task).into();
    row["percent"] = status::progress(task).into();
    row["pid"] = task.pid.filter(|_| runs).into();
    row
}

fn broken_off(condition: Condition) -> Failure {
    let message = match condition {
        Condition::Crashed => "the orchestrator died before this ended",
        _ => "the orchestrator broke before this ended",
    };
    Failure::new(Stage::Implementation, ErrorType::Cancelled, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::stream::Usage;
    use crate::run::facts::Filed;
    use crate::run::facts::tests_support::{spec, start};
    use crate::run::record::Intent;
    use crate::run::state::Step;

    const BEGAN: i64 = 1_764_590_400_000;

    /// Four tasks: done, failed by itself, at work, not begun. The third works for 8 minutes.
    fn state() -> State {
        let specs = ["Add a", "Add b", "Add c\u{202e}", "Add d"];
        let specs = (1..).zip(specs).map(|(agent, title)| spec(agent, title));
        let mut state = State::new(start(specs.collect()), BEGAN);
        state.at = 600_000_000;
        for task in &mut state.tasks[..3] {
            task.began = Some(120_000_000);
            task.attempts = 1;
        }
        let [done, failed, works, _] = &mut state.tasks[..] else {
            unreachable!()
        };
        done.step = Step::Closed;
        done.worked = Some(300_000_000);
        done.ended = Some(300_000_000);
        done.pull = Some(Filed {
            number: 7,
            url: String::new(),
            existed: false,
        });
        failed.step = Step::Closed;
        failed.worked = Some(300_000_000);
        failed.ended = Some(300_000_000);
        failed.failure = Some(Failure::new(
            Stage::Testing,
            ErrorType::TestTimeout,
            "too slow",
        ));
        works.step = Step::SetUp;
        works.doing = Some(Intent::StartAgent {
            agent: 3,
            attempt: 1,
        });
        works.pid = Some(4243);
        works.claim = Some(("Writing tests".to_owned(), 45));
        works.using = Usage {
            cost_usd: Some(0.25),
            ..Usage::default()
        };
        state
    }

    fn shown(state: &State, holder: Option<u32>) -> String {
        let now = BEGAN + 720_000;
        let lines = seen(state, holder, now).lines(now);
        lines.join("\n")
    }

    fn seen(state: &State, holder: Option<u32>, now: i64) -> Overview {
        overview(state, holder, None, now)
    }

    fn hint(overview: &Overview) -> &str {
        overview.hint.as_deref().unwrap_or_default()
    }

    fn statuses(state: &State, holder: Option<u32>) -> Vec<String> {
        let overview = seen(state, holder, BEGAN + 720_000);
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let rows = overview.tasks.iter();
        rows.map(|row| format!("{} {}", text(&row["status"]), text(&row["error"])))
            .collect()
    }

    #[test]
    fn a_running_one_shows_what_each_task_is_at() {
        insta::assert_snapshot!(shown(&state(), Some(4242)), @r"
        orch-local-1-20260101-1200: running, begun 12m ago, process 4242
        #1 Plan

        Agent-1  ✅ completed     3m  PR #7                Add a
        Agent-2  ❌ failed        3m  Test timeout         Add b
        Agent-3  🤖 in progress  10m  Writing tests (45%)  Add c
        Agent-4  ⏳ pending                                Add d
        ");
    }

    #[test]
    fn while_it_runs_a_task_without_an_outcome_has_not_failed() {
        let mut state = state();
        state.cancelled = Some(130);
        let overview = seen(&state, Some(4242), BEGAN + 720_000);
        assert_eq!(overview.state, Condition::Running);
        assert!(overview.stopping);
        assert_eq!(overview.cost_usd, Some(0.25));
        let works = &overview.tasks[2];
        assert_eq!(works["status"], "in_progress");
        assert_eq!(works["error"], serde_json::Value::Null);
        assert_eq!(works["pid"], 4243);
        assert_eq!(works["duration_seconds"], 600.0, "up to now");
    }

    #[test]
    fn once_nobody_works_on_it_nothing_is_in_progress() {
        assert_eq!(seen(&state(), None, BEGAN).state, Condition::Crashed);
        assert_eq!(
            statuses(&state(), None),
            [
                "completed -",
                "failed TEST_TIMEOUT: too slow",
                "failed CANCELLED: the orchestrator died before this ended",
                "pending -",
            ]
        );
        insta::assert_snapshot!(shown(&state(), None), @r"
        orch-local-1-20260101-1200: its process died; last heard of 2m ago
        #1 Plan

        Agent-1  ✅ completed  3m  PR #7         Add a
        Agent-2  ❌ failed     3m  Test timeout  Add b
        Agent-3  ❌ failed     8m  Cancelled     Add c
        Agent-4  ⏳ pending                      Add d
        ");
    }

    #[test]
    fn behind_a_damage_nothing_is_known() {
        let mut state = state();
        for finished in [None, Some(0), Some(130)] {
            state.finished = finished;
            state.cancelled = finished.filter(|code| *code == 130);
            let overview = overview(&state, None, Some("line 7".to_owned()), BEGAN + 720_000);
            assert_eq!(overview.state, Condition::Damaged);
            assert_eq!(overview.damage.as_deref(), Some("line 7"));
            assert_eq!((&overview.ended, overview.exit_code), (&None, None));
            assert_eq!(overview.hint, None);
            assert_eq!(overview.tasks[2]["error"], serde_json::Value::Null);
            insta::allow_duplicates! {
                insta::assert_snapshot!(overview.lines(BEGAN + 720_000).join("\n"), @r"
                orch-local-1-20260101-1200: its journal is damaged, and tells of the first 10m alone
                #1 Plan

                Agent-1  ✅ completed  3m  PR #7         Add a
                Agent-2  ❌ failed     3m  Test timeout  Add b
                Agent-3  ❔ unknown                      Add c
                Agent-4  ❔ unknown                      Add d
                ");
            }
        }
        let at_work = overview(
            &State {
                finished: None,
                ..state
            },
            Some(1),
            Some(String::new()),
            BEGAN,
        );
        assert_eq!(at_work.state, Condition::Running, "it can be told to end");
    }

    #[test]
    fn an_interrupted_one_says_of_its_tasks_what_its_summary_does() {
        let mut state = state();
        state.cancelled = Some(143);
        state.finished = Some(143);
        let overview = seen(&state, Some(1), BEGAN);
        assert_eq!(overview.state, Condition::Interrupted);
        assert_eq!(overview.pid, None, "another run is only just taking it up");
        assert_eq!(
            hint(&overview),
            "go on with: parallel-orchestrate 'local#1'"
        );
        let cancelled = "failed CANCELLED: the run was interrupted";
        assert_eq!(statuses(&state, None)[2..], [cancelled, cancelled]);
    }

    #[test]
    fn one_that_broke_has_finished_with_its_exit_code() {
        let mut state = state();
        state.finished = Some(9);
        let overview = seen(&state, None, BEGAN);
        assert_eq!(overview.state, Condition::Finished);
        assert_eq!(overview.exit_code, Some(9));
        assert_eq!(
            hint(&overview),
            "go on with: parallel-orchestrate 'local#1'"
        );
        assert_eq!(
            statuses(&state, None)[2],
            "failed CANCELLED: the orchestrator broke before this ended"
        );
    }

    #[test]
    fn a_finished_one_can_be_retried_where_tasks_failed() {
        let mut state = state();
        state.tasks.truncate(2);
        state.finished = Some(2);
        assert_eq!(
            hint(&seen(&state, None, BEGAN)),
            "run again what failed with: parallel-orchestrate 'local#1' --retry"
        );
        state.tasks.truncate(1);
        state.finished = Some(0);
        assert_eq!(seen(&state, None, BEGAN).hint, None);
    }

    #[test]
    fn a_hint_names_the_issue_as_every_folder_of_the_repository_knows_it() {
        for (local, label, source, named) in [
            (true, "local-3", "../my plan.md", "'local#3'"),
            (true, "local-3", "-", "'local#3'"),
            (false, "12", "../my plan.md", "12"),
            (false, "12", "-", "12"),
            (false, "12", "octo/shop#12", "'octo/shop#12'"),
        ] {
            let mut state = state();
            state.start.local = local;
            state.start.label = label.to_owned();
            state.start.source = source.to_owned();
            let command = format!("go on with: parallel-orchestrate {named}");
            assert_eq!(hint(&seen(&state, None, BEGAN)), command);
        }
    }
}
