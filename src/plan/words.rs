//! The words that plans are judged by: one table per concept.
//!
//! The tables are the text files in `words/`: phrases in lower case between bars, in the order of
//! en, de, fr, es, pt, it, nl, pl, ru, uk, tr, vi, id, sv, cs, zh, ja, ko, ar, hi, where a concept
//! has a word of its own in that language. A language is added by adding phrases; no code changes.
//!
//! Pure data.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use regex::Regex;

/// Splits a table into its phrases.
fn phrases(table: &'static str) -> Vec<&'static str> {
    table
        .lines()
        .flat_map(|line| line.split(" | "))
        .filter(|phrase| !phrase.is_empty())
        .collect()
}

/// A pattern for texts that begin with one of a table's phrases, in which an underscore stands for
/// the blank behind a whole word.
fn openings(table: &'static str) -> Regex {
    let table: Vec<String> = phrases(table)
        .into_iter()
        .map(|phrase| phrase.replace('_', " "))
        .collect();
    starting(&table.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A pattern for any of these phrases, longer ones first.
pub(super) fn any_of(table: &[&str]) -> Regex {
    pattern("", table)
}

/// A pattern for any of these phrases at the start of a text, longer ones first.
fn starting(table: &[&str]) -> Regex {
    pattern("^", table)
}

fn pattern(anchor: &str, table: &[&str]) -> Regex {
    let mut sorted = table.to_vec();
    sorted.sort_unstable_by_key(|phrase| std::cmp::Reverse(phrase.len()));
    let any = sorted
        .iter()
        .map(|phrase| regex::escape(phrase))
        .collect::<Vec<_>>()
        .join("|");
    #[expect(
        clippy::expect_used,
        reason = "escaped phrases are a valid pattern, which every test compiles"
    )]
    Regex::new(&format!("{anchor}(?:{any})")).expect("a valid pattern")
}

/// Headings and lead-ins that announce tasks.
pub(super) static TASKS: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/tasks.txt")));

/// Headings and lead-ins below which nothing is a task.
pub(super) static NOT_TASKS: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/not_tasks.txt")));

/// Headings that as often name an area of work: only check boxes below them are tasks.
pub(super) static AREAS: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/areas.txt")));

/// Headings and lead-ins of what a task must fulfil.
pub(super) static ACCEPTANCE: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/acceptance.txt")));

/// Headings below which every item is finished.
pub(super) static DONE: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/done.txt")));

/// Words before a number that make a heading or an item one task: `Task 3: …`.
pub(super) static TASK_WORDS: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/task_words.txt")));

/// Words before a number that put what is below them in order.
pub(super) static PHASE_WORDS: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/phase_words.txt")));

/// Number words that follow a phase or task word, or stand before it.
pub(super) static ORDINALS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    phrases(include_str!("words/ordinals.txt"))
        .into_iter()
        .filter_map(|pair| pair.rsplit_once(' '))
        .collect()
});

/// How the items of declaration checklists in issue and pull request forms begin.
pub(super) static DECLARATIONS: LazyLock<Regex> =
    LazyLock::new(|| openings(include_str!("words/declarations.txt")));

/// Statements that the tasks around them run one after another.
pub(super) static IN_ORDER: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/in_order.txt")));

/// What takes an order back, or a dependency.
pub(super) static NEGATIONS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    phrases(include_str!("words/negations.txt"))
        .into_iter()
        .collect()
});

/// What says that something is finished, after the name of it.
pub(super) static COMPLETION: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    phrases(include_str!("words/completion.txt"))
        .into_iter()
        .collect()
});

/// Words that carry no meaning of their own when names are compared.
pub(super) static STOP_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    phrases(include_str!("words/stop_words.txt"))
        .into_iter()
        .collect()
});

/// First words that tell a story rather than a task, at the start of list items.
pub(super) static NARRATIVE: LazyLock<Regex> =
    LazyLock::new(|| openings(include_str!("words/narrative.txt")));

/// Signs that stand for an empty check box, where no Markdown one is used.
pub(super) static OPEN_BOXES: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/open_boxes.txt")));

/// Verbs between the numbers of tasks and what they share.
pub(super) static SHARE: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/share.txt")));

/// The task before.
pub(super) static PREVIOUS: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/previous.txt")));

/// All tasks before.
pub(super) static ALL_PREVIOUS: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/all_previous.txt")));

/// Signs that stand for a ticked check box.
pub(super) static DONE_BOXES: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/done_boxes.txt")));

/// The first words of everything that can name a task or a phase.
pub(super) static STARTS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let tables = [&*TASK_WORDS, &*PHASE_WORDS, &*PREVIOUS, &*ALL_PREVIOUS];
    let phrases = tables
        .into_iter()
        .flatten()
        .copied()
        .chain(ORDINALS.keys().copied());
    phrases
        .map(|phrase| {
            let end = phrase
                .find(|c: char| !c.is_alphabetic())
                .unwrap_or(phrase.len());
            &phrase[..end]
        })
        .collect()
});

/// [`PREVIOUS`] at the start of a text.
pub(super) static PREVIOUS_FIRST: LazyLock<Regex> = LazyLock::new(|| starting(&PREVIOUS));

/// [`ALL_PREVIOUS`] at the start of a text.
pub(super) static ALL_PREVIOUS_FIRST: LazyLock<Regex> = LazyLock::new(|| starting(&ALL_PREVIOUS));
