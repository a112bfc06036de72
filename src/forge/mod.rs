//! Issues, change requests and comments behind one trait of domain verbs.
//!
//! | module | what it is | touches |
//! | --- | --- | --- |
//! | [`marker`] | the hidden line by which our objects are found again | nothing |
//! | [`local`] | a forge of files, for plans without an account | its own folder |
//! | [`github`] | GitHub, and those of its kind | the network |
//!
//! Every verb that creates is an *ensure*: where an object with the same marker exists already,
//! that one is returned and nothing is created. The caller journals its intent before the call
//! and the outcome after it, and simply asks again after a crash or a lost answer.

pub mod github;
pub mod local;
pub mod marker;

use serde::{Deserialize, Serialize};

pub use github::GitHubForge;
pub use local::LocalForge;
pub use marker::{Marker, MarkerKind};

use crate::error::Error;

/// A forge. Calls block; they are made from threads that may.
pub trait Forge: Send + Sync {
    /// Carries out one request. A failed one may be repeated: it creates nothing twice.
    fn perform(&self, request: &Request) -> Result<Reply, ForgeError>;

    /// Refuses where it is known beforehand that what an orchestration creates cannot be created
    /// here.
    fn check_access(&self) -> Result<(), ForgeError> {
        Ok(())
    }

    /// Ends every wait, of calls under way and of those to come: they answer
    /// [`ForgeError::Interrupted`]. What was sent already is not taken back.
    fn interrupt(&self) {}

    /// Tells `listener` of every exchange and every wait from now on.
    fn listen(&self, listener: Listener) {
        drop(listener);
    }
}

/// Who hears of exchanges; called from the threads that make them.
pub type Listener = Box<dyn Fn(&Notice) + Send + Sync>;

/// What is told of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An exchange or a wait, for the session log: one line, without bodies and tokens.
    Line(String),
    /// What may still be asked.
    Allowance {
        /// How many requests.
        remaining: u64,
        /// When they are as many again as ever, in seconds since 1970.
        reset: i64,
    },
}

/// What can be asked of a forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request {
    /// Ensures an issue; an open diagnostic one gets the new title and text. Answered by
    /// [`Reply::Created`].
    CreateIssue(NewIssue),
    /// Ensures a change request. Answered by [`Reply::Created`].
    CreatePull(NewPull),
    /// Ensures a comment; one with the same marker gets the new text in place. Answered by
    /// [`Reply::Created`].
    Comment(NewComment),
    /// Makes an existing issue that of a task: labels it and remembers the marker, its title and
    /// text stay. Answered by [`Reply::Created`].
    Adopt {
        /// The issue.
        number: u64,
        /// The task's marker.
        marker: Marker,
        /// Labels to add.
        labels: Vec<String>,
        /// The issue that it is to be a sub-issue of, where the forge knows such links.
        parent: Option<u64>,
    },
    /// Reads an issue. Answered by [`Reply::Issue`].
    Issue {
        /// The issue.
        number: u64,
    },
    /// Reads the native sub-issues of an issue, open and closed, in their order. Answered by
    /// [`Reply::Issues`]; a forge without such links has none.
    SubIssues {
        /// The issue above them.
        number: u64,
    },
    /// Finds everything that carries a marker of this master. Answered by [`Reply::Marked`].
    Marked {
        /// [`Marker::master`].
        master: String,
    },
    /// Closes the open issues that carry a marker. Answered by [`Reply::Closed`].
    CloseMarked {
        /// Theirs.
        marker: Marker,
        /// Why.
        why: CloseReason,
    },
    /// Closes an issue; a closed one stays as it is. Answered by [`Reply::Done`].
    Close {
        /// The issue.
        number: u64,
        /// Why.
        why: CloseReason,
    },
}

/// An issue to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewIssue {
    /// Finds it again. The text does not hold it; the forge adds it.
    pub marker: Marker,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Made where they do not exist.
    pub labels: Vec<String>,
    /// The issue that it is to be a sub-issue of, where the forge knows such links.
    pub parent: Option<u64>,
}

/// A change request to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPull {
    /// Finds it again. The text does not hold it; the forge adds it.
    pub marker: Marker,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The branch with the work.
    pub head: String,
    /// The branch it is for.
    pub base: String,
    /// The commit at the head, in full.
    pub commit: String,
    /// Not meant to be merged yet.
    pub draft: bool,
    /// What it changes.
    pub changes: Changes,
}

/// The size of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// Files changed.
    pub files: u64,
    /// Lines added.
    pub insertions: u64,
    /// Lines removed.
    pub deletions: u64,
}

/// A comment to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewComment {
    /// The issue it stands under.
    pub issue: u64,
    /// Finds it again. The text does not hold it; the forge adds it.
    pub marker: Marker,
    /// Markdown.
    pub body: String,
}

/// Why an issue is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// What it asked for is done.
    Completed,
    /// It will not be done.
    NotPlanned,
}

/// What a forge answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The object is there.
    Created(Created),
    /// The issue.
    Issue(Issue),
    /// Several issues.
    Issues {
        /// In the forge's order.
        issues: Vec<Issue>,
    },
    /// Everything found, by number.
    Marked {
        /// By number.
        found: Vec<Marked>,
    },
    /// What was open, and is closed now.
    Closed {
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// It is so.
    Done,
}

/// An object that is there, new or old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its number; for a comment, its number under the issue.
    pub number: u64,
    /// What people open: a URL, or a path relative to the repository.
    pub url: String,
    /// It was there before.
    pub existed: bool,
}

/// An issue as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Markdown, without our marker.
    pub body: String,
    /// Whether it is open.
    pub state: State,
    /// In the forge's order.
    pub labels: Vec<String>,
    /// What people open.
    pub url: String,
    /// Our marker, where its text begins with one.
    pub marker: Option<Marker>,
    /// Who wrote it may not write to the repository: their login. Its text is a stranger's.
    pub stranger: Option<String>,
}

/// An object that carries one of our markers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// Its marker.
    pub marker: Marker,
    /// Its number.
    pub number: u64,
    /// Whether it is open.
    pub state: State,
    /// What people open.
    pub url: String,
}

/// Whether an issue or change request is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is.
    #[default]
    Open,
    /// It is done or dropped.
    Closed,
    /// A change request whose work is in its base.
    Merged,
}

/// Why a forge did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// It understood and declined.
    #[error("the forge refused to {what}: {}", said(reason, *status))]
    Refused {
        /// A phrase that follows "to".
        what: String,
        /// The HTTP status; 0 where the forge knows none.
        status: u16,
        /// What it said.
        reason: String,
        /// What to do about it, one line.
        remedy: String,
    },
    /// It does not have the object.
    #[error("{what}: {reason}")]
    NotFound {
        /// The object: `issue #12`.
        what: String,
        /// `not found`, and what else is known.
        reason: String,
        /// What to do about it, one line.
        remedy: String,
    },
    /// Too many requests.
    #[error("the forge's rate limit is used up")]
    Limited {
        /// When to ask again, in seconds since 1970; `None` where it did not say.
        until: Option<i64>,
    },
    /// [`Forge::interrupt`] ended it.
    #[error("interrupted")]
    Interrupted,
    /// It cannot be talked to.
    #[error("the forge cannot be reached: {reason}")]
    Unreachable {
        /// What the network said.
        reason: String,
    },
    /// A file of the local forge does not make sense.
    #[error("{} is damaged: {reason}", path.display())]
    Corrupt {
        /// The file, which is left as it is.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of the local forge cannot be read or written.
    #[error("cannot {action} {}: {reason}", path.display())]
    Io {
        /// A verb: "write", "create", "read".
        action: &'static str,
        /// The file or folder.
        path: std::path::PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl ForgeError {
    /// Whether the same request may succeed later without anybody doing anything.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Limited { .. } | Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::NotFound { .. } | Self::Corrupt { .. } | Self::Io { .. } | Self::Interrupted => {
                false
            }
        }
    }
}

/// What a forge said, with the HTTP status where it has one.
fn said(reason: &str, status: u16) -> String {
    match status {
        0 => reason.to_owned(),
        status => format!("{reason} (status {status})"),
    }
}

impl From<ForgeError> for Error {
    fn from(error: ForgeError) -> Self {
        let forge = |what: String, reason: String, remedy: &str| Self::Forge {
            what,
            reason,
            remedy: remedy.to_owned(),
        };
        match error {
            ForgeError::Io {
                action,
                path,
                reason,
            } => Self::File {
                action,
                path,
                reason,
            },
            ForgeError::Corrupt { path, reason } => forge(
                format!("cannot use {}", path.display()),
                reason,
                "mend the file or move it away; it was left as it is",
            ),
            ForgeError::Refused {
                what,
                status,
                reason,
                remedy,
            } => forge(
                format!("the forge refused to {what}"),
                said(&reason, status),
                &remedy,
            ),
            ForgeError::Interrupted => forge(
                "the forge was not asked".into(),
                "interrupted".into(),
                "run the same command again",
            ),
            ForgeError::NotFound {
                what,
                reason,
                remedy,
            } => forge(what, reason, &remedy),
            ForgeError::Limited { .. } => forge(
                "the forge takes no more requests for now".into(),
                "its rate limit is used up".into(),
                "wait for the limit to reset and run the same command again",
            ),
            ForgeError::Unreachable { reason } => forge(
                "the forge cannot be reached".into(),
                reason,
                "check the network and run the same command again",
            ),
        }
    }
}
