//! What earlier orchestrations of the same master have done.
//!
//! Pure: states in, decisions out. [`super::prepare`] reads the journals.

use std::collections::{BTreeMap, BTreeSet};

use super::record::TaskSpec;
use super::state::State;
use super::summary::Summary;

/// The earlier orchestrations of one master, oldest first.
#[derive(Debug, Default)]
pub struct History {
    agents: BTreeMap<String, u32>,
    succeeded: BTreeSet<String>,
    latest: Option<State>,
}

/// What is left to do (DESIGN section 8, "Running again").
#[derive(Debug, Clone, PartialEq)]
pub enum Todo {
    /// These tasks.
    Tasks(Vec<TaskSpec>),
    /// Nothing: the latest orchestration is over, and this is what it came to.
    Nothing(Box<Summary>),
}

impl History {
    /// Takes in the earlier states, oldest first.
    pub fn new(states: impl IntoIterator<Item = State>) -> Self {
        let mut history = Self::default();
        for state in states {
            for task in &state.tasks {
                history
                    .agents
                    .insert(task.spec.key.clone(), task.spec.agent);
                if task.succeeded() {
                    history.succeeded.insert(task.spec.key.clone());
                } else {
                    history.succeeded.remove(&task.spec.key);
                }
            }
            history.latest = Some(state);
        }
        history
    }

    /// Gives every task its agent's number: its own for the life of the master, else the next
    /// that is free. Then leaves out what need not run again.
    ///
    /// `anew` runs everything. Otherwise a task that succeeded stays done; one that failed in an
    /// orchestration that ended by itself waits for a retry; what an interruption left runs.
    pub fn todo(&self, mut tasks: Vec<TaskSpec>, anew: bool) -> Todo {
        let mut next = self.agents.values().max().map_or(1, |highest| highest + 1);
        for task in &mut tasks {
            task.agent = self.agents.get(&task.key).copied().unwrap_or_else(|| {
                next += 1;
                next - 1
            });
        }
        tasks.sort_by_key(|task| task.agent);
        let Some(latest) = self.latest.as_ref().filter(|_| !anew) else {
            return Todo::Tasks(tasks);
        };
        let interrupted = !matches!(latest.finished, Some(0..=2));
        tasks.retain(|task| {
            if interrupted {
                !self.succeeded.contains(&task.key)
            } else {
                !self.agents.contains_key(&task.key)
            }
        });
        if tasks.is_empty() {
            Todo::Nothing(Box::new(latest.summary()))
        } else {
            Todo::Tasks(tasks)
        }
    }
}
