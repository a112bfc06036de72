//! Titles: cleaning, references to issues, and the key that a task keeps for life.
//!
//! Pure.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::report::untrusted::{TITLE_LIMIT, cut, is_hidden};

use super::heading::{Unit, floor, numbering};
use super::markdown::Inline;

/// A reference to an issue that exists already.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IssueRef {
    /// `owner/name` where another repository is named; `None` is the plan's own.
    pub repository: Option<String>,
    /// The issue's number.
    pub number: u64,
}

impl fmt::Display for IssueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}#{}",
            self.repository.as_deref().unwrap_or_default(),
            self.number
        )
    }
}

static ISSUE: LazyLock<Regex> =
    LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "a constant pattern, compiled by every test")]
    Regex::new(concat!(
        r"^(?:https?://[^/\s)]+/(?P<url>[\w.-]+/[\w.-]+)/issues/(?P<u>\d{1,18})(?:[#?][^\s)]*)?",
        r"|(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]+)#(?P<r>\d{1,18})",
        r"|(?:#|GH-|gh-)(?P<n>\d{1,18}))",
    ))
    .expect("a valid pattern")
    });

/// The longest reference, an address, in bytes.
const MAX_REFERENCE: usize = 300;

/// Reads a reference to an issue at the start of `text`: the reference and its length in bytes.
pub(super) fn issue_ref(text: &str) -> Option<(IssueRef, usize)> {
    // A reference is short; looking no further keeps reading linear.
    let text = &text[..floor(text, MAX_REFERENCE)];
    let may_begin = text.starts_with(['#', 'h', 'G', 'g'])
        || text.find('#').is_some_and(|at| text[..at].contains('/'));
    if !may_begin {
        return None;
    }
    let found = ISSUE.captures(text)?;
    let length = found[0].len();
    if text[length..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let (repository, number) = if let Some(number) = found.name("u") {
        (Some(found["url"].to_owned()), number)
    } else if let Some(number) = found.name("r") {
        (Some(found["repo"].to_owned()), number)
    } else {
        (None, found.name("n")?)
    };
    let number = number.as_str().parse().ok().filter(|&number| number > 0)?;
    Some((IssueRef { repository, number }, length))
}

/// A title without characters that are not seen or reorder others, blanks folded, trailing colon dropped.
pub(super) fn clean(text: &str) -> String {
    cleaned(text).into_owned()
}

/// The same; most texts are clean.
fn cleaned(text: &str) -> Cow<'_, str> {
    let drop = [' ', ':', '：'];
    let mut blank = true;
    let is_clean = text.bytes().all(|byte| {
        let after_blank = std::mem::replace(&mut blank, byte == b' ');
        matches!(byte, b'!'..=b'~') || (blank && !after_blank)
    });
    if is_clean {
        Cow::Borrowed(text.trim_end_matches(drop))
    } else {
        let mut folded = folded(text);
        folded.truncate(folded.trim_end_matches(drop).len());
        Cow::Owned(folded)
    }
}

fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank = false;
    for c in text.chars() {
        if c.is_whitespace() {
            blank = !out.is_empty();
        } else if !is_hidden(c) {
            if blank {
                out.push(' ');
                blank = false;
            }
            out.push(c);
        }
    }
    out
}

/// A task's key: a short hash of its normalized title and its occurrence among equal titles.
///
/// The normalized title is in lower case, with blanks folded and without punctuation at its ends, so that a key outlives small corrections (DESIGN section 8, "Running again").
pub fn key(title: &str, occurrence: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(normalized(title).as_bytes());
    hash.update([0]);
    hash.update(occurrence.to_le_bytes());
    hash.finalize()
        .iter()
        .take(6)
        .fold(String::with_capacity(12), |mut key, byte| {
            let _ = write!(key, "{byte:02x}");
            key
        })
}

/// The form of a title in which equal titles are equal.
pub(super) fn normalized(title: &str) -> String {
    let lower = cleaned(title).to_lowercase();
    let core = lower.trim_matches(|c: char| !c.is_alphanumeric());
    if core.is_empty() || core.len() == lower.len() {
        lower
    } else {
        core.to_owned()
    }
}

/// The title of an item and what is left of its first paragraph.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Title {
    pub(super) text: String,
    pub(super) rest: String,
    pub(super) label: Option<String>,
    /// Whether the label counts phases.
    pub(super) is_phase: bool,
    pub(super) adopts: Option<IssueRef>,
}

/// Marks between a numbering, reference or bold lead and the text behind it.
const SEPARATORS: [char; 9] = [' ', ':', '：', '-', '–', '—', '|', '.', '\u{a0}'];

impl Title {
    /// Reads the title out of the first paragraph of an item, or out of a heading. What is too
    /// long for a title is shortened, and stands whole at the beginning of the rest.
    pub(super) fn of(text: &Inline<'_>) -> Self {
        let mut title = Self::whole(text);
        // As many bytes as characters are allowed are never too long.
        if title.text.len() <= TITLE_LIMIT {
            return title;
        }
        let short = cut(&title.text, TITLE_LIMIT);
        if short != title.text {
            let whole = std::mem::replace(&mut title.text, short);
            title.rest = match &*title.rest {
                "" => whole,
                rest => format!("{whole}\n\n{rest}"),
            };
        }
        title
    }

    fn whole(text: &Inline<'_>) -> Self {
        let line = text.first_line();
        let mut rest = text.plain[line.len()..].trim().to_owned();
        let mut title = line;
        let lead = text.bold_lead();
        if lead > 0 && lead < line.len() && line.is_char_boundary(lead) {
            let (bold, behind) = line.split_at(lead);
            let bold = bold.trim();
            let separated = bold.ends_with([':', '：', '.'])
                || behind.trim_start().starts_with([':', '：', '–', '—', '-']);
            let only_number = numbering(bold).is_some_and(|numbering| numbering.rest.is_empty());
            if separated && !only_number && bold.chars().any(char::is_alphanumeric) {
                title = bold.trim_end_matches('.');
                let behind = behind.trim_start_matches(SEPARATORS).trim();
                rest = if rest.is_empty() {
                    behind.to_owned()
                } else {
                    format!("{behind}\n{rest}")
                };
            }
        }
        let (adopts, title) = adopted(text, title);
        let (mut label, mut is_phase) = (None, false);
        let mut title = clean(&title);
        if let Some(numbering) = numbering(&title) {
            label = Some(numbering.label);
            is_phase = numbering.unit == Unit::Phase;
            // What ends a clean text is clean.
            let rest = numbering.rest.len();
            if rest > 0 {
                title.drain(..title.len() - rest);
            }
        }
        if adopts.is_none()
            && let Some((adopts, rest)) = leading_ref(&title)
        {
            return Self {
                text: if rest.is_empty() {
                    adopts.to_string()
                } else {
                    clean(rest)
                },
                rest: String::new(),
                label,
                is_phase,
                adopts: Some(adopts),
            };
        }
        if title.is_empty()
            && let Some(adopts) = &adopts
        {
            title = adopts.to_string();
        }
        Self {
            text: title,
            rest,
            label,
            is_phase,
            adopts,
        }
    }
}

/// The issue that an item stands for, and the title without the reference.
fn adopted<'t>(text: &Inline<'_>, title: &'t str) -> (Option<IssueRef>, Cow<'t, str>) {
    let indent = title.len() - title.trim_start().len();
    if let Some((range, target)) = text.first_link()
        && range.start <= indent
        && let Some((issue, length)) = issue_ref(target)
        && length == target.len()
        && title.is_char_boundary(range.end.min(title.len()))
    {
        let end = range.end.min(title.len());
        let label = title[..end].trim();
        let names_it = issue_ref(label).is_some_and(|(_, length)| length == label.len());
        let kept = if names_it {
            title[end..].trim_start_matches(SEPARATORS)
        } else {
            title
        };
        return (Some(issue), kept.into());
    }
    (None, title.into())
}

/// A reference at the start of a title, and the title behind it.
fn leading_ref(title: &str) -> Option<(IssueRef, &str)> {
    let (issue, length) = issue_ref(title)?;
    let rest = &title[length..];
    let rest_is_title =
        rest.is_empty() || rest.starts_with(SEPARATORS) || rest.starts_with([')', ']', ',', ';']);
    rest_is_title.then(|| (issue, rest.trim_start_matches(SEPARATORS)))
}
