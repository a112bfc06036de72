//! The machine at work: [`Driver`] carries out the machine's effects through [`Processes`].
//!
//! It is synchronous, knows no clock and no process of its own, and is the same over real
//! children and over a simulation with virtual time. Whoever owns it pumps: every fact that the
//! processes report goes into [`Driver::handle`], every event that comes out goes to the program.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::event::{
    CancelReason, Chunk, Effect, Event, Exit, Input, Moment, Outcome, OutputStream, Signal,
    Snapshot, Times, UnitId,
};
use super::machine::Machine;
use super::output::Captured;
use super::spec::UnitSpec;

/// The impure side of the supervisor: a clock, timers and child processes.
///
/// Nothing here answers at once, apart from [`Processes::now`] and [`Processes::reap`]: what
/// happens is reported later as an [`Input`], which the owner of the driver hands to
/// [`Driver::handle`]. No method may call back into the driver.
pub trait Processes {
    /// The current moment. It never goes back.
    fn now(&self) -> Moment;

    /// Starts a child in a session of its own, maybe for the second time after there was no room
    /// for it. Reports [`Input::Spawned`] or
    /// [`Input::SpawnFailed`]; after the former [`Input::Output`] where the unit is mirrored,
    /// [`Input::Exited`], [`Input::Drained`] and [`Input::GroupEmpty`].
    fn spawn(&mut self, unit: UnitId, spec: Arc<UnitSpec>);

    /// Sends a signal to the child's whole group, as far as it still lives.
    fn signal(&mut self, unit: UnitId, signal: Signal);

    /// Sends KILL to the child's whole group, as far as it still lives.
    fn kill(&mut self, unit: UnitId);

    /// Kills everything that carries the unit's mark until nothing is left; reports
    /// [`Input::Swept`].
    fn sweep(&mut self, unit: UnitId);

    /// Releases the child and hands over what it wrote. Called once for each unit that was
    /// reported as spawned; nothing is reported about the unit afterwards.
    fn reap(&mut self, unit: UnitId) -> Captured;

    /// Starts the unit's one timer, replacing an earlier one; reports [`Input::Timer`] at `at`
    /// or a little later.
    fn start_timer(&mut self, unit: UnitId, at: Moment);

    /// Stops the unit's timer. A report that is under way does no harm.
    fn stop_timer(&mut self, unit: UnitId);
}

/// What the program learns about its units.
#[derive(Debug, Clone)]
pub enum UnitEvent {
    /// The unit's process runs.
    Started {
        /// The unit.
        unit: UnitId,
        /// Its process id.
        pid: u32,
        /// Its process group, which it leads, as it leads a session of the same number.
        pgid: u32,
    },
    /// The unit wrote something; only where [`super::spec::Capture::mirror`] is set.
    Output {
        /// The unit.
        unit: UnitId,
        /// Where it wrote to.
        stream: OutputStream,
        /// Complete lines, but for the last piece of a stream.
        chunk: Chunk,
    },
    /// The unit is over. Each unit has exactly one such event, and none after it.
    Finished(Finished),
    /// The answer to [`Input::Query`].
    Snapshot(Snapshot),
}

/// How a unit ended, and what it wrote.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The unit.
    pub unit: UnitId,
    /// How it ended.
    pub outcome: Outcome,
    /// When, and how its process ended.
    pub times: Times,
    /// What it wrote, also where it failed or was ended by force.
    pub captured: Captured,
}

impl Finished {
    /// How long the process ran; zero where it never did.
    pub fn duration(&self) -> Duration {
        self.times
            .started
            .map_or(Duration::ZERO, |started| self.times.finished.since(started))
    }

    /// How long the unit waited for its slot.
    pub fn queued(&self) -> Duration {
        self.times
            .started
            .unwrap_or(self.times.finished)
            .since(self.times.submitted)
    }

    /// The exit code as the drop-in reports it: `-N` for death by signal N, and -1 for a unit
    /// that timed out, was cancelled or never started (COMPATIBILITY 2).
    pub const fn exit_code(&self) -> i32 {
        match self.outcome {
            Outcome::Success => 0,
            Outcome::Failed(code) => code,
            Outcome::Signalled(signal) => -signal,
            Outcome::Leaked(exit) => Exit::code(exit),
            Outcome::TimedOut | Outcome::SpawnError(_) | Outcome::Cancelled(_) => -1,
        }
    }
}

/// A machine together with what it needs to carry out its effects.
#[derive(Debug)]
pub struct Driver {
    machine: Machine,
    /// What the units are made of that do not run yet.
    specs: BTreeMap<UnitId, Arc<UnitSpec>>,
    /// What reaped units wrote, until their `Finish` follows.
    captured: BTreeMap<UnitId, Captured>,
    /// Used again by every step.
    effects: Vec<Effect>,
}

impl Driver {
    /// A driver that runs at most `max_workers` units at a time; `None` for any number.
    pub const fn new(max_workers: Option<NonZeroUsize>) -> Self {
        Self {
            machine: Machine::new(max_workers),
            specs: BTreeMap::new(),
            captured: BTreeMap::new(),
            effects: Vec::new(),
        }
    }

    /// The decisions so far, to look at.
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Hands in a unit under a number that was never used before in this driver.
    pub fn submit(
        &mut self,
        processes: &mut impl Processes,
        unit: UnitId,
        spec: UnitSpec,
    ) -> Vec<UnitEvent> {
        let limits = spec.limits;
        self.specs.insert(unit, Arc::new(spec));
        self.handle(processes, Input::Submit { unit, limits })
    }

    /// Cancels one unit, or all of them for good.
    pub fn cancel(
        &mut self,
        processes: &mut impl Processes,
        unit: Option<UnitId>,
        reason: CancelReason,
    ) -> Vec<UnitEvent> {
        self.handle(processes, Input::Cancel { unit, reason })
    }

    /// Takes in one fact or wish, carries out what follows from it, and returns what the program
    /// should learn, in order.
    pub fn handle(&mut self, processes: &mut impl Processes, input: Input) -> Vec<UnitEvent> {
        let mut effects = std::mem::take(&mut self.effects);
        self.machine.step_into(processes.now(), input, &mut effects);
        let mut events = Vec::new();
        for effect in effects.drain(..) {
            events.extend(self.carry_out(processes, effect));
        }
        self.effects = effects;
        events
    }

    fn carry_out(&mut self, processes: &mut impl Processes, effect: Effect) -> Option<UnitEvent> {
        match effect {
            Effect::Spawn { unit } => {
                if let Some(spec) = self.specs.get(&unit) {
                    processes.spawn(unit, Arc::clone(spec));
                }
            }
            Effect::Signal { unit, signal } => processes.signal(unit, signal),
            Effect::Kill { unit } => processes.kill(unit),
            Effect::Sweep { unit } => processes.sweep(unit),
            Effect::StartTimer { unit, at } => processes.start_timer(unit, at),
            Effect::StopTimer { unit } => processes.stop_timer(unit),
            Effect::Reap { unit } => {
                let captured = processes.reap(unit);
                self.captured.insert(unit, captured);
            }
            Effect::Emit(event) => {
                if let Event::Started { unit, .. } = event {
                    self.specs.remove(&unit);
                }
                return Some(publish(event));
            }
            Effect::Finish {
                unit,
                outcome,
                times,
            } => {
                self.specs.remove(&unit);
                let captured = self.captured.remove(&unit).unwrap_or_default();
                return Some(UnitEvent::Finished(Finished {
                    unit,
                    outcome,
                    times,
                    captured,
                }));
            }
        }
        None
    }
}

fn publish(event: Event) -> UnitEvent {
    match event {
        Event::Started { unit, pid } => UnitEvent::Started {
            unit,
            pid,
            pgid: pid,
        },
        Event::Output {
            unit,
            stream,
            chunk,
        } => UnitEvent::Output {
            unit,
            stream,
            chunk,
        },
        Event::Snapshot(snapshot) => UnitEvent::Snapshot(snapshot),
    }
}
