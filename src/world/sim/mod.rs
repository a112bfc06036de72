//! A world in which one seed decides everything: virtual time, and agents, git, a forge and a
//! disk that misbehave.
//!
//! The whole run machine, its driver and the supervisor's machine and driver run here unchanged.
//! Rules are checked as things happen and at the end; a broken rule names the seed, and the seed
//! replays it: `SIMULATION_SEED=42 cargo test --lib simulation`.

mod clock;
mod operations;
mod processes;
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::forge::MarkerKind;
use crate::run::event::Event;
use crate::run::facts::Filed;
use crate::supervisor::{CancelReason, Driver, UnitId, UnitSpec};

use self::clock::Clock;
use self::processes::{Behavior, ProcessHappening, SimProcesses};
use super::{Completion, Fact, Log, Operation, World};

/// No run may take longer, in microseconds: a week.
const LONGEST: u64 = 7 * 86_400 * 1_000_000;

/// In the unit of [`SimWorld::after`].
const HOUR: u64 = 3_600_000;

/// How hostile a world is. Every misfortune strikes once in so many times; 0 is never.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hostility {
    /// A process does something else than to end well.
    pub(crate) process: u64,
    /// An agent that ends well has done nothing.
    pub(crate) idle: u64,
    /// A git operation fails.
    pub(crate) git: u64,
    /// The forge refuses.
    pub(crate) forge: u64,
    /// The forge does what it is asked twice, or late, or its answer is lost.
    pub(crate) answer: u64,
    /// The disk is full from some record on.
    pub(crate) disk: u64,
    /// Somebody presses Ctrl-C.
    pub(crate) interrupt: u64,
    /// The program is killed, between any two steps of it.
    pub(crate) crash: u64,
    /// The model's provider sends an agent away.
    pub(crate) limit: u64,
    /// The system has room for few processes at once.
    pub(crate) room: u64,
}

impl Hostility {
    /// A world in which everything succeeds.
    pub(crate) const KIND: Self = Self {
        process: 0,
        idle: 0,
        git: 0,
        forge: 0,
        answer: 0,
        disk: 0,
        interrupt: 0,
        crash: 0,
        limit: 0,
        room: 0,
    };
}

/// What unwinds through the run when its program is killed. Nothing of the run is executed on
/// the way that would reach the world.
#[derive(Debug)]
pub(crate) struct Crash;

/// Everything that can happen.
#[derive(Debug)]
enum Happening {
    Process(ProcessHappening),
    Completed(Completion),
    Claim(u32),
    Beat,
    /// The alarm of that number, which only counts while it is the last one.
    Alarm(u64),
    Interrupt(CancelReason),
}

impl From<ProcessHappening> for Happening {
    fn from(happening: ProcessHappening) -> Self {
        Self::Process(happening)
    }
}

/// What the world knows to be true of a task, whatever anybody claims.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// Commits that its agent made.
    pub(crate) commits: u64,
    /// The verify command ran and passed.
    pub(crate) verified: Option<bool>,
    /// Agents started.
    pub(crate) starts: u32,
}

/// The simulated world.
#[derive(Debug)]
pub(crate) struct SimWorld {
    processes: SimProcesses<Happening>,
    supervisor: Driver,
    hostility: Hostility,
    /// There is a verify command.
    pub(crate) verifies: bool,
    interval: u64,
    /// The journal as it is on disk, and how much of it is certain to survive.
    pub(crate) journal: String,
    pub(crate) synced: usize,
    disk_fails_at: Option<usize>,
    pub(crate) files: BTreeMap<PathBuf, String>,
    pub(crate) events: Vec<Event>,
    pub(crate) truth: BTreeMap<u32, Truth>,
    /// Objects by marker: master, task, kind.
    pub(crate) forge: BTreeMap<(Option<String>, MarkerKind), Filed>,
    /// How often it did something, and nobody was told.
    pub(crate) lost_answers: u32,
    watched: BTreeMap<u32, PathBuf>,
    /// Bytes in the agents' logs.
    pub(crate) logged: BTreeMap<u32, usize>,
    cancelled: bool,
    /// Steps until the program is killed.
    crash_in: Option<u64>,
    /// How often the machine was switched on again.
    pub(crate) reboots: u32,
    alarms: u64,
    units: u64,
    /// What the supervisor said at once.
    pending: Vec<Fact>,
}

impl SimWorld {
    pub(crate) fn new(seed: u64, hostility: Hostility, limit: usize) -> Self {
        let mut clock = Clock::new(seed);
        let strikes = |clock: &mut Clock<Happening>, n: u64| n > 0 && clock.once_in(n);
        let disk_fails_at = strikes(&mut clock, hostility.disk)
            .then(|| usize::try_from(clock.below(40_000)).unwrap_or_default());
        if strikes(&mut clock, hostility.interrupt) {
            let delay = clock.milliseconds(0, 2_000_000);
            clock.after(delay, Happening::Interrupt(CancelReason::Interrupted));
            if clock.once_in(2) {
                let later = delay + clock.milliseconds(0, 3_000);
                clock.after(later, Happening::Interrupt(CancelReason::SecondSignal));
            }
        }
        let interval = 30_000_000;
        clock.after(interval, Happening::Beat);
        let mut world = Self {
            processes: SimProcesses::new(clock, limit),
            supervisor: Driver::new(None),
            hostility,
            verifies: false,
            interval,
            journal: String::new(),
            synced: 0,
            disk_fails_at,
            files: BTreeMap::new(),
            events: Vec::new(),
            truth: BTreeMap::new(),
            forge: BTreeMap::new(),
            lost_answers: 0,
            watched: BTreeMap::new(),
            logged: BTreeMap::new(),
            cancelled: false,
            crash_in: None,
            reboots: 0,
            alarms: 0,
            units: 0,
            pending: Vec::new(),
        };
        world.furnish();
        world.plan_crash();
        world
    }

    /// How many processes there is room for.
    fn furnish(&mut self) {
        let strikes = self.strikes(self.hostility.room);
        self.processes.room =
            strikes.then(|| 1 + usize::try_from(self.processes.clock.below(3)).unwrap_or_default());
    }

    /// How often the system had no room for a process.
    pub(crate) const fn refusals(&self) -> u64 {
        self.processes.refusals
    }

    /// Switches the machine on again, in a world that is as hostile as this; whatever ran is gone,
    /// and of the journal's unsynced end some of it.
    pub(crate) fn reboot(&mut self, hostility: Hostility) {
        self.reboots += 1;
        self.processes.die();
        self.supervisor = Driver::new(None);
        self.pending.clear();
        self.watched.clear();
        self.events.clear();
        self.cancelled = false;
        self.alarms = 0;
        self.hostility = hostility;
        self.disk_fails_at = None;
        self.processes.clock.after(self.interval, Happening::Beat);
        self.furnish();
        self.plan_crash();
    }

    fn plan_crash(&mut self) {
        let strikes = self.strikes(self.hostility.crash);
        self.crash_in = strikes.then(|| self.processes.clock.below(400));
    }

    /// One step of the program, before which it may be killed.
    fn step(&mut self) {
        match &mut self.crash_in {
            Some(0) => self.crash(),
            Some(steps) => *steps -= 1,
            None => {}
        }
    }

    fn crash(&mut self) {
        self.crash_in = None;
        let unsynced = (self.journal.len() - self.synced) as u64;
        let kept = usize::try_from(self.processes.clock.below(unsynced + 1)).unwrap_or_default();
        self.journal
            .truncate(self.journal.floor_char_boundary(self.synced + kept));
        std::panic::resume_unwind(Box::new(Crash));
    }

    /// The end of the journal, for a run that does not end.
    fn last_words(&self) -> String {
        let lines: Vec<_> = self.journal.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// The rules of the world that were broken, those of the end included.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut violations = self.processes.violations.clone();
        if !self.processes.all_gone() {
            violations.push("a process outlived the orchestration".to_owned());
        }
        violations
    }

    /// Whether the disk was made to fail in this world.
    pub(crate) const fn disk_fails(&self) -> bool {
        self.disk_fails_at.is_some()
    }

    fn strikes(&mut self, n: u64) -> bool {
        n > 0 && self.processes.clock.once_in(n)
    }

    fn destiny(&mut self, streams: bool) -> Behavior {
        if streams && self.strikes(self.hostility.limit) {
            return Behavior::SentAway(*self.processes.clock.pick(&[429, 529]));
        }
        if !self.strikes(self.hostility.process) {
            return Behavior::Exits(0);
        }
        *self.processes.clock.pick(&[
            Behavior::Exits(1),
            Behavior::Exits(137),
            Behavior::Crashes(11),
            Behavior::Hangs,
            Behavior::Stubborn,
            Behavior::Leaks,
            Behavior::HoldsPipes,
            Behavior::Missing,
            Behavior::Floods,
        ])
    }

    /// The agent whose worktree a unit runs in, and whether it is a shell command.
    fn subject(spec: &UnitSpec) -> Option<(u32, bool)> {
        let place = spec.working_dir.as_ref()?.file_name()?.to_str()?;
        let agent = place.rsplit('-').next()?.parse().ok()?;
        Some((agent, spec.program == "sh"))
    }

    fn after(&mut self, from: u64, to: u64, happening: Happening) {
        let delay = self.processes.clock.milliseconds(from, to);
        self.processes.clock.after(delay, happening);
    }

    fn facts(&mut self, happening: Happening) -> Vec<Fact> {
        match happening {
            Happening::Process(happening) => {
                let Some(input) = self.processes.happen(happening) else {
                    return Vec::new();
                };
                let events = self.supervisor.handle(&mut self.processes, input);
                events.into_iter().map(Fact::Unit).collect()
            }
            Happening::Completed(completion) => vec![Fact::Completed(completion)],
            Happening::Claim(agent) => {
                if !self.watched.contains_key(&agent) {
                    return Vec::new();
                }
                self.after(1_000, 120_000, Happening::Claim(agent));
                if self.processes.clock.once_in(5) {
                    return vec![Fact::BadClaim {
                        agent,
                        reason: "not JSON".to_owned(),
                    }];
                }
                let percent = u8::try_from(self.processes.clock.below(101)).ok();
                vec![Fact::Claim {
                    agent,
                    stage: Some("Implementing feature".to_owned()),
                    percent,
                }]
            }
            Happening::Beat => {
                self.processes.clock.after(self.interval, Happening::Beat);
                vec![Fact::Beat]
            }
            Happening::Alarm(number) if number == self.alarms => vec![Fact::Woke],
            Happening::Alarm(_) => Vec::new(),
            Happening::Interrupt(reason) => vec![Fact::Cancel {
                exit_code: 130,
                reason,
            }],
        }
    }
}

impl World for SimWorld {
    fn now(&self) -> u64 {
        self.processes.clock.now()
    }

    fn wall(&self) -> i64 {
        1_764_590_400_000 + i64::try_from(self.now() / 1000).unwrap_or(i64::MAX)
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (
            self.processes.clock.below(1 << 48),
            self.processes.clock.below(1 << 48),
        );
        format!("00000000-0000-4000-8000-{:012x}", high ^ low)
    }

    fn submit(&mut self, spec: UnitSpec) -> UnitId {
        let unit = UnitId(self.units);
        self.units += 1;
        if self.cancelled {
            self.processes
                .violations
                .push(format!("{unit} submitted after the cancel"));
        }
        self.step();
        let destiny = self.destiny(spec.program == "claude");
        if let Some((agent, shell)) = Self::subject(&spec) {
            let well = matches!(
                destiny,
                Behavior::Exits(0) | Behavior::Leaks | Behavior::HoldsPipes | Behavior::Floods
            );
            let idle = self.strikes(self.hostility.idle);
            let truth = self.truth.entry(agent).or_default();
            if shell {
                truth.verified = Some(well);
            } else {
                truth.starts += 1;
                if !idle {
                    truth.commits += 1;
                }
                truth.verified = None;
            }
        } else {
            self.processes
                .violations
                .push(format!("{unit} runs in no worktree"));
        }
        self.processes.destiny.insert(unit, destiny);
        let events = self.supervisor.submit(&mut self.processes, unit, spec);
        self.pending.extend(events.into_iter().map(Fact::Unit));
        unit
    }

    fn end_unit(&mut self, unit: UnitId, reason: CancelReason) {
        let events = self
            .supervisor
            .cancel(&mut self.processes, Some(unit), reason);
        self.pending.extend(events.into_iter().map(Fact::Unit));
    }

    fn wake_at(&mut self, at: Option<u64>) {
        self.alarms += 1;
        if let Some(at) = at {
            let delay = at.saturating_sub(self.now());
            self.processes
                .clock
                .after(delay, Happening::Alarm(self.alarms));
        }
    }

    fn cancel_units(&mut self, reason: CancelReason) {
        self.cancelled = true;
        let events = self.supervisor.cancel(&mut self.processes, None, reason);
        self.pending.extend(events.into_iter().map(Fact::Unit));
    }

    fn begin(&mut self, operation: Operation) {
        self.step();
        let asks_forge = matches!(operation, Operation::Forge { .. });
        let completion = self.carry_out(operation);
        // A limit of the forge is waited for.
        let is_late = asks_forge && self.strikes(self.hostility.answer);
        let longest = if is_late { HOUR } else { 5_000 };
        self.after(1, longest, Happening::Completed(completion));
        // It was done, and nobody knows.
        self.step();
    }

    fn append(&mut self, lines: &str, sync: bool) -> Result<()> {
        self.step();
        if self
            .disk_fails_at
            .is_some_and(|limit| self.journal.len() + lines.len() > limit)
        {
            return Err(Error::File {
                action: "write",
                path: PathBuf::from("journal.jsonl"),
                reason: "No space left on device".to_owned(),
            });
        }
        self.journal.push_str(lines);
        self.step();
        if sync {
            self.synced = self.journal.len();
        }
        self.step();
        Ok(())
    }

    fn replace(&mut self, path: &Path, text: &str) -> Result<()> {
        self.step();
        self.files.insert(path.to_owned(), text.to_owned());
        Ok(())
    }

    fn log(&mut self, log: Log, text: &[u8]) {
        if let Log::Agent(agent) = log {
            *self.logged.entry(agent).or_default() += text.len();
        }
    }

    fn log_tail(&mut self, _agent: u32) -> String {
        "error: something went wrong\n".to_owned()
    }

    fn is_there(&mut self, _folder: &Path) -> bool {
        !self.strikes(self.hostility.git)
    }

    fn watch(&mut self, agent: u32, worktree: Option<&Path>) {
        match worktree {
            Some(path) => {
                self.watched.insert(agent, path.to_owned());
                self.after(1_000, 60_000, Happening::Claim(agent));
            }
            None => {
                self.watched.remove(&agent);
            }
        }
    }

    fn publish(&mut self, event: Event) {
        self.events.push(event);
    }

    fn next(&mut self) -> Vec<Fact> {
        self.step();
        if !self.pending.is_empty() {
            return std::mem::take(&mut self.pending);
        }
        loop {
            let Some(happening) = self.processes.clock.advance() else {
                // The heartbeat never stops, so an empty queue cannot be.
                return vec![Fact::Beat];
            };
            assert!(
                self.now() < LONGEST,
                "it does not end:\n{}",
                self.last_words()
            );
            let facts = self.facts(happening);
            if !facts.is_empty() {
                return facts;
            }
        }
    }
}
