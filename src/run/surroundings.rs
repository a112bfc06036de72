//! What a run finds around it: git, the agent's executable, a place for worktrees, secrets.
//!
//! Looks at the environment, at the `PATH` and at permissions; creates nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::supervisor::{Newlines, Outcome, UnitSpec, run_command};
use crate::workspace::cli::check_version;
use crate::workspace::exclude::can_make;
use crate::workspace::{Layout, Workspace};

use super::options::Resolved;

/// Names and values.
pub type Environment = [(OsString, OsString)];

/// The user's git, once it is known to be there and recent enough.
pub fn find_git(environment: &Environment) -> Result<PathBuf> {
    let path = find_executable("git", environment).ok_or(Error::GitMissing)?;
    let spec = UnitSpec {
        env: Some(environment.to_vec()),
        ..UnitSpec::new(&path).args(["--version"])
    };
    let finished = run_command(spec).map_err(|error| Error::Engine {
        reason: error.to_string(),
    })?;
    if finished.outcome != Outcome::Success {
        return Err(Error::GitMissing);
    }
    check_version(&finished.captured.stdout.text(Newlines::Universal))?;
    Ok(path)
}

/// Looks an executable up as the supervisor will: a path as it is, a name in `PATH`.
pub fn find_executable(name: &str, environment: &Environment) -> Option<PathBuf> {
    let runnable = |path: &Path| {
        path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| runnable(path));
    }
    let (_, path) = environment
        .iter()
        .rev()
        .find(|(known, _)| known == "PATH")?;
    std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|path| runnable(path))
}

/// Beside the repository, unless another place is named or that one cannot be written.
pub fn layout(workspace: &Workspace, resolved: &Resolved, environment: &Environment) -> Layout {
    let root = workspace.root();
    if let Some(folder) = &resolved.worktree_dir {
        return Layout::within(root, Path::new(folder));
    }
    let beside = Layout::beside(root);
    if can_make(beside.worktrees()) {
        return beside;
    }
    let variable = |name: &str| {
        environment
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    };
    let home = variable("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
    let state = variable("XDG_STATE_HOME").map(Path::new);
    Layout::within(root, &Layout::fallback_folder(&home, state))
}

/// The values of variables that are named like tokens and keys.
pub fn secrets(environment: &Environment) -> Vec<String> {
    let named_like_one = |name: &str| {
        let name = name.to_uppercase();
        [
            "TOKEN",
            "SECRET",
            "PASSWORD",
            "PASSWD",
            "API_KEY",
            "APIKEY",
            "PRIVATE_KEY",
            "CREDENTIAL",
        ]
        .iter()
        .any(|part| name.contains(part))
    };
    environment
        .iter()
        .filter(|(name, _)| name.to_str().is_some_and(named_like_one))
        .filter_map(|(_, value)| value.to_str().map(str::to_owned))
        .collect()
}
