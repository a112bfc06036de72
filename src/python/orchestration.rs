//! Orchestrations, plans and their lines, as Python drives them. JSON goes in and out: its shapes
//! are the crate's own types, which Python's data classes mirror.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::tz::TimeZone;
use pyo3::exceptions::{PyStopIteration, PyValueError};
use pyo3::prelude::*;
use serde::Serialize;

use super::watcher;
use crate::error::Error;
use crate::plan::{Plan, Validation};
use crate::report::console::{Console, Mode};
use crate::report::dry_run::dry_run;
use crate::run::event::Event;
use crate::run::handle::{Handle, Seen};
use crate::run::interruption::Interruption;
use crate::run::options::Options;
use crate::run::prepare::{self, Preview, prepare};

/// How often a wait looks for signals.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// One orchestration.
#[pyclass(name = "Orchestration", module = "orchestration._core", frozen)]
pub(super) struct PyOrchestration {
    source: String,
    options: Options,
    text: Option<String>,
    stage: Mutex<Stage>,
    interruption: Interruption,
}

/// How far it has come.
enum Stage {
    New,
    Prepared(Box<prepare::Prepared>),
    Started(Handle),
    Over,
}

#[pymethods]
impl PyOrchestration {
    #[new]
    #[pyo3(signature = (source, options, text = None))]
    fn new(source: String, options: &str, text: Option<String>) -> PyResult<Self> {
        let options = serde_json::from_str(options).map_err(|error| Error::Options {
            reason: error.to_string(),
        })?;
        Ok(Self {
            source,
            options,
            text,
            stage: Mutex::new(Stage::New),
            interruption: Interruption::default(),
        })
    }

    fn prepare(&self, py: Python<'_>) -> PyResult<String> {
        watcher::announce(py)?;
        let (source, options, text) = (&self.source, self.options.clone(), self.text.clone());
        let ended = &self.interruption;
        let prepared = interruptible(py, ended, || prepare(source, text, options, ended));
        let prepared = prepared.map_err(|(signal, _)| signal)??;
        let preview = json(&prepared.preview())?;
        *self.lock() = Stage::Prepared(Box::new(prepared));
        Ok(preview)
    }

    /// The caller has had the warnings accepted.
    ///
    /// Where a signal's exception comes out of it, the run may be at work all the same, as one
    /// can see by its events.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let mut stage = self.lock();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Prepared(prepared) => {
                let started = interruptible(py, &self.interruption, || {
                    Handle::start(prepared.accept_warnings())
                });
                self.interruption.release();
                match started {
                    Ok(handle) => *stage = Stage::Started(handle?),
                    Err((signal, handle)) => {
                        if let Some(Ok(handle)) = handle {
                            *stage = Stage::Started(handle);
                        }
                        return Err(signal);
                    }
                }
                Ok(())
            }
            other => {
                *stage = other;
                Err(out_of_turn("start() comes once, after prepare()"))
            }
        }
    }

    fn next(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<String>> {
        let timeout = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX);
        let seen = py.detach(|| match &*self.lock() {
            Stage::Started(handle) => Some(handle.next(timeout)),
            Stage::Over => Some(Seen::End),
            Stage::New | Stage::Prepared(_) => None,
        });
        match seen {
            Some(Seen::Event(event)) => json(&event).map(Some),
            Some(Seen::Nothing) => Ok(None),
            Some(Seen::End) => Err(PyStopIteration::new_err(())),
            None => Err(out_of_turn("next() comes after start()")),
        }
    }

    /// Ends `prepare` or `start` early: they fail. It comes from a signal handler, or from
    /// another thread.
    fn interrupt(&self, py: Python<'_>) {
        py.detach(|| self.interruption.fire());
    }

    fn cancel(&self, py: Python<'_>, exit_code: u8) {
        py.detach(|| {
            if let Stage::Started(handle) = &mut *self.lock() {
                handle.cancel(exit_code);
            }
        });
    }

    fn result(&self, py: Python<'_>) -> PyResult<String> {
        let mut stage = self.lock();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Started(handle) => {
                let outcome = py.detach(|| handle.join())?;
                json(&outcome.summary)
            }
            other => {
                *stage = other;
                Err(out_of_turn("result() comes once, after the last event"))
            }
        }
    }
}

impl PyOrchestration {
    fn lock(&self) -> std::sync::MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works on a thread beside this one, which looks for signals meanwhile. The exception of a
/// handler ends the work; it comes with what the work led to.
pub(super) fn interruptible<T: Send>(
    py: Python<'_>,
    interruption: &Interruption,
    work: impl FnOnce() -> T + Send,
) -> Result<T, (PyErr, Option<T>)> {
    thread::scope(|scope| {
        let (teller, mut result) = channel();
        scope.spawn(move || {
            // The receiver is right here.
            let _ = teller.send(work());
        });
        loop {
            let waiting = &mut result;
            match py.detach(move || waiting.recv_timeout(SIGNAL_CHECK)) {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Timeout) => {}
                // It panicked, and so does the scope.
                Err(RecvTimeoutError::Disconnected) => return Err((gone(), None)),
            }
            if let Err(signal) = py.check_signals() {
                interruption.fire();
                return Err((signal, py.detach(move || result.recv().ok())));
            }
        }
    })
}

/// The lines of one orchestration on standard output.
#[pyclass(name = "Lines", module = "orchestration._core", frozen)]
pub(super) struct PyLines(Mutex<Console>);

#[pymethods]
impl PyLines {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(Console::new(TimeZone::system(), Mode::Fresh)))
    }

    fn render(&self, event: &str) -> PyResult<Vec<String>> {
        let event: Event = serde_json::from_str(event).map_err(|error| refused(&error))?;
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .lines(&event))
    }

    fn notes(&self, event: &str) -> PyResult<Vec<String>> {
        let event: Event = serde_json::from_str(event).map_err(|error| refused(&error))?;
        let console = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(console.notes(&event))
    }

    #[expect(
        clippy::unused_self,
        reason = "it is one of the things that a run prints"
    )]
    fn dry_run(&self, prepared: &str, to_run: &str) -> PyResult<String> {
        let preview: Preview = serde_json::from_str(prepared).map_err(|error| refused(&error))?;
        Ok(dry_run(
            &preview.source,
            &preview.plan,
            &preview.validation,
            to_run,
        ))
    }
}

/// The plan as JSON.
#[pyfunction]
pub(super) fn parse_plan(py: Python<'_>, text: &str, source: Option<&str>) -> PyResult<String> {
    let plan = py.detach(|| prepare::parse(text, source))?;
    json(&plan)
}

/// The judgement on a plan, both as JSON.
#[pyfunction]
pub(super) fn validate(py: Python<'_>, plan: &str, repo: Option<&str>) -> PyResult<String> {
    let plan: Plan = serde_json::from_str(plan).map_err(|error| refused(&error))?;
    let validation: Validation = py.detach(|| prepare::judge(&plan, repo))?;
    json(&validation)
}

pub(super) fn json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| refused(&error))
}

fn gone() -> PyErr {
    Error::Engine {
        reason: "its thread panicked".to_owned(),
    }
    .into()
}

fn refused(error: &serde_json::Error) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn out_of_turn(message: &str) -> PyErr {
    Error::Engine {
        reason: message.to_owned(),
    }
    .into()
}
