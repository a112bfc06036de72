//! The public events of an orchestration: one schema for `--output json`, the lines on the
//! terminal, the Python callback and the asynchronous iterator (DESIGN section 8).
//!
//! Plain data. An event is a projection of a journal record ([`super::journal`]); nothing is
//! published that was not journalled first.

use serde::{Deserialize, Serialize};

use super::failure::{Failure, Stage};
use super::resumption::Rerun;
use super::summary::Summary;

/// The version of the schema; it grows by fields and types, and changes only with a new number.
pub const SCHEMA_VERSION: u32 = 1;

/// One thing that happened, in the order of `seq`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// [`SCHEMA_VERSION`].
    pub v: u32,
    /// Grows within one orchestration: the number of the journal record it is projected from.
    pub seq: u64,
    /// RFC 3339 in UTC, milliseconds.
    pub time: String,
    /// The orchestration's id; empty before it has one.
    pub orchestration: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// A task as `plan_parsed` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTask {
    /// The agent's number, from 1.
    pub agent: u32,
    /// The task's title.
    pub title: String,
}

/// Which kind of issue was filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssueRole {
    /// The master issue of a plan.
    Master,
    /// The issue of one task.
    SubIssue,
}

/// What can happen. Names in JSON are in snake case, in the field `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The source was read.
    PlanParsed {
        /// The source as it was given.
        source: String,
        /// The plan's title.
        title: String,
        /// What will run.
        tasks: Vec<PlannedTask>,
    },
    /// The tasks were checked against each other.
    Validated {
        /// `proceed`, `warn` or `abort`.
        verdict: String,
        /// One line each.
        warnings: Vec<String>,
    },
    /// An issue was filed, adopted or found again.
    IssueCreated {
        /// Master or sub-issue.
        role: IssueRole,
        /// The agent whose task it is.
        agent: Option<u32>,
        /// Its number.
        number: u64,
        /// Its title.
        title: String,
        /// What people open.
        url: String,
        /// It was there before.
        existed: bool,
    },
    /// An orchestration is taken up again, under its own id.
    OrchestrationResumed {
        /// A person asked for its failed tasks to run again; else only what was broken off does.
        retry: bool,
        /// How many tasks had succeeded.
        successful: usize,
        /// How many there are.
        total: usize,
        /// Those that run again.
        tasks: Vec<Rerun>,
        /// The limit on agents at once from here on.
        max_workers: usize,
    },
    /// The agents of a batch may start. Without `--batch-size` there is one batch.
    BatchStarted {
        /// Counts from 1.
        batch: u32,
        /// How many there are.
        batches: u32,
        /// The agents of this one.
        agents: Vec<u32>,
        /// The limit on agents at once.
        max_workers: usize,
        /// `--batch-size`, where set.
        batch_size: Option<usize>,
        /// Seconds between two heartbeats.
        interval: u64,
    },
    /// A task has its own folder and branch.
    WorktreeCreated {
        /// The agent.
        agent: u32,
        /// The absolute path.
        path: String,
        /// The branch.
        branch: String,
    },
    /// An agent runs.
    AgentStarted {
        /// The agent.
        agent: u32,
        /// Counts from 1.
        attempt: u32,
        /// Its process.
        pid: u32,
        /// Its process group.
        pgid: u32,
    },
    /// An agent says how far it is. A claim, not evidence.
    AgentProgress {
        /// The agent.
        agent: u32,
        /// What it says it does.
        stage: String,
        /// 0 to 100.
        percent: u8,
    },
    /// What an agent has used so far, as it says.
    AgentUsage {
        /// The agent.
        agent: u32,
        /// Tokens that it read, cached ones included.
        input_tokens: u64,
        /// Tokens that it wrote.
        output_tokens: u64,
        /// US dollars, once it says so.
        cost_usd: Option<f64>,
    },
    /// An agent's process ended.
    AgentFinished {
        /// The agent.
        agent: u32,
        /// Counts from 1.
        attempt: u32,
        /// `success`, `failed`, `signalled`, `timed_out`, `leaked`, `spawn_error`, `cancelled`, or
        /// `refused`: the attempt does not count (DESIGN section 8, "Limits of agents").
        outcome: String,
        /// The exit code, where it ended by itself.
        exit_code: Option<i32>,
        /// How long it ran, in seconds.
        duration_seconds: f64,
    },
    /// The verify command ended.
    VerifyFinished {
        /// The agent.
        agent: u32,
        /// Whether it passed.
        passed: bool,
        /// The exit code, where it ended by itself.
        exit_code: Option<i32>,
        /// How long it ran, in seconds.
        duration_seconds: f64,
    },
    /// The branch is on the remote.
    Pushed {
        /// The agent.
        agent: u32,
        /// The branch.
        branch: String,
    },
    /// A change request was opened or found again.
    PullCreated {
        /// The agent.
        agent: u32,
        /// Its number.
        number: u64,
        /// What people open.
        url: String,
        /// It was there before.
        existed: bool,
    },
    /// A task has its outcome.
    TaskFinished {
        /// The agent.
        agent: u32,
        /// Whether there is evidence of success.
        success: bool,
        /// From worktree to outcome, in seconds.
        duration_seconds: f64,
        /// Its change request.
        pr_number: Option<u64>,
        /// Why not.
        failure: Option<Failure>,
    },
    /// A diagnostic issue was filed for a failed task, or that of an earlier failure was rewritten.
    DiagnosticCreated {
        /// The agent.
        agent: u32,
        /// Its number.
        number: u64,
        /// Its title.
        title: String,
        /// What people open.
        url: String,
        /// It was there before.
        existed: bool,
    },
    /// A diagnostic issue was closed: its task has succeeded since.
    DiagnosticClosed {
        /// The agent.
        agent: u32,
        /// Its number.
        number: u64,
    },
    /// No agent starts for now.
    PoolPaused {
        /// Why.
        reason: String,
        /// RFC 3339 in UTC.
        until: String,
    },
    /// Agents start again.
    PoolResumed,
    /// How many requests the forge takes until its limit is reset; told once in a heartbeat.
    ForgeAllowance {
        /// How many.
        remaining: u64,
        /// RFC 3339 in UTC.
        reset: String,
    },
    /// The summary stands on the master issue.
    CommentPosted {
        /// The master issue.
        issue: u64,
        /// What people open.
        url: String,
    },
    /// Something worth a line that stops nothing: a worktree that was kept, a step left out.
    Warning {
        /// The agent it is about.
        agent: Option<u32>,
        /// One line.
        message: String,
    },
    /// The last event of an orchestration that came to an end.
    OrchestrationFinished {
        /// The exit code.
        exit_code: u8,
        /// The outcome.
        summary: Box<Summary>,
    },
    /// The last event of one that did not.
    Error {
        /// `usage`, `plan`, `validation`, `forge`, `engine`.
        kind: String,
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
        /// The exit code.
        exit_code: u8,
    },
}

/// The stage's name in text: `implementation`.
impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Parsing => "parsing",
            Self::Implementation => "implementation",
            Self::Testing => "testing",
            Self::Pr => "pr",
        })
    }
}
