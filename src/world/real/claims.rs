//! What agents say of themselves: `.agent_status.json` in their worktrees, read when it changes.
//!
//! Watches folders and reads one small file in each. A claim is checked for its form here; that
//! it is never taken for evidence is the business of [`crate::run`].

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use rustix::fs::OFlags;
use serde::Deserialize;

use crate::workspace::AGENT_STATUS_FILE;
use crate::world::Fact;

/// The most of a status file that is read, in bytes; a larger one is malformed.
const LARGEST: u64 = 64 * 1024;
/// The longest stage that is shown, in characters.
const LONGEST_STAGE: usize = 120;

type Places = Arc<Mutex<BTreeMap<PathBuf, u32>>>;

/// The watched worktrees.
pub(super) struct Claims {
    watcher: Option<RecommendedWatcher>,
    places: Places,
}

#[derive(Deserialize)]
struct Claim {
    current_stage: Option<String>,
    progress_percentage: Option<serde_json::Number>,
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
    file.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    if bytes.is_empty() {
        // Truncated, and about to be written.
        return None;
    }
    Some(parse(agent, &bytes))
}

fn parse(agent: u32, bytes: &[u8]) -> Fact {
    let bad = |reason: String| Fact::BadClaim { agent, reason };
    if bytes.len() as u64 > LARGEST {
        return bad(format!("it is larger than {LARGEST} bytes"));
    }
    let claim: Claim = match serde_json::from_slice(bytes) {
        Ok(claim) => claim,
        Err(error) => return bad(error.to_string()),
    };
    let percent = match claim.progress_percentage {
        None => None,
        Some(number) => match number
            .as_f64()
            .filter(|value| (0.0..=100.0).contains(value))
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range was checked"
            )]
            Some(value) => Some(value.round() as u8),
            None => return bad(format!("progress_percentage is {number}, not 0 to 100")),
        },
    };
    let stage = claim.current_stage.map(|stage| {
        let clean = stage.chars().filter(|character| !character.is_control());
        clean
            .take(LONGEST_STAGE)
            .collect::<String>()
            .trim()
            .to_owned()
    });
    Fact::Claim {
        agent,
        stage: stage.filter(|stage| !stage.is_empty()),
        percent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_claim_is_stage_and_percent() {
        let fact = parse(
            3,
            br#"{"current_stage": "Running tests", "progress_percentage": 75.4}"#,
        );
        let Fact::Claim {
            agent: 3,
            stage: Some(stage),
            percent: Some(75),
        } = fact
        else {
            panic!("{fact:?}");
        };
        assert_eq!(stage, "Running tests");
    }

    #[test]
    fn a_claim_out_of_range_or_form_is_bad() {
        for text in [
            "{",
            "[]",
            r#"{"progress_percentage": 101}"#,
            r#"{"progress_percentage": -1}"#,
        ] {
            assert!(
                matches!(parse(1, text.as_bytes()), Fact::BadClaim { agent: 1, .. }),
                "{text}"
            );
        }
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let fact = parse(1, b"{\"current_stage\": \"a\\u001b[31m\\nb\"}");
        let Fact::Claim {
            stage: Some(stage), ..
        } = fact
        else {
            panic!("{fact:?}")
        };
        assert_eq!(stage, "a[31mb");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(1, &bytes);
        }
    }
}
