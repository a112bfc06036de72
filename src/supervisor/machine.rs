//! The decisions of the supervisor: facts in, effects out.
//!
//! One [`Machine`] knows a queue of units, how many may run at once, and for each unit the state
//! it is in. It is pure and deterministic: the same inputs at the same moments give the same
//! effects. It keeps units in an ordered map and iterates over no hash map.
//!
//! A unit ends when its process is dead, its group is empty, and either its pipes are at their
//! end (it exited by itself) or everything that carries its mark is gone (it was ended by force).
//! Each wait has a limit, so that every unit ends.
//!
//! Where the system has no more descriptors, processes or memory for a child while others live,
//! the unit goes back to its place in the queue, and the pool runs no more at once than it did
//! then (its *room*). An end makes room for one; so does a little time, since what is lacking may
//! be held by others. Each start that works makes room for another one, so that a shortage that is
//! over leaves no trace.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::event::{
    CancelReason, Effect, Event, Exit, Input, Limits, Moment, Outcome, Signal, Snapshot,
    SpawnError, UnitId,
};
use super::policy;
use super::state::{Cause, State, Unit};

/// The state of a pool of units.
#[derive(Debug)]
pub struct Machine {
    max_workers: Option<NonZeroUsize>,
    units: BTreeMap<UnitId, Unit>,
    /// Those that wait, in order of submission.
    queue: BTreeMap<u64, UnitId>,
    /// How many were submitted.
    turns: u64,
    /// Units that hold a slot.
    active: usize,
    /// How many may hold one for want of resources.
    room: Option<usize>,
    finished: usize,
    paused: bool,
    cancelled: Option<CancelReason>,
}

impl Machine {
    /// A machine that runs at most `max_workers` units at a time; `None` for any number.
    pub const fn new(max_workers: Option<NonZeroUsize>) -> Self {
        Self {
            max_workers,
            units: BTreeMap::new(),
            queue: BTreeMap::new(),
            turns: 0,
            active: 0,
            room: None,
            finished: 0,
            paused: false,
            cancelled: None,
        }
    }

    /// The state of a unit; `None` once it is over (and before it was submitted).
    pub fn state(&self, unit: UnitId) -> Option<State> {
        self.units.get(&unit).map(|unit| unit.state)
    }

    /// How many units are in which phase.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            queued: self.units.len() - self.active,
            active: self.active,
            finished: self.finished,
            paused: self.paused,
            cancelled: self.cancelled,
        }
    }

    /// Whether every unit that was submitted is over.
    pub fn is_idle(&self) -> bool {
        self.units.is_empty()
    }

    /// Takes one input and returns what is to be done, in order.
    ///
    /// Inputs about units that are over, or that do not fit the unit's state, change nothing: the
    /// shell may be late, and facts may cross effects.
    pub fn step(&mut self, now: Moment, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.step_into(now, input, &mut effects);
        effects
    }

    /// As [`Machine::step`], appending to a list that the caller uses again.
    pub fn step_into(&mut self, now: Moment, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Submit { unit, limits } => self.submit(now, unit, limits, effects),
            Input::Spawned { unit, pid } => self.spawned(now, unit, pid, effects),
            Input::SpawnFailed {
                unit,
                error,
                crowded,
            } => self.spawn_failed(now, unit, error, crowded, effects),
            Input::Output {
                unit,
                stream,
                chunk,
            } => {
                if self
                    .units
                    .get(&unit)
                    .is_some_and(|unit| unit.started.is_some())
                {
                    effects.push(Effect::Emit(Event::Output {
                        unit,
                        stream,
                        chunk,
                    }));
                }
            }
            Input::Exited { unit, exit, alone } => self.exited(now, unit, exit, alone, effects),
            Input::Drained { unit } => {
                self.note(now, unit, effects, |unit| unit.drained = true);
            }
            Input::GroupEmpty { unit } => {
                self.note(now, unit, effects, |unit| {
                    unit.group_empty = unit.exit.is_some();
                });
            }
            Input::Swept { unit } => {
                self.note(now, unit, effects, |unit| {
                    unit.swept = matches!(unit.state, State::Killing { .. });
                });
            }
            Input::Timer { unit } => self.timer(now, unit, effects),
            Input::Pause => self.paused = true,
            Input::Resume => {
                self.paused = false;
                self.fill(effects);
            }
            Input::Cancel {
                unit: Some(unit),
                reason,
            } => self.cancel(now, unit, reason, effects),
            Input::Cancel { unit: None, reason } => self.cancel_all(now, reason, effects),
            Input::Query => effects.push(Effect::Emit(Event::Snapshot(self.snapshot()))),
        }
    }

    fn submit(&mut self, now: Moment, id: UnitId, limits: Limits, effects: &mut Vec<Effect>) {
        if self.units.contains_key(&id) {
            return;
        }
        self.turns += 1;
        let turn = self.turns;
        let unit = Unit::new(limits, turn, now);
        if let Some(reason) = self.cancelled {
            let times = unit.times(now);
            self.finished += 1;
            effects.push(Effect::Finish {
                unit: id,
                outcome: Outcome::Cancelled(reason),
                times,
            });
            return;
        }
        self.units.insert(id, unit);
        self.queue.insert(turn, id);
        self.fill(effects);
    }

    /// Starts waiting units while there are slots.
    fn fill(&mut self, effects: &mut Vec<Effect>) {
        if self.paused || self.cancelled.is_some() {
            return;
        }
        let max = self.max_workers.map_or(usize::MAX, NonZeroUsize::get);
        while self.active < self.room.unwrap_or(max).min(max) {
            let Some((_, id)) = self.queue.pop_first() else {
                return;
            };
            if let Some(unit) = self.units.get_mut(&id) {
                unit.state = State::Starting { cancelled: None };
                if unit.deadline.take().is_some() {
                    effects.push(Effect::StopTimer { unit: id });
                }
                self.active += 1;
                effects.push(Effect::Spawn { unit: id });
            }
        }
    }

    fn spawned(&mut self, now: Moment, id: UnitId, pid: u32, effects: &mut Vec<Effect>) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        let State::Starting { cancelled } = unit.state else {
            return;
        };
        unit.started = Some(now);
        unit.state = State::Running;
        effects.push(Effect::Emit(Event::Started { unit: id, pid }));
        if let Some(reason) = cancelled {
            end(now, id, unit, Cause::Cancelled(reason), effects);
        } else if let Some(timeout) = policy::timeout(&unit.limits) {
            start_timer(now, id, unit, timeout, effects);
        }
        if self.room.is_some() {
            self.make_room(effects);
        }
    }

    fn spawn_failed(
        &mut self,
        now: Moment,
        id: UnitId,
        error: SpawnError,
        crowded: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        let State::Starting { cancelled } = unit.state else {
            return;
        };
        if !(crowded && error.is_shortage()) {
            self.finish(now, id, Outcome::SpawnError(error), effects);
        } else if let Some(reason) = cancelled {
            self.finish(now, id, Outcome::Cancelled(reason), effects);
        } else {
            unit.state = State::Queued;
            self.queue.insert(unit.turn, id);
            // The first speaks for all that wait behind it.
            if self.queue.first_key_value() == Some((&unit.turn, &id)) {
                start_timer(now, id, unit, policy::SHORTAGE_RETRY, effects);
            }
            self.active -= 1;
            self.room = Some(self.active);
        }
    }

    /// Tries one more than there was room for, or forgets the shortage where nobody waits.
    fn make_room(&mut self, effects: &mut Vec<Effect>) {
        self.room = (!self.queue.is_empty()).then_some(self.active + 1);
        self.fill(effects);
    }

    fn exited(
        &mut self,
        now: Moment,
        id: UnitId,
        exit: Exit,
        alone: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        if unit.exit.is_some() || unit.started.is_none() {
            return;
        }
        unit.exit = Some(exit);
        unit.group_empty = alone;
        if unit.state == State::Running {
            unit.state = State::Leaking;
            if !alone {
                effects.push(Effect::Signal {
                    unit: id,
                    signal: Signal::Terminate,
                });
            }
            if !(alone && unit.drained) {
                start_timer(now, id, unit, unit.limits.leak_window, effects);
            }
        }
        self.settle(now, id, effects);
    }

    /// Notes a fact and looks whether the unit is over by it.
    fn note(
        &mut self,
        now: Moment,
        id: UnitId,
        effects: &mut Vec<Effect>,
        fact: impl FnOnce(&mut Unit),
    ) {
        if let Some(unit) = self.units.get_mut(&id) {
            fact(unit);
            self.settle(now, id, effects);
        }
    }

    /// Moves an ending unit on as far as the facts allow.
    fn settle(&mut self, now: Moment, id: UnitId, effects: &mut Vec<Effect>) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        let Some(exit) = unit.exit.filter(|_| unit.group_empty) else {
            return;
        };
        let outcome = match unit.state {
            State::Leaking if unit.drained => policy::natural_outcome(exit),
            // The group went in time. What left the group has had the same time.
            State::Terminating { cause } => {
                sweep(now, id, unit, cause, effects);
                return;
            }
            State::Killing {
                cause: Cause::Leaked,
            } => unit.forced_outcome(Cause::Leaked),
            State::Killing { cause } if unit.swept => unit.forced_outcome(cause),
            _ => return,
        };
        self.finish(now, id, outcome, effects);
    }

    fn timer(&mut self, now: Moment, id: UnitId, effects: &mut Vec<Effect>) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        let Some(deadline) = unit.deadline else {
            return;
        };
        if now < deadline {
            // It belongs to an earlier deadline. The shell has forgotten it: ask again.
            effects.push(Effect::StartTimer {
                unit: id,
                at: deadline,
            });
            return;
        }
        unit.deadline = None;
        match unit.state {
            State::Running => end(now, id, unit, Cause::TimedOut, effects),
            State::Terminating { cause } => kill(now, id, unit, cause, effects),
            State::Leaking if unit.group_empty => {
                let outcome = unit.forced_outcome(Cause::Leaked);
                self.finish(now, id, outcome, effects);
            }
            State::Leaking => kill(now, id, unit, Cause::Leaked, effects),
            State::Killing { cause } => {
                let outcome = unit.forced_outcome(cause);
                self.finish(now, id, outcome, effects);
            }
            State::Queued => self.make_room(effects),
            State::Starting { .. } => {}
        }
    }

    fn cancel_all(&mut self, now: Moment, reason: CancelReason, effects: &mut Vec<Effect>) {
        let reason = self.cancelled.map_or(reason, |earlier| earlier.max(reason));
        self.cancelled = Some(reason);
        let ids: Vec<UnitId> = self.units.keys().copied().collect();
        for id in ids {
            self.cancel(now, id, reason, effects);
        }
    }

    fn cancel(&mut self, now: Moment, id: UnitId, reason: CancelReason, effects: &mut Vec<Effect>) {
        let Some(unit) = self.units.get_mut(&id) else {
            return;
        };
        let hasty = reason >= CancelReason::SecondSignal;
        match &mut unit.state {
            State::Queued => self.finish(now, id, Outcome::Cancelled(reason), effects),
            State::Starting { cancelled } => *cancelled = (*cancelled).max(Some(reason)),
            State::Running => end(now, id, unit, Cause::Cancelled(reason), effects),
            State::Terminating { cause } => {
                *cause = policy::escalate(*cause, reason);
                let cause = *cause;
                if hasty {
                    kill(now, id, unit, cause, effects);
                } else if let Some(grace) = policy::grace(&unit.limits, Cause::Cancelled(reason)) {
                    // More haste shortens the grace that is left, and never lengthens it.
                    if unit.deadline.is_some_and(|deadline| now + grace < deadline) {
                        start_timer(now, id, unit, grace, effects);
                    }
                }
            }
            State::Killing { cause } => *cause = policy::escalate(*cause, reason),
            State::Leaking if hasty && !unit.group_empty => {
                kill(now, id, unit, Cause::Leaked, effects);
            }
            State::Leaking if hasty => {
                let outcome = unit.forced_outcome(Cause::Leaked);
                self.finish(now, id, outcome, effects);
            }
            State::Leaking => {}
        }
    }

    /// Ends a unit, frees its slot and starts the next one.
    fn finish(&mut self, now: Moment, id: UnitId, outcome: Outcome, effects: &mut Vec<Effect>) {
        let Some(unit) = self.units.remove(&id) else {
            return;
        };
        self.finished += 1;
        if unit.deadline.is_some() {
            effects.push(Effect::StopTimer { unit: id });
        }
        if unit.started.is_some() {
            effects.push(Effect::Reap { unit: id });
        }
        effects.push(Effect::Finish {
            unit: id,
            outcome,
            times: unit.times(now),
        });
        if unit.state != State::Queued {
            self.active -= 1;
            self.fill(effects);
            return;
        }
        self.queue.remove(&unit.turn);
        if self.room.is_some() {
            // It may have spoken for others.
            self.make_room(effects);
        }
    }
}

/// Begins to end a running unit by force.
fn end(now: Moment, id: UnitId, unit: &mut Unit, cause: Cause, effects: &mut Vec<Effect>) {
    match policy::grace(&unit.limits, cause) {
        Some(grace) => {
            unit.state = State::Terminating { cause };
            effects.push(Effect::Signal {
                unit: id,
                signal: Signal::Terminate,
            });
            start_timer(now, id, unit, grace, effects);
        }
        None => kill(now, id, unit, cause, effects),
    }
}

/// KILL to the group, and to whatever left the group where the unit is ended by force.
fn kill(now: Moment, id: UnitId, unit: &mut Unit, cause: Cause, effects: &mut Vec<Effect>) {
    effects.push(Effect::Kill { unit: id });
    sweep(now, id, unit, cause, effects);
}

/// Waits, for a while, until everything that belongs to the unit is gone.
fn sweep(now: Moment, id: UnitId, unit: &mut Unit, cause: Cause, effects: &mut Vec<Effect>) {
    unit.state = State::Killing { cause };
    if cause != Cause::Leaked {
        effects.push(Effect::Sweep { unit: id });
    }
    start_timer(now, id, unit, policy::kill_window(cause), effects);
}

fn start_timer(
    now: Moment,
    id: UnitId,
    unit: &mut Unit,
    after: Duration,
    effects: &mut Vec<Effect>,
) {
    let at = now + after;
    unit.deadline = Some(at);
    effects.push(Effect::StartTimer { unit: id, at });
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
