//! An orchestration at work, as its host holds it: events out, cancel in, outcome at the end.
//!
//! The run has a thread of its own; nothing here blocks but [`Handle::next`] and
//! [`Handle::join`].

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::supervisor::CancelReason;
use crate::world::real::{Canceller, wall};

use super::driver::{Driver, Outcome};
use super::event::{Event, EventKind, SCHEMA_VERSION};
use super::prepare::Prepared;
use super::publish::rfc3339;
use super::start::{Beginning, Next, Ready};

/// An orchestration that was started.
#[derive(Debug)]
pub struct Handle {
    events: Receiver<Event>,
    work: Work,
    asked: bool,
}

#[derive(Debug)]
enum Work {
    Running(Canceller, JoinHandle<Result<Outcome>>),
    /// Nothing was left to do.
    Done(Box<Outcome>),
}

/// What [`Handle::next`] saw.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Something happened.
    Event(Box<Event>),
    /// Nothing happened in that time.
    Nothing,
    /// Nothing will happen any more.
    End,
}

impl Handle {
    /// Starts what was prepared. Files the master issue before it returns; the rest happens on
    /// the run's own thread.
    pub fn start(prepared: Prepared) -> Result<Self> {
        let (teller, events) = channel();
        let listener = teller.clone();
        let next = prepared.start(move |event| {
            // A host that stopped listening does not stop the run.
            let _ = listener.send(event);
        })?;
        let work = match next {
            Next::Run(ready) => {
                let canceller = ready.world.canceller();
                let thread = std::thread::Builder::new()
                    .name("orchestration-run".to_owned())
                    .spawn(move || run(*ready))
                    .map_err(|error| Error::Engine {
                        reason: error.to_string(),
                    })?;
                Work::Running(canceller, thread)
            }
            Next::Done(summary) => {
                let outcome = Outcome {
                    exit_code: summary.exit_code,
                    summary: *summary,
                };
                let event = Event {
                    v: SCHEMA_VERSION,
                    seq: 1,
                    time: rfc3339(wall().as_millisecond()),
                    orchestration: outcome.summary.orchestration_id.clone(),
                    kind: EventKind::OrchestrationFinished {
                        exit_code: outcome.exit_code,
                        summary: Box::new(outcome.summary.clone()),
                    },
                };
                // The receiver is right here.
                let _ = teller.send(event);
                Work::Done(Box::new(outcome))
            }
        };
        Ok(Self {
            events,
            work,
            asked: false,
        })
    }

    /// Whether an earlier orchestration had done everything, so that nothing runs.
    pub const fn was_done(&self) -> bool {
        matches!(self.work, Work::Done(_))
    }

    /// Waits for the next event, at most so long.
    pub fn next(&self, timeout: Duration) -> Seen {
        match self.events.recv_timeout(timeout) {
            Ok(event) => Seen::Event(Box::new(event)),
            Err(RecvTimeoutError::Timeout) => Seen::Nothing,
            Err(RecvTimeoutError::Disconnected) => Seen::End,
        }
    }

    /// Asks the run to end, with the exit code that this leads to (130 or 143). Asked again, it
    /// kills.
    pub fn cancel(&mut self, exit_code: u8) {
        let reason = match (self.asked, exit_code) {
            (true, _) => CancelReason::SecondSignal,
            (false, 143) => CancelReason::Terminated,
            (false, _) => CancelReason::Interrupted,
        };
        self.asked = true;
        if let Work::Running(canceller, _) = &self.work {
            canceller.cancel(exit_code, reason);
        }
    }

    /// Waits for the end, and says what it came to.
    pub fn join(self) -> Result<Outcome> {
        match self.work {
            Work::Done(outcome) => Ok(*outcome),
            Work::Running(_, thread) => thread.join().unwrap_or_else(|_| {
                Err(Error::Engine {
                    reason: "its thread panicked".to_owned(),
                })
            }),
        }
    }
}

fn run(ready: Ready) -> Result<Outcome> {
    let Ready {
        mut world,
        site,
        beginning,
        lock,
        ..
    } = ready;
    let driver = match beginning {
        Beginning::Fresh(start, before) => Driver::begin(&mut world, site, *start, before),
        Beginning::TakenUp(state, seq, resumption) => {
            Driver::resume(&mut world, site, *state, seq, *resumption)
        }
    };
    let outcome = driver.and_then(Driver::run);
    // In this order: the lock is given back when nothing of the run is at work any more.
    drop(world);
    drop(lock);
    outcome
}
