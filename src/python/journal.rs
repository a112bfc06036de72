//! Orchestrations seen from outside: where a repository keeps them, and what a journal tells.
//!
//! Reads only. Whoever watches a run holds nothing that the run could wait for.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use super::orchestration::json;
use crate::workspace::Workspace;
use crate::world::real::JournalReader;

/// The main worktree of the repository that `path` belongs to.
#[pyfunction]
pub(super) fn main_worktree(py: Python<'_>, path: PathBuf) -> PyResult<PathBuf> {
    let workspace = py.detach(move || Workspace::discover(&path))?;
    Ok(workspace.root().to_owned())
}

/// A journal that is read while it grows.
#[pyclass(name = "Journal", module = "orchestration._core", frozen)]
pub(super) struct PyJournal(Mutex<JournalReader>);

#[pymethods]
impl PyJournal {
    #[new]
    const fn new(path: PathBuf) -> Self {
        Self(Mutex::new(JournalReader::new(path)))
    }

    fn news(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let events = py.detach(|| {
            let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            reader.news()
        })?;
        events.iter().map(json).collect()
    }
}
