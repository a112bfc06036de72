//! What other threads and the engine's thread say to each other.

use std::num::NonZeroUsize;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use super::super::driver::UnitEvent;
use super::super::event::{Input, Moment, UnitId};
use super::super::output::Captured;
use super::super::process::GroupSignal;
use super::super::spec::UnitSpec;
use super::super::watcher::Reach;

/// Names a pool, or another owner of units, within one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::supervisor) struct OwnerId(pub(in crate::supervisor) u64);

/// Where a pool's events go. Called on the engine's thread; must not wait for anything.
pub(in crate::supervisor) type EventSink = Box<dyn FnMut(UnitEvent) + Send>;

/// Where another owner's facts go. Called on the engine's thread; must not wait for anything.
pub(in crate::supervisor) type FactSink = Box<dyn FnMut(Input) + Send>;

/// What other threads ask of the engine.
pub(in crate::supervisor) enum Command {
    AddPool {
        owner: OwnerId,
        max_workers: Option<NonZeroUsize>,
        sink: EventSink,
    },
    AddOwner {
        owner: OwnerId,
        sink: FactSink,
    },
    /// Makes sure that the watcher is there, and says how far it reaches.
    Contain(Sender<Reach>),
    /// Ends whatever the owner still has, without another word about it.
    Remove {
        owner: OwnerId,
    },
    Submit {
        owner: OwnerId,
        unit: UnitId,
        spec: UnitSpec,
    },
    /// A wish for a pool's driver.
    Wish {
        owner: OwnerId,
        input: Input,
    },
    Spawn {
        owner: OwnerId,
        unit: UnitId,
        spec: Arc<UnitSpec>,
        captured: Captured,
    },
    Signal {
        owner: OwnerId,
        unit: UnitId,
        signal: GroupSignal,
    },
    Sweep {
        owner: OwnerId,
        unit: UnitId,
    },
    Reap {
        owner: OwnerId,
        unit: UnitId,
    },
    Timer {
        owner: OwnerId,
        unit: UnitId,
        at: Option<Moment>,
    },
}

/// Commands on their way to the engine.
pub(in crate::supervisor) type Inbox = Arc<Mutex<Vec<Command>>>;
