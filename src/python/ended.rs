//! How a process ended and what it wrote, decoded when Python asks for it.

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::supervisor::{CapturedStream, Exit, Finished, Newlines, Outcome};

/// How many bytes may be needed to show one character: four, or one and a `\r` that is dropped.
const BYTES_PER_CHARACTER: usize = 5;

/// A process that has ended. It holds bytes, or a mapped file, until it is dropped; text is made
/// anew by each call.
#[pyclass(name = "Ended", module = "orchestration._core", frozen)]
pub(super) struct Ended(pub(super) Finished);

#[pymethods]
impl Ended {
    /// The exit code as `subprocess` counts; -1 for a timeout and for what never started.
    #[getter]
    fn exit_code(&self) -> i32 {
        match (&self.0.outcome, self.0.times.exit) {
            (Outcome::Cancelled(_), Some(exit)) => exit.code(),
            _ => self.0.exit_code(),
        }
    }

    /// Whether it ran into its time limit.
    #[getter]
    fn timed_out(&self) -> bool {
        self.0.outcome == Outcome::TimedOut
    }

    /// Whether it was asked to end and had to be killed.
    #[getter]
    fn killed(&self) -> bool {
        matches!(self.0.outcome, Outcome::TimedOut | Outcome::Cancelled(_))
            && self.0.times.exit == Some(Exit::Signal(libc::SIGKILL))
    }

    /// Why it never started; `None` where it did.
    #[getter]
    fn error(&self) -> Option<String> {
        match &self.0.outcome {
            Outcome::SpawnError(error) => Some(error.to_string()),
            _ => None,
        }
    }

    /// Standard output: UTF-8 with replacement, `\n` at the ends of lines (COMPATIBILITY 6).
    fn output<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text(py, &self.0.captured.stdout)
    }

    /// Standard error, in the same way.
    fn stderr<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text(py, &self.0.captured.stderr)
    }

    /// The first `count` characters of standard error.
    fn stderr_head(&self, count: usize) -> String {
        let stderr = &self.0.captured.stderr;
        let text = stderr.head(
            count.saturating_mul(BYTES_PER_CHARACTER),
            Newlines::Universal,
        );
        text.chars().take(count).collect()
    }
}

/// Python's own copy is the only one: output may be as long as memory allows.
fn text<'py>(py: Python<'py>, stream: &CapturedStream) -> Bound<'py, PyString> {
    stream.with_text(Newlines::Universal, |text| PyString::new(py, text))
}
