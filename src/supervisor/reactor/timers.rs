//! At most one timer for each unit of each owner, in order of time.

use std::collections::{BTreeSet, HashMap};

use super::super::event::{Moment, UnitId};
use super::OwnerId;

type Key = (OwnerId, UnitId);

/// The timers that are running.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Moment, Key)>,
    by_key: HashMap<Key, Moment>,
}

impl Timers {
    /// Starts the unit's timer anew, or stops it.
    pub(super) fn set(&mut self, key: Key, at: Option<Moment>) {
        let earlier = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if let Some(earlier) = earlier {
            self.by_time.remove(&(earlier, key));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
    }

    /// When the next timer fires.
    pub(super) fn next(&self) -> Option<Moment> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out a timer that is due.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Key> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.set(key, None);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_one_timer_and_the_last_one_counts() {
        let mut timers = Timers::default();
        let key = |unit| (OwnerId(0), UnitId(unit));
        timers.set(key(1), Some(Moment(30)));
        timers.set(key(2), Some(Moment(20)));
        timers.set(key(1), Some(Moment(10)));
        assert_eq!(timers.next(), Some(Moment(10)));
        assert_eq!(timers.take_due(Moment(25)), Some(key(1)));
        timers.set(key(2), None);
        assert_eq!(timers.take_due(Moment(99)), None);
    }
}
