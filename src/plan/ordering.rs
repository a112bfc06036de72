//! Dependencies that are said in words.
//!
//! A cue ("depends on", "after", "заблокировано") and what stands beside it: the number of a task,
//! an issue, "the previous step", or the name of another task together with a word that says that
//! it is finished. A cue alone orders nothing: "show a toast after saving" is no dependency.
//!
//! Pure. The cues are a table; see [`super::cues`].

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::cues::{CUES, Cue, Object, Strength};
use super::heading::{self, is_unspaced};
use super::title::{IssueRef, issue_ref};
use super::words;

/// What a sentence names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// An issue.
    Issue(IssueRef),
    /// A task by its number: `3`, `1.2`, or a key such as `chk-881`.
    Task(String),
    /// All tasks of a phase.
    Phase(String),
    /// The task before this one.
    Previous,
    /// All tasks before this one.
    AllPrevious,
    /// A task by its name, as lower-case words.
    Name(String),
}

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

static BY_TEXT: LazyLock<HashMap<&str, &Cue>> =
    LazyLock::new(|| CUES.iter().map(|cue| (cue.text, cue)).collect());

static CUE: LazyLock<Regex> =
    LazyLock::new(|| words::any_of(&CUES.iter().map(|cue| cue.text).collect::<Vec<_>>()));

static SHARE: LazyLock<Regex> = LazyLock::new(|| words::any_of(&words::SHARE));

/// Reads all dependencies that `text` states.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let lower = text.to_lowercase();
    let mut found = Vec::new();
    for cue in CUE.find_iter(&lower) {
        let Some(&kind) = BY_TEXT.get(cue.as_str()) else {
            continue;
        };
        if !is_word(&lower, cue.start(), cue.end()) {
            continue;
        }
        let sentence = sentence(&lower, cue.start(), cue.end());
        let before = &lower[sentence.0..cue.start()];
        let after = &lower[cue.end()..sentence.1];
        let negated = is_negated(before);
        // "Not before #12" waits for #12.
        let turned = kind.reversed && kind.strength == Strength::Time && negated;
        if (negated && !turned) || is_negated_after(after) {
            continue;
        }
        let kind = &Cue {
            reversed: kind.reversed && !turned,
            ..*kind
        };
        if let Some(mut statement) = read(kind, before, after, &lower[cue.end()..]) {
            statement.reason = excerpt(&lower, sentence, cue.start());
            found.push(statement);
        }
    }
    arrows(&lower, &mut found);
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

/// Tasks of which a text says that they share something: their numbers, and what it is.
pub(super) fn shared(text: &str) -> Vec<(Vec<Named>, String)> {
    let lower = text.to_lowercase();
    let mut found = Vec::new();
    for line in lower.lines() {
        let Some(verb) = SHARE.find(line) else {
            continue;
        };
        let (at, end) = (verb.start(), verb.end());
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
            found.push((tasks, what.chars().take(80).collect()));
        }
    }
    found
}

/// `task 1 → task 2 → task 3`.
fn arrows(text: &str, found: &mut Vec<Statement>) {
    for line in text.lines() {
        if !line.contains(['→', '⇒', '>']) {
            continue;
        }
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
    let limit = floor(text, (end + 240).min(text.len()));
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

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
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

/// Words that may stand between a cue and what it names.
const FILLERS: &[&str] = &[
    "the",
    "a",
    "an",
    "of",
    "on",
    "all",
    "both",
    "completion",
    "merging",
    "merge",
    "completing",
    "finishing",
    "finish",
    "upon",
    "result",
    "results",
    "output",
    "outcome",
    "pr",
    "issue",
    "issues",
    "only",
    "is",
    "be",
    "done",
    "that",
    "first",
    "for",
    "with",
    "to",
    "having",
    "by",
    "either",
    "der",
    "die",
    "das",
    "dem",
    "den",
    "des",
    "von",
    "abschluss",
    "erledigung",
    "auf",
    "issue",
    "erst",
    "nach",
    "la",
    "le",
    "les",
    "l",
    "de",
    "du",
    "des",
    "fin",
    "à",
    "el",
    "los",
    "las",
    "del",
    "o",
    "a",
    "os",
    "as",
    "da",
    "do",
    "di",
    "della",
    "dell",
    "dal",
    "dalla",
    "il",
    "lo",
    "conclusão",
    "finalizar",
    "completar",
    "terminar",
    "het",
    "van",
    "po",
    "od",
    "przez",
    "от",
    "после",
    "на",
    "до",
    "задачи",
    "від",
    "việc",
    "в",
    "с",
    "issue",
    "pull",
    "request",
    "zakończeniu",
    "завершения",
    "завершення",
    "выполнения",
    "也",
    "于",
    "於",
    "在",
    "对",
];

/// Reads the references at the start of `text`: `task 1`, `tasks 2 and 3`, `#12`, `the previous step`.
fn references(text: &str, bare_numbers: bool) -> Vec<Named> {
    let mut rest = text;
    for _ in 0..5 {
        rest = rest.trim_start_matches(|c: char| {
            c.is_whitespace()
                || matches!(
                    c,
                    ':' | '：'
                        | '*'
                        | '_'
                        | '`'
                        | '('
                        | '['
                        | '-'
                        | '–'
                        | '—'
                        | '"'
                        | '“'
                        | '\''
                        | '’'
                        | '（'
                )
        });
        if let Some((found, _)) = group(rest, bare_numbers) {
            return found;
        }
        let end = rest
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if FILLERS.contains(&word) {
            rest = behind;
        } else {
            return Vec::new();
        }
    }
    Vec::new()
}

/// Separators between references.
const ANDS: &[&str] = &[
    "and",
    "&",
    "und",
    "et",
    "y",
    "e",
    "и",
    "и",
    "та",
    "ve",
    "và",
    "dan",
    "i",
    "oraz",
    "en",
    "och",
    "a",
    "和",
    "与",
    "及",
    "と",
    "及び",
    "および",
    "및",
    "와",
    "과",
    "و",
    "और",
    "or",
    "+",
    "plus",
    "sowie",
    "as well as",
];

/// A run of references, and what follows it.
fn group(text: &str, bare_numbers: bool) -> Option<(Vec<Named>, &str)> {
    let (first, mut rest, counts) = one(text, bare_numbers)?;
    let mut found = vec![first];
    let mut plain = counts;
    while found.len() < 64 {
        let trimmed = rest.trim_start_matches([' ', '*', '`', '_', ']', ')']);
        let range = [
            "-", "–", "—", "to ", "bis ", "through ", "à ", "a ", "до ", "по ", "至", "到", "から",
            "〜", "~", "～",
        ]
        .iter()
        .find_map(|dash| trimmed.strip_prefix(dash));
        if let (Some(behind), Some(Named::Task(low))) = (range, found.last())
            && let Some((high, behind)) = heading::number(strip_unit(behind.trim_start()))
            && let (Ok(low), Ok(high)) = (low.parse::<u32>(), high.parse::<u32>())
            && low < high
            && high - low < 1000
        {
            found.extend((low + 1..=high).map(|n| Named::Task(n.to_string())));
            rest = behind;
            continue;
        }
        let Some(behind) = after_separator(trimmed) else {
            break;
        };
        let Some((next, behind, counts)) = one(behind, bare_numbers || plain) else {
            break;
        };
        found.push(next);
        plain |= counts;
        rest = behind;
    }
    Some((found, rest))
}

fn strip_unit(text: &str) -> &str {
    text.strip_prefix('#').unwrap_or(text)
}

/// What follows a comma, an "and" or a new list item.
fn after_separator(text: &str) -> Option<&str> {
    let mut rest =
        text.trim_start_matches([',', '、', '，', '/', '\n', ' ', '*', '`', '_', '-', '[']);
    let mut separated = rest.len() < text.trim_start().len();
    for and in ANDS {
        if let Some(behind) = rest.strip_prefix(and)
            && (behind.starts_with([' ', '#']) || and.chars().any(is_unspaced))
        {
            rest = behind.trim_start_matches([' ', '*', '`', '_', '[']);
            separated = true;
            break;
        }
    }
    separated.then_some(rest)
}

/// One reference. The flag says that numbers that follow count the same thing.
fn one(text: &str, bare_numbers: bool) -> Option<(Named, &str, bool)> {
    if !may_begin(text) {
        return None;
    }
    if let Some((issue, length)) = issue_ref(text) {
        return Some((Named::Issue(issue), &text[length..], false));
    }
    if let Some((named, rest)) = relative(text) {
        return Some((named, rest, false));
    }
    if let Some((is_phase, label, rest)) = heading::counted(text) {
        let named = if is_phase {
            Named::Phase(label)
        } else {
            Named::Task(label)
        };
        return Some((named, rest, true));
    }
    if let Some((key, rest)) = ticket(text) {
        return Some((Named::Task(key), rest, false));
    }
    if bare_numbers {
        let (label, rest) = heading::number(text)?;
        let next = rest.trim_start().chars().next();
        let ends = next.is_none_or(|c| {
            matches!(
                c,
                ',' | '.'
                    | ')'
                    | ';'
                    | '\n'
                    | '*'
                    | '('
                    | '、'
                    | '，'
                    | '&'
                    | '+'
                    | '/'
                    | '-'
                    | '–'
            )
        });
        let goes_on = ANDS.iter().any(|and| {
            rest.trim_start()
                .strip_prefix(and)
                .is_some_and(|rest| rest.starts_with(' '))
        });
        return (ends || goes_on).then_some((Named::Task(label), rest, true));
    }
    None
}

/// Whether a reference can begin here: a cheap look before the careful one.
fn may_begin(text: &str) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    if !first.is_alphabetic() || is_unspaced(first) {
        return first == '#' || first.is_numeric() || is_unspaced(first);
    }
    let end = text
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(text.len());
    let behind = &text[end..];
    words::STARTS.contains(&text[..end])
        || text.starts_with("http")
        || behind.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '/' | '_' | '.' | '\u{300}'..='\u{36f}' | '\u{900}'..='\u{97f}'))
}

/// `t001`, `chk-881`.
fn ticket(text: &str) -> Option<(String, &str)> {
    let letters = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(0);
    if letters == 0 || letters > 10 {
        return None;
    }
    let digits = text[letters..].strip_prefix('-');
    if digits.is_none() && letters > 2 {
        return None;
    }
    let digits = digits.unwrap_or(&text[letters..]);
    let length = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    if length == 0 || digits[length..].starts_with(|c: char| c.is_alphanumeric()) {
        return None;
    }
    let end = text.len() - digits.len() + length;
    let number = digits[..length].trim_start_matches('0');
    let dashed = text[letters..].starts_with('-');
    Some((
        if dashed {
            text[..end].to_owned()
        } else {
            format!("{}{number}", &text[..letters])
        },
        &text[end..],
    ))
}

/// `the previous task`, `all of the above`.
fn relative(text: &str) -> Option<(Named, &str)> {
    let phrase = |table: &[&str]| {
        table.iter().find_map(|phrase| {
            let rest = text.strip_prefix(phrase)?;
            let unspaced = phrase.chars().any(is_unspaced);
            (unspaced || !rest.starts_with(char::is_alphanumeric)).then_some(rest)
        })
    };
    phrase(&words::ALL_PREVIOUS)
        .map(|rest| (Named::AllPrevious, rest))
        .or_else(|| phrase(&words::PREVIOUS).map(|rest| (Named::Previous, rest)))
}

/// The last run of references in `text` that ends at most `slack` bytes before its end, and the
/// text before it.
fn last_group(text: &str, slack: usize, bare_numbers: bool) -> (&str, Vec<Named>) {
    let from = floor(text, text.len().saturating_sub(120));
    let mut at = from;
    let mut best = None;
    while at < text.len() {
        let rest = &text[at..];
        let starts_word = at == 0
            || text[..at]
                .chars()
                .next_back()
                .is_some_and(|c| !c.is_alphanumeric() || is_unspaced(c))
            || rest.starts_with(is_unspaced);
        if starts_word && let Some((found, behind)) = group(rest, bare_numbers) {
            let end = text.len() - behind.len();
            if text.len() - end <= slack + usize::from(behind.ends_with(' ')) {
                best = Some((&text[..at], found));
            }
            at = end.max(at + 1);
            at = (at..=text.len())
                .find(|&at| text.is_char_boundary(at))
                .unwrap_or(text.len());
            continue;
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    best.unwrap_or((text, Vec::new()))
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
        let two = words.get(at + 1).map(|next| {
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
    let sentence = &text[from..to];
    let from = if to - from > MAX && cue - from > MAX / 2 {
        floor(text, cue)
    } else {
        from
    };
    let _ = sentence;
    text[from..to]
        .chars()
        .take(MAX)
        .collect::<String>()
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '(' | '-' | '_'))
        .to_owned()
}
