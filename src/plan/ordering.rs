//! Dependencies that are said in words.
//!
//! A cue ("depends on", "after", "заблокировано") and what stands beside it: the number of a task,
//! an issue, "the previous step", or the name of another task together with a word that says that
//! it is finished. A cue alone orders nothing: "show a toast after saving" is no dependency.
//!
//! Pure. The cues are a table; see [`super::cues`].

use std::ops::Range;
use std::sync::LazyLock;

use super::cues::{CUES, Cue, Object, Strength};
use super::heading::{floor, is_unspaced};
use super::reference::{Named, last_group, references};
use super::words::{self, Finder};

/// One dependency said in words: `subject` waits for each of `objects`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Who waits; empty for the task that the text belongs to.
    pub(super) subjects: Vec<Named>,
    /// What is waited for; empty for the task that the text belongs to.
    pub(super) objects: Vec<Named>,
    /// The words that say so, for people.
    pub(super) reason: String,
}

static CUE: LazyLock<Finder> = LazyLock::new(|| Finder::new(CUES.iter().map(|cue| cue.text)));

/// All that can stand in an ASCII text, as most are.
static ASCII_CUE: LazyLock<Finder> = LazyLock::new(|| {
    let texts = CUES.iter().map(|cue| cue.text);
    Finder::dense(texts.take_while(|text| text.is_ascii()))
});

/// Reads all dependencies that a text in lower case states.
pub(super) fn statements(lower: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let cues = if lower.is_ascii() { &ASCII_CUE } else { &CUE };
    for (cue, Range { start, end }) in cues.find_iter(lower) {
        let kind = &CUES[cue];
        if !is_word(lower, start, end) {
            continue;
        }
        let sentence = sentence(lower, start, end);
        let before = &lower[sentence.0..start];
        let after = &lower[end..sentence.1];
        // "Not before #12" waits for #12.
        let may_turn = kind.reversed && kind.strength == Strength::Time;
        let turned = may_turn && is_negated(before);
        let kind = &Cue {
            reversed: kind.reversed && !turned,
            ..*kind
        };
        // Most cues order nothing, and then it is all the same what takes them back.
        let Some(mut statement) = read(kind, before, after, &lower[end..]) else {
            continue;
        };
        if (!may_turn && is_negated(before)) || is_negated_after(after) {
            continue;
        }
        statement.reason = excerpt(lower, sentence, start);
        found.push(statement);
    }
    arrows(lower, &mut found);
    found
}

fn read(cue: &Cue, before: &str, after: &str, beyond: &str) -> Option<Statement> {
    let bare = cue.strength == Strength::Dependency;
    let (objects, subjects) = match cue.object {
        Object::Follows => {
            let text = if cue.text.ends_with(':') || after.trim_start().starts_with([':', '*']) {
                beyond
            } else {
                after
            };
            let mut objects = references(text, bare);
            if objects.is_empty() && cue.strength != Strength::Reference && !cue.reversed {
                objects.extend(name_after(after, cue.strength).map(Named::Name));
            }
            if objects.is_empty() {
                return None;
            }
            (objects, last_group(before, 40, false).1)
        }
        Object::Precedes => {
            let (rest, objects) = last_group(before, 24, bare);
            let objects = if objects.is_empty() && cue.strength != Strength::Reference {
                name_before(before).map(Named::Name).into_iter().collect()
            } else {
                objects
            };
            (objects, last_group(rest, 16, false).1)
        }
    };
    if objects.is_empty() {
        return None;
    }
    let (subjects, objects) = if cue.reversed {
        (objects, subjects)
    } else {
        (subjects, objects)
    };
    Some(Statement {
        subjects,
        objects,
        reason: String::new(),
    })
}

/// Tasks of which a text in lower case says that they share something.
pub(super) struct Sharing {
    /// Their numbers.
    pub(super) tasks: Vec<Named>,
    /// What it is.
    pub(super) what: String,
    /// The line that says so.
    pub(super) words: String,
}

/// All that a text in lower case says of tasks that share something.
pub(super) fn shared(lower: &str) -> Vec<Sharing> {
    let mut found = Vec::new();
    let mut read = 0;
    for (_, Range { start, end }) in words::SHARE.find_iter(lower) {
        // The first such verb of a line counts.
        if start < read {
            continue;
        }
        let from = lower[read..start]
            .rfind('\n')
            .map_or(read, |at| read + at + 1);
        read = lower[end..]
            .find('\n')
            .map_or(lower.len(), |at| end + at + 1);
        let line = lower[from..read].trim_end_matches(['\n', '\r']);
        let (at, end) = (start - from, end - from);
        if !is_word(line, at, end) || is_negated(&line[..at]) {
            continue;
        }
        let (_, tasks) = last_group(&line[..at], 60, false);
        if tasks.len() > 1 {
            let what = line[end..]
                .split(['.', ';', '。', '('])
                .next()
                .unwrap_or_default()
                .trim();
            let what = what.strip_prefix("the ").unwrap_or(what);
            let what = if what.is_empty() { "code" } else { what };
            found.push(Sharing {
                tasks,
                what: what.chars().take(80).collect(),
                words: line.trim().chars().take(200).collect(),
            });
        }
    }
    found
}

/// `task 1 → task 2 → task 3`.
fn arrows(text: &str, found: &mut Vec<Statement>) {
    // One character at a time, which is quick: nearly no text has any of them.
    let is_ascii = text.is_ascii();
    let has_arrow = |text: &str| {
        text.contains('>') || (!is_ascii && (text.contains('→') || text.contains('⇒')))
    };
    if !has_arrow(text) {
        return;
    }
    for line in text.lines().filter(|line| has_arrow(line)) {
        let parts: Vec<&str> = line
            .split("→")
            .flat_map(|part| part.split("->"))
            .flat_map(|part| part.split("=>"))
            .flat_map(|part| part.split('⇒'))
            .collect();
        for pair in parts.windows(2) {
            let (_, first) = last_group(pair[0], 1, false);
            let second = references(pair[1], false);
            if !first.is_empty() && !second.is_empty() {
                found.push(Statement {
                    subjects: second,
                    objects: first,
                    reason: line.trim().chars().take(120).collect(),
                });
            }
        }
    }
}

/// Whether what was matched is a word of its own.
fn is_word(text: &str, start: usize, end: usize) -> bool {
    let free = |inner: Option<char>, outer: Option<char>| match (inner, outer) {
        (Some(inner), Some(outer)) => {
            !inner.is_alphanumeric()
                || is_unspaced(inner)
                || is_unspaced(outer)
                || !(outer.is_alphanumeric() || outer == '_')
        }
        _ => true,
    };
    free(
        text[start..].chars().next(),
        text[..start].chars().next_back(),
    ) && free(text[..end].chars().next_back(), text[end..].chars().next())
}

/// The bounds of the sentence around a match.
fn sentence(text: &str, start: usize, end: usize) -> (usize, usize) {
    let mut from = floor(text, start.saturating_sub(240));
    for (at, c) in text[from..start].char_indices().rev() {
        if ends_sentence(text, from + at, c) {
            from += at + c.len_utf8();
            break;
        }
    }
    let limit = floor(text, end + 240);
    let to = text[end..limit]
        .char_indices()
        .find(|&(at, c)| ends_sentence(text, end + at, c))
        .map_or(limit, |(at, _)| end + at);
    (from, to)
}

fn ends_sentence(text: &str, at: usize, c: char) -> bool {
    match c {
        '\n' | ';' | '!' | '?' | '。' | '！' | '？' | '；' | '।' => true,
        '.' => {
            let before = &text[..at];
            let number = before.ends_with("no")
                || before.ends_with("nr")
                || before.ends_with(|c: char| c.is_ascii_digit());
            let next = text[at + 1..].chars().next();
            next.is_none_or(char::is_whitespace)
                && !(number
                    && next == Some(' ')
                    && text[at + 1..].trim_start().starts_with(char::is_lowercase))
        }
        _ => false,
    }
}

/// Whether one of the last words takes back what follows.
pub(super) fn is_negated(before: &str) -> bool {
    let clause = before
        .rsplit([',', '(', ':', '，', '（', '：'])
        .next()
        .unwrap_or_default();
    let mut tail = clause
        .split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’')
        .filter(|word| !word.is_empty())
        .rev()
        .take(5);
    tail.any(|word| {
        words::NEGATIONS.contains(&word)
            || word.ends_with("n't")
            || word.ends_with("n’t")
            || (word.chars().any(is_unspaced)
                && ["不", "无", "無", "没有", "无需"]
                    .iter()
                    .any(|no| word.ends_with(no)))
    })
}

/// Negations that follow the verb in Japanese, Korean, Turkish and the like, and "none".
fn is_negated_after(after: &str) -> bool {
    let text = after.trim_start_matches([' ', ':', '*', '：', '_', '-', '–', '—', '(']);
    [
        "none",
        "nothing",
        "no ",
        "n/a",
        "keine",
        "nichts",
        "aucun",
        "ninguna",
        "ninguno",
        "nenhum",
        "nessun",
        "geen",
        "brak",
        "нет",
        "ні",
        "немає",
        "yok",
        "değil",
        "không",
        "无",
        "無",
        "没有",
        "なし",
        "しない",
        "せず",
        "ない",
        "없",
        "하지 않",
        "지 않",
        "لا يوجد",
        "नहीं",
        "-",
        "–",
        "—",
    ]
    .iter()
    .any(|no| text.starts_with(no))
}

/// The name that follows a cue: for a dependency up to the end of the clause, for a point in time
/// only up to a word that says that the named thing is finished.
fn name_after(after: &str, strength: Strength) -> Option<String> {
    let clause = after
        .split([',', '(', ')', '，', '、', '—', '–'])
        .next()
        .unwrap_or_default();
    let mut name = Vec::new();
    let mut finished = false;
    let words: Vec<&str> = clause.split_whitespace().take(14).collect();
    for (at, word) in words.iter().enumerate() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let begins_two = words::COMPLETION_STARTS.contains(bare);
        let two = words.get(at + 1).filter(|_| begins_two).map(|next| {
            format!(
                "{bare} {}",
                next.trim_matches(|c: char| !c.is_alphanumeric())
            )
        });
        let completes = words::COMPLETION.contains(&bare)
            || two.is_some_and(|two| words::COMPLETION.contains(&two.as_str()))
            || (bare.chars().any(is_unspaced)
                && words::COMPLETION
                    .iter()
                    .any(|end| end.chars().all(is_unspaced) && bare.contains(end)));
        if completes && (at > 0 || bare.chars().any(is_unspaced)) {
            finished = true;
            if bare.chars().any(is_unspaced)
                && let Some(cut) = words::COMPLETION
                    .iter()
                    .filter(|end| end.chars().all(is_unspaced))
                    .filter_map(|end| bare.find(end))
                    .min()
            {
                name.push(&bare[..cut]);
            }
            break;
        }
        name.push(bare);
    }
    let enough = finished
        || strength == Strength::Dependency
        || (strength == Strength::Need
            && matches!(
                words
                    .last()
                    .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric())),
                Some(
                    "first"
                        | "zuerst"
                        | "zunächst"
                        | "d'abord"
                        | "primero"
                        | "primeiro"
                        | "prima"
                        | "сначала"
                        | "eerst"
                )
            ));
    (enough && !name.is_empty()).then(|| name.join(" "))
}

/// The name before a cue, in languages that put it there.
fn name_before(before: &str) -> Option<String> {
    let clause = before
        .rsplit([',', '(', '，', '、', '（', ':', '：'])
        .next()
        .unwrap_or_default()
        .trim();
    (!clause.is_empty() && clause.len() < 160).then(|| clause.to_owned())
}

/// The sentence, shortened, as the reason that people read.
fn excerpt(text: &str, (from, to): (usize, usize), cue: usize) -> String {
    const MAX: usize = 120;
    let from = if cue - from > MAX / 2 { cue } else { from };
    let cut = text[from..to].chars().take(MAX).collect::<String>();
    cut.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '(' | '-' | '_'))
        .to_owned()
}
