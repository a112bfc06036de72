//! What an orchestration came to: the content of `summary.json`.
//!
//! Pure data, made from the state by [`super::state`] and rendered for people by
//! [`crate::report`].

use serde::{Deserialize, Serialize};

use super::failure::Stage;

/// The outcome of a whole orchestration (the specification's step 7 and DESIGN section 8).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The number of the master issue.
    pub master_issue: u64,
    /// How many tasks the orchestration has.
    pub total_sub_tasks: usize,
    /// How many succeeded.
    pub successful: usize,
    /// How many did not.
    pub failed: usize,
    /// The change requests, in the order of their agents.
    pub prs_created: Vec<u64>,
    /// The diagnostic issues, in the order of their agents.
    pub follow_up_issues: Vec<u64>,
    /// Wall time from start to summary, in whole seconds.
    pub duration_seconds: u64,
    /// Insertions of the successful tasks, outside our own files.
    pub lines_of_code: u64,
    /// `orch-local-1-20260101-1200`.
    pub orchestration_id: String,
    /// The exit code that follows from the outcomes.
    pub exit_code: u8,
    /// Successful tasks of all tasks, in percent (0 to 100).
    pub success_rate: f64,
    /// The change requests in the order in which they are best merged.
    #[serde(default)]
    pub merge_order: Vec<u64>,
    /// Those that do not merge by themselves.
    #[serde(default)]
    pub merge_conflicts: Vec<MergeConflict>,
    /// One row a task, in the order of their agents.
    pub tasks: Vec<TaskSummary>,
    /// What people read and programs need not.
    pub context: Context,
}

/// Two change requests that do not merge by themselves, or one and the base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeConflict {
    /// The number of the one.
    pub pr: u64,
    /// The number of the other; `null` is the base.
    pub other_pr: Option<u64>,
    /// The files in which they collide, the first twenty of them.
    pub files: Vec<String>,
}

/// The rest of what the reports show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// The title of the master issue.
    pub title: String,
    /// What names the master to the command: `1234`, or the path of the plan.
    pub source: String,
    /// The folder of the logs, relative to the repository.
    pub logs: String,
    /// The whole summary, relative to the repository.
    pub summary_path: String,
    /// Wall time from start to summary, in seconds.
    pub wall_seconds: f64,
    /// The sum of the last attempts' durations, in seconds: what one agent after another
    /// would have taken.
    pub sequential_seconds: f64,
    /// The most agents that were alive at once.
    pub peak_concurrency: usize,
    /// The threshold in percent that separates exit code 1 from 2.
    pub threshold: u8,
    /// Whether this is the local forge, whose objects are files.
    pub local: bool,
    /// The run was ended by a person or a signal before it was through.
    pub interrupted: bool,
    /// The branch that the change requests are for.
    #[serde(default)]
    pub base: String,
    /// Why not every pair of branches was merged in a trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_problem: Option<String>,
}

/// How one task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// With evidence.
    Completed,
    /// In any other way.
    Failed,
}

/// The row of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSummary {
    /// `agent-3`.
    pub agent_id: String,
    /// The agent's number, from 1.
    #[serde(skip)]
    pub agent: u32,
    /// The number of its sub-issue, once filed.
    pub sub_issue: Option<u64>,
    /// What people open to read the sub-issue.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sub_issue_url: Option<String>,
    /// The task's title.
    pub title: String,
    /// How it ended.
    pub status: TaskStatus,
    /// The number of its change request.
    pub pr_number: Option<u64>,
    /// What people open to read the change request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pr_url: Option<String>,
    /// Its branch, once named.
    pub branch: Option<String>,
    /// The last attempt's duration in seconds, from worktree to change request.
    pub duration_seconds: f64,
    /// Insertions outside our own files.
    pub lines_of_code: u64,
    /// How often an agent was started.
    pub attempts: u32,
    /// What the agent said it cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// Whether the verify command passed; `null` where none is set or it did not run.
    pub tests_passing: Option<bool>,
    /// `TEST_TIMEOUT: message`, for a failure.
    pub error: Option<String>,
    /// The words for tables: `Test timeout`, for a failure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error_label: Option<String>,
    /// Where it failed.
    pub failure_stage: Option<Stage>,
    /// Whether a time limit ended it.
    pub timed_out: bool,
    /// The number of its diagnostic issue.
    pub follow_up_issue: Option<u64>,
    /// What people open to read the diagnostic issue.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub follow_up_url: Option<String>,
    /// The worktree that was kept, for a failure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub worktree: Option<String>,
}
