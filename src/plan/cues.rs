//! The words that order tasks, in the languages of [`super::words`].
//!
//! The table is `words/cues.txt`; a language is added by adding phrases to it.
//!
//! Pure data.

use std::sync::LazyLock;

/// Where the thing stands that a cue is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Object {
    /// Behind the cue: `depends on X`.
    Follows,
    /// Before it: `X に依存`.
    Precedes,
}

/// How much a cue needs beside it to be a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// Says it outright: a bare number or a task's name is enough.
    Dependency,
    /// Says that something is needed: a reference, or a name followed by "first".
    Need,
    /// A point in time: a reference, or a name followed by a word that says it is finished.
    Time,
    /// Only with a reference.
    Reference,
}

/// One cue.
#[derive(Debug)]
pub(super) struct Cue {
    pub(super) text: &'static str,
    pub(super) object: Object,
    pub(super) strength: Strength,
    /// The other way round: `blocks X`, `before X`. Denied, a point in time is a dependency after
    /// all: `not before X`.
    pub(super) reversed: bool,
}

/// Splits the table `words/cues.txt`: sections named after the kind of cue, phrases between bars.
/// Those in ASCII come first.
pub(super) static CUES: LazyLock<Vec<Cue>> = LazyLock::new(|| {
    let mut cues = Vec::new();
    let mut kind = None;
    for line in include_str!("words/cues.txt").lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            kind = section(name);
        } else if let Some((object, strength, reversed)) = kind {
            let texts = line.split(" | ").filter(|text| !text.is_empty());
            cues.extend(texts.map(|text| Cue {
                text,
                object,
                strength,
                reversed,
            }));
        }
    }
    cues.sort_by_key(|cue| !cue.text.is_ascii());
    cues
});

/// What the name of a section says about the cues in it.
fn section(name: &str) -> Option<(Object, Strength, bool)> {
    Some(match name {
        "dependency" => (Object::Follows, Strength::Dependency, false),
        "need" => (Object::Follows, Strength::Need, false),
        "time" => (Object::Follows, Strength::Time, false),
        "blocks" => (Object::Follows, Strength::Reference, true),
        "earlier" => (Object::Follows, Strength::Time, true),
        "preceded-dependency" => (Object::Precedes, Strength::Dependency, false),
        "preceded-time" => (Object::Precedes, Strength::Time, false),
        "preceded-reference" => (Object::Precedes, Strength::Reference, false),
        _ => return None,
    })
}
