//! What holds for the machine whatever happens, in whatever order, sense or nonsense.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::super::event::{Chunk, OutputStream};
use super::*;

const UNITS: u64 = 6;

fn units() -> impl Strategy<Value = UnitId> {
    (0..UNITS).prop_map(UnitId)
}

fn reasons() -> impl Strategy<Value = CancelReason> {
    prop::sample::select(vec![
        CancelReason::Requested,
        CancelReason::Budget,
        CancelReason::Interrupted,
        CancelReason::Terminated,
        CancelReason::SecondSignal,
    ])
}

fn inputs() -> impl Strategy<Value = Input> {
    let submit = (units(), prop::option::of(0..3_000_u64), 0..3_000_u64).prop_map(
        |(unit, timeout, grace)| {
            let timeout = timeout.map(Duration::from_millis);
            let grace = Duration::from_millis(grace);
            Input::Submit {
                unit,
                limits: Limits {
                    timeout,
                    grace,
                    ..Limits::default()
                },
            }
        },
    );
    let exited = (units(), -2..3_i32, any::<bool>()).prop_map(|(unit, code, alone)| {
        let exit = if code < 0 {
            Exit::Signal(-code)
        } else {
            Exit::Code(code)
        };
        Input::Exited { unit, exit, alone }
    });
    let output = units().prop_map(|unit| {
        let chunk = Chunk::new(b"line\n".to_vec());
        Input::Output {
            unit,
            stream: OutputStream::Stdout,
            chunk,
        }
    });
    prop_oneof![
        4 => submit,
        6 => units().prop_map(|unit| Input::Spawned { unit, pid: 7 }),
        1 => units().prop_map(|unit| Input::SpawnFailed {
            unit,
            error: SpawnError::NulByte,
            crowded: true,
        }),
        3 => (units(), any::<bool>()).prop_map(|(unit, crowded)| Input::SpawnFailed {
            unit,
            error: SpawnError::Resources { errno: 24 },
            crowded,
        }),
        1 => output,
        4 => exited,
        3 => units().prop_map(|unit| Input::Drained { unit }),
        3 => units().prop_map(|unit| Input::GroupEmpty { unit }),
        2 => units().prop_map(|unit| Input::Swept { unit }),
        6 => units().prop_map(|unit| Input::Timer { unit }),
        1 => Just(Input::Pause),
        2 => Just(Input::Resume),
        1 => (prop::option::weighted(0.8, units()), reasons())
            .prop_map(|(unit, reason)| Input::Cancel { unit, reason }),
        1 => Just(Input::Query),
    ]
}

/// Each input with the milliseconds that pass before it.
fn histories() -> impl Strategy<Value = Vec<(u64, Input)>> {
    prop::collection::vec((0..2_000_u64, inputs()), 0..120)
}

fn workers() -> impl Strategy<Value = Option<NonZeroUsize>> {
    prop::option::of(1..4_usize).prop_map(|max| max.and_then(NonZeroUsize::new))
}

/// What an observer who sees only inputs and effects knows about a unit.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each seen or not"
)]
struct Seen {
    /// It was cancelled, by itself or with all others.
    cancelled: bool,
    spawned: bool,
    /// There was no room for it at least once.
    refused: bool,
    running: bool,
    /// Its process is dead, and nobody is left in its group.
    gone: bool,
    exited: bool,
    reaped: bool,
    outcome: Option<Outcome>,
}

/// Holds a machine against the rules, step by step.
struct Observer {
    machine: Machine,
    max: Option<NonZeroUsize>,
    now: Moment,
    units: BTreeMap<UnitId, Seen>,
    all_cancelled: Option<CancelReason>,
    log: Vec<Effect>,
}

impl Observer {
    fn new(max: Option<NonZeroUsize>) -> Self {
        Self {
            machine: Machine::new(max),
            max,
            now: Moment(0),
            units: BTreeMap::new(),
            all_cancelled: None,
            log: Vec::new(),
        }
    }

    fn step(&mut self, millis: u64, input: Input) -> Result<(), TestCaseError> {
        self.now = self.now + Duration::from_millis(millis);
        // A number may be used once only: that is the submitter's part of the contract.
        if let Input::Submit { unit, .. } = &input {
            if self.units.contains_key(unit) {
                return Ok(());
            }
            let cancelled = self.all_cancelled.is_some();
            self.units.insert(
                *unit,
                Seen {
                    cancelled,
                    ..Seen::default()
                },
            );
        }
        self.note(&input);
        let refused = match input {
            Input::SpawnFailed { unit, .. } => Some(unit),
            _ => None,
        };
        let effects = self.machine.step(self.now, input);
        if let Some(unit) = refused {
            self.note_refusal(unit);
        }
        for effect in &effects {
            self.check(effect)?;
        }
        self.log.extend(effects);
        let active = self
            .units
            .values()
            .filter(|seen| seen.spawned && seen.outcome.is_none());
        let active = active.count();
        prop_assert!(
            self.max.is_none_or(|max| active <= max.get()),
            "{active} at once"
        );
        prop_assert_eq!(self.machine.snapshot().active, active);
        prop_assert_eq!(self.machine.snapshot().cancelled, self.all_cancelled);
        Ok(())
    }

    fn note(&mut self, input: &Input) {
        match input {
            Input::Cancel { unit: None, reason } => {
                // The severity never falls.
                self.all_cancelled = self.all_cancelled.max(Some(*reason));
                self.units
                    .values_mut()
                    .for_each(|seen| seen.cancelled = true);
            }
            Input::Cancel {
                unit: Some(unit), ..
            } => {
                if let Some(seen) = self.units.get_mut(unit) {
                    seen.cancelled = true;
                }
            }
            Input::Exited { unit, alone, .. } => {
                if let Some(seen) = self.units.get_mut(unit)
                    && seen.running
                    && !seen.exited
                {
                    seen.exited = true;
                    seen.gone = *alone;
                }
            }
            Input::GroupEmpty { unit } => {
                if let Some(seen) = self.units.get_mut(unit) {
                    seen.gone |= seen.exited;
                }
            }
            _ => {}
        }
    }

    /// A unit for which there is no room waits again, as if it had not been asked for.
    fn note_refusal(&mut self, unit: UnitId) {
        let waits = self.machine.state(unit) == Some(State::Queued);
        if let Some(seen) = self.units.get_mut(&unit).filter(|_| waits) {
            seen.spawned = false;
            seen.refused = true;
        }
    }

    fn check(&mut self, effect: &Effect) -> Result<(), TestCaseError> {
        let (Effect::Spawn { unit }
        | Effect::Signal { unit, .. }
        | Effect::Kill { unit }
        | Effect::Sweep { unit }
        | Effect::StartTimer { unit, .. }
        | Effect::StopTimer { unit }
        | Effect::Reap { unit }
        | Effect::Finish { unit, .. }
        | Effect::Emit(Event::Started { unit, .. } | Event::Output { unit, .. })) = effect
        else {
            return Ok(());
        };
        let seen = self.units.get_mut(unit);
        prop_assert!(
            seen.is_some(),
            "{effect:?} for a unit that nobody submitted"
        );
        let Some(seen) = seen else { return Ok(()) };
        prop_assert_eq!(&seen.outcome, &None, "{:?} after the end", effect);
        match effect {
            Effect::Spawn { .. } => {
                prop_assert!(!seen.spawned, "spawned twice");
                prop_assert!(!seen.cancelled, "spawned after it was cancelled");
                seen.spawned = true;
            }
            Effect::Emit(Event::Started { .. }) => seen.running = true,
            Effect::Signal { .. } | Effect::Kill { .. } => {
                prop_assert!(
                    seen.running && !seen.gone && !seen.reaped,
                    "{effect:?}: nobody there"
                );
            }
            Effect::Sweep { .. } => prop_assert!(seen.running),
            Effect::StartTimer { .. } => prop_assert!(seen.running || seen.refused),
            Effect::Reap { .. } => {
                prop_assert!(seen.running && !seen.reaped);
                seen.reaped = true;
            }
            Effect::Finish { outcome, .. } => {
                prop_assert_eq!(seen.reaped, seen.running, "its process was not released");
                if let Outcome::Cancelled(_) = outcome {
                    prop_assert!(seen.cancelled, "cancelled by nobody");
                }
                seen.outcome = Some(outcome.clone());
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets everything go its way: children start and die, groups empty, timers fire.
    fn run_out(&mut self) -> Result<(), TestCaseError> {
        self.step(0, Input::Resume)?;
        for _ in 0..20 {
            let ids: Vec<UnitId> = self.units.keys().copied().collect();
            for unit in ids {
                match self.machine.state(unit) {
                    Some(State::Starting { .. }) => {
                        self.step(1, Input::Spawned { unit, pid: 7 })?;
                    }
                    None => {}
                    Some(State::Queued) => self.step(10_000, Input::Timer { unit })?,
                    Some(_) => {
                        self.step(10_000, Input::Timer { unit })?;
                        self.step(
                            1,
                            Input::Exited {
                                unit,
                                exit: Exit::Code(0),
                                alone: false,
                            },
                        )?;
                        self.step(1, Input::GroupEmpty { unit })?;
                        self.step(1, Input::Drained { unit })?;
                        self.step(1, Input::Swept { unit })?;
                    }
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn every_rule_holds_and_every_unit_ends_in_exactly_one_outcome(
        max in workers(),
        history in histories(),
    ) {
        let mut observer = Observer::new(max);
        for (millis, input) in history {
            observer.step(millis, input)?;
        }
        observer.run_out()?;
        prop_assert!(observer.machine.is_idle(), "{:?}", observer.machine);
        for (unit, seen) in &observer.units {
            prop_assert!(seen.outcome.is_some(), "{} has no outcome", unit);
        }
    }

    #[test]
    fn the_same_inputs_have_the_same_effects(max in workers(), history in histories()) {
        let run = || {
            let mut observer = Observer::new(max);
            for (millis, input) in history.clone() {
                observer.step(millis, input)?;
            }
            Ok::<_, TestCaseError>(observer.log)
        };
        prop_assert_eq!(run()?, run()?);
    }

    /// A unit whose process never answers any signal is given up, within known limits.
    #[test]
    fn every_wait_has_an_end_without_any_fact(reason in reasons()) {
        let mut machine = Machine::new(None);
        let unit = UnitId(0);
        let mut now = Moment(0);
        machine.step(now, Input::Submit { unit, limits: Limits::default() });
        machine.step(now, Input::Spawned { unit, pid: 7 });
        let mut effects = machine.step(now, Input::Cancel { unit: None, reason });
        while let Some(at) = effects.iter().find_map(|effect| match effect {
            Effect::StartTimer { at, .. } => Some(*at),
            _ => None,
        }) {
            now = at;
            effects = machine.step(now, Input::Timer { unit });
        }
        prop_assert!(machine.is_idle());
        prop_assert!(now <= Moment(0) + Duration::from_secs(10));
    }
}
