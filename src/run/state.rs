//! The state of one orchestration: the fold of its journal.
//!
//! Pure. [`State::apply`] is the only way it changes, and it is handed records alone, so that a
//! replay of the journal gives the same state to the last field.

use crate::agent::stream::Usage;

use super::facts::Role;
use super::facts::{Again, Start, UnitEnd};
use super::failure::{ErrorType, Failure, Stage};
use super::merging::Merges;
use super::record::{Body, Intent, Record};
pub use super::task::{Ending, Previous, Span, Step, Task};

/// One orchestration on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What it started from.
    pub start: Start,
    /// Wall clock where the time of its records begins, in milliseconds since 1970, by the
    /// microsecond from which that holds: the time between two programs counts for nothing.
    pub origins: Vec<(u64, i64)>,
    /// Failed tasks were run again.
    pub retried: bool,
    /// Its tasks, in the order of their agents.
    pub tasks: Vec<Task>,
    /// The batch under way, from 1; 0 before the first.
    pub batch: u32,
    /// The exit code that an interruption leads to.
    pub cancelled: Option<u8>,
    /// An agent met a limit of its provider, and the pool has not paused for it yet.
    pub limit_met: Option<Again>,
    /// No agent starts until then, in milliseconds since 1970.
    pub paused: Option<i64>,
    /// Pauses without an agent that ended by itself since.
    pub pauses: u32,
    /// The pauses that there were: from and to, in microseconds since the start.
    pub paused_spans: Vec<(u64, Option<u64>)>,
    /// Which branches collide, once that was tried.
    pub merges: Option<Merges>,
    /// The operation under way for the whole, if any.
    pub doing: Option<Intent>,
    /// Agents alive.
    pub alive: usize,
    /// The most agents that were alive at once.
    pub peak: usize,
    /// The summary files were written, or could not be.
    pub summarized: bool,
    /// The comment was posted, or could not be.
    pub commented: bool,
    /// The exit code, once it is over.
    pub finished: Option<u8>,
    /// When the last record was made, in microseconds since the start.
    pub at: u64,
}

impl State {
    /// The state right after the start.
    pub fn new(start: Start, origin: i64) -> Self {
        let tasks = start.tasks.iter().cloned().map(Task::new).collect();
        Self {
            start,
            origins: vec![(0, origin)],
            retried: false,
            tasks,
            batch: 0,
            cancelled: None,
            limit_met: None,
            paused: None,
            pauses: 0,
            paused_spans: Vec::new(),
            merges: None,
            doing: None,
            alive: 0,
            peak: 0,
            summarized: false,
            commented: false,
            finished: None,
            at: 0,
        }
    }

    /// The wall clock at a point in time, milliseconds since 1970.
    pub fn wall(&self, at: u64) -> i64 {
        let since = self.origins.iter().rfind(|(from, _)| *from <= at);
        let origin = since.or(self.origins.first()).map_or(0, |(_, wall)| *wall);
        origin.saturating_add_unsigned(at / 1000)
    }

    /// Rebuilds a state from a journal; `None` where the orchestration never started.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<Self> {
        let mut state: Option<Self> = None;
        for record in records {
            match (&record.body, &mut state) {
                (Body::Started(start), None) => {
                    let origin = record.time.saturating_sub_unsigned(record.at / 1000);
                    let mut new = Self::new((**start).clone(), origin);
                    new.at = record.at;
                    state = Some(new);
                }
                (_, Some(state)) => state.apply(record),
                (_, None) => {}
            }
        }
        state
    }

    /// The task of an agent.
    pub fn task(&self, agent: u32) -> Option<&Task> {
        self.tasks.iter().find(|task| task.spec.agent == agent)
    }

    fn task_mut(&mut self, agent: u32) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.spec.agent == agent)
    }

    /// Takes one record in. Records about unknown tasks change nothing.
    pub fn apply(&mut self, record: &Record) {
        let agent = record.body.agent();
        let works = |state: &Self| {
            agent
                .and_then(|agent| state.task(agent))
                .is_some_and(Task::holds_slot)
        };
        let worked = works(self);
        self.take_in(record);
        if worked
            && !works(self)
            && let Some(task) = agent.and_then(|agent| self.task_mut(agent))
        {
            task.worked = Some(record.at);
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm a record: a table")]
    fn take_in(&mut self, record: &Record) {
        let at = record.at;
        self.at = at;
        match &record.body {
            Body::Resumed(resumption) => {
                let origin = record.time.saturating_sub_unsigned(at / 1000);
                self.origins.push((at, origin));
                self.resume(resumption, at);
            }
            Body::Intended { intent } => self.begin(*intent, at),
            Body::SubIssueFiled { agent, filed, .. } => self.advance(*agent, |task| {
                task.sub_issue = Some(filed.clone());
                task.step = Step::Filed;
            }),
            Body::BatchStarted { batch, .. } => self.batch = *batch,
            Body::Prepared {
                agent,
                path,
                branch,
                head,
            } => self.advance(*agent, |task| {
                task.head = Some(head.clone());
                task.worktree = Some(path.clone());
                task.branch = Some(branch.clone());
                task.step = Step::Prepared;
            }),
            Body::SetupEnded { agent, end } => self.end_unit(*agent, end, Step::SetUp),
            Body::SessionChosen { agent, session } => {
                if let Some(task) = self.task_mut(*agent) {
                    task.session = Some(session.clone());
                }
            }
            Body::AgentSpawned { agent, pid, .. } => {
                self.alive += 1;
                self.peak = self.peak.max(self.alive);
                if let Some(task) = self.task_mut(*agent) {
                    task.pid = Some(*pid);
                }
            }
            Body::AgentEnded { agent, end, .. } => self.end_agent(*agent, end),
            Body::AgentUsed { agent, usage } => {
                if let Some(task) = self.task_mut(*agent) {
                    task.using = *usage;
                }
            }
            Body::AgentProgress {
                agent,
                stage,
                percent,
            } => {
                if let Some(task) = self.task_mut(*agent) {
                    task.claim = Some((stage.clone(), *percent));
                }
            }
            Body::Inspected { agent, proof } => self.advance(*agent, |task| {
                let moved = task.head.as_ref() != Some(&proof.head);
                // What stood on the branch before counts where it is this task's: its issue is its
                // own, or this orchestration made it. An adopted issue may have been another's.
                let is_ours = task.spec.adopts.is_none() && !task.spec.repeats
                    || task.attempts > 1
                    || task.previous.is_some();
                if proof.shows_work() && (moved || is_ours) {
                    task.step = Step::Inspected;
                } else {
                    task.fail(Failure::new(
                        Stage::Implementation,
                        ErrorType::NoChanges,
                        "the agent ended well, but left no change on its branch",
                    ));
                }
                task.proof = Some(proof.clone());
            }),
            Body::VerifyEnded { agent, end } => {
                self.end_unit(*agent, end, Step::Verified);
                if let Some(task) = self.task_mut(*agent) {
                    task.verified = Some(end.failure.is_none());
                }
            }
            Body::Pushed { agent, .. } => self.advance(*agent, |task| task.step = Step::Pushed),
            Body::PullOpened { agent, filed } => self.advance(*agent, |task| {
                task.pull = Some(filed.clone());
                task.step = Step::Settled;
            }),
            Body::StepFailed { agent, failure } => {
                self.advance(*agent, |task| task.fail(failure.clone()));
            }
            Body::WorktreeGone { agent } => {
                if let Some(task) = self.task_mut(*agent) {
                    task.worktree = None;
                }
            }
            Body::TaskEnded { agent, failure, .. } => self.advance(*agent, |task| {
                task.failure.clone_from(failure);
                task.step = Step::Ended;
                task.ended = Some(at);
            }),
            Body::DiagnosticFiled { agent, filed, .. } => self.advance(*agent, |task| {
                task.diagnostic = Some(filed.clone());
                task.step = Step::Closed;
            }),
            // What an interruption broke off is tried again by the run that goes on.
            Body::DiagnosticFailed { agent, .. }
            | Body::DiagnosticClosed {
                agent,
                problem: Some(_),
                ..
            }
            | Body::Cleaned {
                agent,
                kept: Some(_),
            } if self.cancelled.is_some() => self.advance(*agent, |_| {}),
            Body::DiagnosticFailed { agent, .. } => {
                self.advance(*agent, |task| task.step = Step::Closed);
            }
            Body::DiagnosticClosed { agent, .. } => {
                self.advance(*agent, |task| task.has_failed = false);
            }
            Body::Cleaned { agent, kept } => {
                let is_gone = kept.is_none() && !self.start.settings.keep_worktrees;
                self.advance(*agent, |task| {
                    if is_gone {
                        task.worktree = None;
                    }
                    task.step = Step::Closed;
                });
            }
            Body::PoolPaused { until, .. } => {
                self.limit_met = None;
                self.end_pause(at);
                self.paused_spans.push((at, None));
                self.paused = Some(*until);
                self.pauses += 1;
            }
            Body::PoolResumed => {
                self.paused = None;
                self.end_pause(at);
                // Its last attempt begins here: the pause was no work.
                for task in self.tasks.iter_mut().filter(|task| task.waits_to_start()) {
                    task.began = Some(at);
                }
            }
            Body::CancelRequested { exit_code } => {
                self.cancelled = Some(
                    self.cancelled
                        .map_or(*exit_code, |code| code.max(*exit_code)),
                );
            }
            Body::MergesTried { merges } => {
                self.doing = None;
                self.merges = Some(merges.clone());
            }
            Body::SummaryWritten { .. } => {
                self.doing = None;
                self.summarized = true;
            }
            Body::CommentPosted { .. } | Body::CommentFailed { .. } => {
                self.doing = None;
                self.commented = true;
            }
            Body::Finished { exit_code, .. } | Body::Broken { exit_code, .. } => {
                self.finished = Some(*exit_code);
            }
            Body::PlanParsed { .. }
            | Body::Validated { .. }
            | Body::Started(_)
            | Body::ForgeAllowance { .. }
            | Body::Warned { .. } => {}
        }
    }

    fn begin(&mut self, intent: Intent, at: u64) {
        let Some(agent) = intent.agent() else {
            self.doing = Some(intent);
            return;
        };
        if let Some(task) = self.task_mut(agent) {
            task.doing = Some(intent);
            if matches!(intent, Intent::Prepare { .. }) {
                task.began = Some(at);
                task.worked = None;
            }
            if let Intent::StartAgent { attempt, .. } = intent {
                task.attempts = attempt;
            }
            if let Some(role) = Role::of(intent) {
                task.open_span(role, at);
            }
        }
    }

    pub(super) fn end_pause(&mut self, at: u64) {
        if let Some((_, to @ None)) = self.paused_spans.last_mut() {
            *to = Some(at);
        }
    }

    fn advance(&mut self, agent: u32, change: impl FnOnce(&mut Task)) {
        if let Some(task) = self.task_mut(agent) {
            task.doing = None;
            change(task);
        }
    }

    fn end_agent(&mut self, agent: u32, end: &UnitEnd) {
        if let Some(task) = self.task_mut(agent) {
            let used = end.usage.unwrap_or(task.using);
            task.used = task.used.plus(&used);
            task.using = Usage::default();
            if task.pid.take().is_some() {
                self.alive = self.alive.saturating_sub(1);
            }
        }
        let Some(again) = end.again else {
            self.pauses = 0;
            self.end_unit(agent, end, Step::Ran);
            return;
        };
        // The attempt does not count: the task stands where it stood before.
        let at = self.at;
        self.advance(agent, |task| {
            task.close_span(at, Ending::Refused);
            task.attempts = task.attempts.saturating_sub(1);
            task.resumes = task.session.is_some() && again != Again::NoSession;
            task.overloads += u32::from(again == Again::Overloaded);
        });
        if self.is_news(again) {
            self.limit_met = self.limit_met.max(Some(again));
        }
    }

    /// Whether the pool has to pause for this. Agents that were at work when a pause began meet
    /// the same limit one after another, and only a later end of it is news.
    fn is_news(&self, again: Again) -> bool {
        match (again, self.paused) {
            (Again::NoSession, _) => false,
            (_, None) => true,
            (Again::UsageLimit { until: Some(until) }, Some(paused)) => {
                until.saturating_mul(1000) > paused
            }
            (_, Some(_)) => false,
        }
    }

    fn end_unit(&mut self, agent: u32, end: &UnitEnd, well: Step) {
        let at = self.at;
        if let Some(task) = self.task_mut(agent) {
            let is_well = end.failure.is_none();
            task.close_span(
                at,
                if is_well {
                    Ending::Well
                } else {
                    Ending::Failed
                },
            );
        }
        self.advance(agent, |task| match &end.failure {
            None => task.step = well,
            Some(failure) => {
                task.excerpt.clone_from(&end.excerpt);
                task.fail(failure.clone());
            }
        });
    }

    /// What all agents have cost so far, in US dollars.
    pub fn spent_usd(&self) -> f64 {
        let costs = self.tasks.iter().filter_map(|task| task.usage().cost_usd);
        costs.sum()
    }

    /// Whether the budget of the whole is used up.
    pub fn is_out_of_budget(&self) -> bool {
        let budget = self.start.settings.budget_usd;
        budget.is_some_and(|budget| self.spent_usd() >= budget)
    }

    /// How many batches there are.
    pub fn batches(&self) -> u32 {
        let size = self.batch_len();
        u32::try_from(self.tasks.len().div_ceil(size)).unwrap_or(u32::MAX)
    }

    /// The tasks of a batch, counted from 1.
    pub fn batch_tasks(&self, batch: u32) -> &[Task] {
        let size = self.batch_len();
        let from = size
            .saturating_mul(batch.saturating_sub(1) as usize)
            .min(self.tasks.len());
        let to = from.saturating_add(size).min(self.tasks.len());
        if batch == 0 {
            &[]
        } else {
            &self.tasks[from..to]
        }
    }

    fn batch_len(&self) -> usize {
        self.start
            .settings
            .batch_size
            .unwrap_or(self.tasks.len())
            .max(1)
    }
}
