//! The format of an issue or change request: YAML front matter, Markdown, and the comments.
//!
//! ```text
//! ---
//! number: 3
//! kind: issue
//! title: Add login
//! ---
//! <!-- parallel-orchestrate master=1 task=a1b2 kind=sub-issue -->
//!
//! The text.
//!
//! <!-- comment 1 2026-01-01T12:00:00Z -->
//! ---
//!
//! A comment.
//! ```
//!
//! Pure. Front matter that somebody edited is kept as it was written for as long as nothing in
//! it has to change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::forge::{Changes, CloseReason, State};

const FENCE: &str = "---";
const COMMENT_OPENING: &str = "<!-- comment ";
const COMMENT_CLOSING: &str = " -->";

/// An issue or a change request; they share one sequence of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An issue.
    Issue,
    /// A change request.
    Pull,
}

/// The front matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Front {
    /// The number, which the file's name has too.
    pub number: u64,
    /// What it is.
    pub kind: Kind,
    /// One line.
    pub title: String,
    /// Whether it is open.
    #[serde(default)]
    pub state: State,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<CloseReason>,
    /// For filtering.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// A change request's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The branch it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The commit at its head when it was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Not meant to be merged yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
    /// The size of its change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Markers of tasks that took this issue for theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adopted: Vec<String>,
    /// What somebody else wrote there.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl Front {
    /// Empty front matter, to be filled in.
    pub const fn new(kind: Kind) -> Self {
        Self {
            number: 0,
            kind,
            title: String::new(),
            state: State::Open,
            reason: None,
            labels: Vec::new(),
            created: None,
            head: None,
            base: None,
            commit: None,
            draft: false,
            changes: None,
            adopted: Vec::new(),
            other: BTreeMap::new(),
        }
    }
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its number under the issue, from 1.
    pub number: u64,
    /// RFC 3339 in UTC, as the file has it.
    pub time: String,
    /// Markdown, our marker included.
    pub text: String,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The front matter.
    pub front: Front,
    /// Markdown, our marker included.
    pub body: String,
    /// In the order of the file.
    pub comments: Vec<Comment>,
    /// The front matter as it was read.
    written: Option<(Front, String)>,
}

/// Why a text is no document, as a phrase that follows "is damaged:".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The first line is not `---`.
    #[error("it does not begin with a line of ---")]
    NoFrontMatter,
    /// There is no second `---`.
    #[error("its front matter has no closing line of ---")]
    Unclosed,
    /// The front matter does not say what it must.
    #[error("its front matter cannot be read: {0}")]
    Yaml(String),
}

impl Document {
    /// A new document without comments.
    pub fn new(front: Front, body: impl AsRef<str>) -> Self {
        Self {
            front,
            body: tidy(body.as_ref()),
            comments: Vec::new(),
            written: None,
        }
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self, Damage> {
        let text = text
            .strip_prefix('\u{feff}')
            .unwrap_or(text)
            .replace("\r\n", "\n");
        let mut lines = text.split_inclusive('\n');
        if lines.next().map(str::trim_end) != Some(FENCE) {
            return Err(Damage::NoFrontMatter);
        }
        let mut yaml = String::new();
        loop {
            match lines.next() {
                None => return Err(Damage::Unclosed),
                Some(line) if line.trim_end() == FENCE => break,
                Some(line) => yaml.push_str(line),
            }
        }
        let front: Front = serde_saphyr::from_str(&yaml).map_err(|error| {
            // The parser draws the place over several lines; the first one says it.
            Damage::Yaml(
                error
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            )
        })?;

        let mut sections = vec![(None, String::new())];
        for line in lines {
            if let Some(opening) = comment_opening(line.trim_end()) {
                sections.push((Some(opening), String::new()));
            } else if let Some((_, section)) = sections.last_mut() {
                section.push_str(unescape(line));
            }
        }
        let mut sections = sections.into_iter();
        let body = sections
            .next()
            .map(|(_, body)| tidy(&body))
            .unwrap_or_default();
        let comments = sections
            .filter_map(|(opening, text)| {
                let (number, time) = opening?;
                let text = tidy(text.strip_prefix("---\n").unwrap_or(&text));
                Some(Comment { number, time, text })
            })
            .collect();
        Ok(Self {
            body,
            comments,
            written: Some((front.clone(), yaml)),
            front,
        })
    }

    /// The file's text.
    pub fn render(&self) -> Result<String, Damage> {
        let yaml = match &self.written {
            Some((front, yaml)) if *front == self.front => yaml.clone(),
            _ => to_yaml(&self.front).map_err(|error| Damage::Yaml(error.to_string()))?,
        };
        let (yaml, body) = (yaml.trim_end(), escape(&self.body));
        let head = format!("{FENCE}\n{yaml}\n{FENCE}\n{body}\n");
        let comments = self.comments.iter().map(|Comment { number, time, text }| {
            let opening = format!("{COMMENT_OPENING}{number} {time}{COMMENT_CLOSING}");
            format!("\n{opening}\n{FENCE}\n\n{}\n", escape(text))
        });
        Ok(std::iter::once(head).chain(comments).collect())
    }
}

/// Every string on one line: block scalars lose line breaks at the ends of a title.
fn to_yaml(front: &Front) -> Result<String, serde_saphyr::SerializeError> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(front, options)
}

/// Text as a file keeps it: newlines alone, no empty lines around it.
pub fn tidy(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.trim_matches('\n').to_owned()
}

/// `<!-- comment 1 2026-01-01T12:00:00Z -->`.
fn comment_opening(line: &str) -> Option<(u64, String)> {
    let inner = line
        .strip_prefix(COMMENT_OPENING)?
        .strip_suffix(COMMENT_CLOSING)?;
    let (number, time) = inner.split_once(' ')?;
    Some((number.parse().ok()?, time.to_owned()))
}

/// A text may hold a line like one that opens a comment: a backslash in front tells them apart.
fn escape(text: &str) -> String {
    let escaped: Vec<_> = text
        .split('\n')
        .map(|line| {
            let looks_like_one = line.trim_start_matches('\\').starts_with(COMMENT_OPENING);
            if looks_like_one {
                format!("\\{line}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    escaped.join("\n")
}

fn unescape(line: &str) -> &str {
    match line.strip_prefix('\\') {
        Some(rest) if rest.trim_start_matches('\\').starts_with(COMMENT_OPENING) => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn issue(title: &str, body: &str) -> Document {
        let front = Front {
            number: 3,
            title: title.to_owned(),
            labels: vec!["parallel-orchestration".into(), "sub-issue".into()],
            created: Some("2026-01-01T12:00:00Z".into()),
            ..Front::new(Kind::Issue)
        };
        Document::new(front, body)
    }

    #[test]
    fn a_person_can_read_it() {
        let mut document = issue("[Master #1] Sub-task 1: Add login", "**Task**: Add login");
        document.comments.push(Comment {
            number: 1,
            time: "2026-01-01T12:05:00Z".into(),
            text: "Done.".into(),
        });
        insta::assert_snapshot!(document.render().unwrap(), @r#"
        ---
        number: 3
        kind: issue
        title: "[Master #1] Sub-task 1: Add login"
        state: open
        labels:
        - parallel-orchestration
        - sub-issue
        created: 2026-01-01T12:00:00Z
        ---
        **Task**: Add login

        <!-- comment 1 2026-01-01T12:05:00Z -->
        ---

        Done.
        "#);
    }

    #[test]
    fn what_a_person_edited_is_read_and_kept() {
        let text = concat!(
            "---\r\n# my note\r\nnumber: 7\r\nkind: issue\r\ntitle: 'It''s: fine'\r\n",
            "labels: [bug]\r\nassignee: ada\r\n---\r\n\r\nText\r\n",
        );
        let mut document = Document::parse(text).unwrap();
        assert_eq!(document.front.title, "It's: fine");
        assert_eq!(document.front.labels, ["bug"]);
        assert_eq!(document.body, "Text");
        assert!(
            document
                .render()
                .unwrap()
                .contains("# my note\nnumber: 7\n")
        );

        document.front.state = State::Closed;
        let rewritten = document.render().unwrap();
        assert!(rewritten.contains("assignee: ada") && rewritten.contains("state: closed"));
        assert_eq!(Document::parse(&rewritten).unwrap().front, document.front);
    }

    #[test]
    fn what_is_no_document_says_why() {
        assert_eq!(Document::parse("hello"), Err(Damage::NoFrontMatter));
        assert_eq!(Document::parse(""), Err(Damage::NoFrontMatter));
        assert_eq!(Document::parse("---\nnumber: 1\n"), Err(Damage::Unclosed));
        let error = Document::parse("---\nnumber: x\nkind: issue\ntitle: t\n---\n").unwrap_err();
        assert!(
            matches!(&error, Damage::Yaml(reason) if !reason.contains('\n')),
            "{error}"
        );
    }

    #[test]
    fn a_text_cannot_pass_for_a_comment() {
        let body = "<!-- comment 9 now -->\n\\<!-- comment 9 now -->\n---";
        let read = Document::parse(&issue("t", body).render().unwrap()).unwrap();
        assert_eq!(read.body, body);
        assert!(read.comments.is_empty());
    }

    fn nasty() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            ".*",
            "[-:#'\"{}\\[\\]|>&*!%@`,? \n\t\\\\]{0,12}",
            Just("---\n".to_owned()),
            Just("<!-- comment 1 x -->\n".to_owned()),
            Just("- yes\n...\nnull ~ 0x1f 1e3".to_owned()),
            Just("\u{2028}\u{85}\u{feff}\u{7f}".to_owned()),
        ];
        proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_title_text_and_comment_survive(
            title in nasty(), label in nasty(), body in nasty(), comment in nasty(),
        ) {
            let mut document = issue(&title, &body);
            document.front.labels.push(label);
            let (time, text) = ("2026-01-01T12:00:00Z".to_owned(), tidy(&comment));
            document.comments.push(Comment { number: 1, time, text });
            let read = Document::parse(&document.render().unwrap()).unwrap();
            prop_assert_eq!(&read.front, &document.front);
            prop_assert_eq!(&read.body, &document.body);
            prop_assert_eq!(&read.comments, &document.comments);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in nasty(), yaml in nasty()) {
            let _ = Document::parse(&text);
            let _ = Document::parse(&format!("---\n{yaml}\n---\n{text}"));
        }
    }
}
