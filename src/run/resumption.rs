//! How an orchestration goes on after it ended early, or with failures: what runs again, and what
//! stands.
//!
//! Pure. It goes on in its own journal and under its own id; the record of a [`Resumption`] puts
//! the state into one from which [`super::machine`] decides on, as if nothing had happened between.

use serde::{Deserialize, Serialize};

use super::facts::Settings;
use super::failure::{ErrorType, Failure};
use super::state::{Ending, Previous, State, Step, Task};

/// An orchestration is taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumption {
    /// A person asked for the failed tasks to run again; else only what was broken off goes on.
    pub retry: bool,
    /// The tasks that run again.
    pub tasks: Vec<Rerun>,
    /// How many had succeeded.
    pub successful: usize,
    /// How many there are.
    pub total: usize,
    /// How it is to run from here on.
    pub settings: Settings,
    /// The mark of the program that runs it now, by which its processes are known.
    pub engine: String,
}

/// A task that runs again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerun {
    /// The agent.
    pub agent: u32,
    /// The words for why it failed: `Test timeout`; `None` where it was broken off.
    pub failed: Option<String>,
}

/// Which of an orchestration's tasks are taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that were broken off.
    BrokenOff,
    /// Those that failed as well.
    Failed,
    /// Only that of this agent, if it failed or was broken off.
    Only(u32),
}

impl State {
    /// Whether it ended before it was through: by a crash, a person, or an error of the engine.
    pub const fn is_broken_off(&self) -> bool {
        !matches!(self.finished, Some(0..=2))
    }

    /// The tasks that run again.
    pub fn reruns(&self, which: Which) -> Vec<Rerun> {
        let wanted = |task: &&Task| match which {
            Which::BrokenOff => is_broken_off(task),
            Which::Failed => is_broken_off(task) || task.failure.is_some(),
            Which::Only(agent) => {
                task.spec.agent == agent && (is_broken_off(task) || task.failure.is_some())
            }
        };
        let rerun = |task: &Task| Rerun {
            agent: task.spec.agent,
            failed: task
                .failure
                .as_ref()
                .map(|failure| failure.error.label().to_owned()),
        };
        self.tasks.iter().filter(wanted).map(rerun).collect()
    }

    /// Takes up an orchestration again: nothing that a dead program was doing is under way any
    /// more, tasks that run again begin anew with what they have, and the end is yet to come.
    pub(super) fn resume(&mut self, resumption: &Resumption, at: u64) {
        // Nobody knows when the program before ended; the moment before this one is still its.
        let before = at.saturating_sub(1);
        self.start.settings = resumption.settings.clone();
        self.start.engine.clone_from(&resumption.engine);
        self.doing = None;
        self.batch = 0;
        self.alive = 0;
        self.cancelled = None;
        self.finished = None;
        self.limit_met = None;
        self.paused = None;
        self.pauses = 0;
        self.end_pause(before);
        self.merges = None;
        self.summarized = false;
        self.commented = false;
        self.retried |= resumption.retry;
        for task in &mut self.tasks {
            task.close_span(before, Ending::Failed);
            task.doing = None;
            task.pid = None;
            task.used = task.usage();
            task.using = crate::agent::stream::Usage::default();
            if resumption
                .tasks
                .iter()
                .any(|rerun| rerun.agent == task.spec.agent)
            {
                task.begin_again();
            }
        }
    }
}

/// Whether it had not come to an outcome of its own.
///
/// What its agent has finished stands, and goes on from there: the branch, not the journal, says
/// what was done.
fn is_broken_off(task: &Task) -> bool {
    match &task.failure {
        Some(Failure { error, .. }) => *error == ErrorType::Cancelled,
        None => task.step < Step::Ran,
    }
}

impl Task {
    /// Back to where its worktree is made or taken up, with its issue, its branch, its session,
    /// and what is known of its failure.
    fn begin_again(&mut self) {
        if let Some(failure) = self.failure.take() {
            self.previous = Some(Previous {
                error: failure.status_text(),
                excerpt: self.excerpt.take().unwrap_or_default(),
            });
            self.has_failed |= failure.error != ErrorType::Cancelled;
        }
        self.step = if self.sub_issue.is_some() {
            Step::Filed
        } else {
            Step::Planned
        };
        self.resumes = self.session.is_some();
        self.excerpt = None;
        self.overloads = 0;
        self.began = None;
        self.worked = None;
        self.ended = None;
        self.claim = None;
        self.proof = None;
        self.verified = None;
        self.pull = None;
        self.diagnostic = None;
    }
}
