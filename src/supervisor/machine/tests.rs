//! Stepped tests of the machine, one promise each.

use super::*;

fn ms(millis: u64) -> Moment {
    Moment(millis * 1_000)
}

fn one() -> Machine {
    Machine::new(NonZeroUsize::new(1))
}

const A: UnitId = UnitId(1);
const B: UnitId = UnitId(2);
const C: UnitId = UnitId(3);

fn submit(unit: UnitId) -> Input {
    Input::Submit {
        unit,
        limits: Limits::default(),
    }
}

fn exited(unit: UnitId, code: i32, alone: bool) -> Input {
    Input::Exited {
        unit,
        exit: Exit::Code(code),
        alone,
    }
}

fn outcome_of(effects: &[Effect], id: UnitId) -> Option<Outcome> {
    effects.iter().find_map(|effect| match effect {
        Effect::Finish { unit, outcome, .. } if *unit == id => Some(outcome.clone()),
        _ => None,
    })
}

#[test]
fn a_unit_ends_with_its_exit_once_its_pipes_are_at_their_end() {
    let mut machine = one();
    assert_eq!(machine.step(ms(0), submit(A)), [Effect::Spawn { unit: A }]);
    machine.step(ms(1), Input::Spawned { unit: A, pid: 7 });
    machine.step(ms(2), Input::Drained { unit: A });
    let effects = machine.step(ms(3), exited(A, 0, true));
    assert_eq!(effects[0], Effect::Reap { unit: A });
    assert_eq!(outcome_of(&effects, A), Some(Outcome::Success));
    assert!(machine.is_idle());
}

#[test]
fn the_next_unit_starts_when_a_slot_is_free() {
    let mut machine = one();
    machine.step(ms(0), submit(A));
    assert_eq!(machine.step(ms(0), submit(B)), []);
    let error = SpawnError::NulByte;
    let effects = machine.step(ms(1), refused(A, error, false));
    assert_eq!(effects.last(), Some(&Effect::Spawn { unit: B }));
}

fn refused(unit: UnitId, error: SpawnError, crowded: bool) -> Input {
    Input::SpawnFailed {
        unit,
        error,
        crowded,
    }
}

const SHORT: SpawnError = SpawnError::Resources { errno: 24 };

/// Three were submitted, the first runs, and there was no room for the others.
fn short_of_room() -> Machine {
    let mut machine = Machine::new(None);
    for unit in [A, B, C] {
        machine.step(ms(0), submit(unit));
    }
    machine.step(ms(1), Input::Spawned { unit: A, pid: 7 });
    let (unit, at) = (B, ms(501));
    assert_eq!(
        machine.step(ms(1), refused(B, SHORT, true)),
        [Effect::StartTimer { unit, at }]
    );
    assert_eq!(machine.step(ms(1), refused(C, SHORT, true)), []);
    machine
}

#[test]
fn a_unit_for_which_there_is_no_room_starts_when_another_has_ended() {
    let mut machine = short_of_room();
    machine.step(ms(2), Input::Drained { unit: A });
    let effects = machine.step(ms(3), exited(A, 0, true));
    let started: Vec<_> = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Spawn { .. }))
        .collect();
    assert_eq!(started, [&Effect::Spawn { unit: B }], "one, and in turn");
    let effects = machine.step(ms(4), Input::Spawned { unit: B, pid: 8 });
    assert_eq!(
        effects.last(),
        Some(&Effect::Spawn { unit: C }),
        "a start that works makes room for another"
    );
}

#[test]
fn a_unit_for_which_there_is_no_room_is_tried_again_after_a_while() {
    let mut machine = short_of_room();
    let effects = machine.step(ms(501), Input::Timer { unit: B });
    assert_eq!(effects, [Effect::Spawn { unit: B }]);
    let (unit, at) = (B, ms(1_002));
    assert_eq!(
        machine.step(ms(502), refused(B, SHORT, true)),
        [Effect::StartTimer { unit, at }]
    );
}

#[test]
fn a_unit_for_which_there_is_no_room_passes_its_turn_on_when_it_is_cancelled() {
    let mut machine = short_of_room();
    let reason = CancelReason::Requested;
    let unit = Some(B);
    let effects = machine.step(ms(2), Input::Cancel { unit, reason });
    assert_eq!(outcome_of(&effects, B), Some(Outcome::Cancelled(reason)));
    assert_eq!(effects.last(), Some(&Effect::Spawn { unit: C }));
}

#[test]
fn a_shortage_that_nobody_s_end_can_mend_is_the_unit_s_end() {
    let mut machine = one();
    machine.step(ms(0), submit(A));
    let effects = machine.step(ms(1), refused(A, SHORT, false));
    assert_eq!(outcome_of(&effects, A), Some(Outcome::SpawnError(SHORT)));
}

#[test]
fn a_grandchild_that_holds_the_pipes_holds_the_result_for_the_leak_window_only() {
    let mut machine = one();
    machine.step(ms(0), submit(A));
    machine.step(ms(0), Input::Spawned { unit: A, pid: 7 });
    let effects = machine.step(ms(10), exited(A, 3, true));
    assert_eq!(
        effects,
        [Effect::StartTimer {
            unit: A,
            at: ms(510)
        }]
    );
    let effects = machine.step(ms(510), Input::Timer { unit: A });
    assert_eq!(
        outcome_of(&effects, A),
        Some(Outcome::Leaked(Exit::Code(3)))
    );
}

#[test]
fn leftovers_of_the_group_are_asked_then_killed_within_a_second() {
    let mut machine = one();
    machine.step(ms(0), submit(A));
    machine.step(ms(0), Input::Spawned { unit: A, pid: 7 });
    let effects = machine.step(ms(0), exited(A, 0, false));
    assert_eq!(
        effects[0],
        Effect::Signal {
            unit: A,
            signal: Signal::Terminate
        }
    );
    let effects = machine.step(ms(500), Input::Timer { unit: A });
    assert_eq!(effects[0], Effect::Kill { unit: A });
    let effects = machine.step(ms(501), Input::GroupEmpty { unit: A });
    assert_eq!(
        outcome_of(&effects, A),
        Some(Outcome::Leaked(Exit::Code(0)))
    );
}

#[test]
fn a_time_limit_ends_in_term_then_kill_then_a_sweep() {
    let mut machine = one();
    let limits = Limits {
        timeout: Some(Duration::from_secs(1)),
        ..Limits::default()
    };
    machine.step(ms(0), Input::Submit { unit: A, limits });
    machine.step(ms(0), Input::Spawned { unit: A, pid: 7 });
    let effects = machine.step(ms(1_000), Input::Timer { unit: A });
    assert_eq!(
        effects[0],
        Effect::Signal {
            unit: A,
            signal: Signal::Terminate
        }
    );
    let effects = machine.step(ms(6_000), Input::Timer { unit: A });
    assert_eq!(
        effects[..2],
        [Effect::Kill { unit: A }, Effect::Sweep { unit: A }]
    );
    machine.step(ms(6_001), exited(A, 0, true));
    let effects = machine.step(ms(6_002), Input::Swept { unit: A });
    assert_eq!(outcome_of(&effects, A), Some(Outcome::TimedOut));
}

#[test]
fn a_second_signal_kills_at_once_and_a_milder_reason_changes_nothing() {
    let mut machine = one();
    machine.step(ms(0), submit(A));
    machine.step(ms(0), Input::Spawned { unit: A, pid: 7 });
    let cancel = |reason| Input::Cancel { unit: None, reason };
    machine.step(ms(0), cancel(CancelReason::Interrupted));
    let effects = machine.step(ms(1), cancel(CancelReason::SecondSignal));
    assert_eq!(effects[0], Effect::Kill { unit: A });
    assert_eq!(machine.step(ms(1), cancel(CancelReason::Requested)), []);
    machine.step(ms(2), exited(A, 0, true));
    let effects = machine.step(ms(2), Input::Swept { unit: A });
    assert_eq!(
        outcome_of(&effects, A),
        Some(Outcome::Cancelled(CancelReason::SecondSignal))
    );
}

#[test]
fn a_unit_cancelled_while_it_starts_is_ended_when_it_runs() {
    let mut machine = one();
    machine.step(ms(0), submit(A));
    let reason = CancelReason::Requested;
    assert_eq!(
        machine.step(
            ms(0),
            Input::Cancel {
                unit: Some(A),
                reason
            }
        ),
        []
    );
    let effects = machine.step(ms(1), Input::Spawned { unit: A, pid: 7 });
    assert_eq!(
        effects[1],
        Effect::Signal {
            unit: A,
            signal: Signal::Terminate
        }
    );
}

#[test]
fn a_paused_machine_starts_nothing_until_it_is_resumed() {
    let mut machine = one();
    machine.step(ms(0), Input::Pause);
    assert_eq!(machine.step(ms(0), submit(A)), []);
    assert_eq!(
        machine.step(ms(0), Input::Resume),
        [Effect::Spawn { unit: A }]
    );
}
