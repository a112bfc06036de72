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
use std::io::ErrorKind;
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
    /// The file `.git` in the worktree itself, if it was written. Nothing else is there.
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
    // One of the user's may be under way here, for as long as its check-out takes.
    if !is_our_name(&registration.file_name()?.to_string_lossy()) {
        return None;
    }
    let parts = PARTS.map(|name| read(&registration.join(name)));
    let [gitdir, commondir, head] = parts;
    let (gitdir, commondir, head) = (gitdir?, commondir?, head?);
    let is_whole = [&gitdir, &commondir, &head]
        .iter()
        .all(|part| !part.is_empty());
    if is_whole && read(&registration.join("locked"))? != MARK {
        return None;
    }
    if gitdir.is_empty() {
        let link = None;
        return Some(Unfinished { registration, link });
    }
    // Relative in newer versions of git, and then to the registration.
    let link = registration.join(gitdir);
    let worktree = link.parent()?;
    (is_same_place(worktree.parent()?, folder) && is_bare(worktree)).then(|| Unfinished {
        link: Some(link).filter(|link| link.is_file()),
        registration,
    })
}

/// What a file of a registration says; nothing where it is not there. `None` where that cannot be
/// told, and then nothing is to be concluded.
fn read(path: &Path) -> Option<String> {
    match fs::symlink_metadata(path) {
        // A pipe would never end.
        Ok(known) if known.is_file() => {
            let text = String::from_utf8(fs::read(path).ok()?).ok()?;
            Some(text.trim_end().to_owned())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Some(String::new()),
        _ => None,
    }
}

/// Whether nothing is in a worktree but its link: else somebody has worked in it.
fn is_bare(worktree: &Path) -> bool {
    match fs::read_dir(worktree) {
        Ok(mut files) => files.all(|file| file.is_ok_and(|file| file.file_name() == ".git")),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Whether it is called as our worktrees are: `feat-issue-1235-agent-1`, `feat-local-4-agent-1`.
/// Where a name is taken git puts a number behind it.
fn is_our_name(name: &str) -> bool {
    let kinds = ["feat-issue-", "feat-local-"];
    let numbers = kinds.iter().find_map(|kind| name.strip_prefix(kind));
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    numbers
        .and_then(|numbers| numbers.split_once("-agent-"))
        .is_some_and(|(issue, agent)| is_number(issue) && is_number(agent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Layout, Master};

    #[test]
    fn only_what_is_called_as_our_worktrees_is_ours() {
        let layout = Layout::beside(Path::new("/home/ada/shop"));
        for master in [Master::GitHub(1), Master::Local(1)] {
            let worktree = layout.worktree(&master.branch(12, 3));
            let name = worktree.file_name().unwrap().to_str().unwrap();
            assert!(is_our_name(name), "{name}");
            assert!(is_our_name(&format!("{name}1")));
        }
        for name in [
            "feat-login",
            "feat-issue-12",
            "feat-issue-x-agent-1",
            "feat-issue-1-agent-1b",
        ] {
            assert!(!is_our_name(name), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), pipe, 0o600.into(), 0).unwrap();
        fs::write(at("bytes"), b"/caf\xe9/.git\n").unwrap();
        fs::write(at("text"), "../..\n").unwrap();
        assert_eq!(read(&at("pipe")), None);
        assert_eq!(read(&at("bytes")), None);
        assert_eq!(read(&at("missing")).as_deref(), Some(""));
        assert_eq!(read(&at("text")).as_deref(), Some("../.."));
    }
}
