//! Everything impure that an orchestration needs, behind one trait.
//!
//! [`run::driver`](crate::run::driver) knows nothing else: it decides nothing and touches nothing
//! but a [`World`]. [`real`] is this machine; [`sim`] is a hostile one with virtual time, in
//! which one seed decides everything.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::forge;
use crate::run::event::Event;
use crate::run::facts::{Filed, Proof};
use crate::run::failure::Failure;
use crate::run::merging::Merges;
use crate::run::record::Intent;
use crate::supervisor::{CancelReason, UnitEvent, UnitId, UnitSpec};

pub mod real;
#[cfg(test)]
mod sim;

/// Which log a text goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Log {
    /// `session.log`.
    Session,
    /// `agent-{N}.log`.
    Agent(u32),
}

/// A task's own folder and branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workplace {
    /// The agent.
    pub agent: u32,
    /// The absolute path of the worktree.
    pub path: PathBuf,
    /// The branch.
    pub branch: String,
    /// The commit that the branch starts from, in full.
    pub base_commit: String,
}

/// Something slow that is not a supervised unit. It is begun, and its [`Completion`] comes later.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Ask the forge for something.
    Forge {
        /// What it is for.
        intent: Intent,
        /// What is asked.
        request: forge::Request,
    },
    /// Make a worktree and its branch, and fill them.
    Prepare(Workplace),
    /// Commit what was left uncommitted, and look at what the branch has to show.
    Inspect {
        /// Where.
        place: Workplace,
        /// The subject of a commit that has to be made.
        subject: String,
    },
    /// Push a commit as the branch of a remote.
    Push {
        /// Where it was made.
        place: Workplace,
        /// The commit, in full.
        commit: String,
        /// The remote's name.
        remote: String,
    },
    /// Remove a worktree whose work is safe.
    Clean(Workplace),
    /// Merge branches with each other and with the base, in memory.
    TryMerges {
        /// The commit that they started from, in full.
        start: String,
        /// The reference that they would be merged into now: `refs/remotes/origin/main`.
        base: String,
        /// Their tips, by agent: commits in full.
        tips: Vec<(u32, String)>,
    },
}

/// What came of an [`Operation`].
#[derive(Debug, Clone, PartialEq)]
pub enum Completion {
    /// The forge has it.
    Filed {
        /// What it was for.
        intent: Intent,
        /// What is there now.
        filed: Filed,
    },
    /// The forge refused, or could not be reached.
    ForgeFailed {
        /// What it was for.
        intent: Intent,
        /// One line.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The forge has closed what was open.
    Closed {
        /// What it was for.
        intent: Intent,
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// The worktree stands.
    Prepared {
        /// Where.
        place: Workplace,
        /// The commit at the branch's tip.
        head: String,
    },
    /// What the branch has to show.
    Inspected {
        /// The agent.
        agent: u32,
        /// The evidence.
        proof: Proof,
    },
    /// The branch is on the remote.
    Pushed {
        /// The agent.
        agent: u32,
        /// The branch.
        branch: String,
    },
    /// The worktree is gone, or was kept for a reason.
    Cleaned {
        /// The agent.
        agent: u32,
        /// Why it was kept.
        kept: Option<String>,
    },
    /// What came of merging the branches.
    MergesTried(Merges),
    /// A step failed in a way that is the task's.
    Failed {
        /// The agent.
        agent: u32,
        /// Why.
        failure: Failure,
    },
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A supervised unit started, wrote or ended.
    Unit(UnitEvent),
    /// An operation came to its end.
    Completed(Completion),
    /// An agent's `.agent_status.json` says this. Checked for form, never for truth.
    Claim {
        /// The agent.
        agent: u32,
        /// What it says it does.
        stage: Option<String>,
        /// What it says it has done, 0 to 100.
        percent: Option<u8>,
    },
    /// An agent's `.agent_status.json` is not what it should be.
    BadClaim {
        /// The agent.
        agent: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// Something for the session log.
    Said(String),
    /// How many requests the forge takes until `reset`, in seconds since 1970.
    Allowance {
        /// How many.
        remaining: u64,
        /// When they are as many again as ever.
        reset: i64,
    },
    /// Time for a heartbeat.
    Beat,
    /// The time that [`World::wake_at`] named has come.
    Woke,
    /// A person or the system wants the run to end: the exit code that this leads to.
    Cancel {
        /// 130 or 143.
        exit_code: u8,
        /// How severe it is.
        reason: CancelReason,
    },
}

/// The machine that an orchestration runs on.
///
/// Nothing answers at once but the clock, the ids and the files; what takes time is begun here
/// and reported by [`World::next`].
pub trait World {
    /// Microseconds since this world began. It never goes back.
    fn now(&self) -> u64;

    /// Wall clock, milliseconds since 1970.
    fn wall(&self) -> i64;

    /// A fresh random UUID in its usual form.
    fn uuid(&mut self) -> String;

    /// Hands a unit to the supervisor; the number names it in facts.
    fn submit(&mut self, spec: UnitSpec) -> UnitId;

    /// Ends one unit.
    fn end_unit(&mut self, unit: UnitId, reason: CancelReason);

    /// Ends every unit, and starts no more.
    fn cancel_units(&mut self, reason: CancelReason);

    /// Begins an operation.
    fn begin(&mut self, operation: Operation);

    /// Appends lines to the journal; on disk when it returns, where `sync` is set.
    fn append(&mut self, lines: &str, sync: bool) -> Result<()>;

    /// Replaces a file's content in one step: a reader sees the old or the new one.
    fn replace(&mut self, path: &Path, text: &str) -> Result<()>;

    /// Adds to a log, redacted. A log that cannot be written stops nothing.
    fn log(&mut self, log: Log, text: &[u8]);

    /// The last lines of an agent's log, redacted.
    fn log_tail(&mut self, agent: u32) -> String;

    /// Whether there is a folder of that path.
    fn is_there(&mut self, folder: &Path) -> bool;

    /// Watches a worktree's `.agent_status.json`, until it is told to stop.
    fn watch(&mut self, agent: u32, worktree: Option<&Path>);

    /// Hands an event to whoever listens.
    fn publish(&mut self, event: Event);

    /// Reports [`Fact::Woke`] once, at this time of [`World::now`] or a little later. The last
    /// call counts; `None` takes it back.
    fn wake_at(&mut self, at: Option<u64>);

    /// Waits until something has happened, and returns all that has: at least one fact.
    fn next(&mut self) -> Vec<Fact>;
}
