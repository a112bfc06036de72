//! The journal's vocabulary: what is written down before, and after, anything is done.
//!
//! Three classes of records. An *intent* says that an operation is about to begin; a *fact* says
//! what came of it or what was decided; both are synced before anything relies on them.
//! *Telemetry* may be lost. [`super::state::State`] is the fold of facts and intents, so replaying
//! a journal rebuilds it exactly; public events ([`super::publish`]) are a projection of records.
//!
//! Pure data, encoding included. Files are the business of [`crate::world`].

use serde::{Deserialize, Serialize};

use crate::agent::stream::Usage;

use super::event::PlannedTask;
use super::facts::{Filed, Proof, Start, UnitEnd};
use super::failure::Failure;
use super::merging::Merges;
use super::resumption::Resumption;
use super::summary::Summary;

/// The version of the journal's format.
pub const VERSION: u32 = 1;

/// Whether a record must be on disk before anything relies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// An operation is about to begin. Synced.
    Intent,
    /// An outcome or a decision. Synced.
    Fact,
    /// Progress. May be lost.
    Telemetry,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub v: u32,
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// Wall clock, milliseconds since 1970.
    pub time: i64,
    /// Monotonic, microseconds since the orchestration began; all durations come from it.
    pub at: u64,
    /// What it says.
    #[serde(flatten)]
    pub body: Body,
}

/// An operation that is about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Intent {
    /// File or adopt the task's sub-issue.
    FileSubIssue {
        /// The agent.
        agent: u32,
    },
    /// Make the task's worktree and branch.
    Prepare {
        /// The agent.
        agent: u32,
    },
    /// Run the setup command.
    Setup {
        /// The agent.
        agent: u32,
    },
    /// Start the agent.
    StartAgent {
        /// The agent.
        agent: u32,
        /// Counts from 1.
        attempt: u32,
    },
    /// Commit what was left uncommitted, and look at what is there.
    Inspect {
        /// The agent.
        agent: u32,
    },
    /// Run the verify command.
    Verify {
        /// The agent.
        agent: u32,
    },
    /// Push the branch.
    Push {
        /// The agent.
        agent: u32,
    },
    /// Open the change request.
    OpenPull {
        /// The agent.
        agent: u32,
    },
    /// File the diagnostic issue.
    FileDiagnostic {
        /// The agent.
        agent: u32,
    },
    /// Close the diagnostic issue of a task that failed before and has succeeded.
    CloseDiagnostic {
        /// The agent.
        agent: u32,
    },
    /// Remove the worktree of a successful task.
    Clean {
        /// The agent.
        agent: u32,
    },
    /// See which branches can be merged with each other and with the base.
    TryMerges,
    /// Write the summary files.
    WriteSummary,
    /// Put the summary on the master issue.
    PostComment,
}

impl Intent {
    /// The agent whose task it is for; `None` for the whole orchestration.
    pub const fn agent(self) -> Option<u32> {
        match self {
            Self::FileSubIssue { agent }
            | Self::Prepare { agent }
            | Self::Setup { agent }
            | Self::StartAgent { agent, .. }
            | Self::Inspect { agent }
            | Self::Verify { agent }
            | Self::Push { agent }
            | Self::OpenPull { agent }
            | Self::FileDiagnostic { agent }
            | Self::CloseDiagnostic { agent }
            | Self::Clean { agent } => Some(agent),
            Self::TryMerges | Self::WriteSummary | Self::PostComment => None,
        }
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// The source was read.
    PlanParsed {
        /// The source as it was given.
        source: String,
        /// The plan's title.
        title: String,
        /// What will run.
        tasks: Vec<PlannedTask>,
    },
    /// The tasks were checked against each other.
    Validated {
        /// `proceed`, `warn` or `abort`.
        verdict: String,
        /// One line each.
        warnings: Vec<String>,
    },
    /// The orchestration begins.
    Started(Box<Start>),
    /// The orchestration is taken up again.
    Resumed(Box<Resumption>),
    /// An operation is about to begin.
    Intended {
        /// Which.
        intent: Intent,
    },
    /// A sub-issue exists.
    SubIssueFiled {
        /// The agent.
        agent: u32,
        /// The issue.
        filed: Filed,
        /// Its title.
        title: String,
    },
    /// A batch may start.
    BatchStarted {
        /// Counts from 1.
        batch: u32,
        /// How many there are.
        batches: u32,
        /// Its agents.
        agents: Vec<u32>,
    },
    /// The worktree stands.
    Prepared {
        /// The agent.
        agent: u32,
        /// Its absolute path.
        path: String,
        /// Its branch.
        branch: String,
        /// The commit at the branch's tip.
        head: String,
    },
    /// The setup command ended.
    SetupEnded {
        /// The agent.
        agent: u32,
        /// How.
        end: UnitEnd,
    },
    /// The agent will be started under this session id, so that it can be resumed.
    SessionChosen {
        /// The agent.
        agent: u32,
        /// A UUID.
        session: String,
    },
    /// The agent's process runs.
    AgentSpawned {
        /// The agent.
        agent: u32,
        /// Its process.
        pid: u32,
        /// Its process group.
        pgid: u32,
        /// Counts from 1.
        attempt: u32,
    },
    /// The agent's process ended.
    AgentEnded {
        /// The agent.
        agent: u32,
        /// Counts from 1.
        attempt: u32,
        /// How.
        end: UnitEnd,
    },
    /// What the agent says of itself.
    AgentProgress {
        /// The agent.
        agent: u32,
        /// What it says it does.
        stage: String,
        /// 0 to 100.
        percent: u8,
    },
    /// What the agent has used so far in this attempt, as it says.
    AgentUsed {
        /// The agent.
        agent: u32,
        /// How much.
        usage: Usage,
    },
    /// What the branch has to show.
    Inspected {
        /// The agent.
        agent: u32,
        /// The evidence.
        proof: Proof,
    },
    /// The verify command ended.
    VerifyEnded {
        /// The agent.
        agent: u32,
        /// How.
        end: UnitEnd,
    },
    /// The branch is on the remote.
    Pushed {
        /// The agent.
        agent: u32,
        /// The branch.
        branch: String,
    },
    /// The change request exists.
    PullOpened {
        /// The agent.
        agent: u32,
        /// The change request.
        filed: Filed,
    },
    /// A step of a task failed outside its agent.
    StepFailed {
        /// The agent.
        agent: u32,
        /// Why.
        failure: Failure,
    },
    /// The worktree of a task that failed is not there any more.
    WorktreeGone {
        /// The agent.
        agent: u32,
    },
    /// A task has its outcome.
    TaskEnded {
        /// The agent.
        agent: u32,
        /// Why it failed; `None` is success.
        failure: Option<Failure>,
        /// Seconds from its worktree to here.
        seconds: f64,
        /// Its change request.
        pr_number: Option<u64>,
    },
    /// The diagnostic issue exists.
    DiagnosticFiled {
        /// The agent.
        agent: u32,
        /// The issue.
        filed: Filed,
        /// Its title.
        title: String,
    },
    /// The diagnostic issue could not be filed.
    DiagnosticFailed {
        /// The agent.
        agent: u32,
        /// Why.
        reason: String,
    },
    /// The diagnostic issue of an earlier failure was dealt with.
    DiagnosticClosed {
        /// The agent.
        agent: u32,
        /// Those that were open and are closed now.
        numbers: Vec<u64>,
        /// Why one could not be closed.
        problem: Option<String>,
    },
    /// The worktree of a successful task was dealt with.
    Cleaned {
        /// The agent.
        agent: u32,
        /// Why it was kept; `None` where it was removed, or where the settings keep all.
        kept: Option<String>,
    },
    /// No agent starts until then.
    PoolPaused {
        /// Why, as people read it.
        reason: String,
        /// Milliseconds since 1970.
        until: i64,
    },
    /// Agents may start again.
    PoolResumed,
    /// How many requests the forge takes until its limit is reset.
    ForgeAllowance {
        /// How many.
        remaining: u64,
        /// Milliseconds since 1970.
        reset: i64,
    },
    /// The run is to end.
    CancelRequested {
        /// The exit code that this leads to: 130 or 143.
        exit_code: u8,
    },
    /// Something worth a line that stops nothing.
    Warned {
        /// The agent.
        agent: Option<u32>,
        /// One line.
        message: String,
    },
    /// Which of the branches collide.
    MergesTried {
        /// What was found.
        merges: Merges,
    },
    /// The summary files are written, or could not be.
    SummaryWritten {
        /// Why not.
        problem: Option<String>,
    },
    /// The summary stands on the master issue.
    CommentPosted {
        /// What people open.
        url: String,
    },
    /// The summary could not be put on the master issue.
    CommentFailed {
        /// Why.
        reason: String,
    },
    /// The end.
    Finished {
        /// The exit code.
        exit_code: u8,
        /// The outcome.
        summary: Box<Summary>,
    },
    /// The end, before it was through.
    Broken {
        /// `forge` or `engine`.
        kind: String,
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
        /// The exit code.
        exit_code: u8,
    },
}

impl Body {
    /// The agent whose task it is about.
    pub const fn agent(&self) -> Option<u32> {
        match self {
            Self::Intended { intent } => intent.agent(),
            Self::SubIssueFiled { agent, .. }
            | Self::Prepared { agent, .. }
            | Self::SetupEnded { agent, .. }
            | Self::SessionChosen { agent, .. }
            | Self::AgentSpawned { agent, .. }
            | Self::AgentEnded { agent, .. }
            | Self::AgentProgress { agent, .. }
            | Self::AgentUsed { agent, .. }
            | Self::Inspected { agent, .. }
            | Self::VerifyEnded { agent, .. }
            | Self::Pushed { agent, .. }
            | Self::PullOpened { agent, .. }
            | Self::StepFailed { agent, .. }
            | Self::WorktreeGone { agent }
            | Self::TaskEnded { agent, .. }
            | Self::DiagnosticFiled { agent, .. }
            | Self::DiagnosticFailed { agent, .. }
            | Self::DiagnosticClosed { agent, .. }
            | Self::Cleaned { agent, .. } => Some(*agent),
            Self::Warned { agent, .. } => *agent,
            Self::PlanParsed { .. }
            | Self::Validated { .. }
            | Self::Started(_)
            | Self::Resumed(_)
            | Self::BatchStarted { .. }
            | Self::PoolPaused { .. }
            | Self::PoolResumed
            | Self::ForgeAllowance { .. }
            | Self::CancelRequested { .. }
            | Self::MergesTried { .. }
            | Self::SummaryWritten { .. }
            | Self::CommentPosted { .. }
            | Self::CommentFailed { .. }
            | Self::Finished { .. }
            | Self::Broken { .. } => None,
        }
    }

    /// Whether the record must be on disk before anything relies on it.
    pub const fn class(&self) -> Class {
        match self {
            Self::Intended { .. } => Class::Intent,
            Self::AgentProgress { .. }
            | Self::AgentUsed { .. }
            | Self::ForgeAllowance { .. }
            | Self::Warned { .. } => Class::Telemetry,
            _ => Class::Fact,
        }
    }
}
