//! The same promises on systems that lack what newer ones have. (What the usual way promises is
//! tested with the whole supervisor, in `tests/rust/supervisor.rs`.)

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::{Exit, Limits, Newlines, Outcome, UnitSpec, run_command};

/// As before Linux 5.3, and on other systems.
pub(super) static PRETEND_NO_PIDFDS: AtomicBool = AtomicBool::new(false);

/// As before Linux 6.9.
pub(super) static PRETEND_NO_GROUPS: AtomicBool = AtomicBool::new(false);

fn sh(script: &str) -> UnitSpec {
    UnitSpec::new("/bin/sh").args(["-c", script])
}

fn lives(pid: &str) -> bool {
    let pid = pid.trim().parse().unwrap();
    super::super::scan::process(pid).is_some_and(|process| !process.dead)
}

fn the_promises_hold() {
    let plain = run_command(sh("echo out; exit 3")).unwrap();
    assert_eq!(plain.outcome, Outcome::Failed(3));
    assert_eq!(plain.captured.stdout.bytes(), b"out\n");

    let killed = run_command(sh("kill -9 $$")).unwrap();
    assert_eq!(killed.times.exit, Some(Exit::Signal(9)));

    let polite = run_command(sh("sleep 60 & echo $!")).unwrap();
    assert_eq!(polite.outcome, Outcome::Success);
    assert!(!lives(&polite.captured.stdout.text(Newlines::Kept)));

    let limits = Limits {
        timeout: Some(Duration::from_millis(200)),
        grace: Duration::from_millis(200),
        ..Limits::default()
    };
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; sleep 60; sleep 60' & echo $!; wait; wait";
    let stubborn = run_command(UnitSpec {
        limits,
        ..sh(script)
    })
    .unwrap();
    assert_eq!(stubborn.outcome, Outcome::TimedOut);
    assert!(stubborn.duration() < Duration::from_secs(2));
    assert!(!lives(&stubborn.captured.stdout.text(Newlines::Kept)));
}

#[test]
fn all_holds_without_group_signals_through_a_pidfd() {
    PRETEND_NO_GROUPS.store(true, Ordering::Relaxed);
    the_promises_hold();
}

#[test]
fn all_holds_without_pidfds() {
    PRETEND_NO_PIDFDS.store(true, Ordering::Relaxed);
    the_promises_hold();
}
