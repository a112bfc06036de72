//! Untrusted text made harmless: titles and texts of plans and issues, and what agents print.
//!
//! Pure. What leaves here writes nothing to a terminal, mentions nobody, closes no issue and
//! hides nothing that follows it, while people can still read it.

use pulldown_cmark::{Event, Options, Parser, Tag};

/// The longest title that GitHub takes, in characters.
pub const TITLE_LIMIT: usize = 256;

/// A title for a forge: one line of visible characters, at most [`TITLE_LIMIT`].
///
/// Control and bidirectional characters are dropped.
pub fn title(text: &str) -> String {
    cut(&one_line(text), TITLE_LIMIT)
}

/// At most `limit` characters, the last an ellipsis where something was cut.
pub fn cut(text: &str, limit: usize) -> String {
    if text.chars().nth(limit).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The same, and nothing is left of a word that was cut: half a secret would not be known for one
/// by whoever looks for secrets afterwards.
pub fn cut_words(text: &str, limit: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(limit) else {
        return text.to_owned();
    };
    let kept: String = text[..end].chars().take(limit.saturating_sub(1)).collect();
    let whole = kept.trim_end_matches(|letter: char| letter.is_ascii_graphic());
    format!("{}…", whole.trim_end())
}

/// One line of visible characters: runs of white space become a space, control and
/// bidirectional characters are dropped.
pub fn one_line(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .filter(|letter| !is_hidden(*letter))
        .collect();
    visible
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Untrusted text as one line on a terminal: no escape sequence reaches it.
pub fn inline_terminal(text: &str) -> String {
    one_line(&without_escapes(text))
}

/// Untrusted text as one line within Markdown: nothing in it is markup, mentions nobody and
/// refers to nothing.
pub fn inline(text: &str) -> String {
    let line = one_line(text);
    let mut safe = String::with_capacity(line.len() + 8);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '>' => {
                safe.push('\\');
                safe.push(letter);
            }
            '@' | '#' => {
                safe.push(letter);
                if letters.peek().is_some_and(|next| next.is_alphanumeric()) {
                    safe.push(ZERO_WIDTH_SPACE);
                }
            }
            _ => safe.push(letter),
        }
    }
    safe
}

/// Untrusted Markdown that keeps its form: it mentions nobody and holds no HTML, which could
/// hide what follows it; a code block that it leaves open is closed.
///
/// What cannot be made harmless in that form is shown as a block of plain text.
pub fn block(text: &str) -> String {
    let text = visible(text);
    let text = text.trim();
    [defuse(text, true), defuse(text, false)]
        .iter()
        .flat_map(|safe| {
            let closing =
                |mark: char| format!("{safe}\n{}", mark.to_string().repeat(run(text, mark)));
            [safe.clone(), closing('`'), closing('~')]
        })
        .find(|candidate| is_harmless(candidate))
        .unwrap_or_else(|| fenced("text", text))
}

/// Asks a Markdown parser rather than ourselves: no HTML, no mention, and a heading that follows
/// is one.
fn is_harmless(text: &str) -> bool {
    let whole = format!("{text}\n\n# end\n");
    let (mut depth, mut is_code, mut ends) = (0_usize, false, false);
    for (event, range) in Parser::new_ext(&whole, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Html(_) | Event::InlineHtml(_) => return false,
            Event::Text(text) if !is_code && mentions(&text) => return false,
            Event::Start(Tag::Heading { .. }) if depth == 0 => {
                ends |= range.start > text.len();
                depth += 1;
            }
            Event::Start(tag) => {
                is_code = matches!(tag, Tag::CodeBlock(_));
                depth += 1;
            }
            Event::End(_) => {
                is_code = false;
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    ends
}

fn mentions(text: &str) -> bool {
    let mut before = ' ';
    text.chars()
        .zip(text.chars().skip(1))
        .any(|(letter, next)| {
            let found = letter == '@' && next.is_alphanumeric() && !before.is_alphanumeric();
            before = letter;
            found
        })
}

/// Takes the teeth out of every line, or of all that is not code by the look of it.
fn defuse(text: &str, keep_code: bool) -> String {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let marks = fence_marks(line);
        lines.push(if keep_code && (fence.is_some() || marks.is_some()) {
            line.to_owned()
        } else if keep_code {
            defuse_around_code(line)
        } else {
            defuse_piece(line)
        });
        fence = match (fence, marks) {
            (None, marks) => marks,
            (Some(open), Some(marks)) if marks.starts_with(open) => None,
            (open, _) => open,
        };
    }
    lines.join("\n")
}

/// The same as a quotation.
pub fn quote(text: &str) -> String {
    let quoted: Vec<_> = block(text)
        .lines()
        .map(|line| format!("> {line}").trim_end().to_owned())
        .collect();
    quoted.join("\n")
}

/// A code block around text, with a fence longer than any in it.
pub fn fenced(info: &str, text: &str) -> String {
    let fence = if text.contains("```") {
        "`".repeat(run(text, '`') + 1)
    } else {
        "```".into()
    };
    format!("{fence}{info}\n{}\n{fence}", text.trim_end_matches('\n'))
}

/// A code span around one line, with backticks enough.
pub fn code(text: &str) -> String {
    let line = one_line(text);
    let longest = line
        .split(|letter| letter != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let ticks = "`".repeat(longest + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{ticks}{pad}{line}{pad}{ticks}")
}

/// What a terminal program printed, as plain text: escape sequences are dropped, line breaks
/// unified, other control and bidirectional characters made visible.
pub fn plain(text: &str) -> String {
    visible(&without_escapes(text))
}

const ZERO_WIDTH_SPACE: char = '\u{200b}';

fn defuse_around_code(line: &str) -> String {
    // Odd pieces stand between backticks, unless the last one is never closed.
    let pieces: Vec<_> = line.split('`').collect();
    let safe: Vec<_> = (0..)
        .zip(&pieces)
        .map(|(index, piece): (usize, _)| {
            let is_code = index % 2 == 1 && index + 1 < pieces.len();
            if is_code {
                (*piece).to_owned()
            } else {
                defuse_piece(piece)
            }
        })
        .collect();
    safe.join("`")
}

fn defuse_piece(piece: &str) -> String {
    let mut safe = String::with_capacity(piece.len());
    let mut before = ' ';
    let mut letters = piece.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied().unwrap_or(' ');
        match letter {
            '<' if next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?') => {
                safe.push_str("&lt;");
            }
            '@' if next.is_alphanumeric() && !before.is_alphanumeric() => {
                safe.push('@');
                safe.push(ZERO_WIDTH_SPACE);
            }
            _ => safe.push(letter),
        }
        before = letter;
    }
    safe
}

/// The length of the longest run of `mark`, at least that of a fence.
fn run(text: &str, mark: char) -> usize {
    let longest = text.split(|letter| letter != mark).map(str::len).max();
    longest.unwrap_or(0).max(3)
}

/// The run of backticks or tildes that opens or closes a code block.
fn fence_marks(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let mark = line
        .chars()
        .next()
        .filter(|mark| matches!(mark, '`' | '~'))?;
    let length = line.chars().take_while(|letter| *letter == mark).count();
    (length >= 3).then(|| &line[..length])
}

/// Control characters, and those that are not seen or reorder what is read: marks of direction,
/// joiners and blanks without width, tags.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Untrusted text with all that a person would not see as an escape: `\u{202e}`. Line breaks are
/// unified; they and tabs stay.
pub fn visible(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_hidden(letter) && !matches!(letter, '\n' | '\t') {
            safe.extend(letter.escape_unicode());
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// Drops ECMA-48 control sequences and operating system commands.
fn without_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            kept.push(letter);
            continue;
        }
        match letters.next() {
            // A control sequence ends with a letter or one of `@[\]^_{|}~` and the like.
            Some('[') => while letters.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
            // A command ends with BEL or ESC \; one that never ends hides no further line.
            Some(']') => {
                while let Some(c) = letters.next_if(|c| *c != '\n') {
                    if c == '\u{7}' {
                        break;
                    }
                    if c == '\u{1b}' {
                        letters.next_if_eq(&'\\');
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_title_is_one_visible_line_of_at_most_256_characters() {
        assert_eq!(title(" Add\nlogin\u{202e}\u{7} \t now "), "Add login now");
        let long = title(&"é".repeat(300));
        assert_eq!(long.chars().count(), 256);
        assert!(long.ends_with('…'));
        assert_eq!(title(&"é".repeat(256)).chars().last(), Some('é'));
    }

    #[test]
    fn nothing_is_left_of_a_word_that_was_cut() {
        assert_eq!(cut_words("Using ghp_abcdef now", 12), "Using…");
        assert_eq!(cut_words("Using ghp_abcdef", 16), "Using ghp_abcdef");
        assert_eq!(cut_words("ghp_abcdef", 5), "…");
        assert_eq!(cut_words("实现购物车功能", 4), "实现购…");
    }

    #[test]
    fn a_title_in_markdown_is_no_markup_and_pings_nobody() {
        let safe = inline("Fix <img src=x> [a](b) *now* @ada closes #12 | `x`");
        assert_eq!(
            safe,
            "Fix &lt;img src=x\\> \\[a\\](b) \\*now\\* @\u{200b}ada closes #\u{200b}12 \\| \\`x\\`"
        );
    }

    #[test]
    fn foreign_markdown_keeps_its_form_and_its_code_but_hides_nothing() {
        let text = "- ask @ada <!-- gone\n`@keep <b>` me@example.com\n```py\n@decorator\n";
        insta::assert_snapshot!(block(text).replace('\u{200b}', "·"), @r"
        - ask @·ada &lt;!-- gone
        `@keep <b>` me@example.com
        ```py
        @decorator
        ```
        ");
        assert_eq!(quote("a\n\nb"), "> a\n>\n> b");
    }

    #[test]
    fn terminal_output_becomes_plain_text() {
        let text = "\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}x\r\ny\u{202e}z\u{8}";
        assert_eq!(plain(text), "red x\ny\\u{202e}z\\u{8}");
    }

    fn markdown() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-z@<>`~#*_ \\-\n\t\\\\|!&:/\\[\\]()0-9]{0,20}",
            "[`~]{1,5}",
            "\n {0,6}(```|~~~|- |> |1. |<b>|<!--|\\|)",
            Just("@ada <div>\n".to_owned()),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_markdown_hides_what_follows_it(text in markdown()) {
            prop_assert!(is_harmless(&block(&text)), "{}", block(&text));
            prop_assert!(is_harmless(&quote(&text)), "{}", quote(&text));
        }

        #[test]
        fn a_title_within_markdown_is_nothing_but_text(text in markdown()) {
            let line = format!("**Task**: {}", inline(&text));
            let inner = Parser::new_ext(&line, Options::all()).skip(5);
            for event in inner {
                let is_text = matches!(event, Event::Text(_) | Event::End(_));
                prop_assert!(is_text, "{:?} in {}", event, line);
            }
        }

        #[test]
        fn nothing_treacherous_is_left(text in ".*") {
            prop_assert!(!title(&text).chars().any(is_hidden));
            prop_assert!(!plain(&text).chars().any(|c| is_hidden(c) && c != '\n' && c != '\t'));
        }

        #[test]
        fn a_fence_is_longer_than_any_within(text in "[`a\n]*") {
            let whole = fenced("text", &text);
            let fence: String = whole.chars().take_while(|letter| *letter == '`').collect();
            prop_assert!(!text.contains(&fence));
        }
    }
}
