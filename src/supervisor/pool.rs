//! A pool: units in, events out, for a caller who has a thread to wait in.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock;
use super::driver::{Finished, UnitEvent};
use super::engine::{Engine, EngineError};
use super::event::{CancelReason, Input, UnitId};
use super::reactor::{Command, OwnerId};
use super::spec::UnitSpec;

/// How long a dropped pool waits until everything it had is gone.
const DROP_PATIENCE: Duration = Duration::from_secs(7);

/// A set of children that run at most so many at a time.
///
/// All methods may be called from any thread, except in a process that was forked from the one
/// that made the pool. Dropping a pool kills and reaps everything it still has.
pub struct Pool {
    engine: &'static Engine,
    owner: OwnerId,
    events: Arc<Events>,
    next_unit: AtomicU64,
}

#[derive(Default)]
struct Events {
    queue: Mutex<VecDeque<UnitEvent>>,
    more: Condvar,
    /// Units that were submitted and are not over.
    unfinished: AtomicUsize,
    /// Nothing more will come.
    closed: AtomicBool,
}

/// The engine's end of a pool's events.
struct Sender(Arc<Events>);

impl Drop for Sender {
    fn drop(&mut self) {
        let _queue = self.0.lock();
        self.0.closed.store(true, Ordering::Release);
        self.0.more.notify_all();
    }
}

impl Events {
    fn lock(&self) -> MutexGuard<'_, VecDeque<UnitEvent>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: UnitEvent) {
        let mut queue = self.lock();
        if matches!(event, UnitEvent::Finished(_)) {
            self.unfinished.fetch_sub(1, Ordering::AcqRel);
        }
        queue.push_back(event);
        drop(queue);
        self.more.notify_all();
    }
}

impl Pool {
    /// A pool that runs at most `max_workers` units at a time; `None` for any number.
    pub fn new(max_workers: Option<NonZeroUsize>) -> Result<Self, EngineError> {
        Self::with_listener(max_workers, || ())
    }

    /// The same for a caller who waits for other things too: `listener` is called whenever there
    /// is an event to take. It runs on the engine's thread, and must return at once.
    pub fn with_listener(
        max_workers: Option<NonZeroUsize>,
        listener: impl Fn() + Send + 'static,
    ) -> Result<Self, EngineError> {
        let engine = Engine::get()?;
        let owner = engine.new_owner();
        let events = Arc::new(Events::default());
        let sender = Sender(Arc::clone(&events));
        let sink = Box::new(move |event| {
            sender.0.push(event);
            listener();
        });
        engine.send(Command::AddPool {
            owner,
            max_workers,
            sink,
        });
        Ok(Self {
            engine,
            owner,
            events,
            next_unit: AtomicU64::new(0),
        })
    }

    /// Hands in a unit. Its `Finished` event follows sooner or later, whatever happens.
    pub fn submit(&self, mut spec: UnitSpec) -> Result<UnitId, EngineError> {
        self.engine.check()?;
        // The environment is read here, in a thread of the program, and at this very time.
        spec.env
            .get_or_insert_with(|| std::env::vars_os().collect());
        let unit = UnitId(self.next_unit.fetch_add(1, Ordering::Relaxed));
        self.events.unfinished.fetch_add(1, Ordering::AcqRel);
        self.engine.send(Command::Submit {
            owner: self.owner,
            unit,
            spec,
        });
        Ok(unit)
    }

    /// The next event, waiting up to `timeout` for it; `None` for as long as it takes.
    ///
    /// A caller who has signals to look after waits for short times. `None` comes back at the
    /// timeout, and at once when nothing more can happen: no event is left and every unit is over.
    pub fn next(&self, timeout: Option<Duration>) -> Option<UnitEvent> {
        self.engine.check().ok()?;
        let deadline = timeout.map(|timeout| clock::now() + timeout);
        let mut queue = self.events.lock();
        loop {
            if let Some(event) = queue.pop_front() {
                return Some(event);
            }
            if self.is_over() {
                return None;
            }
            queue = match deadline {
                None => self
                    .events
                    .more
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.since(clock::now());
                    if left.is_zero() {
                        return None;
                    }
                    let waited = self.events.more.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// How many units were submitted and are not over.
    pub fn unfinished(&self) -> usize {
        self.events.unfinished.load(Ordering::Acquire)
    }

    fn is_over(&self) -> bool {
        self.unfinished() == 0 || self.events.closed.load(Ordering::Acquire)
    }

    /// Ends everything, and starts nothing more. Again with a more severe reason for more haste.
    pub fn cancel(&self, reason: CancelReason) {
        self.wish(Input::Cancel { unit: None, reason });
    }

    /// Ends one unit; the others go on.
    pub fn cancel_unit(&self, unit: UnitId, reason: CancelReason) {
        self.wish(Input::Cancel {
            unit: Some(unit),
            reason,
        });
    }

    /// Starts no more units; those that run go on.
    pub fn pause(&self) {
        self.wish(Input::Pause);
    }

    /// Starts units again.
    pub fn resume(&self) {
        self.wish(Input::Resume);
    }

    fn wish(&self, input: Input) {
        if self.engine.check().is_ok() {
            self.engine.send(Command::Wish {
                owner: self.owner,
                input,
            });
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.engine.check().is_err() {
            return;
        }
        if !self.is_over() {
            self.cancel(CancelReason::SecondSignal);
            let deadline = clock::now() + DROP_PATIENCE;
            while !self.is_over() {
                let left = deadline.since(clock::now());
                if left.is_zero() {
                    break;
                }
                self.next(Some(left));
            }
        }
        self.engine.send(Command::Remove { owner: self.owner });
    }
}

/// Runs one child to its end, with its time limit and capture, and waits for it.
pub fn run_command(spec: UnitSpec) -> Result<Finished, EngineError> {
    let pool = Pool::new(NonZeroUsize::new(1))?;
    pool.submit(spec)?;
    while let Some(event) = pool.next(None) {
        if let UnitEvent::Finished(finished) = event {
            return Ok(finished);
        }
    }
    Err(EngineError::Gone)
}
