//! What a task left behind, and whether it may be removed (DESIGN section 8, "Left behind").
//!
//! Pure: facts in, judgement out. Whatever is doubtful is kept: `clean` asks nobody.

use std::path::PathBuf;

use super::failure::ErrorType;
use super::state::{Step, Task};

/// How many files are named.
const FILES_SHOWN: usize = 3;

/// What is known of what one task left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// The agent.
    pub agent: u32,
    /// Its branch.
    pub branch: String,
    /// The commit there; `None` where the branch is gone.
    pub tip: Option<String>,
    /// Its task has come to an outcome of its own.
    pub is_over: bool,
    /// Its worktree.
    pub worktree: Worktree,
    /// Another worktree that has its branch checked out.
    pub in_use: Option<PathBuf>,
    /// Where its commits are as well.
    pub safe: Safe,
}

/// The worktree of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worktree {
    /// Neither git nor the disk has it.
    Gone,
    /// It stands, on the task's branch, with these files that are not committed.
    Standing(PathBuf, Vec<String>),
    /// Something stands there that is not to be touched, or cannot be judged.
    Strange(String),
}

/// Where the commits of a branch are as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Safe {
    /// There are none.
    Empty,
    /// In this base.
    Merged(String),
    /// On this remote.
    Pushed(String),
    /// Nowhere that is known, for this reason.
    No(String),
}

/// What is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing is there any more.
    Gone,
    /// It may go: nothing is lost, for this reason.
    Remove(String),
    /// It stays, for this reason.
    Keep(String),
}

impl Remains {
    /// Whether it may be removed.
    pub fn judge(&self) -> Judgement {
        let keep = |reason: String| Judgement::Keep(reason);
        match &self.worktree {
            Worktree::Gone if self.tip.is_none() => return Judgement::Gone,
            _ if !self.is_over => {
                return keep("its task was broken off, and goes on from there".to_owned());
            }
            Worktree::Strange(what) => return keep(what.clone()),
            Worktree::Standing(_, files) if !files.is_empty() => {
                return keep(format!("uncommitted in its worktree: {}", shown(files)));
            }
            Worktree::Gone | Worktree::Standing(..) => {}
        }
        if let Some(path) = &self.in_use {
            return keep(format!("it is checked out in {}", path.display()));
        }
        match &self.safe {
            Safe::Empty => Judgement::Remove("nothing was committed to it".to_owned()),
            Safe::Merged(base) => Judgement::Remove(format!("merged into {base}")),
            Safe::Pushed(remote) => Judgement::Remove(format!("pushed to {remote}")),
            Safe::No(reason) => keep(reason.clone()),
        }
    }
}

/// Whether a task has come to an outcome of its own: what was broken off goes on from its branch
/// and its worktree.
pub fn is_over(task: &Task) -> bool {
    let was_cancelled = matches!(&task.failure, Some(f) if f.error == ErrorType::Cancelled);
    task.step >= Step::Ended && !was_cancelled
}

/// `a.txt, b.txt and 3 more`
fn shown(files: &[String]) -> String {
    let named = files[..files.len().min(FILES_SHOWN)].join(", ");
    match files.len().saturating_sub(FILES_SHOWN) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::facts::tests_support::{spec, start};
    use crate::run::failure::{Failure, Stage};
    use crate::run::state::State;

    fn remains() -> Remains {
        Remains {
            agent: 1,
            branch: "feat/local-2-agent-1".to_owned(),
            tip: Some("c0ffee".to_owned()),
            is_over: true,
            worktree: Worktree::Standing(PathBuf::from("/w"), Vec::new()),
            in_use: None,
            safe: Safe::Merged("main".to_owned()),
        }
    }

    fn kept(remains: &Remains) -> String {
        match remains.judge() {
            Judgement::Keep(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_elsewhere_as_well_may_go() {
        for (safe, why) in [
            (Safe::Empty, "nothing was committed to it"),
            (Safe::Merged("main".to_owned()), "merged into main"),
            (Safe::Pushed("origin".to_owned()), "pushed to origin"),
        ] {
            for worktree in [remains().worktree, Worktree::Gone] {
                let safe = safe.clone();
                let remains = Remains {
                    worktree,
                    safe,
                    ..remains()
                };
                assert_eq!(remains.judge(), Judgement::Remove(why.to_owned()));
            }
        }
    }

    #[test]
    fn every_doubt_keeps_it_although_it_is_merged() {
        let files = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let worktree = Worktree::Standing(PathBuf::from("/w"), files);
        let dirty = Remains {
            worktree,
            ..remains()
        };
        assert_eq!(
            kept(&dirty),
            "uncommitted in its worktree: a, b, c and 2 more"
        );
        let in_use = Some(PathBuf::from("/elsewhere"));
        assert!(
            kept(&Remains {
                in_use,
                ..remains()
            })
            .contains("/elsewhere")
        );
        let broken_off = Remains {
            is_over: false,
            ..remains()
        };
        assert!(kept(&broken_off).contains("broken off"));
        let strange = Worktree::Strange("it is on another branch".to_owned());
        let strange = Remains {
            worktree: strange,
            ..remains()
        };
        assert_eq!(kept(&strange), "it is on another branch");
        let unsafe_ = Remains {
            safe: Safe::No("not pushed".to_owned()),
            ..remains()
        };
        assert_eq!(kept(&unsafe_), "not pushed");
    }

    #[test]
    fn what_is_gone_is_not_spoken_of() {
        let gone = Remains {
            tip: None,
            worktree: Worktree::Gone,
            is_over: false,
            ..remains()
        };
        assert_eq!(gone.judge(), Judgement::Gone);
    }

    #[test]
    fn a_task_is_over_once_its_own_outcome_is_journalled() {
        let mut state = State::new(start(vec![spec(1, "a")]), 0);
        let task = &mut state.tasks[0];
        task.step = Step::Settled;
        assert!(!is_over(task));
        task.step = Step::Ended;
        assert!(is_over(task));
        let failed = |error| Some(Failure::new(Stage::Testing, error, "x"));
        task.failure = failed(ErrorType::TestFailure);
        assert!(is_over(task));
        task.failure = failed(ErrorType::Cancelled);
        assert!(!is_over(task), "the next run goes on there");
    }
}
