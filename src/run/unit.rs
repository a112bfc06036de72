//! What the end of a supervised unit means for its task.
//!
//! Pure: the supervisor says how a process ended, and this says whether that is a failure, of
//! which type and at which stage.

use crate::agent::stream::Verdict;
use crate::report::fixes;
use crate::report::text::duration;
use crate::supervisor::{CancelReason, Exit, Finished, Outcome};

use super::facts::{Again, Role, Settings, UnitEnd};
use super::failure::{ErrorType, Failure, Stage};
use super::hearing::Farewell;

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

/// How often the provider may have no room for one task before it fails.
const OVERLOADS: u32 = 3;

/// How a unit ended, as its record says it.
///
/// `farewell` is what an agent said at its end in its stream, which outweighs its exit code;
/// `overloads` is how often its task was sent away before. `tail` is the end of its log, redacted;
/// only a failure needs it.
pub fn unit_end(
    role: Role,
    finished: &Finished,
    farewell: Option<&Farewell>,
    overloads: u32,
    tail: &str,
    settings: &Settings,
) -> UnitEnd {
    let again = farewell.and_then(|farewell| again(finished, farewell, overloads));
    let failure = match (again, farewell) {
        (Some(_), _) => None,
        (None, Some(farewell)) if went_by_itself(&finished.outcome, farewell) => {
            said_failure(farewell, &finished.outcome, tail, settings)
        }
        _ => failure(role, &finished.outcome, tail, settings),
    };
    let (name, exit_code) = name(&finished.outcome);
    UnitEnd {
        usage: farewell.map(|farewell| farewell.result.usage),
        again,
        outcome: name.to_owned(),
        exit_code,
        seconds: finished.duration().as_secs_f64(),
        excerpt: failure.is_some().then(|| excerpt(tail)),
        failure,
    }
}

/// Whether its last word counts: it ended by itself, or was dismissed after that word.
fn went_by_itself(outcome: &Outcome, farewell: &Farewell) -> bool {
    match outcome {
        Outcome::Success | Outcome::Failed(_) | Outcome::Signalled(_) | Outcome::Leaked(_) => true,
        Outcome::Cancelled(CancelReason::Requested) => farewell.dismissed,
        Outcome::TimedOut | Outcome::SpawnError(_) | Outcome::Cancelled(_) => false,
    }
}

/// Whether the attempt does not count (DESIGN section 8, "Limits of agents").
fn again(finished: &Finished, farewell: &Farewell, overloads: u32) -> Option<Again> {
    if !went_by_itself(&finished.outcome, farewell) {
        return None;
    }
    match farewell.result.verdict() {
        Verdict::UsageLimit { until } => Some(Again::UsageLimit { until }),
        Verdict::Overloaded if overloads < OVERLOADS => Some(Again::Overloaded),
        Verdict::UnknownSession => Some(Again::NoSession),
        _ => None,
    }
}

/// The failure that an agent's last word amounts to.
fn said_failure(
    farewell: &Farewell,
    outcome: &Outcome,
    tail: &str,
    settings: &Settings,
) -> Option<Failure> {
    let stage = Stage::Implementation;
    match farewell.result.verdict() {
        // It was content, and then it was ended, by us or with what it left behind.
        Verdict::Done if farewell.dismissed => None,
        Verdict::Done => failure(Role::Agent, outcome, tail, settings),
        Verdict::BudgetExceeded => Some(Failure::new(
            stage,
            ErrorType::ResourceError,
            "the agent used up its budget",
        )),
        Verdict::Overloaded => Some(Failure::new(
            stage,
            ErrorType::ApiError,
            "the model's provider was overloaded again and again",
        )),
        Verdict::UsageLimit { .. } | Verdict::UnknownSession => None,
        Verdict::Failed { message } => {
            let error = fixes::detect(&message).or_else(|| fixes::detect(tail));
            let error = error.unwrap_or(match farewell.result.api_status {
                Some(_) => ErrorType::ApiError,
                None => ErrorType::Unknown,
            });
            let message = if message.is_empty() {
                "the agent ended with an error".to_owned()
            } else {
                format!("the agent ended with an error: {message}")
            };
            Some(Failure::new(stage, error, message))
        }
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
    use crate::agent::stream::{Sign, Stream};
    use crate::supervisor::{Captured, Moment, SpawnError, Times, UnitId};

    fn judged(role: Role, outcome: &Outcome, tail: &str) -> Option<(ErrorType, Stage, String)> {
        let settings = crate::run::facts::tests_support::settings();
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

    fn said(line: &str, outcome: Outcome, overloads: u32) -> UnitEnd {
        let mut stream = Stream::default();
        let result = stream
            .feed(format!("{line}\n").as_bytes())
            .into_iter()
            .find_map(|sign| match sign {
                Sign::Result(result) => Some(result),
                _ => None,
            });
        let farewell = Farewell {
            result: result.unwrap(),
            dismissed: outcome == Outcome::Cancelled(CancelReason::Requested),
        };
        let moment = Moment::default();
        let finished = Finished {
            unit: UnitId(1),
            outcome,
            times: Times {
                submitted: moment,
                started: Some(moment),
                exit: None,
                finished: moment,
            },
            captured: Captured::default(),
        };
        let settings = crate::run::facts::tests_support::settings();
        unit_end(
            Role::Agent,
            &finished,
            Some(&farewell),
            overloads,
            "",
            &settings,
        )
    }

    #[test]
    fn an_error_result_is_a_failure_whatever_the_exit_code() {
        let line = r#"{"type":"result","subtype":"success","is_error":true,"result":"no credit"}"#;
        let failure = said(line, Outcome::Success, 0).failure.unwrap();
        assert_eq!(failure.message, "the agent ended with an error: no credit");
    }

    #[test]
    fn an_agent_that_was_dismissed_after_its_result_succeeded() {
        let line = r#"{"type":"result","subtype":"success","is_error":false,"result":"done"}"#;
        let dismissed = Outcome::Cancelled(CancelReason::Requested);
        assert_eq!(said(line, dismissed, 0).failure, None);
        let interrupted = said(line, Outcome::Cancelled(CancelReason::Interrupted), 0);
        assert_eq!(interrupted.failure.unwrap().error, ErrorType::Cancelled);
    }

    #[test]
    fn an_overload_is_no_failure_until_it_has_come_too_often() {
        let line = r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":529,"result":"overloaded"}"#;
        let end = said(line, Outcome::Failed(1), 2);
        assert_eq!((end.again, end.failure), (Some(Again::Overloaded), None));
        let end = said(line, Outcome::Failed(1), OVERLOADS);
        assert_eq!(end.again, None);
        assert_eq!(end.failure.unwrap().error, ErrorType::ApiError);
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
