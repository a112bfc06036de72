//! What the form of a list says: which of its items are tasks, groups of tasks, or neither.
//!
//! Pure. What the headings above it say comes in as a [`Role`].

use super::heading::{self, Role};
use super::markdown::{Document, Inline, Kind, Siblings};
use super::words;

/// What an item is, given the form of its list.
pub(super) fn taken(document: &Document<'_>, item: usize, form: ListForm, all_done: bool) -> Taken {
    let kind = document.blocks[item].kind;
    let text = document
        .children(item)
        .find(|&child| document.blocks[child].kind == Kind::Paragraph)
        .map(|child| &document.blocks[child].text);
    let struck = text.is_some_and(is_struck);
    let sign = text.and_then(|text| sign(&text.plain));
    let boxed = match kind {
        Kind::Item(Some(done)) => Some(done || struck),
        _ if struck && (form == ListForm::Tasks || sign.is_some()) => Some(true),
        _ => sign,
    };
    match boxed {
        Some(true) => Taken::Task { finished: true },
        Some(false) if all_done => Taken::Task { finished: true },
        Some(false) | None if has_open_children(document, item) => Taken::Group,
        Some(false) => Taken::Task { finished: false },
        None => match form {
            ListForm::Tasks => Taken::Task { finished: all_done },
            ListForm::Groups => Taken::Group,
        },
    }
}

/// What an item turned out to be.
pub(super) enum Taken {
    Task { finished: bool },
    Group,
}

/// How the items of a list without boxes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListForm {
    /// Each is a task.
    Tasks,
    /// They may only hold lists of tasks.
    Groups,
}

pub(super) struct ListContext<'d> {
    pub(super) list: usize,
    pub(super) items: Siblings<'d>,
    pub(super) number: Option<u64>,
    pub(super) form: ListForm,
    pub(super) is_declaration: bool,
}

/// How many bytes of an item are compared with the openings of stories and declarations.
const MAX_OPENING: usize = 120;

impl<'d> ListContext<'d> {
    /// `role` is what the headings say, or `None` for a list inside of another.
    pub(super) fn new(document: &'d Document<'_>, list: usize, role: Option<Role>) -> Self {
        let number = match document.blocks[list].kind {
            Kind::List(start) => start,
            _ => None,
        };
        let (mut items, mut boxes, mut narrative, mut declarations) =
            (0_usize, 0_usize, 0_usize, 0_usize);
        for item in document.children(list) {
            items += 1;
            let text = document
                .children(item)
                .find(|&child| document.blocks[child].kind == Kind::Paragraph)
                .map(|child| &*document.blocks[child].text.plain)
                .unwrap_or_default();
            let is_box =
                matches!(document.blocks[item].kind, Kind::Item(Some(_))) || sign(text).is_some();
            boxes += usize::from(is_box);
            let lower = text[..heading::floor(text, MAX_OPENING)].to_lowercase();
            narrative += usize::from(is_narrative(text, &lower));
            declarations += usize::from(is_box && words::DECLARATIONS.prefix_of(&lower).is_some());
        }
        let form = if boxes > 0 {
            ListForm::Groups
        } else if matches!(role, Some(Role::Tasks | Role::Done))
            || (role == Some(Role::Neutral) && number.is_some() && narrative * 2 < items)
        {
            ListForm::Tasks
        } else {
            ListForm::Groups
        };
        Self {
            list,
            items: document.children(list),
            number,
            form,
            is_declaration: declarations > 0 && declarations * 2 >= boxes,
        }
    }

    pub(super) fn next_ordinal(&mut self) -> Option<u64> {
        let number = self.number?;
        self.number = number.checked_add(1);
        Some(number)
    }
}

pub(super) fn is_explicit(
    document: &Document<'_>,
    item: usize,
    role: Role,
    lead: Option<Role>,
) -> bool {
    matches!(document.blocks[item].kind, Kind::Item(Some(_)))
        || role == Role::Tasks
        || role == Role::Done
        || lead == Some(Role::Tasks)
}

/// Sentences, questions, times of day and instructions to a user, rather than tasks.
fn is_narrative(text: &str, lower: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_time = (1..=4).contains(&digits)
        && text[digits..].starts_with([':', '.', '-', '/'])
        && text[digits + 1..].starts_with(|c: char| c.is_ascii_digit());
    is_time
        || text.trim_end().ends_with(['?', '？'])
        || text.len() > 240
        || words::NARRATIVE.prefix_of(lower).is_some()
}

/// The state of a box that is drawn by a sign rather than by Markdown.
fn sign(text: &str) -> Option<bool> {
    let text = text.trim_start();
    // No sign begins like a word, and nearly every item does.
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let starts = |table: &[&str]| {
        table.iter().any(|sign| {
            text.strip_prefix(sign)
                .is_some_and(|rest| rest.starts_with([' ', '\u{a0}']))
        })
    };
    if starts(&words::DONE_BOXES) {
        Some(true)
    } else if starts(&words::OPEN_BOXES) {
        Some(false)
    } else {
        None
    }
}

/// Whether a text is struck through, apart from a remark behind it. "~~Old~~ new" is not.
pub(super) fn is_struck(text: &Inline<'_>) -> bool {
    let behind = text
        .plain
        .get(text.struck_lead()..)
        .unwrap_or_default()
        .trim_start();
    text.struck_lead() > 0 && !behind.starts_with(char::is_alphanumeric)
}

/// Whether a list directly in this item, that is not one of criteria, has an open box.
fn has_open_children(document: &Document<'_>, item: usize) -> bool {
    let mut lead = None;
    for child in document.children(item) {
        let block = &document.blocks[child];
        match block.kind {
            Kind::Paragraph => lead = Some(&*block.text.plain),
            Kind::List(_) => {
                let open = document
                    .children(child)
                    .any(|item| document.blocks[item].kind == Kind::Item(Some(false)));
                if open
                    && !lead.is_some_and(|text| heading::is_acceptance(heading::last_line(text)))
                {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}
