//! The steps of a task that git does: making its worktree, looking at its work, clearing up.
//!
//! Reads through libgit2, writes through the user's own git as a supervised process. Each step
//! runs on a thread of its own; only the registration of a worktree is serialised.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::report::redact::Redactor;
use crate::run::facts::{PATHS_KEPT, Proof};
use crate::run::failure::{ErrorType, Failure, Stage};
use crate::run::merging::{Collision, Merges};
use crate::supervisor::{Commands, Limits, Newlines, Outcome, UnitSpec};
use crate::workspace::answers::uncommitted;
use crate::workspace::cli::{Git, GitCommand};
use crate::workspace::commits::find_secret;
use crate::workspace::merging::Clashes;
use crate::workspace::{Evidence, Workspace, is_same_place};
use crate::world::{Completion, Fact, Workplace};

use super::{News, reason, wall};

/// How long one git command may take before it is ended.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// From which age on, in seconds, a lock is nobody's that git holds for moments.
const LEFT_BEHIND: i64 = 60;

/// How often a lock is tried that another holds. Registrations take some milliseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What the steps need to know of the repository.
pub struct Steps {
    pub(super) commands: Commands,
    pub(super) git: Git,
    pub(super) root: PathBuf,
    pub(super) lock: PathBuf,
    /// The environment of git commands.
    pub(super) env: Vec<(OsString, OsString)>,
    /// Whether the base has submodules.
    pub(super) submodules: bool,
    /// Knows what must not be published.
    pub(super) redactor: Redactor,
    /// Where command lines are told, if anybody wants to know.
    pub(super) verbose: Option<Sender<News>>,
}

/// What went wrong, in one line.
type Trouble = String;

impl Steps {
    /// For a repository that no run works on. `lock` is that of [`Layout::worktree_lock`], and
    /// `submodules` says whether the base of the work has any.
    ///
    /// [`Layout::worktree_lock`]: crate::workspace::Layout::worktree_lock
    pub fn outside_of_runs(
        git: Git,
        root: PathBuf,
        lock: PathBuf,
        env: Vec<(OsString, OsString)>,
        submodules: bool,
    ) -> Self {
        Self {
            commands: Commands::default(),
            git,
            root,
            lock,
            env,
            submodules,
            redactor: Redactor::default(),
            verbose: None,
        }
    }

    /// Deletes a branch, if it still stands at a commit.
    pub fn delete_branch(&self, branch: &str, commit: &str) -> Result<(), String> {
        self.forget_old_lock()?;
        self.run(&self.git.delete_branch(&self.root, branch, commit))
    }

    /// What is not committed in a worktree.
    pub fn uncommitted(&self, worktree: &Path) -> Result<Vec<String>, String> {
        let command = self.git.status(worktree);
        match self.output(&command)? {
            (0, status, _) => Ok(uncommitted(&status)),
            (_, _, stderr) => Err(command.failure(&stderr).to_string()),
        }
    }

    /// Makes the worktree and its branch, or takes up those that an earlier run left.
    pub(super) fn prepare(&self, place: Workplace) -> Completion {
        match self.make_worktree(&place) {
            Ok(head) => Completion::Prepared { place, head },
            Err(message) => Completion::Failed {
                agent: place.agent,
                failure: Failure::new(Stage::Parsing, self.error_type(&message), message),
            },
        }
    }

    /// What an interruption broke off is no failure of the task.
    fn error_type(&self, message: &str) -> ErrorType {
        if self.commands.are_cancelled() {
            ErrorType::Cancelled
        } else {
            ErrorType::of_step(message)
        }
    }

    /// Returns the tip of the branch.
    fn make_worktree(&self, place: &Workplace) -> Result<String, Trouble> {
        self.ensure_worktree(place)?;
        let tip = Workspace::discover(&self.root)
            .and_then(|workspace| workspace.branch_commit(&place.branch))
            .map_err(|error| error.to_string())?;
        tip.ok_or_else(|| format!("the branch {} is not there", place.branch))
    }

    fn ensure_worktree(&self, place: &Workplace) -> Result<(), Trouble> {
        let workspace = Workspace::discover(&self.root).map_err(|error| error.to_string())?;
        let folder = place.path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)
            .map_err(|error| format!("cannot create {}: {}", folder.display(), reason(&error)))?;
        self.forget_unfinished(&workspace, folder)?;
        let registered = workspace.worktrees().map_err(|error| error.to_string())?;
        let ours = registered
            .iter()
            .find(|known| known.exists && is_same_place(&known.path, &place.path));
        match ours {
            Some(_) if !workspace.owns(&place.path) => {
                let path = place.path.display();
                return Err(format!(
                    "{path} is in the way: it does not lead back to this repository (where that \
                     was moved, run: git worktree repair {path})"
                ));
            }
            Some(known) if known.branch.as_deref() != Some(place.branch.as_str()) => {
                forget_stale_locks(&workspace, place)?;
                return self.put_back(known.branch.is_some(), place);
            }
            Some(_) => {
                forget_stale_locks(&workspace, place)?;
                let filled = workspace
                    .is_checked_out(&place.path)
                    .map_err(|error| error.to_string())?;
                if filled {
                    return Ok(());
                }
                // An earlier run was ended between the two steps, or during the second.
            }
            None => self.register(&workspace, place)?,
        }
        self.run(&self.git.check_out(&place.path))?;
        if self.submodules {
            self.run(&self.git.submodules(&place.path))?;
        }
        Ok(())
    }

    /// Brings a worktree that its agent left on another branch back to its own, if nothing can be
    /// lost: what is not committed, or commits that no branch holds, are for a person to judge.
    fn put_back(&self, is_on_branch: bool, place: &Workplace) -> Result<(), Trouble> {
        if is_on_branch && self.uncommitted(&place.path)?.is_empty() {
            return self.run(&self.git.switch(&place.path, &place.branch));
        }
        let path = place.path.display();
        Err(format!(
            "{path} is not on its branch, and has work that is on no branch; save that, and put \
             it back with: git -C {path} checkout {}",
            place.branch
        ))
    }

    /// The short part: makes folder and branch known to git.
    fn register(&self, workspace: &Workspace, place: &Workplace) -> Result<(), Trouble> {
        let is_occupied = fs::read_dir(&place.path).is_ok_and(|mut files| files.next().is_some());
        if is_occupied {
            return Err(format!(
                "{} is in the way: it is no worktree of this repository; move it away",
                place.path.display()
            ));
        }
        let _registration = self.lock_registration()?;
        forget(workspace.branch_lock(&place.branch))?;
        self.forget_old_lock()?;
        let exists = workspace
            .branch_exists(&place.branch)
            .map_err(|error| error.to_string())?;
        self.forget_absent(workspace, &place.path)?;
        let added = if exists {
            let git = &self.git;
            self.run(&git.worktree_add_existing(&self.root, &place.branch, &place.path))
        } else {
            self.run(&self.git.worktree_add(
                &self.root,
                &place.branch,
                &place.path,
                &place.base_commit,
            ))
        };
        if added.is_err() {
            // Here nothing is registered now, and the next one must not find it.
            forget_unfinished(workspace, place.path.parent().unwrap_or(&self.root))?;
        }
        added
    }

    /// Forgets that a worktree of ours stood here, where it is gone. Others that are not there may
    /// be on a disk that is away.
    fn forget_absent(&self, workspace: &Workspace, path: &Path) -> Result<(), Trouble> {
        let registered = workspace.worktrees().map_err(|error| error.to_string())?;
        let is_absent = registered
            .iter()
            .any(|known| !known.exists && is_same_place(&known.path, path));
        if !is_absent {
            return Ok(());
        }
        // git takes an empty folder for one that lacks something.
        let _ = fs::remove_dir(path);
        self.run(&self.git.worktree_remove(&self.root, path))
    }

    /// Clears away the lock of packed references that a git which was killed has left, and which
    /// keeps all others from deleting branches. It is everybody's, and held for moments.
    fn forget_old_lock(&self) -> Result<(), Trouble> {
        let workspace = Workspace::discover(&self.root).map_err(|error| error.to_string())?;
        let lock = workspace.common_dir().join("packed-refs.lock");
        let modified = fs::metadata(&lock).and_then(|known| known.modified());
        let age = modified
            .ok()
            .and_then(|at| Some(wall().duration_since(Timestamp::try_from(at).ok()?)));
        let is_old = age.is_some_and(|age| age.as_secs() >= LEFT_BEHIND);
        forget(is_old.then_some(lock))
    }

    /// Clears away what a `git worktree` that was killed has left of worktrees in `folder`.
    pub fn forget_unfinished(&self, workspace: &Workspace, folder: &Path) -> Result<(), String> {
        if workspace.unfinished(folder).is_empty() {
            return Ok(());
        }
        // It may be that another is just being registered.
        let _registration = self.lock_registration()?;
        forget_unfinished(workspace, folder)
    }

    /// git locks what it writes, but gives up at once where another holds the lock; so ours wait.
    #[expect(
        clippy::disallowed_methods,
        reason = "no event tells that a lock is free, or that an interruption has come first"
    )]
    fn lock_registration(&self) -> Result<File, Trouble> {
        let trouble = |error: std::io::Error| {
            format!("cannot lock {}: {}", self.lock.display(), reason(&error))
        };
        if let Some(parent) = self.lock.parent() {
            fs::create_dir_all(parent).map_err(trouble)?;
        }
        let file = File::create(&self.lock).map_err(trouble)?;
        // Its holder may be suspended, so that nobody is to wait for it without an ear.
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(Errno::WOULDBLOCK | Errno::INTR) if self.commands.are_cancelled() => {
                    return Err("the wait for another registration was interrupted".to_owned());
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => thread::sleep(LOOK_AGAIN),
                Err(errno) => return Err(trouble(errno.into())),
            }
        }
    }

    /// Commits what was left uncommitted, and looks at what the branch has to show.
    pub(super) fn inspect(&self, place: &Workplace, subject: &str) -> Completion {
        let agent = place.agent;
        match self.evidence(place, subject) {
            Ok(evidence) if evidence.branch.as_deref() != Some(place.branch.as_str()) => {
                let there = evidence
                    .branch
                    .unwrap_or_else(|| "a detached head".to_owned());
                let message = format!("the agent left its branch {} for {there}", place.branch);
                let failure =
                    Failure::new(Stage::Implementation, ErrorType::ValidationError, message);
                Completion::Failed { agent, failure }
            }
            Ok(evidence) => Completion::Inspected {
                agent,
                proof: Proof {
                    commits: evidence.commits as u64,
                    files: evidence.files as u64,
                    insertions: evidence.insertions as u64,
                    deletions: evidence.deletions as u64,
                    paths: evidence
                        .changed_paths
                        .into_iter()
                        .take(PATHS_KEPT)
                        .collect(),
                    head: evidence.head,
                },
            },
            Err(_) if !place.path.is_dir() => {
                let message = format!("the agent deleted its worktree {}", place.path.display());
                let failure =
                    Failure::new(Stage::Implementation, ErrorType::ValidationError, message);
                Completion::Failed { agent, failure }
            }
            Err(message) => {
                let failure =
                    Failure::new(Stage::Implementation, self.error_type(&message), message);
                Completion::Failed { agent, failure }
            }
        }
    }

    fn evidence(&self, place: &Workplace, subject: &str) -> Result<Evidence, Trouble> {
        let look = || {
            Workspace::discover(&self.root)
                .and_then(|workspace| workspace.evidence(&place.path, &place.base_commit))
                .map_err(|error| error.to_string())
        };
        let mut evidence = look()?;
        if evidence.branch.as_deref() != Some(place.branch.as_str()) {
            // What is checked out here may be somebody else's, so nothing is committed to it.
            return Ok(evidence);
        }
        if evidence.conflicted {
            return Err("the agent left conflicts that are not resolved".to_owned());
        }
        if evidence.dirty {
            self.run(&self.git.stage_all(&place.path))?;
            if self.asks(&self.git.anything_staged(&place.path))? {
                self.run(&self.git.commit(&place.path, subject))?;
            }
            evidence = look()?;
        }
        if evidence.own_files_committed {
            self.run(&self.git.unstage_own_files(&place.path, &place.base_commit))?;
            if self.asks(&self.git.anything_staged(&place.path))? {
                self.run(
                    &self
                        .git
                        .commit(&place.path, "Leave the status file out of the branch"),
                )?;
            }
            evidence = look()?;
        }
        Ok(evidence)
    }

    /// Pushes exactly the commit that was looked at and verified, with the user's hooks and
    /// credentials; not where it would publish a secret.
    pub(super) fn push(&self, place: &Workplace, commit: &str, remote: &str) -> Completion {
        let agent = place.agent;
        if let Err(message) = self.refuse_secrets(place, commit) {
            let failure = Failure::new(Stage::Pr, ErrorType::ValidationError, message);
            return Completion::Failed { agent, failure };
        }
        match self.run(&self.git.push(&place.path, remote, commit, &place.branch)) {
            Ok(()) => Completion::Pushed {
                agent,
                branch: place.branch.clone(),
            },
            Err(message) => {
                let diverged = ["fetch first", "non-fast-forward"]
                    .iter()
                    .any(|words| message.contains(words));
                let error = match self.error_type(&message) {
                    _ if diverged => ErrorType::FileConflict,
                    ErrorType::Unknown => ErrorType::ApiError,
                    known => known,
                };
                let failure = Failure::new(Stage::Pr, error, message);
                Completion::Failed { agent, failure }
            }
        }
    }

    /// Merges branches with each other and with the base, where that is known here.
    pub(super) fn try_merges(&self, start: &str, base: &str, tips: &[(u32, String)]) -> Completion {
        let commits: Vec<_> = tips.iter().map(|(_, commit)| commit.clone()).collect();
        let clashes = Workspace::discover(&self.root).and_then(|workspace| {
            let base = workspace.reference_commit(base)?;
            workspace.clashes(start, base.as_deref().unwrap_or(start), &commits)
        });
        let merges = match clashes {
            Ok(Clashes { found, untried }) => Merges {
                collisions: found
                    .into_iter()
                    .map(|clash| Collision {
                        agent: tips[clash.one].0,
                        other: clash.other.map(|other| tips[other].0),
                        paths: clash.paths,
                    })
                    .collect(),
                problem: (untried > 0).then(|| {
                    format!("{untried} more pairs of branches change the same files; these were not tried")
                }),
            },
            Err(error) => Merges {
                collisions: Vec::new(),
                problem: Some(error.to_string()),
            },
        };
        Completion::MergesTried(merges)
    }

    /// Removes the worktree of a successful task, if nothing in it would be lost.
    pub(super) fn clean(&self, place: &Workplace) -> Completion {
        let kept = self.remove(place).err();
        Completion::Cleaned {
            agent: place.agent,
            kept: kept.map(|reason| format!("kept {}: {reason}", place.path.display())),
        }
    }

    /// Removes a worktree, if nothing in it would be lost.
    pub fn remove(&self, place: &Workplace) -> Result<(), String> {
        if !place.path.exists() {
            // An earlier run was ended right after it had removed it.
            let workspace = Workspace::discover(&self.root).map_err(|error| error.to_string())?;
            let _registration = self.lock_registration()?;
            return self.forget_absent(&workspace, &place.path);
        }
        if !self.uncommitted(&place.path)?.is_empty() {
            return Err("it has uncommitted files".to_owned());
        }
        let removal = if self.submodules {
            let evidence = Workspace::discover(&self.root)
                .and_then(|workspace| workspace.evidence(&place.path, &place.base_commit))
                .map_err(|error| error.to_string())?;
            if evidence.submodules_changed {
                return Err("a submodule in it has commits of its own".to_owned());
            }
            self.git
                .worktree_remove_with_submodules(&self.root, &place.path)
        } else {
            self.git.worktree_remove(&self.root, &place.path)
        };
        let _registration = self.lock_registration()?;
        self.run(&removal)?;
        if let Some(folder) = place.path.parent() {
            // Only where this was the last one.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    fn refuse_secrets(&self, place: &Workplace, commit: &str) -> Result<(), Trouble> {
        let is_secret = |bytes: &[u8]| self.redactor.knows(bytes);
        match find_secret(&self.root, &place.base_commit, commit, is_secret) {
            Ok(None) => Ok(()),
            Ok(Some(place)) => Err(format!(
                "not pushed: {place} holds a secret of the environment; take it out of the \
                 branch's history"
            )),
            Err(error) => Err(format!("cannot look for secrets: {}", error.message())),
        }
    }

    fn run(&self, command: &GitCommand) -> Result<(), Trouble> {
        match self.exit_code(command)? {
            (0, _) => Ok(()),
            (_, stderr) => Err(command.failure(&stderr).to_string()),
        }
    }

    /// Exit code 1 is yes, 0 is no.
    fn asks(&self, command: &GitCommand) -> Result<bool, Trouble> {
        match self.exit_code(command)? {
            (0, _) => Ok(false),
            (1, _) => Ok(true),
            (_, stderr) => Err(command.failure(&stderr).to_string()),
        }
    }

    fn exit_code(&self, command: &GitCommand) -> Result<(i32, String), Trouble> {
        self.output(command).map(|(code, _, stderr)| (code, stderr))
    }

    /// The exit code, standard output and standard error.
    fn output(&self, command: &GitCommand) -> Result<(i32, Vec<u8>, String), Trouble> {
        if let Some(listener) = &self.verbose {
            let words = command.args.iter().map(|word| word.to_string_lossy());
            let folder = command.folder.display();
            let line = words
                .collect::<Vec<_>>()
                .join(" ")
                .escape_debug()
                .to_string();
            // Nobody listens any more when the run is over.
            let _ = listener.send(News::Fact(Fact::Said(format!(
                "git {line} (in {folder})\n"
            ))));
        }
        let finished = self
            .commands
            .run(unit(command, &self.env, TIME_LIMIT))
            .map_err(|error| format!("git {}: {error}", command.name))?;
        let stderr = finished.captured.stderr.text(Newlines::Universal);
        match finished.outcome {
            Outcome::SpawnError(error) => Err(format!("git {}: {error}", command.name)),
            Outcome::TimedOut => Err(format!(
                "git {} did not end within {TIME_LIMIT:?}",
                command.name
            )),
            Outcome::Cancelled(_) => Err(format!("git {} was interrupted", command.name)),
            Outcome::Signalled(signal) => Err(format!(
                "git {} was killed by signal {signal}",
                command.name
            )),
            _ => Ok((
                finished.exit_code(),
                finished.captured.stdout.bytes(),
                stderr,
            )),
        }
    }
}

/// A git command as a unit; `environment` is ours, which it starts from.
pub fn unit(
    command: &GitCommand,
    environment: &[(OsString, OsString)],
    time_limit: Duration,
) -> UnitSpec {
    let mut env = environment.to_vec();
    env.retain(|(name, _)| !command.remove.contains(name));
    for (name, value) in &command.set {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.clone()));
    }
    UnitSpec {
        env: Some(env),
        working_dir: Some(command.folder.clone()),
        limits: Limits {
            timeout: Some(time_limit),
            ..Limits::default()
        },
        ..UnitSpec::new(&command.program).args(command.args.iter())
    }
}

/// git leaves its locks when it is killed, as it is with the agent or the run that called it, and
/// gives up for ever where it finds them. This run holds its master's lock and has ended what the
/// one before it left, so in this worktree and on its branch they are nobody's.
fn forget_stale_locks(workspace: &Workspace, place: &Workplace) -> Result<(), Trouble> {
    let locks = workspace
        .locks(&place.path, &place.branch)
        .map_err(|error| error.to_string())?;
    forget(locks)
}

/// Only for who holds the lock of registrations. A link goes first: it is found by its
/// registration.
fn forget_unfinished(workspace: &Workspace, folder: &Path) -> Result<(), Trouble> {
    for left in workspace.unfinished(folder) {
        forget(left.link)?;
        fs::remove_dir_all(&left.registration)
            .or_else(only_if_there)
            .map_err(|error| cannot_remove(&left.registration, &error))?;
    }
    Ok(())
}

fn forget(files: impl IntoIterator<Item = PathBuf>) -> Result<(), Trouble> {
    for file in files {
        fs::remove_file(&file)
            .or_else(only_if_there)
            .map_err(|error| cannot_remove(&file, &error))?;
    }
    Ok(())
}

fn only_if_there(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

fn cannot_remove(path: &Path, error: &std::io::Error) -> Trouble {
    format!("cannot remove {}: {}", path.display(), reason(error))
}
