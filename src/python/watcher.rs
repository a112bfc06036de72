//! How the containment watcher is started out of a Python program: the same interpreter, bare,
//! loads this very extension module by its path and runs the watcher's main function.

use std::ffi::OsString;
use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::error::Error;
use crate::supervisor::{self, set_watcher_command, watcher};

/// Loads the module named by its first argument without the import system, site or environment.
const BOOT: &str = "\
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
loader = ExtensionFileLoader('_core', sys.argv[1])
module = loader.create_module(ModuleSpec('_core', loader, origin=sys.argv[1]))
loader.exec_module(module)
sys.exit(module._watch(sys.argv[2:]))
";

/// Tells the engine how to start its watcher; to be called before the first pool is made.
///
/// A program that embeds Python may not know its interpreter. The engine then looks for a watcher
/// of its own.
pub(super) fn announce(py: Python<'_>) -> PyResult<()> {
    static ANNOUNCED: OnceLock<()> = OnceLock::new();
    if ANNOUNCED.get().is_some() {
        return Ok(());
    }
    let executable: Option<OsString> = py.import("sys")?.getattr("executable")?.extract()?;
    let module: Option<OsString> = match MODULE.get(py) {
        Some(module) => Some(module.bind(py).getattr("__file__")?.extract()?),
        None => None,
    };
    if let (Some(executable), Some(module)) = (executable, module)
        && !executable.is_empty()
    {
        let mut command = vec![executable];
        command.extend(["-I", "-S", "-c", BOOT].map(OsString::from));
        command.push(module);
        set_watcher_command(command);
    }
    let _ = ANNOUNCED.set(());
    Ok(())
}

static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// Remembers the module, whose path is known only once it is loaded.
pub(super) fn remember(module: &Bound<'_, PyModule>) {
    let _ = MODULE.set(module.py(), module.clone().unbind());
}

/// The variable and the value that put a child of the program's own under the watcher.
#[pyfunction]
pub(super) fn contain(py: Python<'_>) -> PyResult<(&'static str, OsString)> {
    announce(py)?;
    py.detach(supervisor::contain).map_err(|error| {
        Error::Engine {
            reason: error.to_string(),
        }
        .into()
    })
}

/// How far containment reaches here.
#[pyfunction]
pub(super) fn containment(py: Python<'_>) -> PyResult<&'static str> {
    announce(py)?;
    let reach = py
        .detach(supervisor::containment)
        .map_err(|error| Error::Engine {
            reason: error.to_string(),
        })?;
    Ok(reach.name())
}

/// The watcher's whole life, in a process of its own. Returns its exit code.
#[pyfunction]
#[pyo3(name = "_watch")]
pub(super) fn watch(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| watcher::main(arguments))
}
