//! What a person may ask of an orchestration: options and the variables beside them.
//!
//! Pure. Values are checked here, by name, before anything is looked at or created (DESIGN
//! section 3).

use serde::Deserialize;

use crate::error::{Error, Result};

use super::facts::Settings;

/// Options as they are given, before defaults and variables.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the command's switches"
)]
pub struct Options {
    /// Any folder of the repository; the current one by default.
    pub repo: Option<String>,
    /// The branch that agents start from.
    pub base: Option<String>,
    /// The agent: a name or a command line.
    pub agent: Option<String>,
    /// The model, for agents that know models.
    pub model: Option<String>,
    /// The permission mode, for agents that know one.
    pub permission_mode: Option<String>,
    /// What all agents together may cost, in US dollars.
    pub budget_usd: Option<f64>,
    /// What one attempt of an agent may cost, in US dollars, for agents that know budgets.
    pub agent_budget_usd: Option<f64>,
    /// `sh -c` in the worktree before a change request.
    pub verify: Option<String>,
    /// `sh -c` in each fresh worktree.
    pub setup: Option<String>,
    /// The most agents at once.
    pub max_workers: Option<i64>,
    /// Seconds for each agent and attempt; 0 is no limit.
    pub timeout: Option<f64>,
    /// Agents a batch.
    pub batch_size: Option<i64>,
    /// Variables to let through although they are withheld.
    pub pass_env: Vec<String>,
    /// Go on despite warnings.
    pub yes: bool,
    /// Parse and validate only.
    pub dry_run: bool,
    /// Run again what failed in the latest orchestration, or was broken off.
    pub retry: bool,
    /// A new orchestration although an old one exists.
    pub new: bool,
    /// Keep the worktrees of successful tasks.
    pub keep_worktrees: bool,
    /// Open change requests as drafts.
    pub draft: bool,
    /// The forge: `local` or `github`.
    pub forge: Option<String>,
}

/// Options with defaults and variables worked in.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// At least 1.
    pub max_workers: usize,
    /// Seconds; `None` is no limit.
    pub timeout: Option<f64>,
    /// At least 1.
    pub batch_size: Option<usize>,
    /// Seconds, at least 1.
    pub interval: u64,
    /// Percent, 0 to 100.
    pub threshold: u8,
    /// Git's command lines to the session log, agents' lines to standard error.
    pub verbose: bool,
    /// The folder that worktrees are to be in.
    pub worktree_dir: Option<String>,
    /// What selects the agent where no option does.
    pub delegate: Option<String>,
    /// The first pause for a limit of the model's provider that names no time, in seconds.
    pub first_pause: f64,
}

/// The default of `--max-workers`.
const MAX_WORKERS: usize = 5;
/// The default of `--timeout`, in seconds.
const TIMEOUT: f64 = 1800.0;
/// The default of `AMPLIHACK_FIRST_PAUSE`, in seconds.
const FIRST_PAUSE: f64 = 60.0;
/// The longest pause for a limit that names no time, in seconds.
pub const LONGEST_PAUSE: f64 = 900.0;
/// A limit that no clock overflows on: about 31 years, in seconds.
const LONGEST: f64 = 1e9;

impl Options {
    /// The same, where nothing was asked for as an earlier run had it.
    pub fn inherit(mut self, settings: &Settings) -> Self {
        let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.agent = self.agent.or_else(|| Some(settings.agent.clone()));
        self.model = self.model.or_else(|| settings.model.clone());
        self.permission_mode = self
            .permission_mode
            .or_else(|| settings.permission_mode.clone());
        self.verify = self.verify.or_else(|| settings.verify.clone());
        self.setup = self.setup.or_else(|| settings.setup.clone());
        let workers = settings.wanted_workers.unwrap_or(settings.max_workers);
        self.max_workers = self.max_workers.or(Some(number(workers)));
        self.timeout = self.timeout.or(Some(settings.timeout.unwrap_or(0.0)));
        self.batch_size = self.batch_size.or(settings.batch_size.map(number));
        self.budget_usd = self.budget_usd.or(settings.budget_usd);
        self.agent_budget_usd = self.agent_budget_usd.or(settings.agent_budget_usd);
        if self.pass_env.is_empty() {
            self.pass_env.clone_from(&settings.pass_env);
        }
        self.draft |= settings.draft;
        self.keep_worktrees |= settings.keep_worktrees;
        self
    }

    /// Refuses options that contradict each other.
    pub fn check(&self) -> Result<()> {
        let contradiction = match (self.retry, self.dry_run, self.new) {
            (true, true, _) => "--dry-run",
            (true, _, true) => "--new",
            _ => return Ok(()),
        };
        Err(Error::Contradiction {
            one: "--retry",
            other: contradiction,
        })
    }

    /// Works in defaults and variables; `variable` looks one up.
    pub fn resolve(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Resolved> {
        if let Some(forge) = self.forge.as_deref()
            && !matches!(forge, "local" | "github")
        {
            return Err(out_of_range("--forge", forge, "local or github"));
        }
        let max_workers = match variable("AMPLIHACK_MAX_PARALLEL_AGENTS") {
            Some(text) => whole("AMPLIHACK_MAX_PARALLEL_AGENTS", &text, 1, i64::MAX)?,
            None => match self.max_workers {
                Some(number) => at_least_one("--max-workers", number)?,
                None => MAX_WORKERS as u64,
            },
        };
        let timeout = match (self.timeout, variable("AMPLIHACK_AGENT_TIMEOUT")) {
            (Some(seconds), _) => time_limit("--timeout", seconds, &seconds.to_string())?,
            (None, Some(text)) => {
                let seconds = text.trim().parse().unwrap_or(f64::NAN);
                time_limit("AMPLIHACK_AGENT_TIMEOUT", seconds, &text)?
            }
            (None, None) => Some(TIMEOUT),
        };
        let batch_size = self
            .batch_size
            .map(|number| at_least_one("--batch-size", number))
            .transpose()?;
        for (name, budget) in [
            ("--budget-usd", self.budget_usd),
            ("--agent-budget-usd", self.agent_budget_usd),
        ] {
            if let Some(budget) = budget.filter(|usd| !(usd.is_finite() && *usd > 0.0)) {
                let expected = "US dollars, more than 0";
                return Err(out_of_range(name, &budget.to_string(), expected));
            }
        }
        let is_variable = |name: &&String| !name.is_empty() && !name.contains(['=', '\0']);
        if let Some(name) = self.pass_env.iter().find(|name| !is_variable(name)) {
            return Err(out_of_range("--pass-env", name, "the name of a variable"));
        }
        let number = |name: &'static str, default: u64, from: i64, to: i64| match variable(name) {
            Some(text) => whole(name, &text, from, to),
            None => Ok(default),
        };
        let interval = number("AMPLIHACK_STATUS_INTERVAL", 30, 1, 86_400)?;
        let threshold = number("AMPLIHACK_SUCCESS_THRESHOLD", 80, 0, 100)?;
        let first_pause = match variable("AMPLIHACK_FIRST_PAUSE") {
            Some(text) => pause("AMPLIHACK_FIRST_PAUSE", &text)?,
            None => FIRST_PAUSE,
        };
        let verbose = variable("AMPLIHACK_PARALLEL_VERBOSE");
        Ok(Resolved {
            max_workers: usize::try_from(max_workers).unwrap_or(usize::MAX),
            timeout,
            batch_size: batch_size.map(|number| usize::try_from(number).unwrap_or(usize::MAX)),
            interval,
            threshold: u8::try_from(threshold).unwrap_or(100),
            verbose: verbose.is_some_and(|text| !matches!(text.trim(), "" | "0" | "false" | "no")),
            worktree_dir: variable("AMPLIHACK_WORKTREE_DIR").filter(|text| !text.is_empty()),
            delegate: variable("AMPLIHACK_DELEGATE"),
            first_pause,
        })
    }
}

fn at_least_one(name: &str, number: i64) -> Result<u64> {
    match u64::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(out_of_range(
            name,
            &number.to_string(),
            "a whole number of at least 1",
        )),
    }
}

fn whole(name: &str, text: &str, from: i64, to: i64) -> Result<u64> {
    let expected = match to {
        i64::MAX => format!("a whole number of at least {from}"),
        to => format!("a whole number from {from} to {to}"),
    };
    text.trim()
        .parse::<i64>()
        .ok()
        .filter(|number| (from..=to).contains(number))
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| out_of_range(name, text, &expected))
}

fn time_limit(name: &str, seconds: f64, shown: &str) -> Result<Option<f64>> {
    if !(0.0..=LONGEST).contains(&seconds) {
        return Err(out_of_range(
            name,
            shown,
            "seconds from 0 (no limit) to 1000000000",
        ));
    }
    Ok((seconds > 0.0).then_some(seconds))
}

fn pause(name: &str, text: &str) -> Result<f64> {
    let seconds = text.trim().parse().unwrap_or(f64::NAN);
    if seconds > 0.0 && seconds <= LONGEST_PAUSE {
        Ok(seconds)
    } else {
        Err(out_of_range(
            name,
            text,
            "seconds, more than 0 and at most 900",
        ))
    }
}

fn out_of_range(name: &str, value: &str, expected: &str) -> Error {
    Error::OutOfRange {
        name: name.to_owned(),
        value: if value.is_empty() {
            "empty".to_owned()
        } else {
            value.to_owned()
        },
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    fn refused(result: Result<Resolved>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let resolved = Options::default().resolve(none).unwrap();
        assert_eq!(resolved.max_workers, 5);
        assert_eq!(resolved.timeout, Some(1800.0));
        assert_eq!(resolved.batch_size, None);
        assert_eq!((resolved.interval, resolved.threshold), (30, 80));
    }

    #[test]
    fn the_variable_for_workers_overrides_the_option_and_the_one_for_time_only_its_default() {
        let options = Options {
            max_workers: Some(3),
            timeout: Some(60.0),
            ..Options::default()
        };
        let resolved = options.resolve(|_| Some("7".to_owned())).unwrap();
        assert_eq!((resolved.max_workers, resolved.timeout), (7, Some(60.0)));
        let resolved = Options::default()
            .resolve(|_| Some("7".to_owned()))
            .unwrap();
        assert_eq!(resolved.timeout, Some(7.0));
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let options = Options {
            max_workers: Some(0),
            ..Options::default()
        };
        insta::assert_snapshot!(refused(options.resolve(none)), @"--max-workers is 0, but must be a whole number of at least 1");
        let options = Options {
            timeout: Some(f64::NAN),
            ..Options::default()
        };
        insta::assert_snapshot!(refused(options.resolve(none)), @"--timeout is NaN, but must be seconds from 0 (no limit) to 1000000000");
        let variables = |name: &str| (name == "AMPLIHACK_SUCCESS_THRESHOLD").then(|| "101".into());
        insta::assert_snapshot!(refused(Options::default().resolve(variables)), @"AMPLIHACK_SUCCESS_THRESHOLD is 101, but must be a whole number from 0 to 100");
        let variables = |name: &str| (name == "AMPLIHACK_MAX_PARALLEL_AGENTS").then(String::new);
        insta::assert_snapshot!(refused(Options::default().resolve(variables)), @"AMPLIHACK_MAX_PARALLEL_AGENTS is empty, but must be a whole number of at least 1");
    }

    #[test]
    fn the_first_pause_may_be_short_but_neither_none_nor_longer_than_the_longest() {
        let resolve = |text: &'static str| {
            let variable = move |name: &str| (name == "AMPLIHACK_FIRST_PAUSE").then(|| text.into());
            Options::default().resolve(variable)
        };
        assert!((resolve("0.2").unwrap().first_pause - 0.2).abs() < f64::EPSILON);
        for text in ["0", "901", "soon"] {
            assert!(refused(resolve(text)).ends_with("more than 0 and at most 900"));
        }
    }
}
