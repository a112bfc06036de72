//! What the targets ask of texts that people are shown.

/// Fails where a text is no line of visible characters.
pub fn assert_one_line(text: &str) {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!text.chars().any(hides), "{text:?}");
    assert_eq!(text, text.trim(), "it begins or ends with white space");
}
