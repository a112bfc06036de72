//! What a run finds around it: git, the agent's executable, a place for worktrees, secrets.
//!
//! Looks at the environment, at the `PATH` and at permissions; creates nothing.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::error::{Error, Result};
use crate::supervisor::{Newlines, Outcome, UnitSpec, run_command};
use crate::workspace::answers::check_version;
use crate::workspace::exclude::{can_make, obstacle};
use crate::workspace::locate;
use crate::workspace::{Layout, RUNTIME_FOLDER, Workspace};
use crate::world::real::reason;

use super::options::Resolved;

/// Names and values.
pub type Environment = [(OsString, OsString)];

/// The user's git, once it is known to be there and recent enough.
pub fn find_git(environment: &Environment) -> Result<PathBuf> {
    find_versioned_git(environment).map(|(path, _)| path)
}

/// The same, with its version.
pub fn find_versioned_git(environment: &Environment) -> Result<(PathBuf, (u32, u32))> {
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
    let version = check_version(&finished.captured.stdout.text(Newlines::Universal))?;
    Ok((path, version))
}

/// Whether git has a name and an address for commits, from wherever it takes its settings.
pub fn identity_is_set(git: &Path, folder: &Path, environment: &Environment) -> bool {
    ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"]
        .into_iter()
        .all(|identity| {
            let spec = UnitSpec {
                env: Some(environment.to_vec()),
                working_dir: Some(folder.to_owned()),
                ..UnitSpec::new(git).args(["-c", "user.useConfigOnly=true", "var", identity])
            };
            run_command(spec).is_ok_and(|finished| finished.outcome == Outcome::Success)
        })
}

/// Looks an executable up in the `PATH` of an environment; a path is taken from here.
pub fn find_executable(name: &str, environment: &Environment) -> Option<PathBuf> {
    let search = variable(environment, "PATH").unwrap_or_default();
    let here = std::env::current_dir().ok()?;
    locate::executable(name.as_ref(), search, &here)
}

/// The value of a variable; the last one counts, as for the system.
pub fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a OsStr> {
    let found = environment.iter().rev().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_os_str())
}

/// Beside the repository, unless another place is named or that one cannot be written.
pub fn layout(workspace: &Workspace, resolved: &Resolved, environment: &Environment) -> Layout {
    let root = workspace.root();
    if let Some(folder) = &resolved.worktree_dir {
        // A relative one counts from the repository, so that it is the same from every folder.
        return Layout::within(root, &root.join(folder));
    }
    let beside = Layout::beside(root);
    if can_make(beside.worktrees()) {
        return beside;
    }
    let home = variable(environment, "HOME").map_or_else(std::env::temp_dir, PathBuf::from);
    let state = variable(environment, "XDG_STATE_HOME").map(Path::new);
    Layout::within(root, &Layout::fallback_folder(&home, state))
}

/// Refuses a place in which git could make no worktree.
pub fn check_place(layout: &Layout) -> Result<()> {
    let path = layout.worktrees();
    match obstacle(path) {
        Some(reason) => Err(Error::NoPlaceForWorktrees {
            path: path.to_owned(),
            reason,
        }),
        None => Ok(()),
    }
}

/// Refuses a repository in which git could make no branch, and one that brings runs of its own: a
/// journal from elsewhere would be gone on from, with its commands and its paths.
pub fn check_repository(workspace: &Workspace) -> Result<()> {
    // Without the slash that libgit2 puts behind it.
    let git: PathBuf = workspace.common_dir().components().collect();
    for path in [git.clone(), git.join("refs"), git.join("objects")] {
        rustix::fs::access(&path, Access::WRITE_OK).map_err(|errno| Error::File {
            action: "write to",
            path: path.clone(),
            reason: reason(&errno.into()),
        })?;
    }
    let name = "feat";
    if workspace.branch_exists(name)? {
        return Err(Error::BranchInTheWay { name: name.into() });
    }
    if workspace.tracks(RUNTIME_FOLDER)? {
        return Err(Error::RuntimeTracked);
    }
    Ok(())
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
