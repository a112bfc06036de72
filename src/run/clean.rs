//! Removes what orchestrations left behind and nobody needs: the worktrees and branches of tasks
//! that are over, where the work is merged or pushed.
//!
//! Reads journals, asks git and the remote, and removes through the user's own git, by commands
//! that refuse where something would be lost. Knows only what a journal knows. While it looks at
//! an issue it holds that lock, so that no run begins to use what is about to go; what a
//! run uses it leaves alone. [`super::remains`] decides.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::report::untrusted::inline_terminal;
use crate::workspace::answers::references;
use crate::workspace::cli::Git;
use crate::workspace::read::Registered;
use crate::workspace::{Layout, Workspace};
use crate::world::Workplace;
use crate::world::real::Steps;

use super::earlier;
use super::facts::Start;
use super::interruption::Interruption;
use super::lock::{Lock, holder};
use super::prepare::user_git;
use super::remains::{Judgement, Remains, Safe, Worktree, is_over};
use super::remote::Clone;
use super::state::{State, Task};
use super::surroundings::find_git;

/// What became of what was left behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was removed, or would be, and why that loses nothing.
    pub removed: Vec<(String, String)>,
    /// What was kept, and why.
    pub kept: Vec<(String, String)>,
}

/// Cleans up after the orchestrations of some masters, by their folders.
pub fn clean(workspace: &Workspace, folders: &[PathBuf], dry_run: bool) -> Result<Outcome> {
    let environment: Vec<_> = std::env::vars_os().collect();
    let git = user_git(find_git(&environment)?, workspace, &environment)?;
    let cleaner = Cleaner {
        workspace,
        git,
        environment,
        dry_run,
    };
    let mut outcome = Outcome::default();
    for folder in folders {
        cleaner.clean(folder, &mut outcome)?;
    }
    Ok(outcome)
}

struct Cleaner<'a> {
    workspace: &'a Workspace,
    git: Git,
    environment: Vec<(OsString, OsString)>,
    dry_run: bool,
}

/// One task that left something behind, and the orchestration that had it last.
pub(super) type Left = (Start, Task);

impl Cleaner<'_> {
    /// Cleans up after one master. What is wrong with that stops no other one.
    fn clean(&self, folder: &Path, outcome: &mut Outcome) -> Result<()> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("everything of {}", name.replace("local-", "local#"));
        let _lock = match self.lock(&folder.join("run.lock")) {
            Ok(lock) => lock,
            Err(Error::Locked { pid, .. }) => {
                outcome
                    .kept
                    .push((name, format!("process {pid} works on it")));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match earlier::in_folder(folder) {
            Ok(earlier) => {
                let states = earlier.into_iter().map(|earlier| earlier.state);
                self.clean_after(&left(states), outcome)
            }
            Err(error) => {
                outcome.kept.push((name, error.to_string()));
                Ok(())
            }
        }
    }

    /// Keeps runs out, and stays out of theirs. A dry run keeps nobody out.
    fn lock(&self, path: &Path) -> Result<Option<Lock>> {
        if !self.dry_run {
            return Lock::take(path).map(Some);
        }
        match holder(path) {
            None => Ok(None),
            Some(pid) => Err(Error::Locked {
                pid,
                path: path.to_owned(),
            }),
        }
    }

    fn clean_after(&self, left: &[Left], outcome: &mut Outcome) -> Result<()> {
        if !self.dry_run {
            self.forget_unfinished(left, outcome);
        }
        let registered = self.workspace.worktrees()?;
        let mut all = Vec::new();
        for (start, task) in left {
            all.push((start, self.remains(start, task, &registered)?));
        }
        self.ask_remotes(left, &mut all)?;
        for (start, remains) in all {
            let judgement = match remains.judge() {
                Judgement::Remove(why) if !self.dry_run => match self.remove(start, &remains) {
                    Ok(()) => Judgement::Remove(why),
                    Err(reason) => Judgement::Keep(reason),
                },
                other => other,
            };
            match judgement {
                Judgement::Gone => {}
                Judgement::Remove(why) => outcome.removed.push((remains.branch, why)),
                Judgement::Keep(why) => outcome.kept.push((remains.branch, why)),
            }
        }
        Ok(())
    }

    /// Clears away worktrees that git was killed over; nothing is in them yet, or any more.
    fn forget_unfinished(&self, left: &[Left], outcome: &mut Outcome) {
        let mut folders = BTreeMap::new();
        for (start, task) in left {
            let branch = task.branch.as_deref().unwrap_or_default();
            let path = worktree_of(start, task, branch);
            folders.extend(path.parent().map(|folder| (folder.to_owned(), start)));
        }
        for (folder, start) in folders {
            let steps = self.steps(start);
            if let Err(reason) = steps.forget_unfinished(self.workspace, &folder) {
                outcome.kept.push((folder.display().to_string(), reason));
            }
        }
    }

    fn remains(&self, start: &Start, task: &Task, registered: &[Registered]) -> Result<Remains> {
        let branch = task.branch.clone().unwrap_or_default();
        let path = worktree_of(start, task, &branch);
        let tip = self.workspace.branch_commit(&branch)?;
        let safe = match &tip {
            Some(tip) => self.safe(start, task, tip)?,
            None => Safe::Empty,
        };
        let main = self.workspace.head()?.branch;
        let is_on_branch = |at: &&Registered| at.branch.as_deref() == Some(branch.as_str());
        let in_use = if main.as_deref() == Some(branch.as_str()) {
            Some(self.workspace.root().to_owned())
        } else {
            let mut others = registered.iter().filter(|at| at.path != path);
            others.find(is_on_branch).map(|at| at.path.clone())
        };
        Ok(Remains {
            agent: task.spec.agent,
            tip,
            is_over: is_over(task),
            worktree: self.worktree(&path, &branch, start, registered),
            in_use,
            safe,
            branch,
        })
    }

    fn worktree(
        &self,
        path: &Path,
        branch: &str,
        start: &Start,
        registered: &[Registered],
    ) -> Worktree {
        let shown = path.display();
        match registered.iter().find(|at| at.path == path) {
            None if !path.exists() => Worktree::Gone,
            None => Worktree::Strange(format!("git knows no worktree at {shown}")),
            Some(at) if !at.exists => Worktree::Strange(format!(
                "its worktree {shown} is not there; \
                 if it is gone for good, run: git worktree prune"
            )),
            Some(at) if at.branch.as_deref() != Some(branch) => {
                Worktree::Strange(format!("its worktree {shown} is not on its branch"))
            }
            Some(at) => match self.steps(start).uncommitted(path) {
                Ok(files) => Worktree::Standing(at.path.clone(), files),
                Err(reason) => Worktree::Strange(reason),
            },
        }
    }

    /// Where the commits are as well, as far as this clone knows.
    fn safe(&self, start: &Start, task: &Task, tip: &str) -> Result<Safe> {
        if self.workspace.is_within(tip, &start.base_commit)? {
            return Ok(Safe::Empty);
        }
        let base = &start.base;
        let mut bases = vec![(format!("refs/heads/{base}"), base.clone())];
        if let Some(remote) = &start.remote {
            let name = format!("{remote}/{base}");
            bases.push((format!("refs/remotes/{name}"), name));
        }
        for (reference, name) in bases {
            if let Some(commit) = self.workspace.reference_commit(&reference)?
                && self.workspace.is_within(tip, &commit)?
            {
                return Ok(Safe::Merged(name));
            }
        }
        let pull = task.pull.as_ref().map_or_else(String::new, |pull| {
            format!(" (change request #{})", pull.number)
        });
        Ok(Safe::No(format!("not merged into {base}{pull}")))
    }

    /// Asks each remote once for what is not merged. GitHub keeps the commits of a pull request
    /// after its branch is deleted, so that one that was squashed is known, too.
    fn ask_remotes(&self, left: &[Left], all: &mut [(&Start, Remains)]) -> Result<()> {
        let mut asked: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, (start, remains)) in all.iter().enumerate() {
            if let (Some(remote), Safe::No(_), true) =
                (&start.remote, &remains.safe, remains.is_over)
            {
                asked.entry(remote.clone()).or_default().push(index);
            }
        }
        let clone = Clone {
            root: self.workspace.root(),
            git: &self.git,
            environment: &self.environment,
            interruption: &Interruption::default(),
        };
        for (remote, indices) in asked {
            let names = |index: usize| {
                let pull = left[index].1.pull.as_ref();
                let pull = pull.map(|pull| format!("refs/pull/{}/head", pull.number));
                let branch = left[index].1.branch.as_ref();
                let branch = branch.map(|branch| format!("refs/heads/{branch}"));
                branch.into_iter().chain(pull)
            };
            let every = indices.iter().flat_map(|&index| names(index));
            let command = self.git.remote_references(clone.root, &remote, every);
            let answer = clone.ask(&command).map_err(|error| error.to_string());
            for index in indices {
                let remains = &mut all[index].1;
                let commits = if let Ok(text) = &answer {
                    let names: Vec<_> = names(index).collect();
                    let mut found = references(text);
                    found.retain(|(name, _)| names.iter().any(|known| known == name));
                    found
                        .iter()
                        .map(|(_, commit)| (*commit).to_owned())
                        .collect()
                } else {
                    // What it had when it was last talked to.
                    let name = format!("refs/remotes/{remote}/{}", remains.branch);
                    Vec::from_iter(self.workspace.reference_commit(&name)?)
                };
                remains.safe = self.pushed(&remote, remains, &commits, answer.as_ref().err())?;
            }
        }
        Ok(())
    }

    fn pushed(
        &self,
        remote: &str,
        remains: &Remains,
        commits: &[String],
        trouble: Option<&String>,
    ) -> Result<Safe> {
        for commit in commits {
            if let Some(tip) = &remains.tip
                && self.workspace.is_within(tip, commit)?
            {
                return Ok(Safe::Pushed(remote.to_owned()));
            }
        }
        let why = match (&remains.safe, trouble) {
            (_, Some(trouble)) => format!("{remote} cannot be asked whether it has it: {trouble}"),
            (Safe::No(why), None) => format!("not pushed to {remote}, and {why}"),
            (_, None) => format!("not pushed to {remote}"),
        };
        Ok(Safe::No(why))
    }

    /// First the worktree, then the branch, each only as it was looked at.
    fn remove(&self, start: &Start, remains: &Remains) -> std::result::Result<(), String> {
        let steps = self.steps(start);
        if let Worktree::Standing(path, _) = &remains.worktree {
            steps.remove(&Workplace {
                agent: remains.agent,
                path: path.clone(),
                branch: remains.branch.clone(),
                base_commit: start.base_commit.clone(),
            })?;
        }
        match &remains.tip {
            Some(tip) => steps.delete_branch(&remains.branch, tip),
            None => Ok(()),
        }
    }

    fn steps(&self, start: &Start) -> Steps {
        let root = self.workspace.root();
        Steps::outside_of_runs(
            self.git.clone(),
            root.to_owned(),
            Layout::beside(root).worktree_lock(),
            self.environment.clone(),
            // Where that is not known git itself refuses to remove one with submodules.
            self.workspace
                .has_submodules(&start.base_commit)
                .unwrap_or(false),
        )
    }
}

/// What the tasks of these orchestrations, oldest first, may have left behind, by branch. The
/// latest that had a branch says what became of it.
pub(super) fn left(states: impl IntoIterator<Item = State>) -> Vec<Left> {
    let mut left: BTreeMap<String, Left> = BTreeMap::new();
    for state in states {
        for task in state.tasks {
            if let Some(branch) = task.branch.clone() {
                left.insert(branch, (state.start.clone(), task));
            }
        }
    }
    let mut left: Vec<_> = left.into_values().collect();
    left.sort_by_key(|(_, task)| task.spec.agent);
    left
}

/// Where it stood, also after the journal has noted its removal; as git writes it, without
/// symbolic links.
pub(super) fn worktree_of(start: &Start, task: &Task, branch: &str) -> PathBuf {
    let path = task.worktree.as_ref().map_or_else(
        || Path::new(&start.worktrees).join(branch.replace('/', "-")),
        PathBuf::from,
    );
    path.canonicalize().unwrap_or(path)
}

impl Outcome {
    /// One line for each, and one for all.
    pub fn lines(&self, dry_run: bool) -> Vec<String> {
        let verb = if dry_run { "Would remove" } else { "Removed" };
        let line = |verb: &str, (what, why): &(String, String)| {
            format!("{verb} {what}: {}", inline_terminal(why))
        };
        let removed = self
            .removed
            .iter()
            .map(|one| line(&format!("🧹 {verb}"), one));
        let kept = self.kept.iter().map(|one| line("📌 Kept", one));
        let end = match (self.removed.len(), self.kept.len()) {
            (0, 0) => "Nothing is left behind".to_owned(),
            (removed, kept) => format!("{verb} {removed}, kept {kept}"),
        };
        removed.chain(kept).chain([end]).collect()
    }
}
