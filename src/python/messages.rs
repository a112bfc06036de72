//! The engine's own messages (`tracing`), held for whoever passes them on to Python's `logging`.
//!
//! A message comes from any thread, also from one that must not wait for the interpreter. So it is
//! only put down here, and Python fetches it. What nobody fetches makes room for what is newer.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// So many are held.
const MOST: usize = 256;

/// In the order in which they came: the level in the numbers of `logging`, and the text.
static HELD: Mutex<VecDeque<(u8, String)>> = Mutex::new(VecDeque::new());

/// The messages since the last call.
#[pyfunction]
#[pyo3(name = "messages")]
pub(super) fn take() -> Vec<(u8, String)> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.drain(..).collect()
}

/// Begins to hold messages. Only this module's own are seen: a host has a `tracing` of its own.
pub(super) fn hold() {
    // A second time it is refused, and held already.
    let _ = tracing::subscriber::set_global_default(Holder);
}

struct Holder;

impl Subscriber for Holder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The crates below have messages, too, which mean nothing to people.
        *metadata.level() <= Level::WARN && metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = if *event.metadata().level() == Level::ERROR {
            40
        } else {
            30
        };
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() == MOST {
            held.pop_front();
        }
        held.push_back((level, text.message + &text.fields));
    }

    // There are no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The message, and what goes with it: ` path=/tmp/x error=no space left`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
