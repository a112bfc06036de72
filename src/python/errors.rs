//! The Python exception tree, and the one way into it.
//!
//! `OrchestrationError` is the root; each [`Kind`] has one class below it. Classes and instances
//! carry `exit_code` (that of the command) and `hint` (the way out, as one line).

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::error::{Error, Kind};

pyo3::create_exception!(
    orchestration,
    OrchestrationError,
    PyException,
    "Why an orchestration did not start, or could not go on."
);
pyo3::create_exception!(
    orchestration,
    PlanError,
    OrchestrationError,
    "The source holds nothing that can be run."
);
pyo3::create_exception!(
    orchestration,
    ValidationError,
    OrchestrationError,
    "The tasks cannot run side by side, or warnings were not accepted."
);
pyo3::create_exception!(
    orchestration,
    ForgeError,
    OrchestrationError,
    "The forge (GitHub, or the local one) refused or could not be reached."
);
pyo3::create_exception!(
    orchestration,
    EngineError,
    OrchestrationError,
    "This machine, the repository or the engine itself failed."
);
pyo3::create_exception!(
    orchestration,
    UsageError,
    OrchestrationError,
    "The library or the command was called wrongly."
);

/// Every kind of error, in the order of their exit codes.
const KINDS: [Kind; 5] = [
    Kind::Plan,
    Kind::Validation,
    Kind::Forge,
    Kind::Engine,
    Kind::Usage,
];

/// Gives the classes their `exit_code` and `hint`, for exceptions that Python code raises itself.
pub(super) fn describe(py: Python<'_>) -> PyResult<()> {
    let root = py.get_type::<OrchestrationError>();
    root.setattr("exit_code", Kind::Engine.exit_code())?;
    root.setattr("hint", "")?;
    for kind in KINDS {
        class(py, kind).setattr("exit_code", kind.exit_code())?;
    }
    Ok(())
}

fn class(py: Python<'_>, kind: Kind) -> Bound<'_, PyType> {
    match kind {
        Kind::Usage => py.get_type::<UsageError>(),
        Kind::Plan => py.get_type::<PlanError>(),
        Kind::Validation => py.get_type::<ValidationError>(),
        Kind::Forge => py.get_type::<ForgeError>(),
        Kind::Engine => py.get_type::<EngineError>(),
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        Python::attach(|py| {
            let raised = Self::from_type(class(py, error.kind()), error.to_string());
            let value = raised.value(py);
            value
                .setattr("exit_code", error.exit_code())
                .and_then(|()| value.setattr("hint", error.hint()))
                .err()
                .unwrap_or(raised)
        })
    }
}
