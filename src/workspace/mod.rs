//! The git side of an orchestration: where things live, what the repository holds, and the
//! command lines for the user's own `git`.
//!
//! | module | what it is | touches |
//! | --- | --- | --- |
//! | [`layout`] | every path, branch name and id | nothing |
//! | [`read`] | questions to the repository, answered through libgit2 | reads only |
//! | `locks` | the lock files that git leaves behind | reads only |
//! | [`unfinished`] | worktrees that git was killed over | reads only |
//! | [`merging`] | which branches collide, merged in memory | reads only |
//! | [`commits`] | what commits would publish | reads only |
//! | [`cli`] | argv and environment of git commands | nothing |
//! | [`answers`] | what those commands print, read | nothing |
//! | [`locate`] | finding git and other programs on the search path | reads only |
//! | [`exclude`] | keeping our own files out of commits | two ignore files |
//!
//! Commands that change a repository or talk to a remote are run by the supervisor with the
//! user's own `git`, so that credential helpers, SSH, hooks, filters and signing work.

use std::fs;
use std::path::Path;

pub mod answers;
pub mod cli;
pub mod commits;
pub mod exclude;
pub mod layout;
pub mod locate;
mod locks;
pub mod merging;
pub mod read;
pub mod unfinished;

pub use layout::{Layout, Master};
pub use read::{Base, Evidence, Head, Workspace};

/// The file in a worktree by which an agent may report progress (DESIGN section 4).
pub const AGENT_STATUS_FILE: &str = ".agent_status.json";

/// Where the engine keeps its own files, relative to the main worktree.
pub const RUNTIME_FOLDER: &str = ".claude/runtime";

/// The file beside a run's journal by which another process asks it to end.
pub const CANCEL_FILE: &str = "run.cancel";

/// Whether a path, relative to a worktree, is one of ours and no work of an agent.
pub fn is_own_path(path: &[u8]) -> bool {
    path == AGENT_STATUS_FILE.as_bytes()
        || path
            .strip_prefix(RUNTIME_FOLDER.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Whether two paths lead to the same place, symbolic links followed. The place itself need not be
/// there.
pub fn is_same_place(a: &Path, b: &Path) -> bool {
    let settled = |path: &Path| {
        let parent = fs::canonicalize(path.parent()?).ok()?;
        fs::canonicalize(path)
            .ok()
            .or(Some(parent.join(path.file_name()?)))
    };
    a == b || matches!((settled(a), settled(b)), (Some(a), Some(b)) if a == b)
}
