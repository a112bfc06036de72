//! Keeps our own files out of every commit, through ignore files that are not versioned.
//!
//! Writes to two places only: `info/exclude` of the repository's common folder, and the
//! `.gitignore` of the runtime folder. What stands in them already is kept as it is.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::{AGENT_STATUS_FILE, RUNTIME_FOLDER};
use crate::error::{Error, Result, reason};

/// Adds the agents' status file and the runtime folder to `info/exclude`, once.
///
/// `common_dir` is the git folder that all worktrees share. The lines are appended in one write,
/// so a symbolic link stays one, and two runs at once at worst write them twice.
pub fn exclude_own_files(common_dir: &Path) -> Result<()> {
    let path = common_dir.join("info/exclude");
    append_missing(&path).map_err(|error| failed("write", &path, &error))
}

fn append_missing(path: &Path) -> io::Result<()> {
    let present = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let wanted = [
        format!("/{AGENT_STATUS_FILE}"),
        format!("/{RUNTIME_FOLDER}/"),
    ];
    let missing: Vec<_> = wanted
        .iter()
        .filter(|line| {
            !present
                .split(|byte| *byte == b'\n')
                .any(|have| have.trim_ascii() == line.as_bytes())
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut addition = String::new();
    if !present.is_empty() && !present.ends_with(b"\n") {
        addition.push('\n');
    }
    addition.push_str("# parallel-orchestrate keeps these out of commits\n");
    for line in missing {
        addition.push_str(line);
        addition.push('\n');
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?
        .write_all(addition.as_bytes())
}

/// Makes the runtime folder, with the `.gitignore` of `*` that keeps it out of commits.
///
/// `root` is the main worktree. A `.gitignore` that stands there already is left alone, but for an
/// empty one, which a full disk leaves.
pub fn ensure_runtime(root: &Path) -> Result<()> {
    let runtime = root.join(RUNTIME_FOLDER);
    fs::create_dir_all(&runtime).map_err(|error| failed("create", &runtime, &error))?;
    let ignore = runtime.join(".gitignore");
    if fs::metadata(&ignore).is_ok_and(|found| found.len() == 0) {
        return fs::write(&ignore, b"*\n").map_err(|error| failed("write", &ignore, &error));
    }
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&ignore)
    {
        Ok(mut file) => file
            .write_all(b"*\n")
            .map_err(|error| failed("write", &ignore, &error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed("write", &ignore, &error)),
    }
}

/// Whether a folder can be made at `path`, or exists and can be written.
pub fn can_make(path: &Path) -> bool {
    obstacle(path).is_none()
}

/// What keeps a folder from being made at `path`, or from being written where it exists.
///
/// Asks the nearest ancestor that exists; creates nothing.
pub fn obstacle(path: &Path) -> Option<String> {
    // A link that leads nowhere is in the way as well.
    let nearest = path
        .ancestors()
        .find(|ancestor| ancestor.symlink_metadata().is_ok())
        .unwrap_or(path);
    if !nearest.is_dir() {
        return Some(format!("{} is no folder", nearest.display()));
    }
    let enter_and_write = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(nearest, enter_and_write)
        .err()
        .map(|_| format!("{} cannot be written", nearest.display()))
}

fn failed(action: &'static str, path: &Path, error: &io::Error) -> Error {
    Error::File {
        action,
        path: path.to_owned(),
        reason: reason(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_once_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let exclude = folder.path().join("info/exclude");
        fs::create_dir_all(exclude.parent().unwrap()).unwrap();
        fs::write(&exclude, b"*.caf\xe9\nno newline at the end").unwrap();

        exclude_own_files(folder.path()).unwrap();
        let once = fs::read(&exclude).unwrap();
        exclude_own_files(folder.path()).unwrap();

        assert_eq!(fs::read(&exclude).unwrap(), once);
        assert!(once.starts_with(b"*.caf\xe9\nno newline at the end\n# "));
        assert!(once.ends_with(b"\n/.agent_status.json\n/.claude/runtime/\n"));
    }

    #[test]
    fn a_repository_without_an_info_folder_gets_one() {
        let folder = tempfile::tempdir().unwrap();
        exclude_own_files(folder.path()).unwrap();
        assert!(folder.path().join("info/exclude").is_file());
    }

    #[test]
    fn the_runtime_folder_ignores_itself_and_keeps_an_existing_ignore_file() {
        let root = tempfile::tempdir().unwrap();
        ensure_runtime(root.path()).unwrap();
        let ignore = root.path().join(".claude/runtime/.gitignore");
        assert_eq!(fs::read_to_string(&ignore).unwrap(), "*\n");

        fs::write(&ignore, "*\n!keep\n").unwrap();
        ensure_runtime(root.path()).unwrap();
        assert_eq!(fs::read_to_string(&ignore).unwrap(), "*\n!keep\n");
    }

    #[test]
    fn a_file_where_the_runtime_folder_belongs_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(".claude"), "").unwrap();
        let error = ensure_runtime(root.path()).unwrap_err();
        assert!(error.to_string().contains(".claude/runtime"), "{error}");
        assert_eq!(error.exit_code(), 9);
    }

    #[test]
    fn a_place_below_a_file_cannot_be_made() {
        let root = tempfile::tempdir().unwrap();
        assert!(can_make(&root.path().join("a/b/c")));
        fs::write(root.path().join("file"), "").unwrap();
        assert!(!can_make(&root.path().join("file/below")));
        std::os::unix::fs::symlink("nowhere", root.path().join("link")).unwrap();
        let reason = obstacle(&root.path().join("link/below")).unwrap();
        assert!(reason.ends_with("/link is no folder"), "{reason}");
    }
}
