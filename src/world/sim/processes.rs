//! Simulated child processes: they fail, hang, flood, claim and leave things behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::supervisor::{
    Captured, Chunk, Exit, Input, Moment, OutputStream, Processes, Signal, SpawnError, UnitId,
    UnitSpec,
};

use super::clock::Clock;

/// How many pieces a flood comes in.
const FLOOD: u64 = 50;

/// What a simulated process is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behavior {
    /// Works, then exits with this code.
    Exits(i32),
    /// Dies of a signal.
    Crashes(i32),
    /// Never ends by itself.
    Hangs,
    /// Never ends by itself, and ignores TERM.
    Stubborn,
    /// Exits well, and leaves a process in its group that ends when asked to.
    Leaks,
    /// Exits well, and leaves a process elsewhere that holds its pipes.
    HoldsPipes,
    /// Cannot be started.
    Missing,
    /// Writes without end, until it exits well.
    Floods,
    /// Says that its provider takes no more work, and exits with 1.
    SentAway(u16),
}

/// Something that is going to happen to a process.
#[derive(Debug)]
pub(super) enum ProcessHappening {
    Report(Input),
    /// The process ends, unless it has ended already.
    End(UnitId, Exit),
    /// What it left in its group ends.
    GroupEnds(UnitId),
}

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and all sixteen occur"
)]
struct Process {
    behavior: Behavior,
    place: Option<PathBuf>,
    alive: bool,
    group: bool,
    pipes: bool,
    /// Its group was sent a signal while it lived.
    signalled: bool,
}

/// The simulated process table. Violations of the rules are collected, not panicked on.
#[derive(Debug)]
pub(super) struct SimProcesses<H> {
    pub(super) clock: Clock<H>,
    table: BTreeMap<UnitId, Process>,
    timers: BTreeMap<UnitId, (u64, u64)>,
    /// What the next process is going to do, by unit; decided by whoever submits it.
    pub(super) destiny: BTreeMap<UnitId, Behavior>,
    pub(super) limit: usize,
    /// How many processes the system allows at once, and how often it has refused one more.
    pub(super) room: Option<usize>,
    pub(super) refusals: u64,
    pub(super) violations: Vec<String>,
}

impl<H: From<ProcessHappening>> SimProcesses<H> {
    pub(super) fn new(clock: Clock<H>, limit: usize) -> Self {
        Self {
            clock,
            table: BTreeMap::new(),
            timers: BTreeMap::new(),
            destiny: BTreeMap::new(),
            limit,
            room: None,
            refusals: 0,
            violations: Vec::new(),
        }
    }

    /// Whether no process is left, in any group.
    pub(super) fn all_gone(&self) -> bool {
        self.table.is_empty()
    }

    fn report(&mut self, delay: u64, input: Input) {
        self.clock
            .after(delay, ProcessHappening::Report(input).into());
    }

    /// Everything ends at once, with the program that started it.
    pub(super) fn die(&mut self) {
        self.table.clear();
        self.timers.clear();
        self.destiny.clear();
        self.clock.forget_all();
    }

    /// Carries out a happening; `Some` is what the supervisor is told.
    pub(super) fn happen(&mut self, happening: ProcessHappening) -> Option<Input> {
        match happening {
            // What a dead process has written is taken when it is reaped, not told.
            ProcessHappening::Report(Input::Output { unit, .. })
                if !self.table.get(&unit).is_some_and(|process| process.alive) =>
            {
                None
            }
            ProcessHappening::Report(input) => Some(input),
            ProcessHappening::End(unit, exit) => self.end(unit, exit),
            ProcessHappening::GroupEnds(unit) => {
                let process = self.table.get_mut(&unit).filter(|process| process.group)?;
                process.group = false;
                if process.pipes {
                    process.pipes = false;
                    self.report(1, Input::Drained { unit });
                }
                Some(Input::GroupEmpty { unit })
            }
        }
    }

    fn end(&mut self, unit: UnitId, exit: Exit) -> Option<Input> {
        let process = self.table.get_mut(&unit).filter(|process| process.alive)?;
        process.alive = false;
        // A signal reaches the whole group at once: then nobody is left behind in it.
        let leaks = process.behavior == Behavior::Leaks && !process.signalled;
        let holds = leaks || process.behavior == Behavior::HoldsPipes;
        process.group = leaks;
        process.pipes = holds;
        if !holds {
            let delay = self.clock.below(300);
            self.report(delay, Input::Drained { unit });
        }
        Some(Input::Exited {
            unit,
            exit,
            alone: !leaks,
        })
    }

    /// The system has no descriptors or memory for another one.
    fn refuse(&mut self, unit: UnitId) {
        self.refusals += 1;
        let delay = self.clock.milliseconds(1, 20);
        let error = SpawnError::Resources { errno: 24 };
        let crowded = !self.table.is_empty();
        self.report(
            delay,
            Input::SpawnFailed {
                unit,
                error,
                crowded,
            },
        );
    }

    fn check_alive(&mut self, unit: UnitId, what: &str) -> bool {
        let known = self.table.contains_key(&unit);
        if !known {
            self.violations
                .push(format!("{what} for {unit}, which is not running"));
        }
        known
    }
}

impl<H: From<ProcessHappening>> Processes for SimProcesses<H> {
    fn now(&self) -> Moment {
        Moment(self.clock.now())
    }

    fn spawn(&mut self, unit: UnitId, spec: Arc<UnitSpec>) {
        if self.room.is_some_and(|room| self.table.len() >= room) {
            self.refuse(unit);
            return;
        }
        let behavior = self.destiny.remove(&unit).unwrap_or(Behavior::Exits(0));
        let delay = self.clock.milliseconds(1, 20);
        if behavior == Behavior::Missing {
            let error = SpawnError::Executable {
                errno: 2,
                executable: "agent".to_owned(),
            };
            self.report(
                delay,
                Input::SpawnFailed {
                    unit,
                    error,
                    crowded: !self.table.is_empty(),
                },
            );
            return;
        }
        let place = spec.working_dir.clone();
        let places: BTreeSet<_> = self
            .table
            .values()
            .filter_map(|process| process.place.clone())
            .collect();
        if place.as_ref().is_some_and(|place| places.contains(place)) {
            self.violations
                .push(format!("two processes at once in {place:?}"));
        }
        self.table.insert(
            unit,
            Process {
                behavior,
                place,
                alive: true,
                group: false,
                pipes: false,
                signalled: false,
            },
        );
        if self.table.len() > self.limit {
            self.violations
                .push(format!("{} processes at once", self.table.len()));
        }
        let pid = 1000 + u32::try_from(unit.0).unwrap_or(u32::MAX - 1000);
        self.report(delay, Input::Spawned { unit, pid });
        let works = delay + self.clock.milliseconds(1, 900_000);
        let exit = match behavior {
            Behavior::Exits(code) => Exit::Code(code),
            Behavior::Crashes(signal) => Exit::Signal(signal),
            Behavior::Leaks | Behavior::HoldsPipes | Behavior::Floods => Exit::Code(0),
            Behavior::SentAway(status) => {
                let line = format!(
                    "{{\"type\":\"result\",\"is_error\":true,\"api_error_status\":{status}}}\n"
                );
                let chunk = Chunk::new(line.into_bytes());
                let stream = OutputStream::Stdout;
                self.report(
                    works - 1,
                    Input::Output {
                        unit,
                        stream,
                        chunk,
                    },
                );
                Exit::Code(1)
            }
            Behavior::Hangs | Behavior::Stubborn | Behavior::Missing => return,
        };
        if behavior == Behavior::Floods {
            for part in 1..=FLOOD {
                let chunk = Chunk::new(b"and on and on\n".repeat(100));
                let stream = OutputStream::Stdout;
                self.report(
                    works * part / FLOOD,
                    Input::Output {
                        unit,
                        stream,
                        chunk,
                    },
                );
            }
        }
        self.clock
            .after(works, ProcessHappening::End(unit, exit).into());
    }

    fn signal(&mut self, unit: UnitId, signal: Signal) {
        if !self.check_alive(unit, "a signal") {
            return;
        }
        let Some(process) = self.table.get_mut(&unit) else {
            return;
        };
        process.signalled |= process.alive;
        let number = match signal {
            Signal::Interrupt => 2,
            Signal::Terminate => 15,
        };
        if process.alive && process.behavior != Behavior::Stubborn {
            let delay = self.clock.milliseconds(0, 300);
            self.clock.after(
                delay,
                ProcessHappening::End(unit, Exit::Signal(number)).into(),
            );
        } else if process.group {
            self.clock
                .after(100, ProcessHappening::GroupEnds(unit).into());
        }
    }

    fn kill(&mut self, unit: UnitId) {
        if !self.check_alive(unit, "a kill") {
            return;
        }
        let Some(process) = self.table.get_mut(&unit) else {
            return;
        };
        process.signalled |= process.alive;
        if process.alive {
            self.clock
                .after(50, ProcessHappening::End(unit, Exit::Signal(9)).into());
        }
        if process.group {
            self.clock
                .after(60, ProcessHappening::GroupEnds(unit).into());
        }
    }

    fn sweep(&mut self, unit: UnitId) {
        if let Some(process) = self.table.get_mut(&unit)
            && process.pipes
            && !process.group
        {
            process.pipes = false;
            self.report(100, Input::Drained { unit });
        }
        let delay = self.clock.milliseconds(1, 30);
        self.report(delay, Input::Swept { unit });
    }

    fn reap(&mut self, unit: UnitId) -> Captured {
        match self.table.remove(&unit) {
            None => self.violations.push(format!("{unit} reaped twice")),
            Some(process) if process.alive || process.group => {
                self.violations
                    .push(format!("{unit} reaped while its group lives"));
            }
            Some(_) => {}
        }
        Captured::default()
    }

    fn start_timer(&mut self, unit: UnitId, at: Moment) {
        self.stop_timer(unit);
        let delay = at.0.saturating_sub(self.clock.now());
        let key = self.clock.after(
            delay,
            ProcessHappening::Report(Input::Timer { unit }).into(),
        );
        self.timers.insert(unit, key);
    }

    fn stop_timer(&mut self, unit: UnitId) {
        if let Some(key) = self.timers.remove(&unit) {
            self.clock.forget(key);
        }
    }
}
