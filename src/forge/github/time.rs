//! The clock, chance and patience of the client, behind one trait, so that tests need not wait.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::limits::Moment;

/// What a client knows of time.
pub trait Time: Send + Sync {
    /// How late it is.
    fn now(&self) -> Moment;

    /// A random number from 0 to 1.
    fn chance(&self) -> f64;

    /// Waits until `until`; `false` where it was interrupted, before or meanwhile.
    fn wait(&self, until: Moment) -> bool;

    /// Ends all waits, those to come included.
    fn interrupt(&self);

    /// Whether it was interrupted.
    fn is_interrupted(&self) -> bool;
}

/// The clock on the wall.
#[derive(Debug, Default)]
pub struct RealTime {
    interrupted: Mutex<bool>,
    changed: Condvar,
}

/// A wait looks at the clock as often as that, for a machine that slept or was set.
const LONGEST_NAP: Duration = Duration::from_secs(60);

impl RealTime {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.interrupted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Time for RealTime {
    #[expect(clippy::disallowed_methods, reason = "this is the real clock")]
    fn now(&self) -> Moment {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn chance(&self) -> f64 {
        // The standard library seeds its hash maps at random; 32 bits of that are plenty.
        let random = RandomState::new().hash_one(()) >> 32;
        random as f64 / f64::from(u32::MAX)
    }

    fn wait(&self, until: Moment) -> bool {
        let mut interrupted = self.lock();
        loop {
            let left = until.saturating_sub(self.now());
            if *interrupted || left.is_zero() {
                return !*interrupted;
            }
            interrupted = self
                .changed
                .wait_timeout(interrupted, left.min(LONGEST_NAP))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn interrupt(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    fn is_interrupted(&self) -> bool {
        *self.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn an_interrupt_ends_a_wait_and_every_later_one() {
        let time = Arc::new(RealTime::default());
        let far = time.now() + Duration::from_secs(3600);
        let waiting = {
            let time = Arc::clone(&time);
            thread::spawn(move || time.wait(far))
        };
        time.interrupt();
        assert!(!waiting.join().unwrap());
        assert!(!time.wait(far) && time.is_interrupted());
    }

    #[test]
    fn a_wait_ends_at_its_moment() {
        let time = RealTime::default();
        let until = time.now() + Duration::from_millis(5);
        assert!(time.wait(until));
        assert!(time.now() >= until);
    }

    #[test]
    fn chance_lies_between_nought_and_one_and_varies() {
        let time = RealTime::default();
        let drawn: Vec<f64> = (0..20).map(|_| time.chance()).collect();
        assert!(drawn.iter().all(|number| (0.0..=1.0).contains(number)));
        assert!(drawn.iter().any(|number| (number - drawn[0]).abs() > 1e-9));
    }
}
