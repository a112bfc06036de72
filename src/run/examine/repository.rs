//! The repository as it is: worktrees, locks, and what dead runs left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use crate::run::clean::{left, worktree_of};
use crate::run::earlier::{self, Earlier};
use crate::run::lock::holder;
use crate::run::overview::{Condition, overview};
use crate::run::remains::is_over;
use crate::run::surroundings::{Environment, check_place};
use crate::supervisor::find_leftovers;
use crate::workspace::cli::Git;
use crate::workspace::exclude::can_make;
use crate::workspace::{Layout, Workspace};
use crate::world::real::{Steps, wall};

use super::Trouble;

/// The repository.
#[derive(Debug, Serialize)]
pub struct Repository {
    /// The main worktree.
    pub root: PathBuf,
    /// What is checked out there: a branch, or a commit.
    pub head: String,
    /// Where journals and logs are, or will be.
    pub runtime: PathBuf,
    /// Nothing can be written there.
    pub is_read_only: bool,
    /// Why no worktree can be made.
    pub no_place: Option<Trouble>,
    /// The linked worktrees.
    pub worktrees: Vec<Worktree>,
    /// Folders among our worktrees that git does not know.
    pub strays: Vec<PathBuf>,
    /// The lock files of git.
    pub locks: Vec<LockFile>,
    /// The orchestrations that have not come to their end, or left something running.
    pub orchestrations: Vec<Orchestration>,
    /// What cannot be read.
    pub troubles: Vec<Trouble>,
}

/// A linked worktree.
#[derive(Debug, Serialize)]
pub struct Worktree {
    /// Its folder.
    pub path: PathBuf,
    /// The folder is there.
    pub exists: bool,
    /// Somebody locked it, for this reason.
    pub locked: Option<String>,
    /// The branch that is checked out there.
    pub branch: Option<String>,
    /// The task that it belongs to, if any.
    pub task: Option<Owner>,
}

/// The task that a worktree belongs to.
#[derive(Debug, Serialize)]
pub struct Owner {
    /// Its orchestration.
    pub orchestration: String,
    /// Its agent.
    pub agent: u32,
    /// Its branch.
    pub branch: String,
    /// A run is at work on its issue.
    pub is_held: bool,
    /// It has come to an outcome of its own; else a run goes on there.
    pub is_over: bool,
    /// Files with work that is not committed.
    pub uncommitted: Vec<String>,
}

/// A lock file.
#[derive(Debug, Serialize)]
pub struct LockFile {
    /// The file.
    pub path: PathBuf,
    /// How long ago it was made.
    pub seconds: i64,
}

/// An orchestration.
#[derive(Debug, Serialize)]
pub struct Orchestration {
    /// Its id.
    pub id: String,
    /// What names it to the command.
    pub source: String,
    /// What has become of it.
    pub state: Condition,
    /// What it left running.
    pub processes: Vec<u32>,
}

/// Looks at everything in a repository. Without git nothing is said of uncommitted files.
pub(super) fn look(
    workspace: &Workspace,
    layout: Option<&Layout>,
    git: Option<&Git>,
    environment: &Environment,
) -> Repository {
    let beside = Layout::beside(workspace.root());
    let layout = layout.unwrap_or(&beside);
    let mut troubles = Vec::new();
    let head = workspace
        .head()
        .map(|head| head.branch.unwrap_or(head.commit));
    let masters = masters(layout, &mut troubles);
    let owners = owners(&masters);
    let steps = git.map(|git| {
        let environment = environment.to_vec();
        let lock = layout.worktree_lock();
        let root = workspace.root().to_owned();
        Steps::outside_of_runs(git.clone(), root, lock, environment, false)
    });
    let registered = workspace.worktrees().unwrap_or_else(|error| {
        troubles.push(error.into());
        Vec::new()
    });
    let strays = folders(layout.worktrees())
        .filter(|folder| registered.iter().all(|at| at.path != *folder))
        .collect();
    let mut worktrees = Vec::new();
    for at in registered {
        let task = owners.get(&at.path).map(|owner| Owner {
            orchestration: owner.orchestration.clone(),
            branch: owner.branch.clone(),
            uncommitted: match &steps {
                Some(steps) if at.exists && owner.is_over && !owner.is_held => {
                    steps.uncommitted(&at.path).unwrap_or_default()
                }
                _ => Vec::new(),
            },
            ..*owner
        });
        worktrees.push(Worktree {
            path: at.path,
            exists: at.exists,
            locked: at.locked,
            branch: at.branch,
            task,
        });
    }
    Repository {
        root: workspace.root().to_owned(),
        head: head.unwrap_or_default(),
        runtime: layout.runtime(),
        is_read_only: !can_make(&layout.runtime()),
        no_place: check_place(layout).err().map(Trouble::from),
        worktrees,
        strays,
        locks: locks(workspace),
        orchestrations: orchestrations(&masters),
        troubles,
    }
}

/// The orchestrations of one master, oldest first, and who works on the latest.
struct Known {
    earlier: Vec<Earlier>,
    holder: Option<u32>,
}

fn masters(layout: &Layout, troubles: &mut Vec<Trouble>) -> Vec<Known> {
    let mut known = Vec::new();
    for folder in earlier::folders(&layout.all_parallel()) {
        match earlier::in_folder(&folder) {
            Ok(earlier) => known.push(Known {
                earlier,
                holder: holder(&folder.join("run.lock")),
            }),
            Err(error) => troubles.push(error.into()),
        }
    }
    known
}

/// Whose worktree is where.
fn owners(masters: &[Known]) -> BTreeMap<PathBuf, Owner> {
    let mut owners = BTreeMap::new();
    for Known { earlier, holder } in masters {
        let states = earlier.iter().map(|earlier| earlier.state.clone());
        for (start, task) in left(states) {
            let branch = task.branch.clone().unwrap_or_default();
            let owner = Owner {
                orchestration: start.orchestration.clone(),
                agent: task.spec.agent,
                is_held: holder.is_some(),
                is_over: is_over(&task),
                uncommitted: Vec::new(),
                branch: branch.clone(),
            };
            owners.insert(worktree_of(&start, &task, &branch), owner);
        }
    }
    owners
}

fn orchestrations(masters: &[Known]) -> Vec<Orchestration> {
    let now = wall().as_millisecond();
    let mut found = Vec::new();
    let mut marks = Vec::new();
    for Known { earlier, holder } in masters {
        for (place, earlier) in earlier.iter().rev().enumerate() {
            // The lock is that of the latest.
            let holder = holder.filter(|_| place == 0);
            let overview = overview(&earlier.state, holder, None, now);
            marks.push(earlier.state.start.engine.as_str());
            found.push(Orchestration {
                id: overview.orchestration,
                source: overview.source,
                state: overview.state,
                processes: Vec::new(),
            });
        }
    }
    for (one, processes) in found.iter_mut().zip(find_leftovers(&marks)) {
        one.processes = processes;
    }
    found.retain(|one| one.state != Condition::Finished || !one.processes.is_empty());
    found
}

fn locks(workspace: &Workspace) -> Vec<LockFile> {
    let age = |path: PathBuf| {
        let modified = fs::metadata(&path).ok()?.modified().ok()?;
        let since = wall().duration_since(Timestamp::try_from(modified).ok()?);
        Some(LockFile {
            path,
            seconds: since.as_secs(),
        })
    };
    workspace.all_locks().into_iter().filter_map(age).collect()
}

/// The folders in a folder, without symbolic links in their paths, as git has them.
fn folders(parent: &Path) -> impl Iterator<Item = PathBuf> {
    let folders = earlier::folders(parent).into_iter();
    folders.map(|folder| folder.canonicalize().unwrap_or(folder))
}
