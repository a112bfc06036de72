//! The lock files that git makes while it changes something, and leaves behind when it is killed.
//!
//! Looks for them, and removes none: only who started git knows that it is dead.

use std::fs;
use std::path::{Path, PathBuf};

use git2::Repository;

use super::Workspace;
use super::read::open_error;
use crate::error::Result;

impl Workspace {
    /// The locks that git holds while it changes a worktree or its branch: of the index, of `HEAD`
    /// and its like, of the branch. Often there is none.
    pub fn locks(&self, worktree: &Path, branch: &str) -> Result<Vec<PathBuf>> {
        let repository = Repository::open(worktree).map_err(|e| open_error(worktree, &e))?;
        let mut locks = entries(repository.path());
        locks.retain(|path| is_lock(path));
        locks.extend(self.branch_lock(branch));
        Ok(locks)
    }

    /// The one that git holds while it makes, moves or deletes a branch.
    pub fn branch_lock(&self, branch: &str) -> Option<PathBuf> {
        let heads = self.common_dir().join("refs/heads");
        Some(heads.join(format!("{branch}.lock"))).filter(|path| is_lock(path))
    }

    /// All that there are now in the repository: of the main worktree, of the linked ones, of
    /// branches and of settings.
    pub fn all_locks(&self) -> Vec<PathBuf> {
        let common = self.common_dir();
        let linked = entries(&common.join("worktrees"));
        let mut folders: Vec<_> = linked.into_iter().chain([common.to_owned()]).collect();
        let mut references = vec![common.join("refs")];
        while let Some(folder) = references.pop() {
            references.extend(entries(&folder).into_iter().filter(|path| path.is_dir()));
            folders.push(folder);
        }
        let mut locks: Vec<_> = folders.iter().flat_map(|folder| entries(folder)).collect();
        locks.retain(|path| is_lock(path));
        locks.sort();
        locks
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

fn is_lock(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "lock") && path.is_file()
}
