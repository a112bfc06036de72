//! The containment watcher as a program of its own, for hosts that are not Python.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(orchestration::supervisor::watcher::main(
        std::env::args_os().skip(1),
    ))
}
