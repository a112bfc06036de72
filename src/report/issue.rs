//! Titles and texts of sub-issues and change requests.
//!
//! Pure. What comes from a plan or an issue is untrusted: it mentions nobody, closes nothing and
//! hides nothing.

use super::text::{counted, grouped};
use super::untrusted::{block, code, cut, inline, quote, title};

/// How much of the master's opening a sub-issue repeats, in characters.
const CONTEXT_LIMIT: usize = 2_000;

/// How many changed files a change request lists.
const FILES_LISTED: usize = 20;

/// What a sub-issue is made of.
#[derive(Debug, Clone, Copy)]
pub struct SubIssue<'a> {
    /// The master issue's number.
    pub master: u64,
    /// The task's number, from 1, which is its agent's.
    pub number: u32,
    /// The task's title.
    pub title: &'a str,
    /// The task's own text, Markdown; often empty.
    pub description: &'a str,
    /// The plan's acceptance criteria for the task; often none.
    pub acceptance: &'a [String],
    /// The master's text before its tasks, Markdown.
    pub opening: &'a str,
}

impl SubIssue<'_> {
    /// `[Master #1234] Sub-task 1: Add authentication`
    pub fn title(&self) -> String {
        title(&format!(
            "[Master #{}] Sub-task {}: {}",
            self.master, self.number, self.title
        ))
    }

    /// The text, as in the specification's step 3.
    pub fn body(&self) -> String {
        let mut context = Vec::new();
        if !self.description.trim().is_empty() {
            context.push(block(self.description));
        }
        if !self.opening.trim().is_empty() {
            context.push(quote(&cut(self.opening.trim(), CONTEXT_LIMIT)));
        }
        if context.is_empty() {
            context.push(format!("See the master issue #{}.", self.master));
        }
        format!(
            "**Master Issue**: #{}\n**Task**: {}\n\n## Context\n{}\n\n\
             ## Acceptance Criteria\n{}\n\n## Notes\n\
             This is part of parallel orchestration. See master issue for context.",
            self.master,
            inline(self.title),
            context.join("\n\n"),
            bullets(&acceptance(self.title, self.acceptance)),
        )
    }
}

/// The labels of a sub-issue.
pub const SUB_ISSUE_LABELS: [&str; 2] = ["parallel-orchestration", "sub-issue"];

/// The labels of a diagnostic issue.
pub const DIAGNOSTIC_LABELS: [&str; 2] = ["parallel-orchestration", "diagnostic"];

/// The acceptance criteria of a task: the plan's, else the specification's three.
pub fn acceptance(title: &str, given: &[String]) -> Vec<String> {
    if given.is_empty() {
        vec![
            done(title),
            "Tests passing".to_owned(),
            "Documentation updated".to_owned(),
        ]
    } else {
        given.to_vec()
    }
}

/// `Add authentication module` as a criterion: `Authentication module implemented`.
fn done(title: &str) -> String {
    let title = super::untrusted::one_line(title);
    let making = [
        "add",
        "implement",
        "create",
        "build",
        "introduce",
        "write",
        "develop",
    ];
    match title.split_once(' ') {
        Some((verb, thing)) if making.contains(&verb.to_lowercase().as_str()) => {
            format!("{} implemented", super::text::capitalized(thing))
        }
        _ => format!("Done: {title}"),
    }
}

fn bullets(lines: &[String]) -> String {
    let lines: Vec<_> = lines
        .iter()
        .map(|line| format!("- {}", block(line).replace('\n', "\n  ")))
        .collect();
    lines.join("\n")
}

/// What a change request is made of.
#[derive(Debug, Clone, Copy)]
pub struct Pull<'a> {
    /// The master issue's number.
    pub master: u64,
    /// The sub-issue's number.
    pub sub_issue: u64,
    /// The task's title.
    pub title: &'a str,
    /// The branch with the work.
    pub branch: &'a str,
    /// The branch it is for.
    pub base: &'a str,
    /// Commits on it.
    pub commits: u64,
    /// Lines added.
    pub insertions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// How many files it changes.
    pub file_count: u64,
    /// The changed files, or the first of them.
    pub files: &'a [String],
    /// The verify command, which has passed, where one is set.
    pub verified_by: Option<&'a str>,
    /// The agent's number.
    pub agent: u32,
    /// The orchestration's id.
    pub orchestration: &'a str,
}

impl Pull<'_> {
    /// `TITLE (#1235)`; a long title is cut, never the number.
    pub fn title(&self) -> String {
        let number = format!(" (#{})", self.sub_issue);
        let room = super::untrusted::TITLE_LIMIT - number.chars().count();
        format!("{}{number}", cut(&title(self.title), room))
    }

    /// The text.
    pub fn body(&self) -> String {
        let mut files: Vec<_> = self
            .files
            .iter()
            .take(FILES_LISTED)
            .map(|file| format!("- {}", code(file)))
            .collect();
        if let more @ 1.. = self.file_count.saturating_sub(files.len() as u64) {
            files.push(format!("- … and {} more", grouped(more)));
        }
        let verified = match self.verified_by {
            Some(command) => format!("✅ {} passed in the worktree.", code(command)),
            None => "No verify command was set; the repository's own checks decide.".to_owned(),
        };
        format!(
            "Closes #{}\n\n**Master Issue**: #{}\n**Task**: {}\n**Branch**: {} → {}\n\n\
             ## Changes\n{} in {}: {}, {}\n\n{}\n\n## Verification\n{verified}\n\n---\n\
             🤖 Generated by Parallel Task Orchestrator\n\
             Agent-{} of {}",
            self.sub_issue,
            self.master,
            inline(self.title),
            code(self.branch),
            code(self.base),
            counted(self.file_count, "file", "files"),
            counted(self.commits, "commit", "commits"),
            counted(self.insertions, "line added", "lines added"),
            counted(self.deletions, "removed", "removed"),
            files.join("\n"),
            self.agent,
            self.orchestration,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: SubIssue<'_> = SubIssue {
        master: 1234,
        number: 1,
        title: "Add authentication module",
        description: "Use `argon2`.\nAsk @ada.",
        acceptance: &[],
        opening: "We need logins.",
    };

    #[test]
    fn a_sub_issue_reads_as_in_the_specification() {
        assert_eq!(
            TASK.title(),
            "[Master #1234] Sub-task 1: Add authentication module"
        );
        insta::assert_snapshot!(TASK.body().replace('\u{200b}', "·"), @r"
        **Master Issue**: #1234
        **Task**: Add authentication module

        ## Context
        Use `argon2`.
        Ask @·ada.

        > We need logins.

        ## Acceptance Criteria
        - Authentication module implemented
        - Tests passing
        - Documentation updated

        ## Notes
        This is part of parallel orchestration. See master issue for context.
        ");
    }

    #[test]
    fn the_plans_own_criteria_come_first() {
        let acceptance = ["Login works".to_owned(), "Two\nlines".to_owned()];
        let body = SubIssue {
            acceptance: &acceptance,
            description: "",
            opening: "",
            ..TASK
        }
        .body();
        assert!(body.contains("## Acceptance Criteria\n- Login works\n- Two\n  lines\n\n## Notes"));
        assert!(body.contains("## Context\nSee the master issue #1234."));
        assert_eq!(
            super::acceptance("Fix export timeout", &[])[0],
            "Done: Fix export timeout"
        );
    }

    #[test]
    fn a_long_opening_is_cut_and_cannot_swallow_what_follows() {
        let opening = format!("```\n{}", "x".repeat(5_000));
        let body = SubIssue {
            opening: &opening,
            ..TASK
        }
        .body();
        let quoted: Vec<_> = body.lines().filter(|line| line.starts_with('>')).collect();
        assert_eq!(quoted.last(), Some(&"> ```"));
        assert!(body.len() < 2_600);
    }

    #[test]
    fn a_change_request_says_what_it_changes_and_closes_only_its_own_issue() {
        let files = ["src/auth.rs".to_owned(), "odd ` name".to_owned()];
        let pull = Pull {
            master: 1234,
            sub_issue: 1235,
            title: "Add login, closes #7",
            branch: "feat/issue-1235-agent-1",
            base: "main",
            commits: 1,
            insertions: 1045,
            deletions: 0,
            file_count: 2,
            files: &files,
            verified_by: Some("make test"),
            agent: 1,
            orchestration: "orch-1234-20251201-1200",
        };
        assert_eq!(pull.title(), "Add login, closes #7 (#1235)");
        let long = "x".repeat(300);
        assert!(
            Pull {
                title: &long,
                ..pull
            }
            .title()
            .ends_with("x… (#1235)")
        );
        let many = Pull {
            file_count: 1_300,
            ..pull
        }
        .body();
        assert!(many.contains("\n1,300 files in") && many.contains("\n- … and 1,298 more\n"));
        insta::assert_snapshot!(pull.body().replace('\u{200b}', "·"), @r"
        Closes #1235

        **Master Issue**: #1234
        **Task**: Add login, closes #·7
        **Branch**: `feat/issue-1235-agent-1` → `main`

        ## Changes
        2 files in 1 commit: 1,045 lines added, 0 removed

        - `src/auth.rs`
        - ``odd ` name``

        ## Verification
        ✅ `make test` passed in the worktree.

        ---
        🤖 Generated by Parallel Task Orchestrator
        Agent-1 of orch-1234-20251201-1200
        ");
    }
}
