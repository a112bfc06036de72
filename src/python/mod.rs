//! The extension module `orchestration._core`: bindings, and no logic.
//!
//! One file a subject. Each turns Python values into the crate's own types, calls it with the
//! interpreter released, and turns what comes back into Python values; errors take the one way
//! through [`errors`]. `python/orchestration/_core.pyi` mirrors this folder and documents it.
//!
//! Nothing here may decide anything about children, plans or files, and no other module of the
//! crate may know Python.

mod ended;
mod errors;
mod examine;
mod journal;
mod messages;
mod orchestration;
mod pool;
mod sigint;
mod watcher;

use pyo3::prelude::*;

/// The native half of the package `orchestration`.
#[pymodule]
#[pyo3(name = "_core")]
mod core_module {
    use super::{Bound, PyModule, PyModuleMethods, PyResult, errors, messages, watcher};

    #[pymodule_export]
    use super::ended::Ended;
    #[pymodule_export]
    use super::errors::{
        EngineError, ForgeError, OrchestrationError, PlanError, UsageError, ValidationError,
    };
    #[pymodule_export]
    use super::examine::examine;
    #[pymodule_export]
    use super::journal::{PyJournal, ask_to_end, clean, lock_holder, main_worktree, overview};
    #[pymodule_export]
    use super::messages::take;
    #[pymodule_export]
    use super::orchestration::{PyLines, PyOrchestration, parse_plan, validate};
    #[pymodule_export]
    use super::pool::PyPool;
    #[pymodule_export]
    use super::sigint::SigintWatch;
    #[pymodule_export]
    use super::watcher::{contain, containment, watch};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        messages::hold();
        watcher::remember(module);
        errors::describe(module.py())
    }
}
