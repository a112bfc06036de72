//! Runs any set of child processes, and leaves nothing behind.
//!
//! # Theory of operation
//!
//! A pure [`machine`] decides; a [`driver`] carries its decisions out through the trait
//! [`driver::Processes`], which is real children here and a simulation in [`crate::world`].
//! [`event`], [`state`] and [`policy`] are its vocabulary and its rules. Only `process` starts
//! and signals anything.

pub mod driver;
pub mod event;
pub mod machine;
pub mod output;
mod policy;
pub mod spec;
pub mod state;

pub use driver::{Driver, Finished, Processes, UnitEvent};
pub use event::{
    CancelReason, Chunk, Effect, Exit, Input, Limits, Moment, Outcome, OutputStream, Signal,
    Snapshot, SpawnError, Times, UnitId,
};
pub use machine::Machine;
pub use output::{Captured, CapturedStream, Newlines};
pub use spec::{Capture, Stdin, UnitSpec};
