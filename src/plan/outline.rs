//! Which blocks of a document are its tasks.
//!
//! A walk over the top-level blocks that keeps the open headings in mind: a heading, bold line or
//! lead-in says what the lists below it are, the lists' own form says the rest. Nothing here reads
//! a title or a dependency.
//!
//! Pure, and iterative throughout: the nesting of a plan is its author's choice.

use std::ops::Range;

use super::heading::{self, Role, Unit, numbering};
use super::list::{self, ListContext, Taken};
use super::markdown::{Document, Kind};
use super::words;

/// A block that is a task, or was one.
#[derive(Debug)]
pub(super) struct Found {
    /// The paragraph or heading with the title; `None` for an item without text.
    pub(super) title: usize,
    /// The blocks of its body, as ranges of whole blocks.
    pub(super) body: Range<usize>,
    /// Whether a heading is the task: check boxes below it are its criteria.
    pub(super) is_heading: bool,
    /// Whether it is ticked or struck through.
    pub(super) done: bool,
    /// Its number in an ordered list.
    pub(super) ordinal: Option<u64>,
    /// The list or section that it is in: numbers are unique within one.
    pub(super) group: usize,
    /// The phase it belongs to, as an index into [`Outline::phases`].
    pub(super) phase: Option<usize>,
    /// The scope of a statement that its tasks run in order.
    pub(super) sequence: Option<usize>,
    /// Whether its form alone makes it a task. The others count only where there are none of these.
    explicit: bool,
}

/// A phase heading.
#[derive(Debug)]
pub(super) struct Phase {
    /// Phases are ordered within one parent section.
    pub(super) parent: usize,
    /// Its number or name, as written.
    pub(super) label: String,
}

/// The tasks of a document and what surrounds them.
#[derive(Debug)]
pub(super) struct Outline {
    /// The first heading.
    pub(super) title: Option<usize>,
    /// Finished and open tasks, in document order.
    pub(super) found: Vec<Found>,
    /// All phases, in document order.
    pub(super) phases: Vec<Phase>,
    /// The bytes of the prose before the tasks.
    pub(super) opening: Range<usize>,
}

/// A bold line or a lead-in stands below all six levels of headings.
const BOLD_LEVEL: u8 = 7;
const LEAD_LEVEL: u8 = 8;

/// An open heading.
#[derive(Debug)]
struct Section {
    level: u8,
    block: usize,
    role: Role,
    phase: Option<usize>,
    sequence: Option<usize>,
    /// For a heading that announces tasks: whether the headings below it are tasks.
    headings_are_tasks: bool,
}

/// Finds the tasks of `document`.
pub(super) fn outline(document: &Document<'_>) -> Outline {
    let tops: Vec<usize> = document.members(0..document.blocks.len()).collect();
    let levels = levels(document, &tops);
    let mut walk = Walk {
        document,
        tops,
        levels,
        sections: Vec::new(),
        outline: Outline {
            title: None,
            found: Vec::new(),
            phases: Vec::new(),
            opening: 0..0,
        },
        first_heading: None,
    };
    walk.run();
    let mut outline = walk.outline;
    if outline.found.iter().any(|found| found.explicit) {
        outline.found.retain(|found| found.explicit);
    }
    outline.opening = opening(document, &outline);
    outline
}

/// The level of each top-level block that opens a section; 0 for the others.
fn levels(document: &Document<'_>, tops: &[usize]) -> Vec<u8> {
    tops.iter()
        .enumerate()
        .map(|(at, &index)| {
            let block = &document.blocks[index];
            match block.kind {
                Kind::Heading(level) => level,
                Kind::Paragraph if block.text.is_bold() && block.text.plain.len() < 120 => {
                    BOLD_LEVEL
                }
                Kind::Paragraph => {
                    let leads = block.text.plain.trim_end().ends_with([':', '：']);
                    let before_list = tops
                        .get(at + 1)
                        .is_some_and(|&next| matches!(document.blocks[next].kind, Kind::List(_)));
                    if leads && before_list { LEAD_LEVEL } else { 0 }
                }
                _ => 0,
            }
        })
        .collect()
}

/// The prose before the first task, without the headings that lead to it.
fn opening(document: &Document<'_>, outline: &Outline) -> Range<usize> {
    let start = outline
        .title
        .map_or(0, |title| document.blocks[title].span.end);
    let Some(first) = outline.found.first() else {
        return start..document.source.len().max(start);
    };
    let mut end = start;
    for index in document.members(0..document.blocks.len()) {
        let block = &document.blocks[index];
        if first.title < block.end {
            break;
        }
        let leads = matches!(block.kind, Kind::Heading(_))
            || (block.kind == Kind::Paragraph
                && (block.text.is_bold() || heading::role(&block.text.plain) == Role::Tasks));
        if !leads {
            end = end.max(block.span.end);
        }
    }
    start..end
}

struct Walk<'d, 's> {
    document: &'d Document<'s>,
    tops: Vec<usize>,
    levels: Vec<u8>,
    sections: Vec<Section>,
    outline: Outline,
    first_heading: Option<usize>,
}

impl Walk<'_, '_> {
    fn run(&mut self) {
        let mut at = 0;
        while at < self.tops.len() {
            let index = self.tops[at];
            let level = self.levels[at];
            if level > 0 {
                at = self.open_section(at, level);
                continue;
            }
            match self.document.blocks[index].kind {
                Kind::List(_) => self.lists(index),
                Kind::Paragraph => self.prose(index),
                _ => {}
            }
            at += 1;
        }
    }

    /// The index in `tops` after the section that begins at `at`.
    fn section_end(&self, at: usize) -> usize {
        let level = self.levels[at];
        (at + 1..self.tops.len())
            .find(|&next| self.levels[next] > 0 && self.levels[next] <= level)
            .unwrap_or(self.tops.len())
    }

    /// Handles a heading. Returns where to go on: behind its whole section if it is a task.
    fn open_section(&mut self, at: usize, level: u8) -> usize {
        let document = self.document;
        let index = self.tops[at];
        while self
            .sections
            .last()
            .is_some_and(|section| section.level >= level)
        {
            self.sections.pop();
        }
        let text = &document.blocks[index].text;
        let is_title = level <= 6
            && self.first_heading.is_none()
            && !document.is_fenced(document.blocks[index].span.start);
        if is_title {
            self.first_heading = Some(index);
            self.outline.title = Some(index);
        }
        let plain = if level == LEAD_LEVEL {
            heading::last_line(&text.plain)
        } else {
            &*text.plain
        };
        let number = numbering(plain);
        let unit = number.as_ref().map(|number| number.unit);
        let only_title = is_title && level == 1;
        let may_be_task = !only_title && level < LEAD_LEVEL;
        if unit == Some(Unit::Phase) && may_be_task && self.role() != Role::Other {
            let sequence = self.sequence_from(index);
            return self.open_phase(at, level, sequence);
        }
        let is_task = (unit == Some(Unit::Task) && may_be_task)
            || (level < LEAD_LEVEL
                && self.parent_lists_headings()
                && heading::role_of_title(plain) == Role::Neutral);
        if is_task {
            let end = self.section_end(at);
            self.heading_task(at, end);
            return end;
        }
        let role = if only_title {
            heading::role_of_title(plain)
        } else {
            heading::role(plain)
        };
        let sequence = self.sequence_from(index);
        let headings_are_tasks = role == Role::Tasks && self.headings_are_tasks(at);
        self.sections.push(Section {
            level,
            block: index,
            role,
            phase: self.phase(),
            sequence,
            headings_are_tasks,
        });
        at + 1
    }

    /// The statement of order that holds below this heading.
    fn sequence_from(&self, heading: usize) -> Option<usize> {
        self.sequence()
            .or_else(|| in_order(&self.document.blocks[heading].text.plain).then_some(heading))
    }

    fn open_phase(&mut self, at: usize, level: u8, sequence: Option<usize>) -> usize {
        let document = self.document;
        let index = self.tops[at];
        let text = &document.blocks[index].text;
        let end = self.section_end(at);
        let parent = self
            .sections
            .last()
            .map_or(usize::MAX, |section| section.block);
        let label = numbering(&text.plain)
            .map(|number| number.label)
            .unwrap_or_default();
        self.outline.phases.push(Phase { parent, label });
        let phase = Some(self.outline.phases.len() - 1);
        let has_items = self.tops[at + 1..end]
            .iter()
            .zip(&self.levels[at + 1..end])
            .any(|(&block, &level)| {
                (level > 0 && level < LEAD_LEVEL)
                    || matches!(document.blocks[block].kind, Kind::List(_))
            });
        let headings_are_tasks = has_items && self.headings_are_tasks(at);
        self.sections.push(Section {
            level,
            block: index,
            role: Role::Tasks,
            phase,
            sequence,
            headings_are_tasks,
        });
        if !has_items
            && self.tops[at + 1..end]
                .iter()
                .any(|&block| document.blocks[block].kind == Kind::Paragraph)
        {
            self.heading_task(at, end);
            return end;
        }
        at + 1
    }

    /// Whether the nearest open heading makes the headings directly below it tasks.
    fn parent_lists_headings(&self) -> bool {
        self.sections
            .last()
            .is_some_and(|section| section.role == Role::Tasks && section.headings_are_tasks)
    }

    /// Whether the headings directly below a heading that announces tasks are tasks, rather than
    /// groups of check lists: decided by the majority of them.
    fn headings_are_tasks(&self, at: usize) -> bool {
        let document = self.document;
        let end = self.section_end(at);
        let inside = at + 1..end;
        let Some(level) = self.levels[inside.clone()]
            .iter()
            .copied()
            .filter(|&level| (1..BOLD_LEVEL).contains(&level))
            .min()
        else {
            return false;
        };
        let (mut tasks, mut groups) = (0, 0);
        for child in inside.clone() {
            if self.levels[child] != level {
                continue;
            }
            let mut body = (child + 1..end)
                .take_while(|&next| self.levels[next] == 0 || self.levels[next] >= LEAD_LEVEL);
            match body.next() {
                Some(first) if self.levels[first] == 0 && has_boxes(document, self.tops[first]) => {
                    groups += 1;
                }
                Some(_) => tasks += 1,
                None => {}
            }
        }
        tasks > 0 && tasks >= groups
    }

    /// What the open headings say about a list here.
    fn role(&self) -> Role {
        let mut roles = self.sections.iter().rev().map(|section| section.role);
        let mut area = false;
        let decisive = roles.find(|&role| {
            area |= role == Role::Area;
            !matches!(role, Role::Neutral | Role::Area)
        });
        decisive.unwrap_or(if area { Role::Area } else { Role::Neutral })
    }

    fn phase(&self) -> Option<usize> {
        self.sections.iter().rev().find_map(|section| section.phase)
    }

    fn sequence(&self) -> Option<usize> {
        self.sections
            .iter()
            .rev()
            .find_map(|section| section.sequence)
    }

    fn heading_task(&mut self, at: usize, end: usize) {
        let document = self.document;
        let index = self.tops[at];
        let text = &document.blocks[index].text;
        let last = self.tops.get(end).copied().unwrap_or(document.blocks.len());
        let group = self
            .sections
            .last()
            .map_or(usize::MAX, |section| section.block);
        self.outline.found.push(Found {
            title: index,
            body: document.blocks[index].end..last,
            is_heading: true,
            done: list::is_struck(text)
                || words::DONE_BOXES
                    .iter()
                    .any(|sign| text.plain.trim_start().starts_with(sign)),
            ordinal: None,
            group,
            phase: self.phase(),
            sequence: self.sequence(),
            explicit: true,
        });
    }

    /// A paragraph: it may say that the tasks of its section run in order.
    fn prose(&mut self, index: usize) {
        while self
            .sections
            .last()
            .is_some_and(|section| section.level >= LEAD_LEVEL)
        {
            self.sections.pop();
        }
        if in_order(&self.document.blocks[index].text.plain)
            && let Some(section) = self.sections.last_mut()
        {
            section.sequence.get_or_insert(index);
        }
    }

    /// Collects the tasks of a list and the lists in it.
    fn lists(&mut self, list: usize) {
        let document = self.document;
        let role = self.role();
        if role == Role::Other {
            return;
        }
        let done = role == Role::Done;
        let lead = self
            .sections
            .last()
            .filter(|section| section.level == LEAD_LEVEL)
            .map(|section| section.role);
        let mut open = vec![ListContext::new(document, list, Some(role))];
        if open[0].is_declaration {
            return;
        }
        while let Some(context) = open.last_mut() {
            let Some(item) = context.items.next() else {
                open.pop();
                continue;
            };
            let list = context.list;
            let ordinal = context.next_ordinal();
            let taken = list::taken(document, item, context.form, done);
            match taken {
                Taken::Task { finished } => {
                    let Some(title) = document
                        .children(item)
                        .find(|&child| document.blocks[child].kind == Kind::Paragraph)
                    else {
                        continue;
                    };
                    let explicit = list::is_explicit(document, item, role, lead);
                    self.outline.found.push(Found {
                        title,
                        body: document.blocks[title].end..document.blocks[item].end,
                        is_heading: false,
                        done: finished,
                        ordinal,
                        group: list,
                        phase: self.phase(),
                        sequence: self.sequence(),
                        explicit,
                    });
                }
                Taken::Group => {
                    for child in document
                        .children(item)
                        .collect::<Vec<_>>()
                        .into_iter()
                        .rev()
                    {
                        if matches!(document.blocks[child].kind, Kind::List(_)) {
                            let nested = ListContext::new(document, child, None);
                            if !nested.is_declaration {
                                open.push(nested);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn has_boxes(document: &Document<'_>, list: usize) -> bool {
    matches!(document.blocks[list].kind, Kind::List(_))
        && document
            .children(list)
            .any(|item| matches!(document.blocks[item].kind, Kind::Item(Some(_))))
}

/// Whether a short text says that tasks run one after another.
fn in_order(text: &str) -> bool {
    if text.len() > 400 {
        return false;
    }
    let lower = text.to_lowercase();
    words::IN_ORDER.find_iter(&lower).any(|(_, found)| {
        let (before, phrase) = (&lower[..found.start], &lower[found]);
        let bounded =
            !before.ends_with(char::is_alphanumeric) || phrase.starts_with(heading::is_unspaced);
        bounded && !super::ordering::is_negated(before)
    })
}
