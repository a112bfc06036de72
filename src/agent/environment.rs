//! What an agent's environment holds, and what is withheld from it (DESIGN sections 4 and 5).

use std::ffi::OsString;

/// An environment: names and values.
pub type Environment = Vec<(OsString, OsString)>;

/// Tokens of the forge. Agents get none unless asked: publishing is the engine's work.
const TOKENS: [&str; 4] = [
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
];

/// Variables that Claude Code gives to what it starts: by them one that runs inside another knows
/// of it, and could speak to it.
const NESTED: [&str; 12] = [
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_PID",
];

/// The environment that agents, setup and verify commands start from: ours, less what is
/// withheld and not in `pass`.
pub fn inherited(ours: &[(OsString, OsString)], pass: &[String]) -> Environment {
    let redirecting = crate::workspace::cli::REDIRECTING_VARIABLES;
    let withheld = |name: &OsString| {
        let named = |names: &[&str]| names.iter().any(|withheld| name == withheld);
        let passed = pass.iter().any(|passed| name == passed.as_str());
        !passed && (named(&TOKENS) || named(&NESTED) || named(&redirecting))
    };
    ours.iter()
        .filter(|(name, _)| !withheld(name))
        .cloned()
        .collect()
}

/// What the engine tells an agent of its task.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment<'a> {
    /// The agent's number.
    pub agent: u32,
    /// The master issue's number.
    pub master: u64,
    /// The sub-issue's number.
    pub sub_issue: Option<u64>,
    /// The branch.
    pub branch: &'a str,
    /// The worktree.
    pub working_dir: &'a str,
    /// The file in it that progress is reported through.
    pub status_file: &'a str,
    /// Seconds; `None` is no limit.
    pub timeout: Option<f64>,
    /// The orchestration's id.
    pub orchestration: &'a str,
}

impl Assignment<'_> {
    /// Puts the assignment into an environment.
    pub fn apply(&self, environment: &mut Environment) {
        let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
        for (name, value) in [
            ("AGENT_ID", format!("agent-{}", self.agent)),
            ("MASTER_ISSUE", self.master.to_string()),
            ("SUB_ISSUE", number(self.sub_issue)),
            ("BRANCH_NAME", self.branch.to_owned()),
            ("WORKING_DIR", self.working_dir.to_owned()),
            ("STATUS_FILE", self.status_file.to_owned()),
            ("TIMEOUT", self.timeout.unwrap_or(0.0).to_string()),
            ("ORCHESTRATION_ID", self.orchestration.to_owned()),
        ] {
            set(environment, name, value);
        }
    }
}

/// Asks Claude Code for its to-do tools, which it leaves out without a terminal: they tell how far
/// it is. What the user says about them stands.
pub fn ask_for_todos(environment: &mut Environment) {
    const NAME: &str = "CLAUDE_CODE_ENABLE_TODO_TOOLS";
    if !environment.iter().any(|(known, _)| known == NAME) {
        set(environment, NAME, "1");
    }
}

/// Sets a variable, once.
pub fn set(environment: &mut Environment, name: &str, value: impl Into<OsString>) {
    environment.retain(|(known, _)| known != name);
    environment.push((name.into(), value.into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Environment {
        [
            "PATH",
            "GITHUB_TOKEN",
            "GH_TOKEN",
            "CLAUDECODE",
            "GIT_DIR",
            "ANTHROPIC_API_KEY",
        ]
        .map(|name| (name.into(), "x".into()))
        .to_vec()
    }

    #[test]
    fn tokens_and_signs_of_nesting_are_withheld() {
        let names: Vec<_> = inherited(&ours(), &[])
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["PATH", "ANTHROPIC_API_KEY"]);
    }

    #[test]
    fn what_is_passed_by_name_goes_through() {
        let passed = inherited(&ours(), &["GH_TOKEN".to_owned()]);
        assert!(passed.iter().any(|(name, _)| name == "GH_TOKEN"));
        assert!(!passed.iter().any(|(name, _)| name == "GITHUB_TOKEN"));
    }

    #[test]
    fn todo_tools_are_asked_for_unless_the_user_has_decided() {
        for (theirs, expected) in [(None, "1"), (Some("0"), "0")] {
            let name = OsString::from("CLAUDE_CODE_ENABLE_TODO_TOOLS");
            let mut environment: Environment = theirs
                .map(|value| (name.clone(), value.into()))
                .into_iter()
                .collect();
            ask_for_todos(&mut environment);
            assert_eq!(environment, [(name, expected.into())]);
        }
    }

    #[test]
    fn an_assignment_replaces_what_was_inherited() {
        let mut environment = vec![("AGENT_ID".into(), "agent-9".into())];
        let assignment = Assignment {
            agent: 1,
            master: 5,
            sub_issue: Some(6),
            branch: "feat/local-6-agent-1",
            working_dir: "/w",
            status_file: "/w/.agent_status.json",
            timeout: None,
            orchestration: "orch-local-5-20260101-1200",
        };
        assignment.apply(&mut environment);
        let ids: Vec<_> = environment
            .iter()
            .filter(|(name, _)| name == "AGENT_ID")
            .collect();
        assert_eq!(ids, [&("AGENT_ID".into(), "agent-1".into())]);
        assert_eq!(environment.len(), 8);
    }
}
