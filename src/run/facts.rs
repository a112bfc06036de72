//! What records speak of: settings and tasks at the start, and what became of things.
//!
//! Pure data, kept in journals: a field that is added needs a default.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::agent::stream::Usage;

use super::failure::Failure;
use super::record::Intent;

/// The settings of one orchestration, as they were when it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The most tasks that hold a slot at once, at least 1.
    pub max_workers: usize,
    /// What was asked for, where this machine allows fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted_workers: Option<usize>,
    /// Agents a batch; `None` is one batch of all.
    pub batch_size: Option<usize>,
    /// Seconds an attempt may take; `None` is no limit.
    pub timeout: Option<f64>,
    /// Seconds between two heartbeats.
    pub interval: u64,
    /// Percent of successes that separates exit code 1 from 2.
    pub threshold: u8,
    /// A command for `sh -c` in each fresh worktree.
    pub setup: Option<String>,
    /// A command for `sh -c` before a change request.
    pub verify: Option<String>,
    /// Keep the worktrees of successful tasks.
    pub keep_worktrees: bool,
    /// Open change requests as drafts.
    pub draft: bool,
    /// The agent, as it was asked for.
    pub agent: String,
    /// The model, where one was asked for.
    pub model: Option<String>,
    /// The permission mode, where one was asked for.
    pub permission_mode: Option<String>,
    /// Withheld variables that agents get all the same.
    pub pass_env: Vec<String>,
    /// What all agents together may cost, in US dollars; then none starts any more.
    pub budget_usd: Option<f64>,
    /// What one attempt of an agent may cost, in US dollars.
    pub agent_budget_usd: Option<f64>,
    /// The first pause for a limit whose end nobody names, in seconds.
    pub first_pause: f64,
}

/// A task as it enters an orchestration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// The agent's number, from 1; it belongs to the key for the life of the master issue.
    pub agent: u32,
    /// [`crate::plan::key`].
    pub key: String,
    /// The title.
    pub title: String,
    /// The task's own text.
    pub description: String,
    /// Acceptance criteria, one line each.
    pub acceptance: Vec<String>,
    /// The number of the issue that it adopts.
    pub adopts: Option<u64>,
    /// It succeeded before and is run anew: what its branch already has is no evidence.
    #[serde(default)]
    pub repeats: bool,
    /// It failed in an earlier orchestration, so that a diagnostic issue may be open.
    #[serde(default)]
    pub failed: bool,
}

/// What an orchestration starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// `orch-local-1-20260101-1200`.
    pub orchestration: String,
    /// The master in file names: `local-1`.
    pub label: String,
    /// The source as it was given.
    pub source: String,
    /// The master issue.
    pub master: Filed,
    /// Whether issues and change requests are files of the local forge.
    pub local: bool,
    /// The remote that branches are pushed to; none with the local forge.
    pub remote: Option<String>,
    /// The master's title.
    pub title: String,
    /// The master's opening, the context of every sub-issue.
    pub opening: String,
    /// The base branch, as change requests name it.
    pub base: String,
    /// The commit that the branches start from.
    pub base_commit: String,
    /// The folder of the worktrees.
    pub worktrees: String,
    /// The folder of the logs, relative to the repository.
    pub logs: String,
    /// The summary, relative to the repository.
    pub summary_path: String,
    /// How it is to run.
    pub settings: Settings,
    /// What will run.
    pub tasks: Vec<TaskSpec>,
    /// The mark of the program that runs it, by which its processes are known.
    pub engine: String,
}

/// An issue or change request that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    /// Its number.
    pub number: u64,
    /// What people open: an address, or a path relative to the repository.
    pub url: String,
    /// It was there before.
    pub existed: bool,
}

/// How many changed files a record names.
pub const PATHS_KEPT: usize = 200;

/// What a branch has to show over its base, outside our own files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Commits over the base.
    pub commits: u64,
    /// Files changed.
    pub files: u64,
    /// Lines added.
    pub insertions: u64,
    /// Lines taken away.
    pub deletions: u64,
    /// The changed files, the first [`PATHS_KEPT`] of them.
    pub paths: Vec<String>,
    /// The commit at the branch's tip.
    pub head: String,
}

impl Proof {
    /// At least one commit, and a difference outside our own files.
    pub const fn shows_work(&self) -> bool {
        self.commits > 0 && self.files > 0
    }
}

/// What a unit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The setup command in a fresh worktree.
    Setup,
    /// The coding agent.
    Agent,
    /// The verify command.
    Verify,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "setup",
            Self::Agent => "agent",
            Self::Verify => "verify",
        })
    }
}

impl Role {
    /// What the process is for that an intent starts, if it starts one.
    pub const fn of(intent: Intent) -> Option<Self> {
        match intent {
            Intent::Setup { .. } => Some(Self::Setup),
            Intent::StartAgent { .. } => Some(Self::Agent),
            Intent::Verify { .. } => Some(Self::Verify),
            _ => None,
        }
    }
}

/// How a supervised unit (agent, setup, verify) ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitEnd {
    /// `success`, `failed`, `signalled`, `timed_out`, `leaked`, `spawn_error`, `cancelled`.
    pub outcome: String,
    /// The exit code, where it ended by itself.
    pub exit_code: Option<i32>,
    /// Seconds from start to end.
    pub seconds: f64,
    /// Why it counts as a failure; `None` where it ended well.
    pub failure: Option<Failure>,
    /// The last lines that it printed, redacted; only for failures.
    pub excerpt: Option<String>,
    /// What it used, as it says itself.
    pub usage: Option<Usage>,
    /// Why this attempt does not count, and another one follows; then it is no failure.
    pub again: Option<Again>,
}

/// Why an attempt does not count (DESIGN section 8, "Limits of agents").
///
/// The later one outweighs the earlier where several come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Again {
    /// The session that was to be resumed does not exist any more.
    NoSession,
    /// The provider had no room.
    Overloaded,
    /// The account's usage limit was reached.
    UsageLimit {
        /// Until then, in seconds since 1970, where the provider says so.
        until: Option<i64>,
    },
}

#[cfg(test)]
pub(crate) mod tests_support {
    use super::{Filed, Settings, Start, TaskSpec};

    /// The settings of a run with the defaults of the contract.
    pub(crate) fn settings() -> Settings {
        Settings {
            max_workers: 5,
            wanted_workers: None,
            batch_size: None,
            timeout: Some(1800.0),
            interval: 30,
            threshold: 80,
            setup: None,
            verify: None,
            keep_worktrees: false,
            draft: false,
            agent: "scripted-agent".to_owned(),
            model: None,
            permission_mode: None,
            pass_env: Vec::new(),
            budget_usd: None,
            agent_budget_usd: None,
            first_pause: 60.0,
        }
    }

    /// A task that is nothing but a title.
    pub(crate) fn spec(agent: u32, key: &str) -> TaskSpec {
        TaskSpec {
            agent,
            key: key.to_owned(),
            title: key.to_owned(),
            description: String::new(),
            acceptance: Vec::new(),
            adopts: None,
            repeats: false,
            failed: false,
        }
    }

    /// The start of a run of these tasks.
    pub(crate) fn start(tasks: Vec<TaskSpec>) -> Start {
        Start {
            orchestration: "orch-local-1-20260101-1200".to_owned(),
            label: "local-1".to_owned(),
            source: "plan.md".to_owned(),
            master: Filed {
                number: 1,
                url: "forge/1.md".to_owned(),
                existed: false,
            },
            local: true,
            remote: None,
            title: "Plan".to_owned(),
            opening: String::new(),
            base: "main".to_owned(),
            base_commit: "0".repeat(40),
            worktrees: "/w".to_owned(),
            logs: "logs".to_owned(),
            summary_path: "summary.md".to_owned(),
            settings: settings(),
            tasks,
            engine: String::new(),
        }
    }
}
