//! Worktrees that git was killed over while it registered or removed them.
//!
//! To register one, git makes the folder `.git/worktrees/NAME`, marks it with a lock, fills it
//! file by file, and takes the mark away. What is left of that when it is killed keeps its path
//! from being used again, and one of the states on the way (an empty `commondir`) makes every
//! later `git worktree` in the repository fail.
//!
//! Looks for them, and removes none: only who keeps others from registering knows that nobody is
//! at it.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Workspace, is_same_place};

/// What git writes into the lock of a worktree that it is just registering.
const MARK: &str = "initializing";

/// What a registration consists of.
const PARTS: [&str; 3] = ["gitdir", "commondir", "HEAD"];

/// What is left of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its folder below `.git/worktrees`.
    pub registration: PathBuf,
    /// The file `.git` in the worktree itself, if it was written. Nothing else is there: the
    /// check-out comes later.
    pub link: Option<PathBuf>,
}

impl Workspace {
    /// Those of our worktrees, which stand in `folder`, by their registrations.
    pub fn unfinished(&self, folder: &Path) -> Vec<Unfinished> {
        let registrations = fs::read_dir(self.common_dir().join("worktrees"));
        let mut found: Vec<_> = registrations
            .into_iter()
            .flatten()
            .filter_map(|entry| unfinished(entry.ok()?.path(), folder))
            .collect();
        found.sort_by(|a, b| a.registration.cmp(&b.registration));
        found
    }
}

fn unfinished(registration: PathBuf, folder: &Path) -> Option<Unfinished> {
    let read = |name| {
        let text = fs::read_to_string(registration.join(name)).unwrap_or_default();
        text.trim_end().to_owned()
    };
    if read("locked") != MARK && PARTS.iter().all(|name| !read(name).is_empty()) {
        return None;
    }
    // Relative in newer versions of git, and then to the registration.
    let link = registration.join(read("gitdir"));
    let is_ours = match link.parent().and_then(Path::parent) {
        _ if read("gitdir").is_empty() => is_our_name(&registration),
        Some(place) => is_same_place(place, folder),
        None => false,
    };
    is_ours.then(|| Unfinished {
        link: Some(link).filter(|link| link.is_file()),
        registration,
    })
}

/// Whether it is called as our worktrees are, `feat-issue-1235-agent-1`. Where a name is taken git
/// puts a number behind it.
fn is_our_name(registration: &Path) -> bool {
    let name = registration.file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    name.starts_with("feat-") && name.contains("-agent-")
}
