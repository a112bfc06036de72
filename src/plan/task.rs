//! A plan and its tasks.
//!
//! Pure: text in, [`Plan`] out.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::report::untrusted::{TITLE_LIMIT, cut};

use super::footprint;
use super::heading;
use super::markdown::{Document, Kind, Source};
use super::outline::{Found, outline};
use super::resolve::{self, Entry, Said};
use super::title::{self, IssueRef, Title};

/// What a plan says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The first heading, as plain text.
    pub title: Option<String>,
    /// The prose before the tasks, as Markdown: the context of the sub-issues.
    pub opening: String,
    /// The tasks that are to be run, numbered from 1 without gaps.
    pub tasks: Vec<Task>,
    /// How many finished items were skipped.
    pub done: usize,
    /// Statements that tasks share code.
    #[serde(default)]
    pub shared: Vec<Shared>,
}

/// One task of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its number, from 1.
    pub index: u32,
    /// One line of plain text, at most 256 characters.
    pub title: String,
    /// What the plan says about it besides title and acceptance criteria, as Markdown.
    pub description: String,
    /// Its acceptance criteria, as plain text.
    pub acceptance: Vec<String>,
    /// The issue that stands for this task already.
    pub adopts: Option<IssueRef>,
    /// Paths named in its text, as written there.
    pub paths: Vec<String>,
    /// What has to be finished before it can start.
    pub depends_on: Vec<Dependency>,
    /// How many tasks before it have the same title: see [`super::key`].
    pub occurrence: u32,
}

/// One task waits for another one, or for an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The task that waits.
    pub from: u32,
    /// What it waits for.
    pub to: Target,
    /// The words of the plan that say so.
    pub reason: String,
}

/// What a task waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// A task of the same plan, by its number.
    Task(u32),
    /// An issue outside of the plan.
    Issue(IssueRef),
}

/// Tasks of which the plan itself says that they share code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The tasks' numbers, ascending.
    pub tasks: Vec<u32>,
    /// What they share, in the plan's words.
    pub what: String,
    /// The line that says so, in lower case.
    #[serde(default)]
    pub words: String,
}

/// Why a text is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nothing in it is a task.
    #[error("no tasks found")]
    NoTasks,
    /// Everything in it is finished.
    #[error("all {count} tasks are done")]
    AllDone {
        /// How many finished items there are.
        count: usize,
    },
}

/// Reads the tasks out of a Markdown text.
///
/// `source` names where the text comes from; it stands in as the title where there is no heading.
pub fn parse(text: &str, source: Option<&str>) -> Result<Plan, PlanError> {
    let source_text = Source::of(text);
    let document = Document::parse(&source_text);
    let outline = outline(&document);
    let done = outline.found.iter().filter(|found| found.done).count();
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(outline.found.len());
    let mut index = 0;
    for found in &outline.found {
        let title = Title::of(&document.blocks[found.title].text);
        let has_title = title.text.chars().any(char::is_alphanumeric) || title.adopts.is_some();
        if !found.done && has_title {
            index += 1;
        }
        let number = (!found.done && has_title).then_some(index);
        entries.push(Entry {
            found,
            title,
            index: number,
        });
    }
    if index == 0 {
        return Err(if done > 0 {
            PlanError::AllDone { count: done }
        } else {
            PlanError::NoTasks
        });
    }
    let mut tasks = Vec::with_capacity(index as usize);
    let mut said = Said::default();
    let mut text = String::new();
    for (at, entry) in entries.iter_mut().enumerate() {
        plain_text(&document, entry.found, &mut text);
        said.by_entry(at, entry.index.is_some(), &text);
        let Some(index) = entry.index else { continue };
        let (description, acceptance) = body(&document, entry);
        tasks.push(Task {
            index,
            title: std::mem::take(&mut entry.title.text),
            description,
            acceptance,
            adopts: entry.title.adopts.clone(),
            paths: footprint::paths(&text),
            depends_on: Vec::new(),
            occurrence: 0,
        });
    }
    count_equal_titles(&mut tasks);
    for text in prose(&document, &outline.found) {
        said.by_prose(text);
    }
    let shared = resolve::dependencies(&mut tasks, &entries, &outline.phases, said);
    let title = outline
        .title
        .map(|index| title::clean(&document.blocks[index].text.plain))
        .map(|title| cut(&title, TITLE_LIMIT));
    let opening = document
        .source
        .get(outline.opening.clone())
        .unwrap_or_default()
        .trim()
        .to_owned();
    Ok(Plan {
        title: title
            .filter(|title| !title.is_empty())
            .or_else(|| source.map(str::to_owned)),
        opening,
        tasks,
        done,
        shared,
    })
}

/// Fills in [`Task::occurrence`]. Hardly any titles are equal, so their hashes are compared first,
/// which take less room.
fn count_equal_titles(tasks: &mut [Task]) {
    let hasher = RandomState::new();
    let mut known = HashSet::with_capacity(tasks.len());
    let mut titles = tasks.iter().map(|task| title::normalized(&task.title));
    if titles.all(|title| known.insert(hasher.hash_one(title))) {
        return;
    }
    let mut seen: HashMap<String, u32> = HashMap::with_capacity(tasks.len());
    for task in tasks {
        let count = seen.entry(title::normalized(&task.title)).or_default();
        task.occurrence = *count;
        *count += 1;
    }
}

/// Writes the text of a task that dependencies and paths are read from, in place of another's.
fn plain_text(document: &Document<'_>, found: &Found, out: &mut String) {
    out.clear();
    out.push_str(&document.blocks[found.title].text.plain);
    for block in &document.blocks[found.body.clone()] {
        if matches!(block.kind, Kind::Paragraph | Kind::Heading(_)) {
            out.push('\n');
            out.push_str(&block.text.plain);
        }
    }
}

/// The texts outside of all tasks.
fn prose<'d>(document: &'d Document<'_>, found: &[Found]) -> Vec<&'d str> {
    let mut taken: Vec<Range<usize>> = found
        .iter()
        .map(|found| found.title..found.body.end)
        .collect();
    taken.sort_by_key(|range| range.start);
    let mut taken = taken.into_iter().peekable();
    let mut texts = Vec::new();
    for (index, block) in document.blocks.iter().enumerate() {
        while taken.next_if(|range| range.end <= index).is_some() {}
        if taken.peek().is_some_and(|range| range.contains(&index)) {
            continue;
        }
        if block.kind == Kind::Paragraph {
            texts.push(&*block.text.plain);
        }
    }
    texts
}

/// The description and the acceptance criteria of a task.
fn body(document: &Document<'_>, entry: &Entry<'_>) -> (String, Vec<String>) {
    let found = entry.found;
    let mut description = entry.title.rest.clone();
    let mut acceptance = Vec::new();
    let mut criteria = false;
    let mut pending: Option<usize> = None;
    let mut add = |index: usize| {
        if !description.is_empty() {
            description.push_str("\n\n");
        }
        document.dedent(index, &mut description);
    };
    for index in document.members(found.body.clone()) {
        let block = &document.blocks[index];
        match block.kind {
            Kind::List(_) => {
                let boxes = found.is_heading
                    && document
                        .children(index)
                        .any(|item| matches!(document.blocks[item].kind, Kind::Item(Some(_))));
                if criteria || boxes {
                    let items = document.children(index);
                    acceptance.reserve_exact(document.children(index).count());
                    acceptance.extend(items.filter_map(|item| item_text(document, item)));
                    if !criteria && let Some(lead) = pending.take() {
                        add(lead);
                    }
                    pending = None;
                } else {
                    if let Some(lead) = pending.take() {
                        add(lead);
                    }
                    add(index);
                }
            }
            Kind::Paragraph | Kind::Heading(_) => {
                if let Some(lead) = pending.take() {
                    add(lead);
                }
                let line = block.text.plain.trim();
                let leads = matches!(block.kind, Kind::Heading(_))
                    || block.text.is_bold()
                    || line.ends_with([':', '：']);
                criteria = leads && heading::is_acceptance(line);
                if criteria {
                    pending = Some(index);
                } else {
                    add(index);
                }
            }
            _ => add(index),
        }
    }
    if let Some(lead) = pending {
        add(lead);
    }
    (description, acceptance)
}

/// The first paragraph of an item as one line.
fn item_text(document: &Document<'_>, item: usize) -> Option<String> {
    let child = document
        .children(item)
        .find(|&child| document.blocks[child].kind == Kind::Paragraph)?;
    let text = title::clean(&document.blocks[child].text.plain);
    (!text.is_empty()).then_some(text)
}
