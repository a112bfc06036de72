//! The status file of one agent: a projection of the state (the specification's step 5 and
//! DESIGN section 4).
//!
//! Pure. The driver writes the text, by rename, whenever the task changed and at each heartbeat.

use serde::Serialize;

use crate::agent::stream::Usage;

use super::state::{State, Step, Task};

/// The version of the file's format.
pub const SCHEMA_VERSION: &str = "1.0";

#[derive(Serialize)]
struct StatusFile<'a> {
    schema_version: &'static str,
    agent_id: String,
    sub_issue: Option<u64>,
    status: &'static str,
    start_time: Option<String>,
    last_update: String,
    pr_number: Option<u64>,
    branch: Option<&'a str>,
    completion_time: Option<String>,
    error: Option<String>,
    progress_percentage: u8,
    current_stage: &'a str,
    attempt: u32,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    working_dir: Option<&'a str>,
    model: Option<&'a str>,
    timeout: Option<f64>,
    pid: Option<u32>,
    session_id: Option<&'a str>,
    cost_usd: Option<f64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

/// The text of a task's status file at `now` (milliseconds since 1970).
pub fn status_file(state: &State, task: &Task, now: i64) -> String {
    let wall = |at: Option<u64>| at.map(|at| timestamp(state.wall(at)));
    let usage = task.usage();
    let told = usage != Usage::default();
    let file = StatusFile {
        schema_version: SCHEMA_VERSION,
        agent_id: format!("agent-{}", task.spec.agent),
        sub_issue: task.sub_issue.as_ref().map(|issue| issue.number),
        status: status(task),
        start_time: wall(task.began),
        last_update: timestamp(now),
        pr_number: task.pull.as_ref().map(|pull| pull.number),
        branch: task.branch.as_deref(),
        completion_time: wall(task.ended),
        error: task
            .failure
            .as_ref()
            .map(super::failure::Failure::status_text),
        progress_percentage: progress(task),
        current_stage: stage(task),
        attempt: task.attempts,
        metadata: Metadata {
            working_dir: task.worktree.as_deref(),
            model: state.start.settings.model.as_deref(),
            timeout: state.start.settings.timeout,
            pid: task.pid,
            session_id: task.session.as_deref(),
            cost_usd: usage.cost_usd,
            input_tokens: told.then_some(usage.input_tokens),
            output_tokens: told.then_some(usage.output_tokens),
        },
    };
    // Plain data with string keys always has a JSON form.
    let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
    text.push('\n');
    text
}

/// Milliseconds since 1970 as the specification's example has it: RFC 3339 in UTC, whole seconds.
fn timestamp(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

/// Where it stands, as the status file says it.
pub(super) fn status(task: &Task) -> &'static str {
    match task.step {
        _ if task.failure.is_some() => "failed",
        Step::Ended | Step::Closed => "completed",
        _ if task.began.is_none() => "pending",
        _ => "in_progress",
    }
}

/// What the task is at. While its agent works, the agent's own words stand here.
pub(super) fn stage(task: &Task) -> &str {
    match (task.step, &task.claim) {
        (Step::Planned | Step::Filed, _) if task.began.is_none() => "Waiting",
        (Step::Planned | Step::Filed, _) => "Creating worktree",
        (Step::Prepared | Step::SetUp, Some((claim, _))) => claim,
        (Step::Prepared | Step::SetUp, None) => "Working",
        (Step::Ran, _) => "Checking the result",
        (Step::Inspected, _) => "Running tests",
        (Step::Verified | Step::Pushed, _) => "Creating PR",
        (Step::Settled | Step::Ended | Step::Closed, _) if task.failure.is_some() => "Failed",
        (Step::Settled | Step::Ended | Step::Closed, _) => "Completed",
    }
}

/// What an agent at work claims, as far as it is believed: it has a worktree, which is something,
/// and the evidence that would take it to the end is still to come.
pub(super) fn believed(percent: u8) -> u8 {
    percent.clamp(5, 90)
}

/// Percent done. Steps behind us are known; what the agent claims fills the range of its work.
pub(super) fn progress(task: &Task) -> u8 {
    let claimed = task.claim.as_ref().map_or(0, |(_, percent)| *percent);
    match task.step {
        Step::Planned | Step::Filed => 0,
        Step::Prepared | Step::SetUp => believed(claimed),
        Step::Ran | Step::Inspected => claimed.max(90),
        Step::Verified | Step::Pushed => claimed.max(95),
        _ if task.failure.is_some() => claimed,
        Step::Settled | Step::Ended | Step::Closed => 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::facts::Filed;
    use crate::run::facts::tests_support::{spec, start};
    use crate::run::failure::{ErrorType, Failure, Stage};

    fn state() -> State {
        let mut state = State::new(start(vec![spec(1, "Add the cart")]), 1_764_590_400_000);
        let task = &mut state.tasks[0];
        task.sub_issue = Some(Filed {
            number: 1235,
            url: String::new(),
            existed: false,
        });
        task.branch = Some("feat/local-1235-agent-1".to_owned());
        task.worktree = Some("/w/feat-local-1235-agent-1".to_owned());
        task.began = Some(0);
        task.attempts = 1;
        task.pid = Some(4242);
        task.step = Step::Prepared;
        task.claim = Some(("Implementing feature".to_owned(), 45));
        state
    }

    fn text(state: &State) -> String {
        status_file(state, &state.tasks[0], state.wall(0) + 300_000)
    }

    #[test]
    fn a_working_agent_reads_as_in_the_specification() {
        insta::assert_snapshot!(text(&state()), @r#"
        {
          "schema_version": "1.0",
          "agent_id": "agent-1",
          "sub_issue": 1235,
          "status": "in_progress",
          "start_time": "2025-12-01T12:00:00Z",
          "last_update": "2025-12-01T12:05:00Z",
          "pr_number": null,
          "branch": "feat/local-1235-agent-1",
          "completion_time": null,
          "error": null,
          "progress_percentage": 45,
          "current_stage": "Implementing feature",
          "attempt": 1,
          "metadata": {
            "working_dir": "/w/feat-local-1235-agent-1",
            "model": null,
            "timeout": 1800.0,
            "pid": 4242,
            "session_id": null,
            "cost_usd": null,
            "input_tokens": null,
            "output_tokens": null
          }
        }
        "#);
    }

    #[test]
    fn a_failure_is_type_and_message_and_keeps_the_last_claim() {
        let mut state = state();
        let task = &mut state.tasks[0];
        task.failure = Some(Failure::new(
            Stage::Testing,
            ErrorType::TestTimeout,
            "too slow",
        ));
        task.step = Step::Ended;
        let text = text(&state);
        assert!(text.contains(r#""status": "failed""#) && text.contains("TEST_TIMEOUT: too slow"));
        assert!(text.contains(r#""progress_percentage": 45"#));
    }

    #[test]
    fn a_claim_never_reaches_the_end_before_the_evidence() {
        let mut state = state();
        state.tasks[0].claim = Some(("Done!".to_owned(), 100));
        assert!(text(&state).contains(r#""progress_percentage": 90"#));
    }
}
