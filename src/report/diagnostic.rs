//! The issue about a failed task: what happened, the end of its log, and what to do.
//!
//! Pure. The log is shown as plain text in a block that it cannot leave, with secrets taken out.

use super::fixes;
use super::redact::Redactor;
use super::text::{duration, references, title_case};
use super::untrusted::{code, fenced, inline, plain, title};
use crate::run::failure::Failure;

/// How much of a log is shown: so many lines at its end …
const EXCERPT_LINES: usize = 60;
/// … and at most so many characters.
const EXCERPT_LENGTH: usize = 6_000;

/// What a diagnostic issue is made of.
#[derive(Debug, Clone, Copy)]
pub struct Diagnostic<'a> {
    /// The master issue's number.
    pub master: u64,
    /// The sub-issue's number, where it was filed.
    pub sub_issue: Option<u64>,
    /// The task's title.
    pub title: &'a str,
    /// The agent's number.
    pub agent: u32,
    /// The attempt that failed, from 1.
    pub attempt: u32,
    /// The last attempt's duration in seconds.
    pub seconds: f64,
    /// Why it failed.
    pub failure: &'a Failure,
    /// The end of the log, as the agent wrote it.
    pub log: &'a str,
    /// Where the whole log is, relative to the repository.
    pub log_path: &'a str,
    /// The worktree, where it is still there.
    pub worktree: Option<&'a str>,
    /// The branch.
    pub branch: Option<&'a str>,
    /// Open diagnostic issues of the same cause.
    pub earlier: &'a [u64],
    /// The command that runs the task again.
    pub retry: &'a str,
}

impl Diagnostic<'_> {
    /// `Agent-3 Test Timeout Investigation`
    pub fn title(&self) -> String {
        let error = title_case(self.failure.error.label());
        title(&format!("Agent-{} {error} Investigation", self.agent))
    }

    /// The text; what `redactor` knows is taken out of the log and the message.
    pub fn body(&self, redactor: &Redactor) -> String {
        let Failure {
            error,
            stage,
            message,
            ..
        } = self.failure;
        let sub_issue = self
            .sub_issue
            .map_or("not filed".to_owned(), |number| format!("#{number}"));
        let mut text = format!(
            "**Master Issue**: #{}\n**Sub-Issue**: {sub_issue}\n**Task**: {}\n\
             **Agent**: Agent-{}, attempt {}, {}\n**Stage**: {stage}\n\n\
             ## Error Details\n**{}**: {}\n\n## Agent Log Excerpt\n{}\n\nWhole log: {}\n\n\
             ## Suggested Fixes\n",
            self.master,
            inline(self.title),
            self.agent,
            self.attempt,
            duration(self.seconds),
            code(error.name()),
            inline(&redactor.text(message)),
            excerpt(self.log, redactor),
            code(self.log_path),
        );
        for fix in fixes::suggestions(*error) {
            text.push_str(&format_line(fix));
        }
        text.push_str(&format_line(&format!("Run it again: {}", code(self.retry))));
        let left = match (self.worktree, self.branch) {
            (Some(worktree), Some(branch)) => {
                format!(
                    "The worktree was kept: {}, branch {}",
                    code(worktree),
                    code(branch)
                )
            }
            (Some(worktree), None) => format!("The worktree was kept: {}", code(worktree)),
            (None, Some(branch)) => format!(
                "The worktree is gone; what was committed is on the branch {}",
                code(branch)
            ),
            (None, None) => String::new(),
        };
        if !left.is_empty() {
            text.push_str("\n## Left Behind\n");
            text.push_str(&format_line(&left));
        }
        if !self.earlier.is_empty() {
            text.push_str("\n## Same Cause\n");
            text.push_str(&format_line(&format!(
                "Seen before: {}",
                references(self.earlier)
            )));
        }
        text.trim_end().to_owned()
    }
}

fn format_line(text: &str) -> String {
    format!("- {text}\n")
}

/// The end of a log as a code block, secrets taken out.
pub fn excerpt(log: &str, redactor: &Redactor) -> String {
    // What colours cut apart is whole again only without them.
    let log = redactor.text(&plain(log));
    let lines: Vec<_> = log.trim_end().lines().collect();
    let tail = lines[lines.len().saturating_sub(EXCERPT_LINES)..].join("\n");
    let skip = tail.chars().count().saturating_sub(EXCERPT_LENGTH);
    let kept: String = tail.chars().skip(skip).collect();
    match (kept.is_empty(), skip > 0 || lines.len() > EXCERPT_LINES) {
        (true, _) => "The log is empty.".to_owned(),
        (false, true) => fenced("text", &format!("…\n{kept}")),
        (false, false) => fenced("text", &kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::failure::{ErrorType, Stage};

    #[test]
    fn a_diagnostic_issue_has_error_log_fixes_and_links() {
        let failure = Failure::new(Stage::Testing, ErrorType::TestTimeout, "pytest did not end");
        let diagnostic = Diagnostic {
            master: 1234,
            sub_issue: Some(1237),
            title: "Add JWT support",
            agent: 3,
            attempt: 1,
            seconds: 1680.0,
            failure: &failure,
            log: "collected 3 items\n\u{1b}[31mtimeout\u{1b}[0m\nkey \u{1b}[31mghp_\u{1b}[m0123456789abcdefghijABCDEFGHIJ012345\n```\n",
            log_path: ".claude/runtime/logs/orch-1234-20251201-1200/agent-3.log",
            worktree: Some("../shop.worktrees/feat-issue-1237-agent-3"),
            branch: Some("feat/issue-1237-agent-3"),
            earlier: &[1240],
            retry: "/amplihack:parallel-orchestrate 1237 --retry",
        };
        assert_eq!(diagnostic.title(), "Agent-3 Test Timeout Investigation");
        insta::assert_snapshot!(diagnostic.body(&Redactor::default()), @r"
        **Master Issue**: #1234
        **Sub-Issue**: #1237
        **Task**: Add JWT support
        **Agent**: Agent-3, attempt 1, 28m
        **Stage**: testing

        ## Error Details
        **`TEST_TIMEOUT`**: pytest did not end

        ## Agent Log Excerpt
        ````text
        collected 3 items
        timeout
        key [redacted]
        ```
        ````

        Whole log: `.claude/runtime/logs/orch-1234-20251201-1200/agent-3.log`

        ## Suggested Fixes
        - Find the test that does not end: run the suite in the worktree with a limit per test (`pytest --timeout 60`, `cargo nextest`, `jest --testTimeout`).
        - Give the task more time with `--timeout`.
        - Run it again: `/amplihack:parallel-orchestrate 1237 --retry`

        ## Left Behind
        - The worktree was kept: `../shop.worktrees/feat-issue-1237-agent-3`, branch `feat/issue-1237-agent-3`

        ## Same Cause
        - Seen before: #1240
        ");
    }

    #[test]
    fn only_the_end_of_a_long_log_is_shown() {
        let log = (0..1_000)
            .map(|line| format!("line {line}\n"))
            .collect::<Vec<_>>()
            .concat();
        let shown = excerpt(&log, &Redactor::default());
        assert!(shown.starts_with("```text\n…\nline 940\n") && shown.ends_with("line 999\n```"));
        assert!(excerpt(&"x".repeat(100_000), &Redactor::default()).len() < 6_100);
        assert_eq!(excerpt("\n\n", &Redactor::default()), "The log is empty.");
    }
}
