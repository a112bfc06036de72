//! What other processes ask of the run: `run.cancel` beside its journal, read when it is written.
//!
//! Watches one folder, and takes one small file out of it. Whoever may write there can end the run
//! by it, as a signal could, and do nothing else. [`post`] is the other side.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use rustix::fs::OFlags;

use crate::error::{Error, Result};
use crate::run::cancellation::{Address, Cancellation, EXIT_CODE};
use crate::run::state::State;
use crate::supervisor::CancelReason;
use crate::workspace::CANCEL_FILE;
use crate::world::Fact;

use super::{read_good_journal, reason};

/// The most of a request that is read, in bytes.
const LARGEST: u64 = 4096;

/// Where one run is asked to end. Closed with the run.
pub(super) struct Mailbox {
    slot: Arc<Slot>,
    _watcher: Option<RecommendedWatcher>,
}

struct Slot {
    address: Address,
    /// The most severe request so far; what is no more than that is no news.
    heard: Mutex<Option<CancelReason>>,
    tell: Box<dyn Fn(Fact) + Send + Sync>,
}

impl Mailbox {
    /// Reports requests through `tell`. What lies there already was meant for an earlier run.
    pub(super) fn open(address: Address, tell: impl Fn(Fact) + Send + Sync + 'static) -> Self {
        // Often there is none.
        let _ = fs::remove_file(&address.path);
        let slot = Arc::new(Slot {
            address,
            heard: Mutex::new(None),
            tell: Box::new(tell),
        });
        let watched = watch(&slot);
        if let Err(error) = &watched {
            tracing::warn!(%error, "cannot watch for requests of other processes");
        }
        Self {
            slot,
            _watcher: watched.ok(),
        }
    }

    /// Looks whether there is a request, where none may have been noticed.
    pub(super) fn look(&self) {
        self.slot.look();
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // Often there is none.
        let _ = fs::remove_file(&self.slot.address.path);
    }
}

fn watch(slot: &Arc<Slot>) -> notify::Result<RecommendedWatcher> {
    let looks = Arc::clone(slot);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        // Looking is an access, too.
        let is_access = matches!(event.kind, notify::EventKind::Access(_));
        if !is_access && event.paths.iter().any(|path| path.ends_with(CANCEL_FILE)) {
            looks.look();
        }
    })?;
    let folder = slot.address.path.parent().unwrap_or(Path::new("."));
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

impl Slot {
    fn look(&self) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = take(&self.address.path).and_then(|text| self.address.asked(&text));
        let Some(reason) = asked else { return };
        if *heard < Some(reason) {
            *heard = Some(reason);
            (self.tell)(Fact::Cancel {
                exit_code: EXIT_CODE,
                reason,
            });
        }
    }
}

/// Takes a request out; `None` where there is none that can be read. Whoever wrote it sees by that
/// that it was heard. One that is written meanwhile is another one.
fn take(path: &Path) -> Option<Vec<u8>> {
    let taken = path.with_file_name(format!("{CANCEL_FILE}.taken"));
    fs::rename(path, &taken).ok()?;
    let text = read(&taken);
    // Where it stays, nobody reads it again.
    let _ = fs::remove_file(&taken);
    text
}

/// What would make its reader wait is no request.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Asks the run that writes this journal to end; with `kill` its agents get no time for that.
pub fn post(journal: &Path, kill: bool) -> Result<()> {
    let (read, damage) = read_good_journal(journal)?;
    let Some(state) = State::replay(&read.records) else {
        let path = journal.to_owned();
        return Err(damage.unwrap_or(Error::NotBegun { path }));
    };
    let path = journal.with_file_name(CANCEL_FILE);
    // Of another name than that of anybody who asks at the same time.
    let draft = journal.with_file_name(format!("{CANCEL_FILE}.{}", std::process::id()));
    fs::write(&draft, Cancellation::of(&state, kill).text())
        .and_then(|()| fs::rename(&draft, &path))
        .map_err(|error| Error::File {
            action: "write",
            path,
            reason: reason(&error),
        })
}
