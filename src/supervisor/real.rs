//! Real children for a driver that runs in a thread of its own, as an orchestration's does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::clock;
use super::driver::Processes;
use super::engine::{Engine, EngineError};
use super::event::{Input, Moment, Signal, UnitId};
use super::output::Captured;
use super::process::GroupSignal;
use super::reactor::{Command, OwnerId};
use super::spec::UnitSpec;

/// The engine's children, as the [`Processes`] of one driver.
///
/// Facts are told to the function it was made with, on the engine's thread; it must pass them on
/// and return, never wait. Dropping it kills whatever is left.
pub struct RealProcesses {
    engine: &'static Engine,
    owner: OwnerId,
    /// Shared with the engine, so that taking a unit's output needs no answer.
    captured: BTreeMap<UnitId, Captured>,
}

impl RealProcesses {
    /// A new set of children whose facts go to `facts`.
    pub fn new(facts: impl FnMut(Input) + Send + 'static) -> Result<Self, EngineError> {
        let engine = Engine::get()?;
        let owner = engine.new_owner();
        engine.send(Command::AddOwner {
            owner,
            sink: Box::new(facts),
        });
        Ok(Self {
            engine,
            owner,
            captured: BTreeMap::new(),
        })
    }

    fn send(&self, command: Command) {
        if self.engine.check().is_ok() {
            self.engine.send(command);
        }
    }
}

impl Processes for RealProcesses {
    fn now(&self) -> Moment {
        clock::now()
    }

    fn spawn(&mut self, unit: UnitId, mut spec: Arc<UnitSpec>) {
        if spec.env.is_none() {
            Arc::make_mut(&mut spec).env = Some(std::env::vars_os().collect());
        }
        let captured = Captured::default();
        self.captured.insert(unit, captured.clone());
        self.send(Command::Spawn {
            owner: self.owner,
            unit,
            spec,
            captured,
        });
    }

    fn signal(&mut self, unit: UnitId, signal: Signal) {
        self.send(Command::Signal {
            owner: self.owner,
            unit,
            signal: signal.into(),
        });
    }

    fn kill(&mut self, unit: UnitId) {
        self.send(Command::Signal {
            owner: self.owner,
            unit,
            signal: GroupSignal::Kill,
        });
    }

    fn sweep(&mut self, unit: UnitId) {
        self.send(Command::Sweep {
            owner: self.owner,
            unit,
        });
    }

    fn reap(&mut self, unit: UnitId) -> Captured {
        self.send(Command::Reap {
            owner: self.owner,
            unit,
        });
        self.captured.remove(&unit).unwrap_or_default()
    }

    fn start_timer(&mut self, unit: UnitId, at: Moment) {
        self.send(Command::Timer {
            owner: self.owner,
            unit,
            at: Some(at),
        });
    }

    fn stop_timer(&mut self, unit: UnitId) {
        self.send(Command::Timer {
            owner: self.owner,
            unit,
            at: None,
        });
    }
}

impl Drop for RealProcesses {
    fn drop(&mut self) {
        self.send(Command::Remove { owner: self.owner });
    }
}
