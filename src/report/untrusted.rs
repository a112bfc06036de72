//! Untrusted text made harmless: titles and texts of plans and issues, and what agents print.
//!
//! Pure. What leaves here writes nothing to a terminal, mentions nobody, closes no issue and
//! hides nothing that follows it, while people can still read it.

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

/// One line of visible characters: runs of white space become a space, control and
/// bidirectional characters are dropped.
pub fn one_line(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .filter(|letter| !is_treacherous(*letter))
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
/// hide what follows it; code stays as it is, and a code block that it leaves open is closed.
pub fn block(text: &str) -> String {
    let mut fence: Option<String> = None;
    let mut lines = Vec::new();
    for line in escape_control(text).trim().lines() {
        let marks = fence_marks(line);
        match (&fence, marks) {
            (None, Some(marks)) => {
                fence = Some(marks.to_owned());
                lines.push(line.to_owned());
            }
            (Some(open), marks) => {
                let closes = marks.is_some_and(|marks| marks.starts_with(open.as_str()))
                    && line.trim().chars().all(|letter| open.starts_with(letter));
                lines.push(line.to_owned());
                if closes {
                    fence = None;
                }
            }
            (None, None) => lines.push(defuse_line(line)),
        }
    }
    lines.extend(fence);
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
    let longest = text
        .split(|letter| letter != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
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
    escape_control(&without_escapes(text))
}

const ZERO_WIDTH_SPACE: char = '\u{200b}';

fn defuse_line(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    // Odd pieces stand between backticks, unless the last one is never closed.
    let pieces: Vec<_> = line.split('`').collect();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            safe.push('`');
        }
        let is_code = index % 2 == 1 && index + 1 < pieces.len();
        if is_code {
            safe.push_str(piece);
        } else {
            defuse_into(&mut safe, piece);
        }
    }
    safe
}

fn defuse_into(safe: &mut String, piece: &str) {
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

/// Control characters and those that reorder or hide what is read.
fn is_treacherous(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

fn escape_control(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_treacherous(letter) && !matches!(letter, '\n' | '\t') {
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

    proptest! {
        #[test]
        fn nothing_treacherous_is_left(text in ".*") {
            prop_assert!(!title(&text).chars().any(is_treacherous));
            prop_assert!(!plain(&text).chars().any(|c| is_treacherous(c) && c != '\n' && c != '\t'));
        }

        #[test]
        fn a_fence_is_longer_than_any_within(text in "[`a\n]*") {
            let whole = fenced("text", &text);
            let fence: String = whole.chars().take_while(|letter| *letter == '`').collect();
            prop_assert!(!text.contains(&fence));
        }
    }
}
