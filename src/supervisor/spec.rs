//! What a unit is made of: command, environment, input, limits and what becomes of its output.
//!
//! Plain data; whoever submits a unit fills it in.

use std::ffi::OsString;
use std::path::PathBuf;

use super::event::Limits;

/// A child process that is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSpec {
    /// The executable: a path if it holds a slash, else looked up in the `PATH` of [`Self::env`].
    pub program: OsString,
    /// The arguments, without the executable's own name.
    pub args: Vec<OsString>,
    /// The whole environment; `None` for the program's own at the time of submission.
    pub env: Option<Vec<(OsString, OsString)>>,
    /// The working folder; `None` for the program's own.
    pub working_dir: Option<PathBuf>,
    /// What the child reads.
    pub stdin: Stdin,
    /// Its time limits.
    pub limits: Limits,
    /// What becomes of its output, apart from being captured.
    pub capture: Capture,
}

impl UnitSpec {
    /// A unit that inherits environment and folder, reads nothing, and has no time limit.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: None,
            working_dir: None,
            stdin: Stdin::Null,
            limits: Limits::default(),
            capture: Capture::default(),
        }
    }

    /// The same with these arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }
}

/// A child's standard input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stdin {
    /// Nothing: end-of-file at once.
    #[default]
    Null,
    /// These bytes, then end-of-file.
    Bytes(Vec<u8>),
    /// A terminal on which every question is answered with an empty line, and which never ends
    /// (COMPATIBILITY 1).
    Terminal,
}

/// What becomes of a child's output, apart from being captured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capture {
    /// A file to which both streams are appended as they come, byte for byte.
    pub tee: Option<PathBuf>,
    /// Whether complete lines are reported as they come, as `Output` events.
    pub mirror: bool,
}
