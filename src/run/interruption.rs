//! Ends what is done before there is a run: commands, and the waits of a forge.
//!
//! Touches what it was told of. Once a run is at work, that has a cancel of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::forge::Forge;
use crate::supervisor::{CancelReason, Commands, EngineError, Finished, UnitSpec};

/// Somebody may not want to wait any longer.
#[derive(Default)]
pub struct Interruption {
    commands: Commands,
    forge: Mutex<Option<Arc<dyn Forge>>>,
}

impl Interruption {
    /// Ends what is under way, and what comes: it fails.
    pub fn fire(&self) {
        self.commands.cancel(CancelReason::Interrupted);
        // Not under the lock, which whoever is under way may want.
        let forge = self.lock().clone();
        if let Some(forge) = forge {
            forge.interrupt();
        }
    }

    /// Runs a command, and waits for it.
    pub fn run(&self, command: UnitSpec) -> Result<Finished, EngineError> {
        self.commands.run(command)
    }

    /// This forge will be asked.
    pub fn watch(&self, forge: &Arc<dyn Forge>) {
        *self.lock() = Some(Arc::clone(forge));
        if self.commands.are_cancelled() {
            forge.interrupt();
        }
    }

    /// Whether somebody does not want to wait any longer.
    pub fn has_fired(&self) -> bool {
        self.commands.are_cancelled()
    }

    /// The forge is asked by a run from here on.
    pub fn release(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn Forge>>> {
        self.forge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
