//! How things are, for `doctor`: facts as JSON, which Python judges.

use pyo3::prelude::*;

use super::orchestration::{interruptible, json};
use super::watcher;
use crate::error::Error;
use crate::run::examine as run_examine;
use crate::run::interruption::Interruption;
use crate::run::options::Options;

/// Looks at machine, repository, agent and forge.
#[pyfunction]
pub(super) fn examine(py: Python<'_>, options: &str) -> PyResult<String> {
    watcher::announce(py)?;
    let options: Options = serde_json::from_str(options).map_err(|error| Error::Options {
        reason: error.to_string(),
    })?;
    let interruption = Interruption::default();
    let found = interruptible(py, &interruption, || {
        run_examine::examine(&options, &interruption)
    });
    json(&found.map_err(|(signal, _)| signal)?)
}
