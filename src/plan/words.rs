//! The words that plans are judged by: one table per concept.
//!
//! The tables are the text files in `words/`: phrases in lower case between bars, in the order of
//! en, de, fr, es, pt, it, nl, pl, ru, uk, tr, vi, id, sv, cs, zh, ja, ko, ar, hi, where a concept
//! has a word of its own in that language. A language is added by adding phrases; no code changes.
//!
//! Pure data.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{
    AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, Anchored, Input, MatchKind, StartKind,
};

/// Splits a table into its phrases.
fn phrases(table: &'static str) -> Vec<&'static str> {
    table
        .lines()
        .flat_map(|line| line.split(" | "))
        .filter(|phrase| !phrase.is_empty())
        .collect()
}

/// A finder for texts that begin with one of a table's phrases, in which an underscore stands for
/// the blank behind a whole word.
fn openings(table: &'static str) -> Finder {
    Finder::new(
        phrases(table)
            .into_iter()
            .map(|phrase| phrase.replace('_', " ")),
    )
}

/// Looks for all phrases of a table at once, in one pass over the text. Where several begin at the
/// same place, the longest counts.
pub(super) struct Finder(AhoCorasick);

impl Finder {
    /// Builds the automaton. Phrases go by their place in `phrases`.
    pub(super) fn new(phrases: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        Self::build(AhoCorasick::builder().start_kind(StartKind::Both), phrases)
    }

    /// One that cannot tell prefixes, and reads a long text in a third of the time. It takes much
    /// room, for phrases of many languages too much.
    pub(super) fn dense(phrases: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        Self::build(
            AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)),
            phrases,
        )
    }

    fn build(
        builder: &mut AhoCorasickBuilder,
        phrases: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "a table is far below the automaton's limits, and every test builds them all"
        )]
        let automaton = builder
            .match_kind(MatchKind::LeftmostLongest)
            .build(phrases)
            .expect("a small table");
        Self(automaton)
    }

    /// The phrases in `text`, from left to right and without overlap: which, and where.
    pub(super) fn find_iter(&self, text: &str) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.0
            .find_iter(text)
            .map(|found| (found.pattern().as_usize(), found.range()))
    }

    /// The length in bytes of the phrase that `text` begins with.
    pub(super) fn prefix_of(&self, text: &str) -> Option<usize> {
        let input = Input::new(text).anchored(Anchored::Yes);
        self.0.find(input).map(|found| found.end())
    }
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
pub(super) static DECLARATIONS: LazyLock<Finder> =
    LazyLock::new(|| openings(include_str!("words/declarations.txt")));

/// Statements that the tasks around them run one after another.
pub(super) static IN_ORDER: LazyLock<Finder> =
    LazyLock::new(|| Finder::new(phrases(include_str!("words/in_order.txt"))));

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

/// The first words of those of [`COMPLETION`] that have several.
pub(super) static COMPLETION_STARTS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    COMPLETION
        .iter()
        .filter_map(|phrase| Some(phrase.split_once(' ')?.0))
        .collect()
});

/// Words that carry no meaning of their own when names are compared.
pub(super) static STOP_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    phrases(include_str!("words/stop_words.txt"))
        .into_iter()
        .collect()
});

/// First words that tell a story rather than a task, at the start of list items.
pub(super) static NARRATIVE: LazyLock<Finder> =
    LazyLock::new(|| openings(include_str!("words/narrative.txt")));

/// Signs that stand for an empty check box, where no Markdown one is used.
pub(super) static OPEN_BOXES: LazyLock<Vec<&str>> =
    LazyLock::new(|| phrases(include_str!("words/open_boxes.txt")));

/// Verbs between the numbers of tasks and what they share.
pub(super) static SHARE: LazyLock<Finder> =
    LazyLock::new(|| Finder::new(phrases(include_str!("words/share.txt"))));

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

/// [`PREVIOUS`], looked for.
pub(super) static PREVIOUS_PHRASES: LazyLock<Finder> = LazyLock::new(|| Finder::new(&*PREVIOUS));

/// [`ALL_PREVIOUS`], looked for.
pub(super) static ALL_PREVIOUS_PHRASES: LazyLock<Finder> =
    LazyLock::new(|| Finder::new(&*ALL_PREVIOUS));
