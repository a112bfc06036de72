//! Every way an orchestration can be refused or break, in one place.
//!
//! An [`Error`] says what happened to what; its [`Kind`] decides the exit code of the command and
//! the exception class in Python; its hint says what to do next. Failures of single tasks are not
//! errors: they are outcomes, and live in [`crate::run`].
//!
//! Pure. Nothing here may read or write anything.

use std::path::PathBuf;

/// The families of errors: one exit code and one Python exception each (DESIGN section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command was called wrongly. Exit code 64.
    Usage,
    /// The source holds nothing that can be run. Exit code 3.
    Plan,
    /// The tasks cannot run side by side, or warnings were not accepted. Exit code 4.
    Validation,
    /// The forge (GitHub, or the local one) refused or could not be reached. Exit code 5.
    Forge,
    /// This machine, the repository or the engine itself. Exit code 9.
    Engine,
}

impl Kind {
    /// The exit code of the command, which a Python exception carries as `exit_code`.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Plan => 3,
            Self::Validation => 4,
            Self::Forge => 5,
            Self::Engine => 9,
            Self::Usage => 64,
        }
    }

    /// The name used in `error` events, in snake case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Plan => "plan",
            Self::Validation => "validation",
            Self::Forge => "forge",
            Self::Engine => "engine",
        }
    }
}

/// Why an orchestration did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // --- usage -------------------------------------------------------------------------------
    /// The plan file does not exist.
    #[error("plan file not found: {}", path.display())]
    PlanMissing {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The plan exists but cannot be read as text.
    #[error("cannot read the plan {}: {reason}", path.display())]
    PlanUnreadable {
        /// The path as it was given.
        path: PathBuf,
        /// What the system said, or that it is not UTF-8.
        reason: String,
    },
    /// An option or a variable has a value outside its range.
    #[error("{name} is {value}, but must be {expected}")]
    OutOfRange {
        /// The option (`--max-workers`) or variable (`AMPLIHACK_AGENT_TIMEOUT`).
        name: String,
        /// The value as it was given.
        value: String,
        /// The accepted values, as a phrase that follows "must be".
        expected: String,
    },
    /// An option is unknown, or its value is of another type; only programs can do that.
    #[error("the options cannot be read: {reason}")]
    Options {
        /// What the reader said.
        reason: String,
    },
    /// Two options that mean nothing together.
    #[error("{one} and {other} contradict each other")]
    Contradiction {
        /// One of them.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// `--retry`, and nothing failed.
    #[error("nothing to retry in {source_name}: {reason}")]
    NothingToRetry {
        /// The source as it was given.
        source_name: String,
        /// Why not.
        reason: String,
    },
    /// The source names something that this build or clone cannot orchestrate.
    #[error("cannot use {source_name} as a source: {reason}")]
    SourceUnsupported {
        /// The source as it was given.
        source_name: String,
        /// Why not.
        reason: String,
    },

    // --- plan --------------------------------------------------------------------------------
    /// No task was found in the source.
    #[error("no tasks found in {source_name}")]
    NoTasks {
        /// The plan or issue, as shown to people.
        source_name: String,
    },
    /// Every task in the source is checked off.
    #[error("{} in {source_name}", if *count == 1 { "the only task is done".to_owned() } else { format!("all {count} tasks are done") })]
    AllDone {
        /// How many finished items were found.
        count: usize,
        /// The plan or issue, as shown to people.
        source_name: String,
    },

    // --- validation --------------------------------------------------------------------------
    /// Tasks depend on each other.
    #[error("the tasks depend on each other: {reasons}")]
    Dependencies {
        /// The dependencies found, joined for one line.
        reasons: String,
        /// The order in which the tasks could run one after another, or what forms the cycle.
        order: String,
    },
    /// A task refers to an issue that cannot be its own.
    #[error("task {task} cannot adopt its issue: {reason}")]
    CannotAdopt {
        /// The task's number in the plan.
        task: u32,
        /// Why not.
        reason: String,
    },
    /// More tasks than one issue can have sub-issues.
    #[error("there would be {total} sub-issues, and GitHub links {most} to one issue")]
    TooManySubIssues {
        /// Those that are there, and those that are to come.
        total: usize,
        /// As many as there may be.
        most: usize,
    },
    /// There were warnings, and nobody accepted them.
    #[error("there are warnings, and they were not accepted: {warnings}")]
    WarningsNotAccepted {
        /// The warnings, joined for one line.
        warnings: String,
    },

    // --- forge -------------------------------------------------------------------------------
    /// Nobody has a token for the forge, so nothing was asked.
    #[error("there is no token for {host}: {reason}")]
    NoToken {
        /// The forge's host.
        host: String,
        /// Where it was looked for, and what was found there.
        reason: String,
        /// How to get one.
        remedy: String,
    },
    /// The forge refused a request, or could not be used.
    #[error("{what}: {reason}")]
    Forge {
        /// What was asked.
        what: String,
        /// What came back.
        reason: String,
        /// What to do about it.
        remedy: String,
    },

    // --- engine ------------------------------------------------------------------------------
    /// `git` is not on the `PATH`.
    #[error("git was not found on the PATH")]
    GitMissing,
    /// The folder is in no git repository.
    #[error("not a git repository: {}", path.display())]
    NotARepository {
        /// The folder.
        path: PathBuf,
    },
    /// The repository has no work tree.
    #[error("the repository {} is bare", path.display())]
    BareRepository {
        /// The repository.
        path: PathBuf,
    },
    /// The repository has no commit to start from.
    #[error("the repository {} has no commits", path.display())]
    NoCommits {
        /// The repository.
        path: PathBuf,
    },
    /// The repository belongs to another user, and git's `safe.directory` does not trust it.
    #[error("the repository {} belongs to another user", path.display())]
    ForeignRepository {
        /// The repository.
        path: PathBuf,
    },
    /// A path that files, lines and agents could not be told truthfully.
    #[error("the path {} is not UTF-8", path.display())]
    PathNotText {
        /// The repository, or the folder of its worktrees.
        path: PathBuf,
    },
    /// No folder for worktrees can be made where they are to be.
    #[error("no worktrees can be made in {}: {reason}", path.display())]
    NoPlaceForWorktrees {
        /// The folder of this repository's worktrees.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// A branch stands where git would have to make the folder of ours.
    #[error("the branch {name} is in the way of branches such as {name}/local-2-agent-1")]
    BranchInTheWay {
        /// The branch.
        name: String,
    },
    /// What the engine keeps for itself was committed, here or by somebody who sent it.
    #[error("the repository has files of .claude/runtime in its index")]
    RuntimeTracked,
    /// The base branch does not exist.
    #[error("the base {name} was not found in {}", path.display())]
    BaseMissing {
        /// The branch or revision that was asked for.
        name: String,
        /// The repository.
        path: PathBuf,
    },
    /// The agent's executable is not on the `PATH`.
    #[error("the agent {agent} cannot be started: {executable} was not found")]
    AgentMissing {
        /// The agent as it was asked for.
        agent: String,
        /// The executable that was looked for.
        executable: String,
    },
    /// What is named as the agent's executable is no program, or not for everybody.
    #[error("the agent {agent} cannot be started: {} cannot be executed", path.display())]
    AgentNotExecutable {
        /// The agent as it was asked for.
        agent: String,
        /// What is there.
        path: PathBuf,
    },
    /// Claude Code refuses to run without permission questions as root.
    #[error("Claude Code refuses the permission mode bypassPermissions as root")]
    RootNeedsSandbox,
    /// Another run holds the lock of this issue.
    #[error("another run works on this plan: {} holds {}", process(*pid), path.display())]
    Locked {
        /// The process that holds the lock; 0 where it is not known.
        pid: u32,
        /// The lock file.
        path: PathBuf,
    },
    /// A file or folder of ours cannot be read or written.
    #[error("cannot {action} {}: {reason}", path.display())]
    File {
        /// A verb: "write", "create", "read".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A journal holds nothing: its program died before it wrote the first line.
    #[error("the journal {} is empty: its run died before it had begun", path.display())]
    NotBegun {
        /// The journal.
        path: PathBuf,
    },
    /// A line in the middle of a journal is damaged.
    #[error("the journal {} is damaged at line {line}", path.display())]
    JournalCorrupt {
        /// The journal.
        path: PathBuf,
        /// The first damaged line, counted from 1.
        line: usize,
    },
    /// A git command of ours failed.
    #[error("git {command} failed: {reason}")]
    Git {
        /// The subcommand.
        command: String,
        /// What it complained of on standard error.
        reason: String,
    },
    /// The engine itself could not start or broke.
    #[error("the engine failed: {reason}")]
    Engine {
        /// What broke.
        reason: String,
    },
}

impl Error {
    /// The family, which decides exit code and exception class.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::PlanMissing { .. }
            | Self::PlanUnreadable { .. }
            | Self::OutOfRange { .. }
            | Self::Options { .. }
            | Self::Contradiction { .. }
            | Self::NothingToRetry { .. }
            | Self::SourceUnsupported { .. } => Kind::Usage,
            Self::NoTasks { .. } | Self::AllDone { .. } => Kind::Plan,
            Self::Dependencies { .. }
            | Self::WarningsNotAccepted { .. }
            | Self::CannotAdopt { .. }
            | Self::TooManySubIssues { .. } => Kind::Validation,
            Self::NoToken { .. } | Self::Forge { .. } => Kind::Forge,
            Self::GitMissing
            | Self::NotARepository { .. }
            | Self::BareRepository { .. }
            | Self::NoCommits { .. }
            | Self::ForeignRepository { .. }
            | Self::PathNotText { .. }
            | Self::NoPlaceForWorktrees { .. }
            | Self::BranchInTheWay { .. }
            | Self::RuntimeTracked
            | Self::BaseMissing { .. }
            | Self::AgentMissing { .. }
            | Self::AgentNotExecutable { .. }
            | Self::RootNeedsSandbox
            | Self::Locked { .. }
            | Self::File { .. }
            | Self::NotBegun { .. }
            | Self::JournalCorrupt { .. }
            | Self::Git { .. }
            | Self::Engine { .. } => Kind::Engine,
        }
    }

    /// The exit code of the command.
    pub const fn exit_code(&self) -> u8 {
        self.kind().exit_code()
    }

    /// The way out, as one line for people.
    pub fn hint(&self) -> String {
        match self {
            Self::PlanMissing { .. } => "check the path, or pass - to read the plan from standard input".into(),
            Self::PlanUnreadable { .. } => "the plan must be a readable UTF-8 text file".into(),
            Self::OutOfRange { name, .. } => format!("change or leave out {name}"),
            Self::Options { .. } => "pass every option under its documented name and type".into(),
            Self::Contradiction { one, other } => format!("leave out {one} or {other}"),
            Self::NothingToRetry { .. } => {
                "run the source without --retry, or with --new to run every task again".into()
            }
            Self::SourceUnsupported { .. } => {
                concat!(
                    "pass an issue of a remote of this clone, a Markdown plan, or - for one on ",
                    "standard input; --forge github needs a remote on GitHub"
                )
                .into()
            }
            Self::NoTasks { .. } => concat!(
                "write the tasks in one of three formats: a checklist (`- [ ] Add login`), ",
                "a numbered list (`1. Add login`), or a `## Sub-Tasks` section with one heading per task"
            )
            .into(),
            Self::AllDone { .. } => "uncheck what is to be run again, or add new tasks".into(),
            Self::Dependencies { order, .. } => order.clone(),
            Self::CannotAdopt { .. } => {
                "write the task out, or refer to an open issue of the same forge".into()
            }
            Self::TooManySubIssues { .. } => {
                "split the master issue into several, each with its own tasks".into()
            }
            Self::WarningsNotAccepted { .. } => "look at them with --dry-run, and go on with --yes".into(),
            Self::NoToken { remedy, .. } | Self::Forge { remedy, .. } => remedy.clone(),
            Self::GitMissing => "install git 2.20 or later, and put it on the PATH".into(),
            Self::NotARepository { .. } => "run it inside a clone, or name one with --repo".into(),
            Self::BareRepository { .. } => "name a clone that has a work tree with --repo".into(),
            Self::NoCommits { .. } => "commit something first: agents start from a commit".into(),
            Self::ForeignRepository { path } => {
                format!("trust it with: git config --global --add safe.directory '{}'", path.display())
            }
            Self::PathNotText { .. } => "rename the folder: its path goes into files that are UTF-8".into(),
            Self::NoPlaceForWorktrees { .. } => {
                "name a folder that can be written in AMPLIHACK_WORKTREE_DIR".into()
            }
            Self::BranchInTheWay { name } => {
                format!("rename it, for example with: git branch -m {name} {name}-old")
            }
            Self::RuntimeTracked => concat!(
                "take them out with: git rm -r --cached .claude/runtime; ",
                "delete those that are not yours, since runs go on from what stands there"
            )
            .into(),
            Self::BaseMissing { .. } => "name an existing branch with --base".into(),
            Self::AgentMissing { .. } => {
                "install it, put it on the PATH, or name another agent with --agent".into()
            }
            Self::AgentNotExecutable { .. } => {
                "make it executable (chmod +x), or name another agent with --agent".into()
            }
            Self::RootNeedsSandbox => concat!(
                "run as another user, set IS_SANDBOX=1 inside a sandbox, ",
                "or choose another mode with --permission-mode"
            )
            .into(),
            Self::Locked { .. } => "wait for it to end, or end it, before this plan is run again".into(),
            Self::File { .. } => "check its permissions and the free space of its disk".into(),
            Self::NotBegun { .. } => "run its source again; nothing was done yet".into(),
            Self::JournalCorrupt { .. } => {
                "the file was left as it is; move it away to start anew".into()
            }
            Self::Git { command, .. } => {
                format!("run git {command} in the repository by hand to see what it lacks")
            }
            Self::Engine { .. } => {
                "this is likely a bug: report it, with the session log where the run had one".into()
            }
        }
    }
}

/// A process by its number, where that is known.
fn process(pid: u32) -> String {
    match pid {
        0 => "a process".to_owned(),
        pid => format!("process {pid}"),
    }
}

/// What the system said, without Rust's error number.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error")
        .map_or(text.clone(), |(before, _)| before.to_owned())
}

/// The result of anything that can be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;
