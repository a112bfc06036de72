//! Markdown as a flat list of blocks.
//!
//! `pulldown-cmark` does the parsing (`CommonMark` with GitHub's extensions); this module turns its
//! events into [`Block`]s in document order, each knowing where its descendants end. The list is
//! flat on purpose: a plan is untrusted text, and a tree of boxes that is nested ten thousand deep
//! overflows the stack when it is dropped.
//!
//! Pure. Nothing here knows what a task is.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag};

/// What a block is. Quotes, HTML, tables and the like are [`Kind::Opaque`]: their text may be part
/// of a description, but is never read for tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A heading of level 1 to 6.
    Heading(u8),
    /// A paragraph, or the bare text of a tight list item.
    Paragraph,
    /// A list; ordered ones carry their first number.
    List(Option<u64>),
    /// An item of a list, with the state of its check box.
    Item(Option<bool>),
    /// A code block.
    Code,
    /// Anything else.
    Opaque,
}

/// One block of a document.
#[derive(Debug)]
pub(super) struct Block<'a> {
    /// What it is.
    pub(super) kind: Kind,
    /// Its bytes in [`Document::source`].
    pub(super) span: Range<usize>,
    /// The index after its last descendant in [`Document::blocks`].
    pub(super) end: usize,
    /// The text of a heading or paragraph; empty for containers.
    pub(super) text: Inline<'a>,
}

/// Inline content as plain text, with the little markup that matters.
#[derive(Debug, Default)]
pub(super) struct Inline<'a> {
    /// The text without markup; line breaks are `\n`. Most texts have no markup and are borrowed.
    pub(super) plain: Cow<'a, str>,
    /// Boxed, since few texts have any, and a plan has a block for every other line.
    markup: Option<Box<Markup>>,
}

/// The markup of a text that has some.
#[derive(Debug, Default)]
struct Markup {
    /// Byte length of the bold run that the text begins with; 0 for none.
    bold_lead: usize,
    /// Byte length of the struck run that the text begins with; 0 for none.
    struck_lead: usize,
    /// Whether a struck run has ended.
    struck_ended: bool,
    /// Where the first link is in the text, and where it leads.
    first_link: Option<(Range<usize>, String)>,
}

impl Inline<'_> {
    /// The text up to the first line break.
    pub(super) fn first_line(&self) -> &str {
        self.plain.split('\n').next().unwrap_or_default()
    }

    /// Byte length of the bold run that the text begins with; 0 for none.
    pub(super) fn bold_lead(&self) -> usize {
        self.markup.as_ref().map_or(0, |markup| markup.bold_lead)
    }

    /// Byte length of the struck run that the text begins with; 0 for none.
    pub(super) fn struck_lead(&self) -> usize {
        self.markup.as_ref().map_or(0, |markup| markup.struck_lead)
    }

    /// The first link: its bytes in the text, and where it leads.
    pub(super) fn first_link(&self) -> Option<(Range<usize>, &str)> {
        let (range, target) = self.markup.as_ref()?.first_link.as_ref()?;
        Some((range.clone(), target))
    }

    /// Whether the whole text is bold, apart from punctuation behind it.
    pub(super) fn is_bold(&self) -> bool {
        let lead = self.bold_lead();
        lead > 0
            && self.plain[lead..]
                .chars()
                .all(|c| c.is_whitespace() || c.is_ascii_punctuation() || c == '：')
    }
}

/// A text made ready for the parser.
#[derive(Debug)]
pub(super) struct Source<'a> {
    text: Cow<'a, str>,
    /// The bytes inside of GitHub's `[tasklist]` fences, whose content is Markdown.
    fences: Vec<Range<usize>>,
}

impl<'a> Source<'a> {
    /// Takes off what is no Markdown, and what would slow the parser down.
    pub(super) fn of(text: &'a str) -> Self {
        let mut text = squeeze(without_front_matter(text));
        let fences = open_fences(&mut text);
        Self { text, fences }
    }
}

/// A parsed Markdown text.
#[derive(Debug)]
pub(super) struct Document<'a> {
    /// The text that the spans refer to.
    pub(super) source: &'a str,
    /// All blocks in document order.
    pub(super) blocks: Vec<Block<'a>>,
    fences: &'a [Range<usize>],
}

/// Runs of blank lines are cut to this many. A run makes no difference to Markdown, but the parser
/// visits every open list for each blank line, which is quadratic for hostile input.
const MAX_BLANK_LINES: usize = 4;

impl<'a> Document<'a> {
    /// Parses a text. Never fails: every text is valid Markdown.
    pub(super) fn parse(source: &'a Source<'_>) -> Self {
        Self {
            source: &source.text,
            blocks: blocks(&source.text),
            fences: &source.fences,
        }
    }

    /// Whether a byte of the source is inside of a `[tasklist]` fence.
    pub(super) fn is_fenced(&self, at: usize) -> bool {
        let next = self.fences.partition_point(|fence| fence.end <= at);
        self.fences
            .get(next)
            .is_some_and(|fence| fence.contains(&at))
    }

    /// The direct children of the block at `index`.
    pub(super) fn children(&self, index: usize) -> Siblings<'_> {
        Siblings {
            blocks: &self.blocks,
            next: index + 1,
            end: self.blocks[index].end,
        }
    }

    /// The direct members of a range of blocks that begins and ends between blocks.
    pub(super) fn members(&self, range: Range<usize>) -> Siblings<'_> {
        Siblings {
            blocks: &self.blocks,
            next: range.start,
            end: range.end,
        }
    }

    /// Writes the source of a block with the indentation of its container taken away.
    pub(super) fn dedent(&self, index: usize, out: &mut String) {
        let span = &self.blocks[index].span;
        let line = self.source[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let indent = self.source[line..span.start].chars().count();
        out.reserve(span.len());
        for (number, text) in self.source[span.clone()].trim_end().split('\n').enumerate() {
            if number > 0 {
                out.push('\n');
                out.push_str(strip_indent(text, indent));
            } else {
                out.push_str(text);
            }
        }
    }
}

/// Iterates over blocks of one level by index.
pub(super) struct Siblings<'a> {
    blocks: &'a [Block<'a>],
    next: usize,
    end: usize,
}

impl Iterator for Siblings<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let index = self.next;
        if index >= self.end {
            return None;
        }
        self.next = self.blocks[index].end;
        Some(index)
    }
}

/// Takes up to `columns` leading blanks off a line.
fn strip_indent(line: &str, columns: usize) -> &str {
    let blanks = line
        .bytes()
        .take(columns)
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    &line[blanks..]
}

/// Drops a YAML front matter: `---` as the very first line, up to the next line `---`.
fn without_front_matter(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(rest) = text
        .strip_prefix("---\n")
        .or_else(|| text.strip_prefix("---\r\n"))
    else {
        return text;
    };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        let bare = line.trim_end();
        at += line.len();
        if bare == "---" || bare == "..." {
            return &rest[at..];
        }
        let is_yaml = bare.is_empty()
            || bare.starts_with([' ', '-', '#', '\t'])
            || bare
                .split_once(':')
                .is_some_and(|(key, _)| !key.contains(' '));
        if !is_yaml {
            return text;
        }
    }
    text
}

/// Cuts long runs of blank lines; borrows where there are none.
fn squeeze(text: &str) -> Cow<'_, str> {
    let too_many = |run: usize| run > MAX_BLANK_LINES;
    let mut run = 0;
    let is_blank = |line: &str| line.trim_end_matches(['\n', '\r', ' ', '\t']).is_empty();
    let hostile = text.split_inclusive('\n').any(|line| {
        run = if is_blank(line) { run + 1 } else { 0 };
        too_many(run)
    });
    if !hostile {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    run = 0;
    for line in text.split_inclusive('\n') {
        run = if is_blank(line) { run + 1 } else { 0 };
        if !too_many(run) {
            out.push_str(line);
        }
    }
    Cow::Owned(out)
}

/// Blanks out the fences around `[tasklist]` blocks, GitHub's former task lists, so that what is
/// inside is read as the Markdown that it is. Returns where the blocks are.
fn open_fences(source: &mut Cow<'_, str>) -> Vec<Range<usize>> {
    let mut fences = Vec::new();
    if !source.contains("[tasklist]") {
        return fences;
    }
    let mut blanks = Vec::new();
    let mut open: Option<(Range<usize>, &str)> = None;
    let mut other: Option<&str> = None;
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let span = at..at + line.len();
        at = span.end;
        let bare = line.trim();
        let mark = &bare[..bare.len() - bare.trim_start_matches(['`', '~']).len()];
        let closes = |opened: &str| {
            bare == mark && mark.len() >= opened.len() && mark.starts_with(&opened[..1])
        };
        if let Some((start, opened)) = &open {
            if closes(opened) {
                fences.push(start.end..span.start);
                blanks.extend([start.clone(), span]);
                open = None;
            }
        } else if let Some(opened) = other {
            if closes(opened) {
                other = None;
            }
        } else if mark.len() >= 3 {
            if bare[mark.len()..].trim() == "[tasklist]" {
                open = Some((span, mark));
            } else {
                other = Some(mark);
            }
        }
    }
    let mut text = source.to_string().into_bytes();
    for blank in blanks {
        for byte in &mut text[blank] {
            if !matches!(*byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    if let Ok(text) = String::from_utf8(text) {
        *source = Cow::Owned(text);
    }
    fences
}

/// Turns the parser's events into blocks.
fn blocks(source: &str) -> Vec<Block<'_>> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let mut builder = Builder {
        // More than most texts have; what is not used is never touched.
        blocks: Vec::with_capacity(source.len() / 24),
        ..Builder::default()
    };
    for (event, span) in Parser::new_ext(source, options).into_offset_iter() {
        builder.event(event, span);
    }
    builder.blocks
}

/// The state while events arrive.
#[derive(Default)]
struct Builder<'a> {
    blocks: Vec<Block<'a>>,
    /// Indexes of the open blocks, outermost first.
    open: Vec<usize>,
    /// How many opaque containers are open: nothing below the first is recorded.
    opaque: usize,
    /// How many bold, struck and image spans are open.
    bold: usize,
    struck: usize,
    /// Whether the bold run at the start of the text still goes on.
    in_lead: bool,
    /// Starts of the open links.
    links: Vec<(usize, String)>,
}

impl<'a> Builder<'a> {
    fn event(&mut self, event: Event<'a>, span: Range<usize>) {
        if self.opaque > 0 {
            match event {
                Event::Start(_) => self.opaque += 1,
                Event::End(_) => {
                    self.opaque -= 1;
                    if self.opaque == 0 {
                        self.close();
                    }
                }
                _ => {}
            }
            return;
        }
        match event {
            Event::Start(tag) => self.start(tag, span),
            Event::End(tag) => self.finish(tag),
            Event::Text(text) | Event::Code(text) => self.text(text, &span),
            Event::SoftBreak | Event::HardBreak => self.text("\n".into(), &span),
            Event::TaskListMarker(done) => {
                if let Some(&item) = self
                    .open
                    .iter()
                    .rev()
                    .find(|&&i| matches!(self.blocks[i].kind, Kind::Item(_)))
                {
                    self.blocks[item].kind = Kind::Item(Some(done));
                }
            }
            Event::Rule => {
                self.begin(Kind::Opaque, span);
                self.close();
            }
            Event::InlineHtml(html) => {
                if html.starts_with("<br") {
                    self.text("\n".into(), &span);
                }
            }
            Event::Html(_)
            | Event::FootnoteReference(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, span: Range<usize>) {
        match tag {
            Tag::Paragraph => self.begin(Kind::Paragraph, span),
            Tag::Heading { level, .. } => self.begin(Kind::Heading(level as u8), span),
            Tag::List(start) => self.begin(Kind::List(start), span),
            Tag::Item => self.begin(Kind::Item(None), span),
            Tag::CodeBlock(_) => self.begin(Kind::Code, span),
            Tag::Emphasis | Tag::Superscript | Tag::Subscript | Tag::Image { .. } => {}
            Tag::Strong => {
                self.ensure_text(&span);
                if self.plain().is_some_and(|plain| plain.trim().is_empty()) {
                    self.in_lead = true;
                }
                self.bold += 1;
            }
            Tag::Strikethrough => self.struck += 1,
            Tag::Link { dest_url, .. } => {
                self.ensure_text(&span);
                let at = self.plain().map_or(0, str::len);
                self.links.push((at, dest_url.into_string()));
            }
            _ => {
                self.begin(Kind::Opaque, span);
                self.opaque = 1;
            }
        }
    }

    fn finish(&mut self, tag: pulldown_cmark::TagEnd) {
        use pulldown_cmark::TagEnd;
        match tag {
            TagEnd::Emphasis | TagEnd::Superscript | TagEnd::Subscript | TagEnd::Image => {}
            TagEnd::Strong => {
                self.bold -= 1;
                if self.in_lead && self.bold == 0 {
                    self.in_lead = false;
                    let length = self.plain().map_or(0, str::len);
                    if length > 0
                        && let Some(markup) = self.markup()
                    {
                        markup.bold_lead = length;
                    }
                }
            }
            TagEnd::Strikethrough => {
                self.struck -= 1;
                if let Some(markup) = self.markup() {
                    markup.struck_ended = true;
                }
            }
            TagEnd::Link => {
                if let Some((start, target)) = self.links.pop() {
                    let end = self.plain().map_or(0, str::len);
                    if let Some(markup) = self.markup() {
                        markup
                            .first_link
                            .get_or_insert((start.min(end)..end, target));
                    }
                }
            }
            TagEnd::Item => {
                self.close_implicit();
                self.close();
            }
            _ => self.close(),
        }
    }

    /// Adds text to the innermost block, opening a paragraph in a tight list item.
    fn text(&mut self, text: CowStr<'a>, span: &Range<usize>) {
        self.ensure_text(span);
        let struck = self.struck > 0;
        if let Some(inline) = self.inline() {
            let is_first = inline.plain.trim().is_empty();
            if inline.plain.is_empty() {
                inline.plain = text.into();
            } else {
                inline.plain.to_mut().push_str(&text);
            }
            if struck {
                let markup = inline.markup.get_or_insert_default();
                if (markup.struck_lead > 0 || is_first) && !markup.struck_ended {
                    markup.struck_lead = inline.plain.len();
                }
            }
        }
        if let Some(&index) = self.open.last() {
            let block = &mut self.blocks[index];
            block.span.end = block.span.end.max(span.end);
        }
    }

    fn ensure_text(&mut self, span: &Range<usize>) {
        let in_item = self
            .open
            .last()
            .is_some_and(|&index| matches!(self.blocks[index].kind, Kind::Item(_)));
        if in_item {
            self.begin(Kind::Paragraph, span.clone());
        }
    }

    fn inline(&mut self) -> Option<&mut Inline<'a>> {
        let &index = self.open.last()?;
        Some(&mut self.blocks[index].text)
    }

    fn markup(&mut self) -> Option<&mut Markup> {
        self.inline()
            .map(|inline| &mut **inline.markup.get_or_insert_default())
    }

    fn plain(&self) -> Option<&str> {
        self.open
            .last()
            .map(|&index| &*self.blocks[index].text.plain)
    }

    fn begin(&mut self, kind: Kind, span: Range<usize>) {
        if kind != Kind::Paragraph {
            self.close_implicit();
        }
        self.open.push(self.blocks.len());
        self.blocks.push(Block {
            kind,
            span,
            end: 0,
            text: Inline::default(),
        });
    }

    /// Ends the paragraph that stands for a tight item's text, when a block follows it.
    fn close_implicit(&mut self) {
        let is_paragraph = self
            .open
            .last()
            .is_some_and(|&index| self.blocks[index].kind == Kind::Paragraph);
        if is_paragraph {
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some(index) = self.open.pop() {
            self.blocks[index].end = self.blocks.len();
        }
    }
}
