//! Ends what is done before there is a run: commands, and the waits of a forge.
//!
//! Touches what it was told of. Once a run is at work, that has a cancel of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::forge::Forge;
use crate::report::untrusted::one_line;
use crate::supervisor::{
    CancelReason, Commands, EngineError, Finished, Limits, Newlines, Outcome, UnitSpec,
};

use super::surroundings::Environment;
use super::unit::ended_well;

/// How long a program is waited for that has only to look something up.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Somebody may not want to wait any longer.
#[derive(Default)]
pub struct Interruption {
    commands: Commands,
    forge: Mutex<Option<Arc<dyn Forge>>>,
}

impl Interruption {
    /// Ends what is under way, and what comes: it fails.
    pub fn fire(&self) {
        self.commands.cancel(CancelReason::Interrupted);
        // Not under the lock, which whoever is under way may want.
        let forge = self.lock().clone();
        if let Some(forge) = forge {
            forge.interrupt();
        }
    }

    /// Runs a command, and waits for it.
    pub fn run(&self, command: UnitSpec) -> Result<Finished, EngineError> {
        self.commands.run(command)
    }

    /// What a program prints that looks something up; else a sentence that says why nothing.
    pub fn ask(&self, command: &[String], environment: &Environment) -> Result<String, String> {
        self.ask_within(TIME_LIMIT, command, environment)
    }

    fn ask_within(
        &self,
        limit: Duration,
        command: &[String],
        environment: &Environment,
    ) -> Result<String, String> {
        let shown = format!("`{}`", command.join(" "));
        let (program, arguments) = command.split_first().ok_or("there is no command")?;
        let spec = UnitSpec {
            env: Some(environment.to_vec()),
            limits: Limits {
                timeout: Some(limit),
                grace: Duration::from_secs(1),
                ..Limits::default()
            },
            ..UnitSpec::new(program).args(arguments)
        };
        let finished = self.run(spec).map_err(|error| error.to_string())?;
        let captured = &finished.captured;
        match &finished.outcome {
            outcome if ended_well(outcome) => Ok(captured.stdout.text(Newlines::Universal)),
            Outcome::SpawnError(error) => Err(format!("{shown} did not start: {error}")),
            Outcome::TimedOut => Err(format!("{shown} did not end within {limit:?}")),
            Outcome::Cancelled(_) => Err(format!("{shown} was interrupted")),
            _ => {
                let stderr = captured.stderr.text(Newlines::Universal);
                let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
                let last = last.map_or_else(|| "it said nothing".to_owned(), one_line);
                Err(format!("{shown} failed: {last}"))
            }
        }
    }

    /// This forge will be asked.
    pub fn watch(&self, forge: &Arc<dyn Forge>) {
        *self.lock() = Some(Arc::clone(forge));
        if self.commands.are_cancelled() {
            forge.interrupt();
        }
    }

    /// Whether somebody does not want to wait any longer.
    pub fn has_fired(&self) -> bool {
        self.commands.are_cancelled()
    }

    /// The forge is asked by a run from here on.
    pub fn release(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn Forge>>> {
        self.forge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn ask(script: &str, limit: Duration) -> Result<String, String> {
        let environment = [("PATH", "/usr/bin:/bin")].map(|(n, v)| (n.into(), v.into()));
        let environment: Vec<(OsString, OsString)> = environment.into();
        let command = ["sh", "-c", script].map(str::to_owned);
        Interruption::default().ask_within(limit, &command, &environment)
    }

    #[test]
    fn a_program_is_asked_and_says_why_it_has_no_answer() {
        assert_eq!(ask("echo it", TIME_LIMIT).as_deref(), Ok("it\n"));
        assert_eq!(
            ask("echo a >&2; echo not logged in >&2; exit 1", TIME_LIMIT),
            Err("`sh -c echo a >&2; echo not logged in >&2; exit 1` failed: not logged in".into())
        );
        let missing = Interruption::default().ask(&["no-such-program".to_owned()], &[]);
        assert!(
            missing
                .unwrap_err()
                .contains("`no-such-program` did not start")
        );
    }

    #[test]
    fn a_program_that_does_not_end_is_not_waited_for() {
        let silent = ask("trap '' TERM; sleep 600", Duration::from_millis(50));
        assert!(silent.unwrap_err().ends_with("did not end within 50ms"));
    }
}
