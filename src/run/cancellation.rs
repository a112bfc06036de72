//! What another process asks a run to end with: the file `run.cancel` beside its journal.
//!
//! Pure. A request names the run that it means: the orchestration, and the mark of the program
//! that runs it, which holds that program's number, start and a random part. So one that was left
//! over can never end a later run, and nobody is signalled by a number that may be another's now.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::supervisor::CancelReason;
use crate::workspace::CANCEL_FILE;

use super::state::State;

/// The exit code that a request leads to: that of Ctrl-C.
pub const EXIT_CODE: u8 = 130;

/// Where one run is asked to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The file.
    pub path: PathBuf,
    orchestration: String,
    engine: String,
}

impl Address {
    /// That of the run that the program with the mark `engine` writes into a journal.
    pub fn new(journal: &Path, engine: String) -> Self {
        let name = journal.file_stem().unwrap_or_default();
        Self {
            path: journal.with_file_name(CANCEL_FILE),
            orchestration: name.to_string_lossy().into_owned(),
            engine,
        }
    }

    /// Why the run is to end, if this text asks it to.
    pub fn asked(&self, text: &[u8]) -> Option<CancelReason> {
        let request: Cancellation = serde_json::from_slice(text).ok()?;
        let is_meant = request.orchestration == self.orchestration && request.engine == self.engine;
        is_meant.then_some(if request.kill {
            CancelReason::SecondSignal
        } else {
            CancelReason::Interrupted
        })
    }
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    orchestration: String,
    engine: String,
    /// Agents get no time to end by themselves.
    kill: bool,
}

impl Cancellation {
    /// Asks the run to end that a journal tells of.
    pub fn of(state: &State, kill: bool) -> Self {
        Self {
            orchestration: state.start.orchestration.clone(),
            engine: state.start.engine.clone(),
            kill,
        }
    }

    /// As it stands in the file.
    pub fn text(&self) -> String {
        // Plain data always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::facts::tests_support::{spec, start};

    fn state(orchestration: &str, engine: &str) -> State {
        let mut start = start(vec![spec(1, "a")]);
        start.orchestration = orchestration.to_owned();
        start.engine = engine.to_owned();
        State::new(start, 0)
    }

    fn address() -> Address {
        let journal = Path::new("/shop/parallel/1/orch-1-20260101-1200.jsonl");
        Address::new(journal, "42.7.abc".to_owned())
    }

    #[test]
    fn it_stands_beside_the_journal() {
        assert_eq!(address().path, Path::new("/shop/parallel/1/run.cancel"));
    }

    #[test]
    fn the_run_that_is_meant_hears_it() {
        let state = state("orch-1-20260101-1200", "42.7.abc");
        let asked = |kill| address().asked(Cancellation::of(&state, kill).text().as_bytes());
        assert_eq!(asked(false), Some(CancelReason::Interrupted));
        assert_eq!(asked(true), Some(CancelReason::SecondSignal));
    }

    #[test]
    fn no_other_run_hears_it() {
        for (orchestration, engine) in [
            ("orch-1-20260101-1200-2", "42.7.abc"),
            ("orch-1-20260101-1200", "42.8.abc"),
            ("orch-1-20260101-1200", "42.7.abd"),
        ] {
            let text = Cancellation::of(&state(orchestration, engine), true).text();
            assert_eq!(address().asked(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_request_asks_for_nothing() {
        for text in ["", "{}", "[1]", "\u{0}", r#"{"kill": true}"#] {
            assert_eq!(address().asked(text.as_bytes()), None, "{text}");
        }
    }
}
