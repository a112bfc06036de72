//! The reactor as one owner's driver sees it.

use std::sync::Arc;

use super::super::clock;
use super::super::driver::Processes;
use super::super::event::{Moment, Signal, UnitId};
use super::super::output::Captured;
use super::super::process::GroupSignal;
use super::super::spec::UnitSpec;
use super::{Delayed, OwnerId, Reactor};

/// The children of one owner, among those of the reactor.
pub(super) struct Owned<'a> {
    pub(super) reactor: &'a mut Reactor,
    pub(super) owner: OwnerId,
}

impl Processes for Owned<'_> {
    fn now(&self) -> Moment {
        clock::now()
    }

    fn spawn(&mut self, unit: UnitId, spec: Arc<UnitSpec>) {
        let captured = Captured::default();
        self.reactor.start(Delayed {
            owner: self.owner,
            unit,
            spec,
            captured,
            tries: 0,
        });
    }

    fn signal(&mut self, unit: UnitId, signal: Signal) {
        self.reactor.signal(self.owner, unit, signal.into());
    }

    fn kill(&mut self, unit: UnitId) {
        self.reactor.signal(self.owner, unit, GroupSignal::Kill);
    }

    fn sweep(&mut self, unit: UnitId) {
        self.reactor.request_sweep(self.owner, unit);
    }

    fn reap(&mut self, unit: UnitId) -> Captured {
        self.reactor.release(self.owner, unit)
    }

    fn start_timer(&mut self, unit: UnitId, at: Moment) {
        self.reactor.timers.set((self.owner, unit), Some(at));
    }

    fn stop_timer(&mut self, unit: UnitId) {
        self.reactor.timers.set((self.owner, unit), None);
    }
}
