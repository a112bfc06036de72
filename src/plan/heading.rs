//! What a heading, a bold line or a lead-in says about the lists below it.
//!
//! Pure: text in, [`Role`] out. All words come from [`super::words`].

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::words;

/// What a heading announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Tasks, in whatever form.
    Tasks,
    /// Anything but tasks.
    Other,
    /// An area of work, or a chapter of prose: only check boxes are tasks.
    Area,
    /// Finished tasks.
    Done,
    /// Nothing in particular: the form decides.
    Neutral,
}

/// What a phrase says, as the tables of [`super::words`] do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concept {
    Tasks,
    Other,
    Area,
    Done,
    Acceptance,
}

/// The phrases of all concepts in one automaton: a heading is read once.
struct Vocabulary {
    automaton: AhoCorasick,
    phrases: Vec<(&'static str, Concept)>,
}

impl Vocabulary {
    fn new() -> Self {
        let areas: HashSet<&str> = words::AREAS.iter().copied().collect();
        let tables = [
            (&words::TASKS, Concept::Tasks),
            (&words::NOT_TASKS, Concept::Other),
            (&words::AREAS, Concept::Area),
            (&words::DONE, Concept::Done),
            (&words::ACCEPTANCE, Concept::Acceptance),
        ];
        let phrases: Vec<_> = tables
            .into_iter()
            .flat_map(|(table, concept)| table.iter().map(move |&phrase| (phrase, concept)))
            .filter(|(phrase, concept)| *concept != Concept::Other || !areas.contains(phrase))
            .collect();
        #[expect(
            clippy::expect_used,
            reason = "the tables are far below the automaton's limits, and every test builds them"
        )]
        let automaton = AhoCorasick::builder()
            // Headings are short: what counts is how soon the automaton is there.
            .kind(Some(AhoCorasickKind::NoncontiguousNFA))
            .build(phrases.iter().map(|(phrase, _)| phrase))
            .expect("small tables");
        Self { automaton, phrases }
    }

    /// How well the best phrase of each concept fits.
    fn matches(&self, text: &str) -> Matches {
        let mut matches = Matches([Match::None; 5]);
        let words = text.split(' ').count();
        for found in self.automaton.find_overlapping_iter(text) {
            let (phrase, concept) = self.phrases[found.pattern()];
            let best = &mut matches.0[concept as usize];
            *best = fit(text, words, phrase, found.range()).max(*best);
        }
        matches
    }
}

/// How well a phrase at a place in a text of so many words fits: it is the subject at the end, at
/// the start before a preposition, or, with two words and more, anywhere.
fn fit(text: &str, words: usize, phrase: &str, at: Range<usize>) -> Match {
    if phrase.len() == text.len() {
        return Match::Exact;
    }
    let (before, after) = (&text[..at.start], &text[at.end..]);
    let ends = after.is_empty();
    // Scripts without spaces: an ending of a short text is enough.
    if ends && text.len() <= phrase.len() + 24 && phrase.contains(is_unspaced) {
        return Match::End;
    }
    let is_whole = (before.is_empty() || before.ends_with(' ')) && (ends || after.starts_with(' '));
    if !is_whole {
        return Match::None;
    }
    let several = phrase.contains(' ');
    let next = || after[1..].split(' ').next().unwrap_or_default();
    if ends && (several || words <= MAX_SUBJECT) {
        Match::End
    } else if before.is_empty() && !ends && CONNECTIVES.contains(&next()) {
        Match::Start
    } else if several {
        Match::Inside
    } else {
        Match::None
    }
}

/// How well each [`Concept`] fits a text.
struct Matches([Match; 5]);

impl Matches {
    fn of(&self, concept: Concept) -> Match {
        self.0[concept as usize]
    }
}

/// How well a phrase fits a heading, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    None,
    Inside,
    Start,
    End,
    Exact,
}

/// In longer headings a last word alone is not the subject: "Fix all the broken links".
const MAX_SUBJECT: usize = 4;

/// Words after which a heading only says more about its first words.
const CONNECTIVES: &[&str] = &[
    "for", "of", "and", "to", "in", "on", "from", "by", "&", "before", "after", "until", "that",
    "we", "with", "or", "/", "für", "und", "bis", "zur", "zum", "vor", "im", "de", "du", "des",
    "pour", "et", "avant", "para", "y", "e", "do", "da", "del", "antes", "per", "i", "dla", "для",
    "и", "по", "до", "voor", "en", "ve", "için", "và", "cho", "dan", "untuk", "la", "della", "di",
];

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::new);

/// What the words before or behind a number count.
static UNITS: LazyLock<HashMap<&str, Unit>> = LazyLock::new(|| {
    let tasks = words::TASK_WORDS.iter().map(|&word| (word, Unit::Task));
    let phases = words::PHASE_WORDS.iter().map(|&word| (word, Unit::Phase));
    tasks.chain(phases).collect()
});

/// The first words of [`UNITS`], and whether a unit of several words begins with it. Most titles
/// begin with none of them.
static UNIT_STARTS: LazyLock<HashMap<&str, bool>> = LazyLock::new(|| {
    let mut starts = HashMap::new();
    for phrase in UNITS.keys() {
        let first = phrase.split(' ').next().unwrap_or_default();
        *starts.entry(first).or_default() |= first.len() < phrase.len();
    }
    starts
});

/// Longer texts are prose, whatever they contain.
const MAX_HEADING: usize = 160;

/// What a heading announces.
pub(super) fn role(heading: &str) -> Role {
    if heading.len() > MAX_HEADING {
        return Role::Neutral;
    }
    let text = normalize(heading);
    let head = head(&text);
    let by_head = role_of(head);
    if matches!(by_head, Role::Neutral | Role::Area) && head.len() < text.len() {
        role_of(&text)
    } else {
        by_head
    }
}

/// What the title of a document announces: only a title that is nothing but such a phrase counts.
pub(super) fn role_of_title(title: &str) -> Role {
    let text = normalize(title);
    let matches = VOCABULARY.matches(&text);
    if matches.of(Concept::Other) == Match::Exact {
        Role::Other
    } else if matches.of(Concept::Tasks) == Match::Exact {
        Role::Tasks
    } else {
        Role::Neutral
    }
}

/// Whether the text announces acceptance criteria.
pub(super) fn is_acceptance(heading: &str) -> bool {
    if heading.len() > MAX_HEADING {
        return false;
    }
    let text = normalize(heading);
    let head = head(&text);
    VOCABULARY.matches(head).of(Concept::Acceptance) >= Match::Inside
}

fn role_of(text: &str) -> Role {
    let matches = VOCABULARY.matches(text);
    if matches.of(Concept::Done) == Match::Exact {
        return Role::Done;
    }
    match (matches.of(Concept::Tasks), matches.of(Concept::Other)) {
        (Match::None, Match::None) => {
            if matches.of(Concept::Area) == Match::None {
                Role::Neutral
            } else {
                Role::Area
            }
        }
        (Match::Exact, other) if other < Match::Exact => Role::Tasks,
        (Match::End, other) if other < Match::End => Role::Tasks,
        (_, Match::None) => Role::Tasks,
        _ => Role::Other,
    }
}

/// The part of a heading before a colon, dash or bracket.
fn head(text: &str) -> &str {
    let cut = [": ", "：", " - ", " – ", " — ", " (", "（", ", "]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min()
        .unwrap_or(text.len());
    let head = text[..cut].trim();
    if head.is_empty() { text } else { head }
}

/// Lower case, without numbering, emojis and punctuation at the ends, blanks folded.
pub(super) fn normalize(text: &str) -> String {
    let lower = text.to_lowercase();
    let lower = lower.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, ')' | '）'));
    let lower = lower
        .trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ')' | ' ' | '、'));
    let lower = if lower.is_empty() { text } else { lower };
    let mut out = String::with_capacity(lower.len());
    for word in lower.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, ')' | '）'))
        .replace('’', "'")
}

/// Characters of scripts that are written without spaces.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{e00}'..='\u{e7f}')
}

/// A numbering in front of a title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbering<'a> {
    /// The number as it is written: `3`, `1.2`, `a`, `T3`.
    pub(super) label: String,
    /// What the number counts.
    pub(super) unit: Unit,
    /// The text after the numbering.
    pub(super) rest: &'a str,
}

/// What a numbering counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// `Task 3:`.
    Task,
    /// `Phase 2:`.
    Phase,
    /// `3.`: nothing that is named.
    Bare,
}

/// Reads the numbering in front of a title, if there is one.
pub(super) fn numbering(title: &str) -> Option<Numbering<'_>> {
    let text = title.trim_start_matches(|c: char| {
        c.is_whitespace()
            || (!c.is_alphanumeric()
                && !matches!(
                    c,
                    '[' | '('
                        | '`'
                        | '#'
                        | '/'
                        | '.'
                        | '@'
                        | '$'
                        | '"'
                        | '\''
                        | '<'
                        | '-'
                        | '~'
                        | '{'
                ))
    });
    let text = text
        .strip_prefix('[')
        .filter(|rest| {
            rest.find(']')
                .is_some_and(|end| unit_and_number(&rest[..end]).is_some())
        })
        .unwrap_or(text);
    named(text).or_else(|| bare(text))
}

fn unit_and_number(text: &str) -> Option<(Unit, String, &str)> {
    word_then_number(text).or_else(|| number_then_word(text))
}

fn named(text: &str) -> Option<Numbering<'_>> {
    let (unit, label, rest) = unit_and_number(text)?;
    let after = rest.trim_start_matches([' ', '*', '_', '\u{a0}']);
    let separators = [
        ':', '：', '.', '。', ')', '）', ']', '-', '–', '—', '|', '、', '·', '→', '/',
    ];
    let separated = after.starts_with(separators);
    if !after.is_empty() && !separated && !(after.starts_with('(')) {
        return None;
    }
    let body = after.trim_start_matches(separators).trim_start();
    let body = body.trim_start_matches(separators).trim_start();
    Some(Numbering {
        label,
        unit,
        rest: body,
    })
}

/// `Task 3`, `Phase II`, `タスク1`.
fn word_then_number(text: &str) -> Option<(Unit, String, &str)> {
    let (unit, rest) = leading_word(text)?;
    let rest = rest.trim_start_matches([' ', '\u{a0}']);
    let rest = rest
        .strip_prefix('#')
        .or_else(|| rest.strip_prefix("№ "))
        .or_else(|| rest.strip_prefix('№'))
        .or_else(|| rest.strip_prefix("No. "))
        .or_else(|| rest.strip_prefix("no. "))
        .unwrap_or(rest);
    let (label, rest) = number(rest).or_else(|| ordinal(rest))?;
    Some((unit, label, rest))
}

/// `2. Aşama`, `第一阶段`, `1단계`, `Second phase`.
fn number_then_word(text: &str) -> Option<(Unit, String, &str)> {
    let inner = text.strip_prefix('第').unwrap_or(text);
    let (label, rest) = number(inner).or_else(|| ordinal(inner))?;
    let rest = rest.trim_start_matches(['.', ' ', 'º', 'ª', '°', '個', '个']);
    let (unit, rest) = leading_word(rest)?;
    Some((unit, label, rest))
}

/// Splits off a task or phase word of at most three words: `sub task`, `kamień milowy`.
fn leading_word(text: &str) -> Option<(Unit, &str)> {
    let mut buffer = [0; 32];
    if let Some(word) = first_ascii_word(text, &mut buffer) {
        match UNIT_STARTS.get(word) {
            None => return None,
            Some(false) => return UNITS.get(word).map(|&unit| (unit, &text[word.len()..])),
            Some(true) => {}
        }
    }
    let mut best = None;
    let mut lower = String::with_capacity(64);
    let mut words = 0;
    let mut in_word = false;
    let mut unspaced = false;
    for (at, c) in text
        .char_indices()
        .chain(std::iter::once((text.len(), ' ')))
    {
        let boundary = !(c.is_alphabetic() || c == '-' || c == '\'' || is_mark(c));
        if (boundary || unspaced)
            && in_word
            && let Some(&unit) = UNITS.get(lower.as_str())
        {
            best = Some((unit, at));
        }
        if boundary {
            words += 1;
            in_word = false;
            let ends = c != ' ' || words > 2;
            if ends || (words == 1 && !UNIT_STARTS.contains_key(lower.as_str())) {
                break;
            }
        } else {
            in_word = true;
        }
        if at > 48 {
            break;
        }
        lower.extend(c.to_lowercase());
        unspaced = is_unspaced(c);
    }
    best.map(|(unit, at)| (unit, &text[at..]))
}

/// The first word in lower case, where it is short and in ASCII, as most are.
fn first_ascii_word<'b>(text: &str, buffer: &'b mut [u8; 32]) -> Option<&'b str> {
    let bytes = text.as_bytes();
    let goes_on = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'\'');
    let end = bytes.iter().position(|byte| !goes_on(byte));
    let end = end.unwrap_or(bytes.len());
    if bytes.get(end).is_some_and(|byte| !byte.is_ascii()) {
        return None;
    }
    let word = buffer.get_mut(..end)?;
    word.copy_from_slice(&bytes[..end]);
    word.make_ascii_lowercase();
    str::from_utf8(word).ok()
}

/// Combining marks inside words of Indic and Arabic scripts.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{97f}' | '\u{64b}'..='\u{65f}')
}

/// `3`, `1.2`, `12b`, `A`, Arabic-Indic and full-width digits.
pub(super) fn number(text: &str) -> Option<(String, &str)> {
    let mut label = String::new();
    let mut end = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if let Some(digit) = digit(c) {
            label.push(digit);
            end = at + c.len_utf8();
        } else if c == '.' && !label.is_empty() && chars.peek().is_some_and(|&(_, d)| digit_is(d)) {
            label.push('.');
        } else {
            break;
        }
        if label.len() > 12 {
            return None;
        }
    }
    if label.is_empty() {
        let mut chars = text.chars();
        let letter = chars.next().filter(char::is_ascii_uppercase)?;
        let next = chars.next();
        if next.is_some_and(char::is_alphanumeric) {
            return None;
        }
        label.push(letter.to_ascii_lowercase());
        return Some((label, &text[1..]));
    }
    let rest = &text[end..];
    let mut chars = rest.chars();
    if let Some(letter) = chars.next().filter(char::is_ascii_lowercase)
        && !chars.next().is_some_and(char::is_alphanumeric)
    {
        label.push(letter);
        return Some((label, &rest[1..]));
    }
    Some((label, rest))
}

fn digit_is(c: char) -> bool {
    digit(c).is_some()
}

/// A decimal digit of a script that plans number with, as ASCII.
fn digit(c: char) -> Option<char> {
    let zero = match c {
        '0'..='9' => return Some(c),
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6f0}'..='\u{6f9}' => 0x6f0,
        '\u{966}'..='\u{96f}' => 0x966,
        '\u{ff10}'..='\u{ff19}' => 0xff10,
        _ => return None,
    };
    char::from_digit(c as u32 - zero, 10)
}

/// A number word.
pub(super) fn ordinal(text: &str) -> Option<(String, &str)> {
    let end = text
        .find(|c: char| !c.is_alphabetic() && !is_mark(c))
        .unwrap_or(text.len());
    if end == 0 || end > 32 {
        return None;
    }
    let word = text[..end].to_lowercase();
    if let Some(value) = words::ORDINALS.get(word.as_str()) {
        return Some(((*value).to_owned(), &text[end..]));
    }
    let first = text.chars().next().filter(|&c| is_unspaced(c))?;
    let (first, rest) = text.split_at(first.len_utf8());
    words::ORDINALS
        .get(first)
        .map(|value| ((*value).to_owned(), rest))
}

/// `3. `, `1.2 `, `2) `, `T3: `.
fn bare(text: &str) -> Option<Numbering<'_>> {
    let inner = text.strip_prefix('(').unwrap_or(text);
    let prefixed = inner
        .strip_prefix(['T', 'S'])
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let digits = prefixed.unwrap_or(inner);
    if !digits.starts_with(digit_is) {
        return None;
    }
    let (number, rest) = number(digits)?;
    let closed = rest.trim_start_matches([':', '.', ')', '）', '、', '：', '．']);
    let marked = closed.len() < rest.len();
    let spaced = closed.starts_with([' ', '\u{a0}'])
        || (marked && rest.starts_with(['、', '：', '．', '）']));
    let dashed = [" - ", " – ", " — "]
        .iter()
        .any(|dash| closed.starts_with(dash));
    if !spaced || !(marked || dashed || number.contains('.') || prefixed.is_some()) {
        return None;
    }
    let rest = closed.trim_start_matches([' ', '\u{a0}', '-', '–', '—', ':']);
    if rest.is_empty() {
        return None;
    }
    let label = if prefixed.is_some() {
        format!("t{}", number.trim_start_matches('0'))
    } else {
        number
    };
    Some(Numbering {
        label,
        unit: Unit::Bare,
        rest,
    })
}

/// A counted unit at the start of a text that is in lower case: `task 3`, `2. adım`, `第一阶段`.
/// Says whether it is a phase, its label, and what follows.
pub(super) fn counted(text: &str) -> Option<(bool, String, &str)> {
    let (unit, label, rest) = unit_and_number(text)?;
    let boundary = rest
        .chars()
        .next()
        .is_none_or(|c| !c.is_alphanumeric() || is_unspaced(c));
    boundary.then_some((unit == Unit::Phase, label, rest))
}

/// The last line of a paragraph, which leads to the list below it.
pub(super) fn last_line(text: &str) -> &str {
    text.trim_end().rsplit('\n').next().unwrap_or_default()
}

/// The nearest character boundary at or before `at`.
pub(super) fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}
