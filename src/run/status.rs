//! The status file of one agent: a projection of the state (the specification's step 5 and
//! DESIGN section 4).
//!
//! Pure. The driver writes the text, by rename, whenever the task changed and at each heartbeat.

use serde::Serialize;

use super::publish::rfc3339;
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
    let wall = |at: Option<u64>| at.map(|at| rfc3339(state.wall(at)));
    let file = StatusFile {
        schema_version: SCHEMA_VERSION,
        agent_id: format!("agent-{}", task.spec.agent),
        sub_issue: task.sub_issue.as_ref().map(|issue| issue.number),
        status: status(task),
        start_time: wall(task.began),
        last_update: rfc3339(now),
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
            cost_usd: None,
            input_tokens: None,
            output_tokens: None,
        },
    };
    // Plain data with string keys always has a JSON form.
    let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
    text.push('\n');
    text
}

fn status(task: &Task) -> &'static str {
    match task.step {
        _ if task.failure.is_some() => "failed",
        Step::Ended | Step::Closed => "completed",
        _ if task.began.is_none() => "pending",
        _ => "in_progress",
    }
}

/// What the task is at. While its agent works, the agent's own words stand here.
fn stage(task: &Task) -> &str {
    match (task.step, &task.claim) {
        (Step::Planned | Step::Filed, _) if task.began.is_none() => "Waiting",
        (Step::Planned | Step::Filed, _) => "Creating worktree",
        (Step::Prepared | Step::SetUp, Some((claim, _))) => claim,
        (Step::Prepared | Step::SetUp, None) => "Working",
        (Step::Ran, _) => "Checking the result",
        (Step::Inspected, _) => "Running tests",
        (Step::Verified, _) => "Creating PR",
        (Step::Settled | Step::Ended | Step::Closed, _) if task.failure.is_some() => "Failed",
        (Step::Settled | Step::Ended | Step::Closed, _) => "Completed",
    }
}

/// Percent done. Steps behind us are known; what the agent claims fills the range of its work.
fn progress(task: &Task) -> u8 {
    let claimed = task.claim.as_ref().map_or(0, |(_, percent)| *percent);
    match task.step {
        Step::Planned | Step::Filed => 0,
        Step::Prepared | Step::SetUp => claimed.clamp(5, 90),
        Step::Ran | Step::Inspected => claimed.max(90),
        Step::Verified => claimed.max(95),
        _ if task.failure.is_some() => claimed,
        Step::Settled | Step::Ended | Step::Closed => 100,
    }
}
