//! The rules that the machine follows, apart from its mechanics: how much grace, how long to wait.
//!
//! Pure.

use std::time::Duration;

use super::event::{CancelReason, Exit, Limits, Outcome};
use super::state::Cause;

/// How long a killed unit may take to disappear before it is given up. Only a process that the
/// kernel itself holds (a dead network disk) takes that long.
pub(super) const KILL_WINDOW: Duration = Duration::from_secs(5);

/// The same for leftovers of a unit that exited by itself: together with the leak window it
/// stays below the second within which such a unit must end.
pub(super) const LEAK_KILL_WINDOW: Duration = Duration::from_millis(250);

/// When a unit that was refused for want of resources is tried again, if none of its pool has ended
/// by then: what it lacks may be held by others.
pub(super) const SHORTAGE_RETRY: Duration = Duration::from_millis(500);

/// The time limit, where there is one. Zero means none, as in the package we replace.
pub(super) fn timeout(limits: &Limits) -> Option<Duration> {
    limits.timeout.filter(|timeout| !timeout.is_zero())
}

/// The time from TERM to KILL; `None` for KILL at once.
pub(super) fn grace(limits: &Limits, cause: Cause) -> Option<Duration> {
    match cause {
        Cause::TimedOut | Cause::Cancelled(CancelReason::Requested | CancelReason::Budget) => {
            Some(limits.grace)
        }
        Cause::Cancelled(CancelReason::Interrupted | CancelReason::Terminated) => {
            Some(limits.grace.min(limits.interrupt_grace))
        }
        Cause::Cancelled(CancelReason::SecondSignal) | Cause::Leaked => None,
    }
}

/// How long to wait for a killed unit to disappear.
pub(super) const fn kill_window(cause: Cause) -> Duration {
    match cause {
        Cause::Leaked => LEAK_KILL_WINDOW,
        Cause::TimedOut | Cause::Cancelled(_) => KILL_WINDOW,
    }
}

/// The cause after another cancellation. What began first keeps its name, and reasons only rise.
pub(super) fn escalate(cause: Cause, reason: CancelReason) -> Cause {
    match cause {
        Cause::Cancelled(earlier) => Cause::Cancelled(earlier.max(reason)),
        Cause::TimedOut | Cause::Leaked => cause,
    }
}

/// The outcome of a unit that ended by itself and left nothing behind.
pub(super) const fn natural_outcome(exit: Exit) -> Outcome {
    match exit {
        Exit::Code(0) => Outcome::Success,
        Exit::Code(code) => Outcome::Failed(code),
        Exit::Signal(signal) => Outcome::Signalled(signal),
    }
}
