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

/// Whether a unit's end is no failure; what it left behind was ended, and is none either.
pub const fn ended_well(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Success | Outcome::Leaked(Exit::Code(0)))
}

/// How a unit ended, as its record says it. `tail` is the end of its log, redacted; only a failure needs it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::{CancelReason, SpawnError};

    fn judged(role: Role, outcome: &Outcome, tail: &str) -> Option<(ErrorType, Stage, String)> {
        let settings = crate::run::record::tests_support::settings();
        let found = failure(role, outcome, tail, &settings)?;
        Some((found.error, found.stage, found.message))
    }

    #[test]
    fn a_clean_exit_is_no_failure_even_where_something_was_left_behind() {
        assert_eq!(judged(Role::Agent, &Outcome::Success, "error: x"), None);
        assert_eq!(
            judged(Role::Agent, &Outcome::Leaked(Exit::Code(0)), ""),
            None
        );
    }

    #[test]
    fn the_log_tells_the_type_of_a_failure() {
        let tail = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'x'\n";
        let (error, stage, message) = judged(Role::Agent, &Outcome::Failed(1), tail).unwrap();
        assert_eq!(
            (error, stage),
            (ErrorType::ImportConflict, Stage::Implementation)
        );
        assert_eq!(message, "the agent exited with code 1");
    }

    #[test]
    fn a_failed_verification_is_a_test_failure_unless_the_log_knows_better() {
        let (error, stage, _) = judged(Role::Verify, &Outcome::Failed(2), "").unwrap();
        assert_eq!((error, stage), (ErrorType::TestFailure, Stage::Testing));
    }

    #[test]
    fn a_time_limit_is_named_with_its_length() {
        let (error, _, message) = judged(Role::Agent, &Outcome::TimedOut, "").unwrap();
        assert_eq!(error, ErrorType::Timeout);
        assert_eq!(message, "the agent was ended after 30m");
        let (error, _, _) = judged(Role::Verify, &Outcome::TimedOut, "").unwrap();
        assert_eq!(error, ErrorType::TestTimeout);
    }

    #[test]
    fn no_start_is_a_matter_of_resources_and_a_cancel_is_no_fault() {
        let error = SpawnError::Resources { errno: 11 };
        let (kind, _, _) = judged(Role::Agent, &Outcome::SpawnError(error), "").unwrap();
        assert_eq!(kind, ErrorType::ResourceError);
        let cancelled = Outcome::Cancelled(CancelReason::Interrupted);
        assert_eq!(
            judged(Role::Setup, &cancelled, "").unwrap().0,
            ErrorType::Cancelled
        );
    }

    #[test]
    fn an_excerpt_begins_with_a_whole_line_and_character() {
        let tail = format!("{}é\nlast line\n", "x".repeat(EXCERPT - 12));
        assert_eq!(excerpt(&tail), "last line\n");
        assert_eq!(excerpt("short\n"), "short\n");
    }
}
