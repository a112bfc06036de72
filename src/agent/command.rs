//! From an agent's name to its command line (DESIGN section 3, `--agent`).

use std::ffi::OsString;
use std::path::Path;

use crate::error::{Error, Result};

/// One argument may not be longer than this, in bytes (`MAX_ARG_STRLEN` on Linux, with its NUL).
pub const LONGEST_ARGUMENT: usize = 128 * 1024 - 1;

/// The permission mode where none is asked for, as amplihack has it.
pub const DEFAULT_PERMISSION_MODE: &str = "bypassPermissions";

/// The names that `AMPLIHACK_DELEGATE` may have, and the agents that they stand for.
const DELEGATES: [(&str, &str); 3] = [
    ("amplihack claude", "claude"),
    ("amplihack copilot", "copilot"),
    ("amplihack amplifier", "amplifier"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Program {
    /// Claude Code: stream-json out, the prompt on standard input.
    Claude,
    /// GitHub Copilot's command line, through amplihack.
    Copilot,
    /// Amplifier, through amplihack.
    Amplifier,
    /// Any command line that reads the prompt on standard input.
    Other(Vec<String>),
}

/// An agent that can be started.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    program: Program,
    name: String,
    model: Option<String>,
    permission_mode: String,
    budget_usd: Option<f64>,
    notices: Vec<String>,
}

/// The conversation that a start of an agent begins or goes on with, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session<'a> {
    /// One that does not exist yet: Claude Code refuses an id that it has seen.
    New(&'a str),
    /// One that exists: Claude Code refuses an id that it has not seen.
    Resume(&'a str),
}

/// One start of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The executable.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What it reads on standard input.
    pub stdin: Vec<u8>,
}

impl Agent {
    /// Picks the agent: what was asked for, else what `AMPLIHACK_DELEGATE` says, else Claude Code.
    ///
    /// A delegate that is not known warns and means Claude Code; anything else that is no name of
    /// ours is a command line, split as a shell would. The budget is one agent's, in US dollars,
    /// and counts from each start, that of a resumed session too; only Claude Code keeps one.
    pub fn resolve(
        requested: Option<&str>,
        delegate: Option<&str>,
        model: Option<&str>,
        permission_mode: Option<&str>,
        budget_usd: Option<f64>,
    ) -> Result<Self> {
        let mut notices = Vec::new();
        let name = match (requested, delegate) {
            (Some(requested), _) => alias(requested).unwrap_or(requested).to_owned(),
            (None, Some(delegate)) => alias(delegate).map_or_else(
                || {
                    notices.push(format!(
                        "AMPLIHACK_DELEGATE is {delegate:?}, which is no delegate; using claude"
                    ));
                    "claude".to_owned()
                },
                str::to_owned,
            ),
            (None, None) => "claude".to_owned(),
        };
        let program = match name.as_str() {
            "claude" => Program::Claude,
            "copilot" => Program::Copilot,
            "amplifier" => Program::Amplifier,
            line => Program::Other(split(line)?),
        };
        let permission_mode = permission_mode
            .unwrap_or(DEFAULT_PERMISSION_MODE)
            .to_owned();
        if program == Program::Claude && permission_mode == DEFAULT_PERMISSION_MODE {
            notices.push(
                "agents run with the permission mode bypassPermissions: they are not asked before \
                 they run commands (change it with --permission-mode)"
                    .to_owned(),
            );
        }
        let model = model.filter(|model| !model.is_empty()).map(str::to_owned);
        Ok(Self {
            program,
            name,
            model,
            permission_mode,
            budget_usd,
            notices,
        })
    }

    /// The agent as people know it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lines for standard error.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The executable that has to be there.
    pub fn executable(&self) -> &str {
        match &self.program {
            Program::Claude => "claude",
            Program::Copilot | Program::Amplifier => "amplihack",
            Program::Other(words) => words.first().map_or("", String::as_str),
        }
    }

    /// The same agent, its executable found at an absolute path. A name that was looked up in the
    /// `PATH` stays a name, as people and logs know it.
    pub fn at(mut self, executable: &Path) -> Self {
        if let Program::Other(words) = &mut self.program
            && let Some(first) = words.first_mut().filter(|first| first.contains('/'))
            && let Some(path) = executable.to_str()
        {
            path.clone_into(first);
        }
        self
    }

    /// Whether it is Claude Code, which can be asked for its version and its login.
    pub fn is_claude(&self) -> bool {
        self.program == Program::Claude
    }

    /// Whether a session of its own can be named, so that it can be resumed.
    pub fn takes_session(&self) -> bool {
        self.program == Program::Claude
    }

    /// Whether its standard output is a stream that [`super::stream`] reads.
    pub fn streams(&self) -> bool {
        self.program == Program::Claude
    }

    /// Refuses what Claude Code itself would refuse: as root it does not run without permission
    /// questions, unless `IS_SANDBOX` says that this is a sandbox.
    pub fn check_privileges(&self, root: bool, sandbox: bool) -> Result<()> {
        let bypasses = self.permission_mode == DEFAULT_PERMISSION_MODE;
        if self.program == Program::Claude && bypasses && root && !sandbox {
            return Err(Error::RootNeedsSandbox);
        }
        Ok(())
    }

    /// The command line for one prompt.
    pub fn invocation(&self, prompt: &str, session: Option<Session<'_>>) -> Invocation {
        let words = match &self.program {
            Program::Claude => self.claude(session),
            Program::Copilot => [
                words(["amplihack", "copilot", "--", "--allow-all-tools"]),
                prompt_argument(prompt),
                option("--model", self.model.as_ref()),
            ]
            .concat(),
            Program::Amplifier => [
                words(["amplihack", "amplifier", "--dangerously-skip-permissions"]),
                prompt_argument(prompt),
                option("--model", self.model.as_ref()),
            ]
            .concat(),
            Program::Other(words) => words.clone(),
        };
        let mut words = words.into_iter().map(OsString::from);
        Invocation {
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            stdin: prompt.as_bytes().to_vec(),
        }
    }

    fn claude(&self, session: Option<Session<'_>>) -> Vec<String> {
        let session = match session {
            Some(Session::New(id)) => option("--session-id", Some(id)),
            Some(Session::Resume(id)) => option("--resume", Some(id)),
            None => Vec::new(),
        };
        [
            words([
                "claude",
                "-p",
                "--output-format",
                "stream-json",
                "--verbose",
            ]),
            session,
            option("--permission-mode", Some(&self.permission_mode)),
            option("--model", self.model.as_ref()),
            option("--max-budget-usd", self.budget_usd),
        ]
        .concat()
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// An option with its value, where there is one.
fn option(name: &str, value: Option<impl ToString>) -> Vec<String> {
    value.map_or_else(Vec::new, |value| vec![name.to_owned(), value.to_string()])
}

fn alias(name: &str) -> Option<&'static str> {
    DELEGATES
        .iter()
        .find(|(delegate, _)| *delegate == name)
        .map(|(_, agent)| *agent)
}

fn split(line: &str) -> Result<Vec<String>> {
    let words = shlex::split(line).filter(|words| !words.is_empty());
    words.ok_or_else(|| Error::OutOfRange {
        name: "--agent".to_owned(),
        value: if line.is_empty() {
            "empty".to_owned()
        } else {
            line.to_owned()
        },
        expected: "claude, copilot, amplifier or a command line with its quotes closed".to_owned(),
    })
}

/// The prompt as an argument, where it fits into one; else standard input alone has it.
fn prompt_argument(prompt: &str) -> Vec<String> {
    if prompt.len() <= LONGEST_ARGUMENT && !prompt.contains('\0') {
        vec!["-p".to_owned(), prompt.to_owned()]
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(agent: &Agent, prompt: &str) -> String {
        let invocation = agent.invocation(prompt, Some(Session::New("SESSION")));
        let words = std::iter::once(&invocation.program).chain(&invocation.args);
        words
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn agent(requested: Option<&str>, delegate: Option<&str>) -> Agent {
        Agent::resolve(requested, delegate, Some("opus"), None, None).unwrap()
    }

    #[test]
    fn claude_reads_its_prompt_and_streams_json() {
        insta::assert_snapshot!(line(&agent(None, None), "Do it"), @"claude -p --output-format stream-json --verbose --session-id SESSION --permission-mode bypassPermissions --model opus");
        assert_eq!(agent(None, None).invocation("Do it", None).stdin, b"Do it");
    }

    #[test]
    fn claude_goes_on_with_a_session_within_a_budget() {
        let agent = Agent::resolve(None, None, None, Some("acceptEdits"), Some(2.5)).unwrap();
        let invocation = agent.invocation("Do it", Some(Session::Resume("SESSION")));
        let words: Vec<_> = invocation.args.iter().filter_map(|w| w.to_str()).collect();
        insta::assert_snapshot!(words.join(" "), @"-p --output-format stream-json --verbose --resume SESSION --permission-mode acceptEdits --max-budget-usd 2.5");
    }

    #[test]
    fn copilot_takes_its_arguments_behind_two_hyphens() {
        insta::assert_snapshot!(line(&agent(None, Some("amplihack copilot")), "Do it"), @"amplihack copilot -- --allow-all-tools -p Do it --model opus");
    }

    #[test]
    fn amplifier_is_started_through_amplihack() {
        insta::assert_snapshot!(line(&agent(Some("amplifier"), None), "Do it"), @"amplihack amplifier --dangerously-skip-permissions -p Do it --model opus");
    }

    #[test]
    fn a_prompt_too_long_for_an_argument_goes_through_standard_input_alone() {
        let prompt = "x".repeat(LONGEST_ARGUMENT + 1);
        let invocation = agent(Some("copilot"), None).invocation(&prompt, None);
        assert!(!invocation.args.contains(&"-p".into()));
        assert_eq!(invocation.stdin.len(), prompt.len());
    }

    #[test]
    fn any_other_agent_is_a_command_line_and_no_shell_sees_it() {
        let agent = agent(Some("my-agent --name 'two words' $HOME;ls"), None);
        let invocation = agent.invocation("Do it", None);
        assert_eq!(invocation.program, "my-agent");
        assert_eq!(invocation.args, ["--name", "two words", "$HOME;ls"]);
    }

    #[test]
    fn a_path_is_meant_as_seen_from_where_it_was_given() {
        let found =
            agent(Some("./tools/agent --fast"), None).at(Path::new("/home/ada/tools/agent"));
        assert_eq!(found.invocation("", None).program, "/home/ada/tools/agent");
        let named = agent(Some("agent"), None).at(Path::new("/usr/bin/agent"));
        assert_eq!(named.invocation("", None).program, "agent");
    }

    #[test]
    fn an_unknown_delegate_warns_and_means_claude() {
        let agent = agent(None, Some("amplihack cloud"));
        assert_eq!(agent.name(), "claude");
        assert!(agent.notices()[0].contains("amplihack cloud"));
    }

    #[test]
    fn an_agent_that_cannot_be_split_is_refused() {
        for line in ["", "  ", "agent 'unclosed"] {
            let error = Agent::resolve(Some(line), None, None, None, None).unwrap_err();
            assert!(error.to_string().starts_with("--agent is "), "{error}");
        }
    }

    #[test]
    fn root_runs_claude_only_in_a_sandbox_or_with_questions() {
        let bypassing = agent(None, None);
        assert!(bypassing.check_privileges(true, false).is_err());
        assert!(bypassing.check_privileges(true, true).is_ok());
        assert!(bypassing.check_privileges(false, false).is_ok());
        let asking = Agent::resolve(None, None, None, Some("acceptEdits"), None).unwrap();
        assert!(asking.check_privileges(true, false).is_ok());
        assert!(
            agent(Some("copilot"), None)
                .check_privileges(true, false)
                .is_ok()
        );
    }
}
