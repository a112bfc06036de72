//! Runs any set of child processes, and leaves nothing behind.
//!
//! # Theory of operation
//!
//! A pure [`machine`] decides: it is told facts ([`event::Input`]) and answers with what is to be
//! done ([`event::Effect`]). A [`driver`] carries that out through the trait
//! [`driver::Processes`], which is real children here and a simulation elsewhere.
//!
//! All real children of a program belong to one thread, the [`engine`]'s, on which a reactor waits
//! for all pipes and exits at once. A [`pool`] has its driver on that thread: submit units, take
//! events. A driver of one's own elsewhere uses [`real::RealProcesses`].
//!
//! Only `process` starts and signals anything. Children lead sessions of their own and carry a
//! [`mark`], by which a [`watcher`] finds and ends them when the program dies. Where the program may
//! make a control group (`cgroup`), they live in there, and whatever they do cannot leave it.

mod cgroup;
mod clock;
mod command;
mod commands;
pub mod driver;
pub mod engine;
pub mod event;
mod leftovers;
mod limit;
pub mod machine;
pub mod mark;
pub mod output;
mod policy;
pub mod pool;
mod process;
mod reactor;
pub mod real;
mod scan;
pub mod spec;
pub mod state;
mod stream;
mod terminal;
mod unit;
pub mod watcher;

pub use commands::Commands;
pub use driver::{Driver, Finished, Processes, UnitEvent};
pub use engine::{EngineError, contain, containment, set_watcher_command};
pub use event::{
    CancelReason, Chunk, Effect, Exit, Input, Limits, Moment, Outcome, OutputStream, Signal,
    Snapshot, SpawnError, Times, UnitId,
};
pub use leftovers::{end_leftovers, find_leftovers, own_mark};
pub use limit::{descriptor_limit, ensure_descriptors};
pub use machine::Machine;
pub use output::{Captured, CapturedStream, Newlines, decode};
pub use pool::{Pool, run_command};
pub use real::RealProcesses;
pub use spec::{Capture, Stdin, UnitSpec};
pub use watcher::Reach;
