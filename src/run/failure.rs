//! How a task fails: at which stage, of which type, in which words.
//!
//! Pure data. The detectors that read a type out of an agent's log are in [`crate::report`].

use serde::{Deserialize, Serialize};

/// Where in its way a task failed (DESIGN section 5, "Success is evidence").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before any work: filing the task, making its worktree.
    Parsing,
    /// While the agent worked, its preparation by `--setup` included.
    Implementation,
    /// In the verify command.
    Testing,
    /// While the branch was published and its change request was opened.
    Pr,
}

/// The type of a failure: the first word of `error` in status files (DESIGN section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorType {
    /// Modules or packages that cannot be imported.
    ImportConflict,
    /// Tests that fail.
    TestFailure,
    /// Tests that do not end.
    TestTimeout,
    /// A build that breaks.
    BuildError,
    /// Files that cannot be merged or checked out.
    FileConflict,
    /// The model's or the forge's service.
    ApiError,
    /// The agent's own time limit.
    Timeout,
    /// The task or its result breaks a rule of ours.
    ValidationError,
    /// Memory, disk, descriptors.
    ResourceError,
    /// The agent ended well, and its branch has nothing on it.
    NoChanges,
    /// The run was interrupted or cancelled.
    Cancelled,
    /// None of the others.
    Unknown,
}

impl ErrorType {
    /// Every type, in the order of DESIGN section 4.
    pub const ALL: [Self; 12] = [
        Self::ImportConflict,
        Self::TestFailure,
        Self::TestTimeout,
        Self::BuildError,
        Self::FileConflict,
        Self::ApiError,
        Self::Timeout,
        Self::ValidationError,
        Self::ResourceError,
        Self::NoChanges,
        Self::Cancelled,
        Self::Unknown,
    ];

    /// The name in status files: `TEST_TIMEOUT`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ImportConflict => "IMPORT_CONFLICT",
            Self::TestFailure => "TEST_FAILURE",
            Self::TestTimeout => "TEST_TIMEOUT",
            Self::BuildError => "BUILD_ERROR",
            Self::FileConflict => "FILE_CONFLICT",
            Self::ApiError => "API_ERROR",
            Self::Timeout => "TIMEOUT",
            Self::ValidationError => "VALIDATION_ERROR",
            Self::ResourceError => "RESOURCE_ERROR",
            Self::NoChanges => "NO_CHANGES",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The words in lines and tables: `Test timeout`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ImportConflict => "Import conflict",
            Self::TestFailure => "Test failure",
            Self::TestTimeout => "Test timeout",
            Self::BuildError => "Build error",
            Self::FileConflict => "File conflict",
            Self::ApiError => "API error",
            Self::Timeout => "Timeout",
            Self::ValidationError => "Validation error",
            Self::ResourceError => "Resource error",
            Self::NoChanges => "No changes",
            Self::Cancelled => "Cancelled",
            Self::Unknown => "Unknown error",
        }
    }
}

impl ErrorType {
    /// The type of a step of ours that failed, from what git or the system said.
    pub fn of_step(message: &str) -> Self {
        let says = |words: &[&str]| {
            let message = message.to_ascii_lowercase();
            words.iter().any(|word| message.contains(word))
        };
        if says(&[
            "no space left",
            "quota",
            "too many open files",
            "cannot allocate",
            "read-only",
            "permission denied",
            // What git says where a disk is full, without the reason.
            "couldn't close",
            "unable to write",
            "could not write",
            "failed to write",
        ]) {
            Self::ResourceError
        } else if says(&[
            "conflict",
            ".lock",
            "already",
            "overwritten",
            "another branch",
            "unmerged",
            "in the way",
            "cannot lock ref",
        ]) {
            Self::FileConflict
        } else if says(&["gpg", "to sign", "signing", "hook"]) {
            Self::ValidationError
        } else {
            Self::Unknown
        }
    }
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where.
    pub stage: Stage,
    /// Of which type.
    pub error: ErrorType,
    /// One line for people: what happened, to what.
    pub message: String,
    /// Whether a time limit ended it.
    pub timed_out: bool,
}

impl Failure {
    /// A failure that no time limit caused.
    pub fn new(stage: Stage, error: ErrorType, message: impl Into<String>) -> Self {
        Self {
            stage,
            error,
            message: message.into(),
            timed_out: false,
        }
    }

    /// The `error` field of a status file: `TEST_TIMEOUT: message`.
    pub fn status_text(&self) -> String {
        format!("{}: {}", self.error.name(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_says_tells_the_type_of_its_failure() {
        for (message, expected) in [
            (
                "git checkout failed: No space left on device",
                ErrorType::ResourceError,
            ),
            (
                "git worktree add failed: '/w' already exists",
                ErrorType::FileConflict,
            ),
            (
                "git checkout failed: Unable to create '/g/index.lock'",
                ErrorType::FileConflict,
            ),
            (
                "git commit failed: gpg failed to sign the data",
                ErrorType::ValidationError,
            ),
            ("git commit was killed by signal 9", ErrorType::Unknown),
            (
                "git worktree add failed: couldn't close '/g/HEAD.lock'",
                ErrorType::ResourceError,
            ),
        ] {
            assert_eq!(ErrorType::of_step(message), expected, "{message}");
        }
    }
}
