//! Command lines for the user's own `git`, run by the supervisor and never from here.
//!
//! Pure. Every path and commit is given in a position where git cannot take it for an option,
//! every message as the value of one; nothing ever passes through a shell.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::answers::reason;
use super::{AGENT_STATUS_FILE, RUNTIME_FOLDER};
use crate::error::Error;

/// The oldest git that has all that is used here (`worktree remove`: 2.17, `worktree add`
/// that never guesses a remote with `--no-track -b`: 2.20).
pub const MINIMUM_VERSION: (u32, u32) = (2, 20);

/// The author where the user's configuration names none.
const FALLBACK_NAME: &str = "parallel-orchestrate";
/// Its address: `.invalid` can never be somebody's (RFC 2606).
const FALLBACK_EMAIL: &str = "parallel-orchestrate@localhost.invalid";

/// Variables that point git at another repository. A hook or an alias that started us may have
/// set them, and then every command would act there.
pub const REDIRECTING_VARIABLES: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// SSH that asks nothing, and leaves no connection open that would outlive the command.
const QUIET_SSH: &str = "ssh -o BatchMode=yes -o ControlPersist=no";

/// One git command, ready to be spawned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCommand {
    /// The git executable.
    pub program: PathBuf,
    /// Its arguments, the program's own name not included.
    pub args: Vec<OsString>,
    /// The folder to run it in.
    pub folder: PathBuf,
    /// Variables to set over the inherited ones.
    pub set: Vec<(OsString, OsString)>,
    /// Inherited variables to leave out.
    pub remove: Vec<OsString>,
    /// The subcommand, for messages: `worktree add`.
    pub name: &'static str,
}

impl GitCommand {
    /// The error for a command that ended badly, with the line that says why.
    pub fn failure(&self, stderr: &str) -> Error {
        Error::Git {
            command: self.name.to_owned(),
            reason: reason(stderr),
        }
    }
}

/// The user's git, and what is known about how to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Git {
    program: PathBuf,
    ssh_is_set: bool,
    identity_is_set: bool,
}

impl Git {
    /// Describes the git to use.
    ///
    /// `ssh_is_set`: the user chose an SSH command (`GIT_SSH_COMMAND`, `GIT_SSH` or
    /// `core.sshCommand`), which is then left alone. `identity_is_set`: a name and an address
    /// for commits are configured.
    pub fn new(program: impl Into<PathBuf>, ssh_is_set: bool, identity_is_set: bool) -> Self {
        Self {
            program: program.into(),
            ssh_is_set,
            identity_is_set,
        }
    }

    fn command<A, I>(&self, name: &'static str, folder: &Path, args: I) -> GitCommand
    where
        A: Into<OsString>,
        I: IntoIterator<Item = A>,
    {
        let mut set = vec![
            ("GIT_TERMINAL_PROMPT".into(), "0".into()),
            // An editor that a hook or a merge opens would wait for ever.
            ("GIT_EDITOR".into(), "true".into()),
            ("GIT_MERGE_AUTOEDIT".into(), "no".into()),
            // What it says, and writes into the mark of an unfinished worktree, is read here.
            ("LANGUAGE".into(), "C".into()),
        ];
        if !self.ssh_is_set {
            set.push(("GIT_SSH_COMMAND".into(), QUIET_SSH.into()));
        }
        GitCommand {
            program: self.program.clone(),
            // Nothing that outlives the command: no background maintenance, no monitor daemon.
            args: [
                "-c",
                "gc.auto=0",
                "-c",
                "maintenance.auto=false",
                "-c",
                "core.fsmonitor=false",
            ]
            .into_iter()
            .map(OsString::from)
            .chain(args.into_iter().map(Into::into))
            .collect(),
            folder: folder.to_owned(),
            set,
            remove: REDIRECTING_VARIABLES.iter().map(OsString::from).collect(),
            name,
        }
    }

    /// `git --version`, for [`check_version`].
    pub fn version(&self, folder: &Path) -> GitCommand {
        let mut command = self.command("--version", folder, ["--version"]);
        command.args.drain(..command.args.len() - 1);
        command
    }

    /// Registers a worktree with a new branch at `commit`, without a check-out.
    ///
    /// The short part, which the caller serialises for each repository; [`Git::check_out`] is
    /// the long one and may overlap. It fails where branch or folder exist already.
    pub fn worktree_add(
        &self,
        root: &Path,
        branch: &str,
        worktree: &Path,
        commit: &str,
    ) -> GitCommand {
        self.command(
            "worktree add",
            root,
            [
                "worktree".as_ref(),
                "add".as_ref(),
                "--no-checkout".as_ref(),
                "--no-track".as_ref(),
                "-b".as_ref(),
                branch.as_ref(),
                "--".as_ref(),
                worktree.as_os_str(),
                OsStr::new(commit),
            ],
        )
    }

    /// Registers a worktree for a branch that exists already, without a check-out.
    pub fn worktree_add_existing(&self, root: &Path, branch: &str, worktree: &Path) -> GitCommand {
        self.command(
            "worktree add",
            root,
            [
                "worktree".as_ref(),
                "add".as_ref(),
                "--no-checkout".as_ref(),
                "--".as_ref(),
                worktree.as_os_str(),
                OsStr::new(branch),
            ],
        )
    }

    /// Fills a fresh worktree, with the user's filters (LFS) and the `post-checkout` hook.
    pub fn check_out(&self, worktree: &Path) -> GitCommand {
        self.command(
            "checkout",
            worktree,
            [
                "checkout",
                "--quiet",
                "--force",
                "--no-recurse-submodules",
                "HEAD",
                "--",
            ],
        )
    }

    /// Checks another branch out; fails where that would overwrite something.
    pub fn switch(&self, worktree: &Path, branch: &str) -> GitCommand {
        self.command(
            "checkout",
            worktree,
            [
                "checkout",
                "--quiet",
                "--no-recurse-submodules",
                branch,
                "--",
            ],
        )
    }

    /// Fills the submodules of a worktree.
    pub fn submodules(&self, worktree: &Path) -> GitCommand {
        self.command(
            "submodule update",
            worktree,
            ["submodule", "--quiet", "update", "--init", "--recursive"],
        )
    }

    /// Stages everything in a worktree; [`Git::unstage_own_files`] follows.
    ///
    /// Our own files are ignored and normally stay out by themselves; naming them as exclusions
    /// here would make git complain that they are ignored.
    pub fn stage_all(&self, worktree: &Path) -> GitCommand {
        self.command("add", worktree, ["add", "--all"])
    }

    /// Asks whether anything is staged: exit code 1 where something is, 0 where not.
    pub fn anything_staged(&self, worktree: &Path) -> GitCommand {
        self.command(
            "diff",
            worktree,
            ["diff", "--cached", "--quiet", "--no-ext-diff"],
        )
    }

    /// Commits what is staged, with the user's identity, hooks and signing.
    ///
    /// `message` may hold anything: it is data.
    pub fn commit(&self, worktree: &Path, message: &str) -> GitCommand {
        let mut args = Vec::new();
        if !self.identity_is_set {
            args.extend([
                "-c".to_owned(),
                format!("user.name={FALLBACK_NAME}"),
                "-c".to_owned(),
                format!("user.email={FALLBACK_EMAIL}"),
            ]);
        }
        // A NUL cannot be part of an argument.
        let message = message.replace('\0', "");
        args.extend(["commit".to_owned(), "--quiet".to_owned()]);
        args.extend([
            "--cleanup=whitespace".to_owned(),
            format!("--message={message}"),
        ]);
        self.command("commit", worktree, args)
    }

    /// Sets our own files in the index back to what the base has, which takes them out where it
    /// has none; [`Git::commit`] follows.
    pub fn unstage_own_files(&self, worktree: &Path, base_commit: &str) -> GitCommand {
        self.command(
            "reset",
            worktree,
            [
                "reset",
                "--quiet",
                base_commit,
                "--",
                AGENT_STATUS_FILE,
                RUNTIME_FOLDER,
            ],
        )
    }

    /// Lists what is not committed, for [`uncommitted`].
    ///
    /// The last word on it: libgit2 runs no filters, so [`Workspace::is_dirty`] may suspect files
    /// that only LFS stores differently.
    ///
    /// [`Workspace::is_dirty`]: super::Workspace::is_dirty
    pub fn status(&self, worktree: &Path) -> GitCommand {
        let args = [
            "status",
            "--porcelain",
            "-z",
            "--untracked-files=all",
            "--no-renames",
        ];
        let mut command = self.command("status", worktree, args);
        // Reading must not take the lock of an index that an agent may be writing.
        command.set.push(("GIT_OPTIONAL_LOCKS".into(), "0".into()));
        command
    }

    /// Pushes a commit as a branch of a remote. One that is there already moves forward only.
    pub fn push(&self, folder: &Path, remote: &str, commit: &str, branch: &str) -> GitCommand {
        let reference = format!("{commit}:refs/heads/{branch}");
        self.command(
            "push",
            folder,
            ["push", "--quiet", "--", remote, &reference],
        )
    }

    /// Fetches one branch of a remote, and what the user has set up to follow it.
    pub fn fetch(&self, folder: &Path, remote: &str, branch: &str) -> GitCommand {
        let reference = format!("refs/heads/{branch}");
        self.command(
            "fetch",
            folder,
            ["fetch", "--quiet", "--no-tags", "--", remote, &reference],
        )
    }

    /// Asks a remote for a branch, or for the one that is checked out there; the answer is for
    /// [`remote_head`].
    pub fn remote_branch(&self, folder: &Path, remote: &str, branch: Option<&str>) -> GitCommand {
        let reference = branch.map_or("HEAD".to_owned(), |name| format!("refs/heads/{name}"));
        self.command(
            "ls-remote",
            folder,
            ["ls-remote", "--symref", "--", remote, &reference],
        )
    }

    /// Asks a remote for references by their full names; the answer is for [`references`].
    pub fn remote_references(
        &self,
        folder: &Path,
        remote: &str,
        names: impl IntoIterator<Item = String>,
    ) -> GitCommand {
        let args = ["ls-remote", "--", remote].map(str::to_owned);
        self.command("ls-remote", folder, args.into_iter().chain(names))
    }

    /// Lists the names of the remotes, one a line.
    pub fn remotes(&self, folder: &Path) -> GitCommand {
        self.command("remote", folder, ["remote"])
    }

    /// Asks for the address of a remote as git uses it, `insteadOf` worked in.
    pub fn remote_address(&self, folder: &Path, remote: &str) -> GitCommand {
        self.command("remote get-url", folder, ["remote", "get-url", remote])
    }

    /// Removes a worktree that is clean; git itself refuses another one, and every one with
    /// submodules. Ignored files go too.
    pub fn worktree_remove(&self, root: &Path, worktree: &Path) -> GitCommand {
        self.command(
            "worktree remove",
            root,
            [
                "worktree".as_ref(),
                "remove".as_ref(),
                "--".as_ref(),
                worktree.as_os_str(),
            ],
        )
    }

    /// Removes a worktree with submodules, which git does by force only.
    ///
    /// The caller has made sure that nothing is lost: [`Git::status`] listed nothing, and
    /// [`Evidence::submodules_changed`](super::Evidence::submodules_changed) is false, since
    /// commits in a submodule live in the worktree alone.
    pub fn worktree_remove_with_submodules(&self, root: &Path, worktree: &Path) -> GitCommand {
        let mut command = self.worktree_remove(root, worktree);
        let at = command.args.len() - 2;
        command.args.insert(at, "--force".into());
        command
    }

    /// Deletes a branch of ours that still stands at `commit`; one that somebody committed to
    /// meanwhile stays, and the command fails.
    pub fn delete_branch(&self, root: &Path, branch: &str, commit: &str) -> GitCommand {
        let reference = format!("refs/heads/{branch}");
        self.command(
            "update-ref",
            root,
            ["update-ref", "--no-deref", "-d", &reference, commit],
        )
    }

    /// The identity as variables, for agents that commit themselves; empty where the user has
    /// one configured.
    pub fn identity_for_agents(&self) -> Vec<(OsString, OsString)> {
        if self.identity_is_set {
            return Vec::new();
        }
        [
            ("GIT_AUTHOR_NAME", FALLBACK_NAME),
            ("GIT_AUTHOR_EMAIL", FALLBACK_EMAIL),
            ("GIT_COMMITTER_NAME", FALLBACK_NAME),
            ("GIT_COMMITTER_EMAIL", FALLBACK_EMAIL),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git() -> Git {
        Git::new("/usr/bin/git", false, true)
    }

    /// The arguments after our own settings.
    fn line(command: &GitCommand) -> String {
        command.args[6..]
            .iter()
            .map(|arg| arg.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn the_registration_makes_a_branch_that_tracks_nothing_and_checks_nothing_out() {
        let command = git().worktree_add(
            Path::new("/r"),
            "feat/local-2-agent-1",
            Path::new("/w/x y"),
            "c0",
        );
        assert_eq!(
            line(&command),
            "worktree add --no-checkout --no-track -b feat/local-2-agent-1 -- /w/x y c0"
        );
        assert_eq!(command.folder, Path::new("/r"));
    }

    #[test]
    fn git_never_asks_and_never_acts_on_another_repository() {
        let command = git().check_out(Path::new("/w"));
        assert!(
            command
                .set
                .contains(&("GIT_TERMINAL_PROMPT".into(), "0".into()))
        );
        assert!(
            command
                .set
                .contains(&("GIT_SSH_COMMAND".into(), QUIET_SSH.into()))
        );
        assert!(command.remove.contains(&"GIT_DIR".into()));
        assert!(command.remove.contains(&"GIT_INDEX_FILE".into()));
    }

    #[test]
    fn git_speaks_the_language_in_which_it_is_read() {
        let command = git().check_out(Path::new("/w"));
        assert!(command.set.contains(&("LANGUAGE".into(), "C".into())));
    }

    #[test]
    fn an_ssh_command_of_the_user_is_left_alone() {
        let command = Git::new("git", true, true).check_out(Path::new("/w"));
        assert!(
            command
                .set
                .iter()
                .all(|(name, _)| name != "GIT_SSH_COMMAND")
        );
    }

    #[test]
    fn a_message_that_looks_like_an_option_is_one_argument() {
        let command = git().commit(Path::new("/w"), "--amend -m 'x'\nsecond");
        assert_eq!(
            command.args.last().unwrap(),
            "--message=--amend -m 'x'\nsecond"
        );
        assert_eq!(line(&command).matches("user.name").count(), 0);
    }

    #[test]
    fn without_an_identity_commits_and_agents_get_one() {
        let git = Git::new("git", false, false);
        assert!(line(&git.commit(Path::new("/w"), "x")).starts_with("-c user.name="));
        assert_eq!(git.identity_for_agents().len(), 4);
        assert!(self::git().identity_for_agents().is_empty());
    }
}
