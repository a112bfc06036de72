//! The hidden line by which everything that we create is found again (DESIGN section 8,
//! "Marker").
//!
//! Pure.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::workspace::layout::hex;

const OPENING: &str = "<!-- parallel-orchestrate ";
const CLOSING: &str = " -->";

/// Which of our objects this is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marker {
    /// The master issue's number; for the issue of a plan itself, [`plan_identity`].
    pub master: String,
    /// The task's key, where the object is about one.
    pub task: Option<String>,
    /// What the object is.
    pub kind: MarkerKind,
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkerKind {
    /// The issue of a plan.
    Master,
    /// The issue of a task.
    SubIssue,
    /// The change request of a task.
    Pull,
    /// The issue about a task that failed.
    Diagnostic,
    /// The comment with the summary.
    Summary,
}

impl MarkerKind {
    const ALL: [Self; 5] = [
        Self::Master,
        Self::SubIssue,
        Self::Pull,
        Self::Diagnostic,
        Self::Summary,
    ];

    /// The name in a marker: `sub-issue`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::SubIssue => "sub-issue",
            Self::Pull => "pull",
            Self::Diagnostic => "diagnostic",
            Self::Summary => "summary",
        }
    }
}

impl Marker {
    /// The marker of something about one task.
    pub fn task(master: impl Into<String>, task: impl Into<String>, kind: MarkerKind) -> Self {
        Self {
            master: master.into(),
            task: Some(task.into()),
            kind,
        }
    }

    /// The marker of something about the whole.
    pub fn whole(master: impl Into<String>, kind: MarkerKind) -> Self {
        Self {
            master: master.into(),
            task: None,
            kind,
        }
    }

    /// The HTML comment, one line: `<!-- parallel-orchestrate master=1234 task=KEY kind=pull -->`.
    pub fn to_comment(&self) -> String {
        let task = self
            .task
            .as_deref()
            .map(|task| format!(" task={}", encode(task)));
        let (master, task) = (encode(&self.master), task.unwrap_or_default());
        format!(
            "{OPENING}master={master}{task} kind={}{CLOSING}",
            self.kind.name()
        )
    }

    /// Reads one line; `None` where it is no marker.
    pub fn parse(line: &str) -> Option<Self> {
        let inner = line.trim().strip_prefix(OPENING)?.strip_suffix(CLOSING)?;
        let (mut master, mut task, mut kind) = (None, None, None);
        for pair in inner.split_ascii_whitespace() {
            match pair.split_once('=')? {
                ("master", value) => master = Some(decode(value)?),
                ("task", value) => task = Some(decode(value)?),
                ("kind", value) => {
                    kind = MarkerKind::ALL
                        .into_iter()
                        .find(|kind| kind.name() == value);
                }
                // A later version may say more.
                _ => {}
            }
        }
        Some(Self {
            master: master?,
            task,
            kind: kind?,
        })
    }

    /// A text with the marker in front.
    pub fn lead(&self, body: &str) -> String {
        format!("{}\n\n{body}", self.to_comment())
    }

    /// The marker that a text begins with, and the rest.
    ///
    /// Only the first line counts: a quoted issue further down must not pass for ours.
    pub fn split(text: &str) -> (Option<Self>, &str) {
        let text = text.trim_start_matches(['\n', '\r']);
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        match Self::parse(first) {
            Some(marker) => (Some(marker), rest.trim_start_matches(['\n', '\r'])),
            None => (None, text),
        }
    }
}

/// What identifies a plan, also after an edit: its path in the repository, its absolute path
/// outside of it, or for standard input a hash of the text.
///
/// `root` and `plan` are absolute and free of symbolic links.
pub fn plan_identity(root: &Path, plan: Option<&Path>, text: &str) -> String {
    match plan {
        Some(path) => path
            .strip_prefix(root)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned(),
        None => format!("sha256:{}", hex(&Sha256::digest(text.as_bytes())[..16])),
    }
}

/// Percent-encodes all but what is safe as a word in an HTML comment; of two hyphens in a row
/// the second, since they may not stand in one.
fn encode(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'-' if text.ends_with('-') || text.is_empty() => text.push_str("%2D"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b':' | b'#' | b'-' => {
                text.push(char::from(byte));
            }
            _ => {
                // Writing into a String cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_marker_reads_as_the_contract_has_it() {
        let marker = Marker::task("1234", "a1b2c3", MarkerKind::SubIssue);
        insta::assert_snapshot!(
            marker.to_comment(),
            @"<!-- parallel-orchestrate master=1234 task=a1b2c3 kind=sub-issue -->"
        );
        insta::assert_snapshot!(
            Marker::whole("docs/Q4 plan.md", MarkerKind::Master).to_comment(),
            @"<!-- parallel-orchestrate master=docs/Q4%20plan.md kind=master -->"
        );
    }

    #[test]
    fn only_the_first_line_of_a_text_counts() {
        let marker = Marker::whole("1", MarkerKind::Summary);
        let text = marker.lead("Hello\n");
        assert_eq!(Marker::split(&text), (Some(marker), "Hello\n"));
        let quoted = format!("As they wrote:\n{text}");
        assert_eq!(Marker::split(&quoted), (None, quoted.as_str()));
    }

    #[test]
    fn a_plan_is_known_by_its_path_also_after_an_edit() {
        let root = Path::new("/home/ada/shop");
        let plan = Path::new("/home/ada/shop/plans/q4.md");
        assert_eq!(plan_identity(root, Some(plan), "a"), "plans/q4.md");
        assert_eq!(
            plan_identity(root, Some(Path::new("/tmp/p.md")), "a"),
            "/tmp/p.md"
        );
        assert_eq!(
            plan_identity(root, None, "a"),
            plan_identity(root, None, "a")
        );
        assert_ne!(
            plan_identity(root, None, "a"),
            plan_identity(root, None, "b")
        );
    }

    proptest! {
        #[test]
        fn any_identity_survives_and_never_ends_the_comment(
            master in ".*", task in proptest::option::of(".*"), kind in 0..5_usize,
        ) {
            let marker = Marker { master, task, kind: MarkerKind::ALL[kind] };
            let comment = marker.to_comment();
            prop_assert_eq!(Marker::parse(&comment), Some(marker));
            let inner = &comment[4..comment.len() - 3];
            prop_assert!(!inner.contains("--") && !inner.contains(['\n', '>', '<']));
        }

        #[test]
        fn no_line_makes_the_parser_panic(line in ".*") {
            let _ = Marker::parse(&line);
            let _ = Marker::parse(&format!("{OPENING}{line}{CLOSING}"));
        }
    }
}
