//! The state of one unit, named. A unit that is over has no state: the machine forgets it.
//!
//! Pure.

use super::event::{CancelReason, Exit, Limits, Moment, Outcome, Times};

/// Where a unit stands between its submission and its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for a slot. With a deadline it was refused for want of resources, and is tried
    /// again then, if not before.
    Queued,
    /// Its process was asked for, and the answer is outstanding.
    Starting {
        /// It was cancelled in the meantime: to be ended as soon as it runs.
        cancelled: Option<CancelReason>,
    },
    /// Its process runs, under its time limit.
    Running,
    /// TERM was sent; the grace runs.
    Terminating {
        /// Why it is being ended.
        cause: Cause,
    },
    /// KILL was sent; waiting until its process, group and marked descendants are gone.
    Killing {
        /// Why it is being ended.
        cause: Cause,
    },
    /// Its process exited by itself. Leftovers in its group were asked to end; the leak window
    /// runs until they have, and until its pipes are closed.
    Leaking,
}

/// Why a unit is ended by force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its time limit.
    TimedOut,
    /// Somebody cancelled it.
    Cancelled(CancelReason),
    /// It exited by itself, and what it left in its group did not go when asked.
    Leaked,
}

/// What the machine remembers of a unit.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) state: State,
    pub(super) limits: Limits,
    /// Its place in the queue, which it keeps where it has to wait again.
    pub(super) turn: u64,
    pub(super) submitted: Moment,
    pub(super) started: Option<Moment>,
    /// When its one timer is due.
    pub(super) deadline: Option<Moment>,
    pub(super) exit: Option<Exit>,
    pub(super) drained: bool,
    pub(super) group_empty: bool,
    pub(super) swept: bool,
}

impl Unit {
    pub(super) const fn new(limits: Limits, turn: u64, submitted: Moment) -> Self {
        Self {
            state: State::Queued,
            limits,
            turn,
            submitted,
            started: None,
            deadline: None,
            exit: None,
            drained: false,
            group_empty: false,
            swept: false,
        }
    }

    pub(super) const fn times(&self, finished: Moment) -> Times {
        Times {
            submitted: self.submitted,
            started: self.started,
            finished,
            exit: self.exit,
        }
    }

    /// How a unit that was ended by force, or that leaked, ends.
    pub(super) fn forced_outcome(&self, cause: Cause) -> Outcome {
        match cause {
            Cause::TimedOut => Outcome::TimedOut,
            Cause::Cancelled(reason) => Outcome::Cancelled(reason),
            Cause::Leaked => Outcome::Leaked(self.exit.unwrap_or(Exit::Code(-1))),
        }
    }
}
