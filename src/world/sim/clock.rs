//! Virtual time: what is going to happen, in order, and the one source of chance.

use std::collections::BTreeMap;

/// A queue of happenings in virtual time. Ties keep the order in which they were scheduled.
#[derive(Debug)]
pub(super) struct Clock<H> {
    now: u64,
    scheduled: u64,
    queue: BTreeMap<(u64, u64), H>,
    chance: fastrand::Rng,
}

impl<H> Clock<H> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: 0,
            scheduled: 0,
            queue: BTreeMap::new(),
            chance: fastrand::Rng::with_seed(seed),
        }
    }

    /// Microseconds since the beginning.
    pub(super) const fn now(&self) -> u64 {
        self.now
    }

    /// Something will happen `delay` microseconds from now. The key takes it back.
    pub(super) fn after(&mut self, delay: u64, happening: H) -> (u64, u64) {
        self.scheduled += 1;
        let key = (self.now.saturating_add(delay), self.scheduled);
        self.queue.insert(key, happening);
        key
    }

    /// Takes back what was scheduled.
    pub(super) fn forget(&mut self, key: (u64, u64)) {
        self.queue.remove(&key);
    }

    /// Takes back everything: the machine was switched off.
    pub(super) fn forget_all(&mut self) {
        self.queue.clear();
    }

    /// Advances to the next happening; `None` where nothing will ever happen again.
    pub(super) fn advance(&mut self) -> Option<H> {
        let ((at, _), happening) = self.queue.pop_first()?;
        self.now = self.now.max(at);
        Some(happening)
    }

    /// True once in `n`.
    pub(super) fn once_in(&mut self, n: u64) -> bool {
        self.chance.u64(0..n) == 0
    }

    /// A number of microseconds between two numbers of milliseconds.
    pub(super) fn milliseconds(&mut self, from: u64, to: u64) -> u64 {
        self.chance.u64(from * 1000..=to * 1000)
    }

    /// One of several.
    pub(super) fn pick<'a, T>(&mut self, options: &'a [T]) -> &'a T {
        &options[self.chance.usize(0..options.len())]
    }

    /// Any number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.chance.u64(0..n)
    }
}
