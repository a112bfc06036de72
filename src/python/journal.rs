//! Orchestrations seen from outside: where a repository keeps them, and what a journal tells.
//!
//! Whoever watches a run holds nothing that the run could wait for, and writes nothing but the
//! request that it may end. Cleaning up keeps away from what a run uses.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use super::orchestration::json;
use super::watcher;
use crate::error::Error;
use crate::run::state::State;
use crate::run::{clean as run_clean, lock, overview as run_overview};
use crate::workspace::Workspace;
use crate::world::real::{JournalReader, post, read_good_journal, wall};

/// The main worktree of the repository that `path` belongs to.
#[pyfunction]
pub(super) fn main_worktree(py: Python<'_>, path: PathBuf) -> PyResult<PathBuf> {
    let workspace = py.detach(move || Workspace::discover(&path))?;
    Ok(workspace.root().to_owned())
}

/// The process that holds a lock; 0 where it is not known by number.
#[pyfunction]
pub(super) fn lock_holder(py: Python<'_>, path: PathBuf) -> Option<u32> {
    py.detach(move || lock::holder(&path))
}

/// As JSON, as lines, what to do next, and the error for what is damaged.
type Overview = (String, Vec<String>, Option<String>, Option<Py<PyAny>>);

/// An orchestration as it stands.
#[pyfunction]
pub(super) fn overview(
    py: Python<'_>,
    journal: PathBuf,
    holder: Option<u32>,
) -> PyResult<Overview> {
    let path = journal.clone();
    let (read, damage) = py.detach(move || read_good_journal(&journal))?;
    let Some(state) = State::replay(&read.records) else {
        return Err(damage.unwrap_or(Error::NotBegun { path }).into());
    };
    let now = wall().as_millisecond();
    let told = damage.as_ref().map(ToString::to_string);
    let overview = run_overview::overview(&state, holder, told, now);
    let damage = damage.map(|error| PyErr::from(error).into_value(py).into_any());
    Ok((json(&overview)?, overview.lines(now), overview.hint, damage))
}

/// Asks the run that writes a journal to end.
#[pyfunction]
pub(super) fn ask_to_end(py: Python<'_>, journal: PathBuf, kill: bool) -> PyResult<()> {
    Ok(py.detach(move || post(&journal, kill))?)
}

/// Cleans up after the orchestrations in these folders; what became of it, as lines.
#[pyfunction]
pub(super) fn clean(
    py: Python<'_>,
    repo: PathBuf,
    folders: Vec<PathBuf>,
    dry_run: bool,
) -> PyResult<Vec<String>> {
    watcher::announce(py)?;
    let outcome = py.detach(move || {
        let workspace = Workspace::discover(&repo)?;
        run_clean::clean(&workspace, &folders, dry_run)
    })?;
    Ok(outcome.lines(dry_run))
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
