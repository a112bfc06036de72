//! What agents say of themselves: `.agent_status.json` in their worktrees, read when it changes.
//!
//! Watches folders and reads one small file in each; what stands in it is told by
//! [`crate::agent::claim`].

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use rustix::fs::OFlags;

use crate::agent::claim::{self, Claim};
use crate::workspace::AGENT_STATUS_FILE;
use crate::world::Fact;

/// Whether a folder can be watched as a run would watch its worktrees, else why not.
pub fn can_watch(folder: &Path) -> Result<(), String> {
    let mut watcher = notify::recommended_watcher(|_| {}).map_err(|error| error.to_string())?;
    watcher
        .watch(folder, RecursiveMode::NonRecursive)
        .map_err(|error| error.to_string())
}

type Places = Arc<Mutex<BTreeMap<PathBuf, u32>>>;

/// The watched worktrees.
pub(super) struct Claims {
    watcher: Option<RecommendedWatcher>,
    places: Places,
}

impl Claims {
    /// Reports claims through `tell`. Where folders cannot be watched agents have no progress,
    /// which a log line says.
    pub(super) fn new(tell: impl Fn(Fact) + Send + 'static) -> Self {
        let places = Places::default();
        let known = Arc::clone(&places);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, notify::EventKind::Access(_)) {
                return;
            }
            for path in event
                .paths
                .iter()
                .filter(|path| path.ends_with(AGENT_STATUS_FILE))
            {
                let agent = path.parent().and_then(|folder| {
                    known
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get(folder)
                        .copied()
                });
                if let Some(fact) = agent.and_then(|agent| read(agent, path)) {
                    tell(fact);
                }
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "cannot watch the agents' status files");
        }
        Self {
            watcher: watcher.ok(),
            places,
        }
    }

    /// Watches an agent's worktree, or stops.
    pub(super) fn watch(&mut self, agent: u32, worktree: Option<&Path>) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let before: Vec<_> = places
            .iter()
            .filter(|(_, known)| **known == agent)
            .map(|(place, _)| place.clone())
            .collect();
        for place in &before {
            places.remove(place);
        }
        if let Some(worktree) = worktree {
            places.insert(worktree.to_owned(), agent);
        }
        // The watcher calls back under this lock.
        drop(places);
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for place in before {
            // The folder may be gone already.
            let _ = watcher.unwatch(&place);
        }
        if let Some(worktree) = worktree
            && let Err(error) = watcher.watch(worktree, RecursiveMode::NonRecursive)
        {
            tracing::warn!(%error, agent, "cannot watch the agent's status file");
        }
    }
}

/// Reads a claim; `None` where the file is gone again.
///
/// The agent decides what stands there. Opening or reading a named pipe would wait for it, and
/// with this thread the whole run.
fn read(agent: u32, path: &Path) -> Option<Fact> {
    let mut bytes = Vec::new();
    let file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        let reason = "it is not a regular file".to_owned();
        return Some(Fact::BadClaim { agent, reason });
    }
    file.take(claim::LARGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .ok()?;
    if bytes.is_empty() {
        // Truncated, and about to be written.
        return None;
    }
    Some(match claim::read(&bytes) {
        Ok(Claim { stage, percent }) => Fact::Claim {
            agent,
            stage,
            percent,
        },
        Err(reason) => Fact::BadClaim { agent, reason },
    })
}
