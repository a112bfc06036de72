//! The loop of one orchestration: facts in, records written, decisions carried out.
//!
//! It decides nothing ([`super::machine`] does) and touches nothing but its [`World`]. The order
//! is always the same: facts and the decisions that follow from them are journalled together and
//! synced once; only then are they published and carried out. So nothing is begun that a restart
//! would not know of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::supervisor::{CancelReason, OutputStream, UnitEvent, UnitId};
use crate::world::{Completion, Fact, Log, World};

use super::facts::Role;
use super::facts::Start;
use super::failure::{ErrorType, Failure, Stage};
use super::hearing::{Hearing, Said};
use super::journal;
use super::machine::{decide, pause_is_over};
use super::operation::{Site, Step};
use super::publish::publish;
use super::record::{Body, Class, Intent, Record, VERSION};
use super::resumption::Resumption;
use super::state::State;
use super::status::{believed, status_file};
use super::summary::Summary;
use super::unit::{ended_well, unit_end};

/// How an orchestration came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The exit code.
    pub exit_code: u8,
    /// What it came to.
    pub summary: Summary,
}

/// One orchestration over one world.
#[derive(Debug)]
pub struct Driver<'a, W: World> {
    world: &'a mut W,
    site: Site,
    state: State,
    /// The world's clock when this part of the orchestration began, and how long it had run
    /// before, in microseconds.
    origin: u64,
    before: u64,
    /// The number of the last record.
    seq: u64,
    /// Applied and encoded, but not yet on disk.
    pending: Vec<Record>,
    lines: String,
    units: BTreeMap<UnitId, (u32, Role)>,
    /// Agents at work that stream what they do.
    hearing: Hearing,
    /// Agents whose status file is behind.
    stale: BTreeSet<u32>,
    /// Agents whose status claim was complained about.
    complained: BTreeSet<u32>,
    /// From when on the forge's allowance is told again, on the world's clock.
    next_allowance: u64,
}

impl<'a, W: World> Driver<'a, W> {
    /// Begins an orchestration: journals what it starts from.
    ///
    /// `before` are the records that were made before there was a journal.
    pub fn begin(world: &'a mut W, site: Site, start: Start, before: Vec<Body>) -> Result<Self> {
        let state = State::new(start.clone(), world.wall());
        let mut driver = Self::new(world, site, state, 0);
        for body in before {
            driver.note(body);
        }
        driver.note(Body::Started(Box::new(start)));
        driver.commit()?;
        Ok(driver)
    }

    /// Takes an orchestration up again: `state` is what its journal tells, and `seq` the number
    /// of the last record in that.
    pub fn resume(
        world: &'a mut W,
        site: Site,
        state: State,
        seq: u64,
        resumption: Resumption,
    ) -> Result<Self> {
        let mut driver = Self::new(world, site, state, seq);
        driver.note(Body::Resumed(Box::new(resumption)));
        driver.commit()?;
        Ok(driver)
    }

    fn new(world: &'a mut W, site: Site, state: State, seq: u64) -> Self {
        Self {
            origin: world.now(),
            before: state.at,
            // Every status file is written once.
            stale: state.tasks.iter().map(|task| task.spec.agent).collect(),
            world,
            site,
            state,
            seq,
            pending: Vec::new(),
            lines: String::new(),
            units: BTreeMap::new(),
            hearing: Hearing::default(),
            complained: BTreeSet::new(),
            next_allowance: 0,
        }
    }

    /// Runs to the end. On an error of the engine itself every unit is ended first.
    pub fn run(mut self) -> Result<Outcome> {
        match self.turn_until_finished() {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                self.abandon(&error);
                Err(error)
            }
        }
    }

    fn turn_until_finished(&mut self) -> Result<Outcome> {
        loop {
            self.settle()?;
            if let Some(exit_code) = self.state.finished {
                return Ok(Outcome {
                    exit_code,
                    summary: self.state.summary(),
                });
            }
            self.set_alarm();
            for fact in self.world.next() {
                self.absorb(fact)?;
            }
        }
    }

    /// Sees to it that the run wakes up when a pause ends, or when an agent should be gone.
    fn set_alarm(&mut self) {
        let pause_ends = self.state.paused.map(|until| {
            let milliseconds = until.saturating_sub(self.world.wall()).max(0);
            self.world.now() + milliseconds.unsigned_abs() * 1000
        });
        let at = pause_ends.into_iter().chain(self.hearing.next_leave());
        self.world.wake_at(at.min());
    }

    fn wake(&mut self) {
        for unit in self.hearing.dismiss(self.world.now()) {
            self.world.end_unit(unit, CancelReason::Requested);
        }
        if pause_is_over(&self.state, self.world.wall()) {
            self.note(Body::PoolResumed);
        }
    }

    /// Journals every decision that is due, then carries the intents among them out.
    fn settle(&mut self) -> Result<()> {
        loop {
            let mut intents = Vec::new();
            loop {
                let due = decide(&self.state);
                if due.is_empty() {
                    break;
                }
                for body in due {
                    if let Body::Intended { intent } = body {
                        intents.push(intent);
                        self.choose_session(intent);
                    }
                    self.look_for_worktree(&body);
                    self.note(body);
                }
            }
            self.commit()?;
            if intents.is_empty() {
                return Ok(());
            }
            for intent in intents {
                self.carry_out(intent)?;
            }
        }
    }

    /// The id of an agent's own session is journalled before the agent starts, so that a
    /// restart can resume it.
    fn choose_session(&mut self, intent: Intent) {
        if let Intent::StartAgent { agent, .. } = intent
            && self.site.takes_session()
            && !self.state.task(agent).is_some_and(|task| task.resumes)
        {
            let session = self.world.uuid();
            self.note(Body::SessionChosen { agent, session });
        }
    }

    /// What is said of a failed task names its worktree, if that is still there.
    fn look_for_worktree(&mut self, body: &Body) {
        if let Body::TaskEnded {
            agent,
            failure: Some(_),
            ..
        } = *body
            && let Some(task) = self.state.task(agent)
            && let Some(worktree) = &task.worktree
            && !self.world.is_there(Path::new(worktree))
        {
            self.note(Body::WorktreeGone { agent });
        }
    }

    fn carry_out(&mut self, intent: Intent) -> Result<()> {
        match self.site.step(&self.state, intent) {
            Some(Step::Operation(operation)) => self.world.begin(*operation),
            Some(Step::Unit(role, agent, spec)) => {
                if role == Role::Agent {
                    let worktree = self
                        .state
                        .task(agent)
                        .and_then(|task| task.worktree.clone());
                    self.world.watch(agent, worktree.as_deref().map(Path::new));
                }
                let unit = self.world.submit(*spec);
                self.units.insert(unit, (agent, role));
                if role == Role::Agent && self.site.streams() {
                    self.hearing.open(unit, agent);
                }
            }
            Some(Step::Summary) => {
                let problem = self.write_summary().err().map(|error| error.to_string());
                self.note(Body::SummaryWritten { problem });
            }
            None => {
                return Err(Error::Engine {
                    reason: format!("cannot carry out {intent:?}"),
                });
            }
        }
        Ok(())
    }

    fn write_summary(&mut self) -> Result<()> {
        for (path, text) in self.site.summary_files(&self.state) {
            self.world.replace(&path, &text)?;
        }
        Ok(())
    }

    /// Takes in one fact: what it says is noted, and comes into force with the next commit.
    fn absorb(&mut self, fact: Fact) -> Result<()> {
        match fact {
            Fact::Unit(event) => self.absorb_unit(event),
            Fact::Completed(completion) => return self.absorb_completion(completion),
            Fact::Claim {
                agent,
                stage,
                percent,
            } => self.absorb_claim(agent, stage, percent),
            Fact::BadClaim { agent, reason } => {
                if self.complained.insert(agent) {
                    let text = format!("Agent-{agent}: ignored its status file: {reason}\n");
                    self.world.log(Log::Session, text.as_bytes());
                }
            }
            Fact::Woke => self.wake(),
            Fact::Said(text) => self.world.log(Log::Session, text.as_bytes()),
            Fact::Allowance { remaining, reset } => self.absorb_allowance(remaining, reset),
            Fact::Beat => {
                let alive = self.state.tasks.iter().filter(|task| task.is_under_way());
                self.stale.extend(alive.map(|task| task.spec.agent));
                self.write_statuses();
            }
            Fact::Cancel { exit_code, reason } => {
                self.note(Body::CancelRequested { exit_code });
                self.commit()?;
                self.world.cancel_units(reason);
            }
        }
        Ok(())
    }

    fn absorb_unit(&mut self, event: UnitEvent) {
        match event {
            UnitEvent::Started { unit, pid, pgid } => {
                let Some(&(agent, role)) = self.units.get(&unit) else {
                    return;
                };
                let text = format!("Agent-{agent}: {role} started: pid={pid} pgid={pgid}\n");
                self.world.log(Log::Session, text.as_bytes());
                self.world.log(Log::Agent(agent), text.as_bytes());
                if role == Role::Agent {
                    let attempt = self.state.task(agent).map_or(1, |task| task.attempts);
                    self.note(Body::AgentSpawned {
                        agent,
                        pid,
                        pgid,
                        attempt,
                    });
                }
            }
            UnitEvent::Output {
                unit,
                stream,
                chunk,
            } => {
                if let Some(&(agent, _)) = self.units.get(&unit) {
                    let bytes = chunk.bytes();
                    chunk.release();
                    self.world.log(Log::Agent(agent), &bytes);
                    if stream == OutputStream::Stdout {
                        let said = self.hearing.hear(unit, &bytes, self.world.now());
                        self.take_in(agent, said);
                    }
                }
            }
            UnitEvent::Finished(finished) => {
                let Some((agent, role)) = self.units.remove(&finished.unit) else {
                    return;
                };
                let (said, farewell) = self.hearing.close(finished.unit, self.world.now());
                self.take_in(agent, said);
                let tail = if ended_well(&finished.outcome) {
                    String::new()
                } else {
                    self.world.log_tail(agent)
                };
                let overloads = self.state.task(agent).map_or(0, |task| task.overloads);
                let end = unit_end(
                    role,
                    &finished,
                    farewell.as_ref(),
                    overloads,
                    &tail,
                    &self.state.start.settings,
                );
                let text = format!("Agent-{agent}: {role} ended: {}\n", end.outcome);
                self.world.log(Log::Session, text.as_bytes());
                if role == Role::Agent {
                    self.world.watch(agent, None);
                }
                let attempt = self.state.task(agent).map_or(1, |task| task.attempts);
                self.note(match role {
                    Role::Setup => Body::SetupEnded { agent, end },
                    Role::Agent => Body::AgentEnded {
                        agent,
                        attempt,
                        end,
                    },
                    Role::Verify => Body::VerifyEnded { agent, end },
                });
            }
            UnitEvent::Snapshot(_) => {}
        }
    }

    fn absorb_completion(&mut self, completion: Completion) -> Result<()> {
        let body = match completion {
            Completion::Prepared { place, head } => Body::Prepared {
                agent: place.agent,
                path: place.path.to_string_lossy().into_owned(),
                branch: place.branch,
                head,
            },
            Completion::Inspected { agent, proof } => Body::Inspected { agent, proof },
            Completion::Pushed { agent, branch } => Body::Pushed { agent, branch },
            Completion::Closed {
                intent: Intent::CloseDiagnostic { agent },
                numbers,
            } => Body::DiagnosticClosed {
                agent,
                numbers,
                problem: None,
            },
            Completion::Closed { intent, .. } => {
                return Err(Error::Engine {
                    reason: format!("{intent:?} closed something"),
                });
            }
            Completion::MergesTried(merges) => Body::MergesTried { merges },
            Completion::Cleaned { agent, kept } => Body::Cleaned { agent, kept },
            Completion::Failed { agent, failure } => Body::StepFailed { agent, failure },
            Completion::Filed { intent, filed } => match intent {
                Intent::FileSubIssue { agent } => {
                    let title = self.site.sub_issue_title(&self.state, agent);
                    Body::SubIssueFiled {
                        agent,
                        filed,
                        title,
                    }
                }
                Intent::OpenPull { agent } => Body::PullOpened { agent, filed },
                Intent::FileDiagnostic { agent } => {
                    let title = self.site.diagnostic_title(&self.state, agent);
                    Body::DiagnosticFiled {
                        agent,
                        filed,
                        title,
                    }
                }
                Intent::PostComment => Body::CommentPosted { url: filed.url },
                other => {
                    return Err(Error::Engine {
                        reason: format!("{other:?} filed nothing"),
                    });
                }
            },
            Completion::ForgeFailed {
                intent,
                reason,
                remedy,
            } => forge_failed(intent, reason, remedy)?,
        };
        self.note(body);
        Ok(())
    }

    /// Every answer of the forge tells it; told once in a heartbeat it is told often enough.
    fn absorb_allowance(&mut self, remaining: u64, reset: i64) {
        let now = self.world.now();
        if self.next_allowance <= now {
            self.next_allowance = now + self.state.start.settings.interval * 1_000_000;
            self.note(Body::ForgeAllowance {
                remaining,
                reset: reset.saturating_mul(1000),
            });
        }
    }

    /// What an agent said in its stream.
    fn take_in(&mut self, agent: u32, said: Vec<Said>) {
        for said in said {
            match said {
                Said::Progress { stage, percent } => self.absorb_claim(agent, Some(stage), percent),
                Said::Record(body) => self.note(body),
            }
        }
    }

    fn absorb_claim(&mut self, agent: u32, stage: Option<String>, percent: Option<u8>) {
        let Some(task) = self.state.task(agent).filter(|task| task.pid.is_some()) else {
            return;
        };
        let known = task
            .claim
            .clone()
            .unwrap_or_else(|| ("Working".to_owned(), believed(0)));
        let stage = stage.map(|stage| self.site.redact(&stage));
        let claim = (
            stage.unwrap_or_else(|| known.0.clone()),
            percent.map_or(known.1, believed),
        );
        if claim != known {
            self.note(Body::AgentProgress {
                agent,
                stage: claim.0,
                percent: claim.1,
            });
        }
    }

    /// Applies a record, and holds it back until the next [`Self::commit`].
    fn note(&mut self, body: Body) {
        let body = self.site.redact_record(body);
        self.seq += 1;
        let record = Record {
            v: VERSION,
            seq: self.seq,
            time: self.world.wall(),
            at: self.before + self.world.now().saturating_sub(self.origin),
            body,
        };
        self.lines.push_str(&journal::encode(&record));
        self.state.apply(&record);
        self.stale.extend(record.body.agent());
        self.pending.push(record);
    }

    /// Puts what was noted on disk, then publishes it.
    fn commit(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let sync = self
            .pending
            .iter()
            .any(|record| record.body.class() != Class::Telemetry);
        self.world.append(&self.lines, sync)?;
        self.lines.clear();
        for record in self.pending.drain(..) {
            if let Some(event) = publish(&record, Some(&self.state.start)) {
                self.world.publish(event);
            }
        }
        self.write_statuses();
        Ok(())
    }

    /// Status files are a projection and can be made again, so a failed write stops nothing; the
    /// next heartbeat tries again.
    fn write_statuses(&mut self) {
        let now = self.world.wall();
        for agent in std::mem::take(&mut self.stale) {
            let Some(task) = self.state.task(agent) else {
                continue;
            };
            let text = status_file(&self.state, task, now);
            if let Err(error) = self.world.replace(&self.site.status_path(agent), &text) {
                self.world
                    .log(Log::Session, format!("{error}\n").as_bytes());
            }
        }
    }

    /// The engine itself broke: nothing that it started may live on, and whoever listens is told.
    fn abandon(&mut self, error: &Error) {
        self.world.cancel_units(CancelReason::Interrupted);
        while !self.units.is_empty() {
            for fact in self.world.next() {
                if let Fact::Unit(UnitEvent::Finished(finished)) = fact {
                    self.units.remove(&finished.unit);
                }
            }
        }
        self.pending.clear();
        self.lines.clear();
        let kind = if error.kind() == Kind::Forge {
            Kind::Forge
        } else {
            Kind::Engine
        };
        self.note(Body::Broken {
            kind: kind.name().to_owned(),
            message: error.to_string(),
            hint: error.hint(),
            exit_code: error.exit_code(),
        });
        if self.commit().is_err()
            && let Some(record) = self.pending.pop()
            && let Some(event) = publish(&record, Some(&self.state.start))
        {
            self.world.publish(event);
        }
    }
}

/// Without its sub-issue no task can begin, so that refusal ends the run. Later ones cost a
/// task, or a line in the summary.
fn forge_failed(intent: Intent, reason: String, remedy: String) -> Result<Body> {
    Ok(match intent {
        Intent::OpenPull { agent } => Body::StepFailed {
            agent,
            failure: Failure::new(
                Stage::Pr,
                match ErrorType::of_step(&reason) {
                    ErrorType::ResourceError => ErrorType::ResourceError,
                    _ => ErrorType::ApiError,
                },
                reason,
            ),
        },
        Intent::FileDiagnostic { agent } => Body::DiagnosticFailed { agent, reason },
        Intent::CloseDiagnostic { agent } => Body::DiagnosticClosed {
            agent,
            numbers: Vec::new(),
            problem: Some(reason),
        },
        Intent::PostComment => Body::CommentFailed { reason },
        _ => {
            return Err(Error::Forge {
                what: "cannot file the sub-issues".to_owned(),
                reason,
                remedy,
            });
        }
    })
}
