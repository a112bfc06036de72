//! One agent command line: how it is called, what it is told, what it may see, what it prints.
//!
//! Pure. Finding the executable and starting it are the business of [`crate::run::prepare`] and
//! [`crate::supervisor`].

pub mod claim;
pub mod command;
pub mod environment;
pub mod prompt;
pub mod stream;

pub use command::{Agent, Invocation, Session};
pub use stream::{AgentResult, Sign, Stream, Usage, Verdict};
