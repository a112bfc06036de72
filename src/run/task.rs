//! One task of an orchestration on its way.
//!
//! Pure data, changed by [`super::state`] alone.

use crate::agent::stream::Usage;

use super::facts::Role;
use super::facts::{Filed, Proof, TaskSpec};
use super::failure::Failure;
use super::record::Intent;

/// How far a task has come: the last step that is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It is in the plan.
    Planned,
    /// Its sub-issue exists.
    Filed,
    /// Its worktree stands.
    Prepared,
    /// Its setup command is through.
    SetUp,
    /// Its agent ended well.
    Ran,
    /// Its branch has something to show.
    Inspected,
    /// Its verify command passed.
    Verified,
    /// Its branch is on the remote.
    Pushed,
    /// Its change request exists, or it has failed.
    Settled,
    /// Its outcome is journalled.
    Ended,
    /// Its diagnostic issue is filed, or its worktree dealt with.
    Closed,
}

/// What is known of an earlier attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// `TEST_TIMEOUT: message`.
    pub error: String,
    /// The last lines of its log, redacted.
    pub excerpt: String,
}

/// A process of a task, for as long as it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What the process was for.
    pub role: Role,
    /// The attempt, from 1.
    pub attempt: u32,
    /// When it was to begin, in microseconds since the orchestration began.
    pub from: u64,
    /// When it had ended; `None` while it runs.
    pub to: Option<u64>,
    /// How it ended, or would if the program died now.
    pub ending: Ending,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Well,
    /// With a failure, by itself or by what was found afterwards.
    Failed,
    /// The provider did not let it work: it does not count.
    Refused,
}

/// One task on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What it is.
    pub spec: TaskSpec,
    /// How far it has come.
    pub step: Step,
    /// The operation under way for it, if any.
    pub doing: Option<Intent>,
    /// How often an agent was started for it.
    pub attempts: u32,
    /// Its sub-issue.
    pub sub_issue: Option<Filed>,
    /// Its worktree's absolute path.
    pub worktree: Option<String>,
    /// Its branch.
    pub branch: Option<String>,
    /// The tip of its branch before its agent started.
    pub head: Option<String>,
    /// When it took its slot, in microseconds since the start.
    pub began: Option<u64>,
    /// When its work was over, well or not: from there it waits for nothing but the forge.
    pub worked: Option<u64>,
    /// When its outcome was journalled.
    pub ended: Option<u64>,
    /// The processes that ran for it, in order.
    pub spans: Vec<Span>,
    /// The process of its agent while that is alive.
    pub pid: Option<u32>,
    /// The session id that the agent was started with, where it takes one.
    pub session: Option<String>,
    /// Whether the next attempt goes on in that session.
    pub resumes: bool,
    /// How often the provider had no room for it.
    pub overloads: u32,
    /// What its attempts used, the ended ones together.
    pub used: Usage,
    /// What the attempt under way has used so far.
    pub using: Usage,
    /// What the agent says it does, and how far it says it is.
    pub claim: Option<(String, u8)>,
    /// What its branch has to show.
    pub proof: Option<Proof>,
    /// Whether its verify command passed.
    pub verified: Option<bool>,
    /// Its change request.
    pub pull: Option<Filed>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The last lines of what failed.
    pub excerpt: Option<String>,
    /// Its diagnostic issue.
    pub diagnostic: Option<Filed>,
    /// How it failed before it was taken up again.
    pub previous: Option<Previous>,
    /// It failed before by itself, so that a diagnostic issue may be open.
    pub has_failed: bool,
}

impl Task {
    pub(super) fn new(spec: TaskSpec) -> Self {
        Self {
            has_failed: spec.failed,
            spec,
            step: Step::Planned,
            doing: None,
            attempts: 0,
            sub_issue: None,
            worktree: None,
            branch: None,
            head: None,
            began: None,
            worked: None,
            ended: None,
            spans: Vec::new(),
            pid: None,
            session: None,
            resumes: false,
            overloads: 0,
            used: Usage::default(),
            using: Usage::default(),
            claim: None,
            proof: None,
            verified: None,
            pull: None,
            failure: None,
            excerpt: None,
            diagnostic: None,
            previous: None,
        }
    }

    /// Whether it counts against `max_workers`: from its worktree to the end of verification.
    pub fn holds_slot(&self) -> bool {
        match self.doing {
            Some(
                Intent::Prepare { .. }
                | Intent::Setup { .. }
                | Intent::StartAgent { .. }
                | Intent::Inspect { .. }
                | Intent::Verify { .. },
            ) => true,
            Some(_) => false,
            None => matches!(
                self.step,
                Step::Prepared | Step::SetUp | Step::Ran | Step::Inspected
            ),
        }
    }

    /// Whether all that it lacks to begin its next attempt is leave to.
    pub(super) fn waits_to_start(&self) -> bool {
        self.doing.is_none() && matches!(self.step, Step::Prepared | Step::SetUp)
    }

    /// A process begins for it.
    pub(super) fn open_span(&mut self, role: Role, at: u64) {
        self.spans.push(Span {
            role,
            attempt: self.attempts.max(1),
            from: at,
            to: None,
            ending: Ending::Failed,
        });
    }

    /// The process that ran for it, if any, is over.
    pub(super) fn close_span(&mut self, at: u64, ending: Ending) {
        if let Some(span) = self.spans.last_mut().filter(|span| span.to.is_none()) {
            span.to = Some(at);
            span.ending = ending;
        }
    }

    /// Whether it has begun and not yet ended.
    pub fn is_under_way(&self) -> bool {
        self.began.is_some() && self.ended.is_none()
    }

    /// Whether it succeeded, once it has ended.
    pub fn succeeded(&self) -> bool {
        self.step >= Step::Ended && self.failure.is_none()
    }

    /// What all its attempts have used so far.
    pub fn usage(&self) -> Usage {
        self.used.plus(&self.using)
    }

    /// Seconds from its worktree to the end of its work, or to `at` while it is at work. How long
    /// its change request waited for the forge says nothing about the task.
    pub fn seconds(&self, at: u64) -> f64 {
        let Some(began) = self.began else { return 0.0 };
        seconds(self.worked.unwrap_or(at).saturating_sub(began))
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.step = Step::Settled;
        // What ran last may have ended well, and come to nothing.
        if let Some(span) = self.spans.last_mut() {
            span.ending = Ending::Failed;
        }
    }
}

/// Microseconds as seconds.
pub(super) fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}
