//! References to tasks and issues in running text: `task 1`, `tasks 2 and 3`, `#12`, `第一步`.
//!
//! Pure: text in lower case in, [`Named`] out. What a reference means is decided by
//! [`super::resolve`].

use super::heading::{self, floor, is_unspaced};
use super::title::{IssueRef, issue_ref};
use super::words::{self, Finder};

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
pub(super) fn references(text: &str, bare_numbers: bool) -> Vec<Named> {
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
    let phrase = |phrases: &Finder| {
        let (phrase, rest) = text.split_at(phrases.prefix_of(text)?);
        let unspaced = phrase.contains(is_unspaced);
        (unspaced || !rest.starts_with(char::is_alphanumeric)).then_some(rest)
    };
    phrase(&words::ALL_PREVIOUS_PHRASES)
        .map(|rest| (Named::AllPrevious, rest))
        .or_else(|| phrase(&words::PREVIOUS_PHRASES).map(|rest| (Named::Previous, rest)))
}

/// The last run of references in `text` that ends at most `slack` bytes before its end, and the
/// text before it.
pub(super) fn last_group(text: &str, slack: usize, bare_numbers: bool) -> (&str, Vec<Named>) {
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
