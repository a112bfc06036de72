//! What earlier orchestrations of the same master have done.
//!
//! Pure: states in, decisions out. [`super::prepare`] reads the journals.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::TaskSpec;
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
    /// `anew` runs everything. Otherwise a task that succeeded stays done, and one that failed
    /// waits for a retry, or for the next new task: then both run, for a retry concerns the latest
    /// orchestration and would pass it over for ever. (What was broken off is taken up before
    /// anybody asks here.)
    pub fn todo(&self, mut tasks: Vec<TaskSpec>, anew: bool) -> Todo {
        let mut next = self.agents.values().max().map_or(1, |highest| highest + 1);
        for task in &mut tasks {
            task.repeats = self.succeeded.contains(&task.key);
            task.failed = self.agents.contains_key(&task.key) && !task.repeats;
            task.agent = self.agents.get(&task.key).copied().unwrap_or_else(|| {
                next += 1;
                next - 1
            });
        }
        tasks.sort_by_key(|task| task.agent);
        let Some(latest) = self.latest.as_ref().filter(|_| !anew) else {
            return Todo::Tasks(tasks);
        };
        let is_new = |task: &TaskSpec| !self.agents.contains_key(&task.key);
        if !tasks.iter().any(is_new) {
            return Todo::Nothing(Box::new(latest.summary()));
        }
        tasks.retain(|task| !self.succeeded.contains(&task.key));
        Todo::Tasks(tasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::facts::tests_support::{spec, start};
    use crate::run::state::Step;

    /// An orchestration of tasks that succeeded or not, which ended with an exit code or not.
    fn earlier(tasks: &[(u32, &str, bool)], finished: Option<u8>) -> State {
        let specs = tasks
            .iter()
            .map(|(agent, key, _)| spec(*agent, key))
            .collect();
        let mut state = State::new(start(specs), 0);
        for (task, (_, _, succeeded)) in state.tasks.iter_mut().zip(tasks) {
            task.step = if *succeeded {
                Step::Closed
            } else {
                Step::Filed
            };
        }
        state.finished = finished;
        state
    }

    fn keys(todo: Todo) -> Vec<(u32, String)> {
        match todo {
            Todo::Tasks(tasks) => tasks
                .into_iter()
                .map(|task| (task.agent, task.key))
                .collect(),
            Todo::Nothing(_) => Vec::new(),
        }
    }

    fn pairs(list: &[(u32, &str)]) -> Vec<(u32, String)> {
        list.iter()
            .map(|(agent, key)| (*agent, (*key).to_owned()))
            .collect()
    }

    #[test]
    fn a_first_run_runs_everything_in_the_order_of_the_plan() {
        let todo = History::default().todo(vec![spec(1, "a"), spec(2, "b")], false);
        assert_eq!(keys(todo), pairs(&[(1, "a"), (2, "b")]));
    }

    #[test]
    fn a_failed_task_of_a_finished_run_waits_for_a_retry() {
        let history = History::new([earlier(&[(1, "a", true), (2, "b", false)], Some(1))]);
        let todo = history.todo(vec![spec(1, "a"), spec(2, "b")], false);
        assert!(matches!(todo, Todo::Nothing(summary) if summary.successful == 1));
    }

    #[test]
    fn a_failed_task_comes_along_with_a_new_one() {
        let history = History::new([earlier(&[(1, "a", true), (2, "b", false)], Some(1))]);
        let plan = vec![spec(1, "a"), spec(2, "b"), spec(3, "new")];
        let Todo::Tasks(tasks) = history.todo(plan, false) else {
            panic!("there is a new task");
        };
        let told: Vec<_> = tasks.iter().map(|task| (task.agent, task.failed)).collect();
        assert_eq!(told, [(2, true), (3, false)]);
    }

    #[test]
    fn a_new_task_gets_the_next_number_and_an_old_one_keeps_its_own() {
        let history = History::new([earlier(&[(1, "a", true), (2, "b", true)], Some(0))]);
        let plan = || vec![spec(1, "new"), spec(2, "b"), spec(3, "a")];
        assert_eq!(keys(history.todo(plan(), false)), pairs(&[(3, "new")]));
        assert_eq!(
            keys(history.todo(plan(), true)),
            pairs(&[(1, "a"), (2, "b"), (3, "new")])
        );
    }
}
