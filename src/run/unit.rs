//! What the end of a supervised unit means for its task.
//!
//! Pure: the supervisor says how a process ended, and this says whether that is a failure, of
//! which type and at which stage.

use std::fmt;

use crate::report::fixes;
use crate::report::text::duration;
use crate::supervisor::{Exit, Finished, Outcome};

use super::failure::{ErrorType, Failure, Stage};
use super::record::{Settings, UnitEnd};

/// What a unit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The setup command in a fresh worktree.
    Setup,
    /// The coding agent.
    Agent,
    /// The verify command.
    Verify,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "setup",
            Self::Agent => "agent",
            Self::Verify => "verify",
        })
    }
}

impl Role {
    const fn stage(self) -> Stage {
        match self {
            Self::Setup | Self::Agent => Stage::Implementation,
            Self::Verify => Stage::Testing,
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Setup => "the setup command",
            Self::Agent => "the agent",
            Self::Verify => "the verify command",
        }
    }
}

/// The most of a log that goes into a record, in bytes.
const EXCERPT: usize = 4096;

/// How a unit ended, as its record says it. `tail` is the end of its log, redacted.
pub fn unit_end(role: Role, finished: &Finished, tail: &str, settings: &Settings) -> UnitEnd {
    let failure = failure(role, &finished.outcome, tail, settings);
    let (name, exit_code) = name(&finished.outcome);
    UnitEnd {
        outcome: name.to_owned(),
        exit_code,
        seconds: finished.duration().as_secs_f64(),
        excerpt: failure.is_some().then(|| excerpt(tail)),
        failure,
    }
}

fn name(outcome: &Outcome) -> (&'static str, Option<i32>) {
    match outcome {
        Outcome::Success => ("success", Some(0)),
        Outcome::Failed(code) => ("failed", Some(*code)),
        Outcome::Signalled(_) => ("signalled", None),
        Outcome::TimedOut => ("timed_out", None),
        Outcome::Leaked(Exit::Code(code)) => ("leaked", Some(*code)),
        Outcome::Leaked(Exit::Signal(_)) => ("leaked", None),
        Outcome::SpawnError(_) => ("spawn_error", None),
        Outcome::Cancelled(_) => ("cancelled", None),
    }
}

fn failure(role: Role, outcome: &Outcome, tail: &str, settings: &Settings) -> Option<Failure> {
    let (stage, subject) = (role.stage(), role.subject());
    let detected = |message: String| {
        let error = fixes::detect(tail).unwrap_or(match role {
            Role::Verify => ErrorType::TestFailure,
            Role::Setup | Role::Agent => ErrorType::Unknown,
        });
        Failure::new(stage, error, message)
    };
    Some(match outcome {
        Outcome::Success | Outcome::Leaked(Exit::Code(0)) => return None,
        Outcome::Failed(code) | Outcome::Leaked(Exit::Code(code)) => {
            detected(format!("{subject} exited with code {code}"))
        }
        Outcome::Signalled(signal) | Outcome::Leaked(Exit::Signal(signal)) => {
            detected(format!("{subject} was killed by signal {signal}"))
        }
        Outcome::TimedOut => {
            let limit = settings.timeout.map(duration).unwrap_or_default();
            let error = match role {
                Role::Verify => ErrorType::TestTimeout,
                Role::Setup | Role::Agent => ErrorType::Timeout,
            };
            Failure {
                timed_out: true,
                ..Failure::new(stage, error, format!("{subject} was ended after {limit}"))
            }
        }
        Outcome::SpawnError(error) => Failure::new(
            stage,
            ErrorType::ResourceError,
            format!("{subject} could not be started: {error}"),
        ),
        Outcome::Cancelled(_) => Failure::new(
            stage,
            ErrorType::Cancelled,
            format!("{subject} was interrupted"),
        ),
    })
}

/// The last lines of a log, as many as fit whole.
fn excerpt(tail: &str) -> String {
    let mut from = tail.len().saturating_sub(EXCERPT);
    while !tail.is_char_boundary(from) {
        from += 1;
    }
    let end = &tail[from..];
    match end.split_once('\n') {
        Some((_, whole)) if from > 0 => whole.to_owned(),
        _ => end.to_owned(),
    }
}
