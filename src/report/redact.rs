//! Takes secrets out of everything that is written or published: the values we know, and the
//! shapes that keys are known to have (DESIGN section 8, "Odds and ends").
//!
//! Pure. Works on bytes, since logs need not be UTF-8, and line by line; of a line without an end
//! at most [`WINDOW`] bytes are held back. What comes out does not depend on how the bytes were
//! cut into chunks.

use std::sync::{Arc, LazyLock};

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};

/// The most bytes that are held back.
pub const WINDOW: usize = 8 * 1024;

/// So much of a full window stays, so that a secret across the cut is seen whole.
const LOOK_AHEAD: usize = 512;

/// What stands in a secret's place.
const MASK: &[u8] = b"[redacted]";

/// What control sequences of terminals begin with.
const ESCAPE: u8 = 0x1b;

/// A known value shorter than this is no secret, and would riddle the log with masks.
const SHORTEST_KNOWN: usize = 8;

/// A known value of this length stands in a file on purpose, and not by chance.
const SHORTEST_CERTAIN: usize = 16;

/// The shapes of secrets. The groups `k1` … are kept, all else of a match is masked.
///
/// Sources: GitHub's, Anthropic's, `OpenAI`'s, AWS's and Slack's documentation of their key
/// prefixes; RFC 7519 (JWT), RFC 7468 (PEM), RFC 9110 section 11 and RFC 3986 section 3.2.1.
const SHAPES: &[&str] = &[
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\n?$)",
    r#"(?P<k1>(?i:(?:proxy-)?authorization\\?["']?\s*[:=]\s*\\?["']?(?:(?:bearer|basic|token|negotiate|digest)\s+)?))[^\s"'\\]+"#,
    r#"(?P<k2>(?i:x-api-key\\?["']?\s*[:=]\s*\\?["']?))[^\s"'\\]+"#,
    r#"(?P<k3>\b(?i:https?)://)[^\s/@"']+@"#,
    r#"(?P<k4>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:"']*:)[^\s/@"']+@"#,
    r#"(?P<k5>\b[A-Z][A-Z0-9_]*(?:API_KEY|TOKEN|SECRET|PASSWORD|ACCESS_KEY)=["']?)[^\s"'$]{8,}"#,
    r#"(?P<k6>(?i:\b(?:[a-z0-9]+[_-])*(?:password|passwd|secret[_-]?key|client[_-]?secret|api[_-]?key|access[_-]?key|auth[_-]?token|access[_-]?token)\\?["']?\s*[:=]\s*\\?["']?))[^\s"'$,;\\]{8,}"#,
    r"\bgl(?:pat|ptt|rt)-[A-Za-z0-9_-]{16,}",
    r"\bnpm_[A-Za-z0-9]{30,}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\bAIza[A-Za-z0-9_-]{30,}",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bsk-ant-[A-Za-z0-9_-]{16,}",
    r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}",
    r"\bsk-[A-Za-z0-9]{32,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"\bxapp-[A-Za-z0-9-]{10,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
];

static SHAPES_ALONE: LazyLock<Option<Regex>> = LazyLock::new(|| compile(&[]));

/// Control sequences and commands of a terminal, as they stand within a line.
static ESCAPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u)\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])").ok()
});

static KEY_BEGIN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("-----BEGIN ").ok());

static KEY_END: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u)^[^\n]*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----").ok()
});

/// Knows what to take out. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Redactor {
    // `None` cannot happen (a test compiles the shapes); everything is masked then.
    pattern: Arc<Option<Regex>>,
    /// The known values that are certain: long ones that are no path and no address.
    certain: Arc<Option<AhoCorasick>>,
}

impl Default for Redactor {
    /// Knows the shapes alone.
    fn default() -> Self {
        Self {
            pattern: Arc::new(SHAPES_ALONE.clone()),
            certain: Arc::default(),
        }
    }
}

impl Redactor {
    /// Knows the shapes and these values, such as the tokens of the environment.
    pub fn new<S: AsRef<str>>(known: impl IntoIterator<Item = S>) -> Self {
        let mut known: Vec<String> = known
            .into_iter()
            .map(|value| value.as_ref().trim().to_owned())
            .filter(|value| value.len() >= SHORTEST_KNOWN && !value.contains('\n'))
            .collect();
        // The longest first: of two values one may begin like the other.
        known.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        known.dedup();
        Self {
            pattern: Arc::new(compile(&known)),
            certain: Arc::new(certain(&known)),
        }
    }

    /// Whether bytes hold a value that is known, and that nobody would write by chance.
    pub fn knows(&self, bytes: &[u8]) -> bool {
        let certain = self.certain.as_ref().as_ref();
        certain.is_some_and(|values| values.is_match(bytes))
    }

    /// A whole text without its secrets.
    pub fn text(&self, text: &str) -> String {
        let mut stream = self.stream();
        let mut bytes = stream.push(text.as_bytes());
        bytes.extend(stream.finish());
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The same for bytes that arrive in chunks.
    pub fn stream(&self) -> Stream {
        Stream {
            redactor: self.clone(),
            held: Vec::new(),
            in_secret: false,
            in_key: false,
        }
    }
}

fn certain(known: &[String]) -> Option<AhoCorasick> {
    let is_certain = |value: &&String| {
        let is_place = value.starts_with(['/', '~', '.']) || value.contains("://");
        value.len() >= SHORTEST_CERTAIN && !is_place && !value.contains(char::is_whitespace)
    };
    AhoCorasick::new(known.iter().filter(is_certain)).ok()
}

fn compile(known: &[String]) -> Option<Regex> {
    let known = known.iter().map(|value| regex::escape(value));
    let shapes = SHAPES.iter().map(|shape| format!("(?-u:{shape})"));
    let all: Vec<_> = known.chain(shapes).collect();
    RegexBuilder::new(&all.join("|"))
        .size_limit(64 << 20)
        .build()
        .ok()
}

/// A stream of bytes whose secrets are taken out.
#[derive(Debug)]
pub struct Stream {
    redactor: Redactor,
    /// The beginning of a line whose end has not come; shorter than [`WINDOW`].
    held: Vec<u8>,
    /// The last window ended within a secret.
    in_secret: bool,
    /// Within a PEM private key, between its first and its last line.
    in_key: bool,
}

impl Stream {
    /// Takes bytes in, and gives out what is safe to write.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let clean = self.clean_lines(bytes);
        out.extend_from_slice(&bytes[..clean]);
        bytes = &bytes[clean..];
        while !bytes.is_empty() {
            let room = &bytes[..bytes.len().min(WINDOW - self.held.len())];
            let line_end = room.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let (taken, rest) = bytes.split_at(line_end.unwrap_or(room.len()));
            self.held.extend_from_slice(taken);
            bytes = rest;
            if line_end.is_some() {
                self.line(&mut out);
            } else if self.held.len() == WINDOW {
                self.window(&mut out);
            }
        }
        out
    }

    /// Gives out the rest, after the last byte.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.line(&mut out);
        self.in_secret = false;
        self.in_key = false;
        out
    }

    /// How many bytes in front are whole lines that hold nothing to take out: the usual case, in
    /// one search instead of one for each line.
    fn clean_lines(&self, bytes: &[u8]) -> usize {
        let begins_a_line = self.held.is_empty() && !self.in_secret && !self.in_key;
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            return 0;
        };
        let lines = &bytes[..=end];
        // A line longer than the window is cut where the window ends, however it arrives.
        let fits = || {
            lines
                .split(|byte| *byte == b'\n')
                .all(|line| line.len() < WINDOW)
        };
        let hit = |pattern: &Option<Regex>| pattern.as_ref().is_none_or(|p| p.is_match(lines));
        let is_plain = !lines.contains(&ESCAPE);
        let is_clean =
            begins_a_line && is_plain && fits() && !hit(&self.redactor.pattern) && !hit(&KEY_BEGIN);
        if is_clean { lines.len() } else { 0 }
    }

    /// The held bytes are a whole line, or the last part of one.
    fn line(&mut self, out: &mut Vec<u8>) {
        self.skip_secret();
        if !self.skip_key() {
            self.join();
            let cut = self.held.len();
            self.emit(cut, out);
            self.in_secret = false;
        }
    }

    /// Takes the colours out of a line in which they may cut a secret apart, as those of `grep` do.
    fn join(&mut self) {
        let (Some(escapes), Some(pattern)) = (ESCAPES.as_ref(), self.redactor.pattern.as_ref())
        else {
            return;
        };
        if self.held.contains(&ESCAPE) {
            let bare = escapes.replace_all(&self.held, &b""[..]).into_owned();
            if pattern.is_match(&bare) {
                self.held = bare;
            }
        }
    }

    /// The held bytes fill the window, and the line goes on.
    fn window(&mut self, out: &mut Vec<u8>) {
        self.skip_secret();
        if self.skip_key() || self.held.len() < WINDOW {
            return;
        }
        let end = WINDOW - LOOK_AHEAD;
        let cut = self.held[..end]
            .iter()
            .rposition(u8::is_ascii_whitespace)
            .map_or(end, |at| at + 1);
        self.emit(cut.max(end / 2), out);
    }

    /// Drops the rest of a secret that the last window ended within.
    fn skip_secret(&mut self) {
        if self.in_secret {
            let length = self
                .held
                .iter()
                .take_while(|byte| is_key_byte(**byte))
                .count();
            self.in_secret = length == self.held.len();
            self.held.drain(..length);
        }
    }

    /// Drops a line within a private key; false where there is something to emit.
    fn skip_key(&mut self) -> bool {
        if !self.in_key {
            return false;
        }
        let end = KEY_END
            .as_ref()
            .and_then(|pattern| pattern.find(&self.held))
            .map(|end| end.end());
        if let Some(end) = end {
            self.in_key = false;
            self.held.drain(..end);
            return false;
        }
        // Base64, a header of an encrypted key, or an empty line; anything else is no key.
        let line = self.held.trim_ascii();
        let is_header = line.len() < 200 && line.contains(&b':');
        self.in_key = is_header || line.iter().all(|byte| is_key_byte(*byte));
        if self.in_key {
            self.held.clear();
        } else {
            // The line break went with the key's first line.
            self.held.insert(0, b'\n');
        }
        self.in_key
    }

    /// Emits the held bytes up to `cut`, or to the end of a secret across it.
    fn emit(&mut self, mut cut: usize, out: &mut Vec<u8>) {
        let Some(pattern) = self.redactor.pattern.as_ref() else {
            out.extend_from_slice(MASK);
            self.held.clear();
            return;
        };
        let mut done = 0;
        for captures in pattern.captures_iter(&self.held) {
            let Some(whole) = captures.get(0) else {
                continue;
            };
            if whole.start() >= cut {
                break;
            }
            let keep = captures.iter().skip(1).flatten().next();
            out.extend_from_slice(&self.held[done..keep.map_or(whole.start(), |keep| keep.end())]);
            out.extend_from_slice(MASK);
            if whole.as_bytes().ends_with(b"@") {
                out.push(b'@');
            }
            done = whole.end();
            if whole.as_bytes().starts_with(b"-----BEGIN ") {
                self.in_key = !whole.as_bytes().ends_with(b"-----")
                    || whole.as_bytes().windows(9).all(|part| part != b"-----END ");
            } else {
                self.in_secret = done == self.held.len();
            }
        }
        cut = cut.max(done);
        out.extend_from_slice(&self.held[done..cut]);
        self.held.drain(..cut);
    }
}

/// What keys and their encodings are made of.
const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'.' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One secret of each kind, none of them real.
    fn secrets() -> Vec<String> {
        let long = "abcDEF0123456789".repeat(3);
        [
            format!("ghp_{long}"),
            format!("gho_{long}"),
            format!("ghs_{long}"),
            format!("github_pat_11AAAA_{long}"),
            format!("sk-ant-api03-{long}-x"),
            format!("sk-proj-{long}"),
            format!("sk-{long}"),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            format!("xoxb-123456-{long}"),
            format!("eyJhbGciOiJIUzI1NiJ9.{long}.{long}"),
            "my-own-token-value".to_owned(),
        ]
        .into()
    }

    fn redactor() -> Redactor {
        Redactor::new(["my-own-token-value", "short"])
    }

    #[test]
    fn every_known_shape_is_masked_and_its_surroundings_stay() {
        assert!(
            SHAPES_ALONE.is_some() && ESCAPES.is_some() && KEY_BEGIN.is_some() && KEY_END.is_some()
        );
        for secret in secrets() {
            let text = redactor().text(&format!("before {secret} after\nshort\n"));
            assert_eq!(text, "before [redacted] after\nshort\n", "{secret}");
        }
    }

    #[test]
    fn colours_within_a_secret_do_not_save_it() {
        let cut =
            "key \u{1b}[01;31m\u{1b}[Kmy-own-\u{1b}[m\u{1b}[Ktoken-value\n\u{1b}[1mbold\u{1b}[0m\n";
        let shown = "key [redacted]\n\u{1b}[1mbold\u{1b}[0m\n";
        assert_eq!(redactor().text(cut), shown);
    }

    #[test]
    fn what_may_stand_in_a_file_by_chance_is_not_known_for_certain() {
        let redactor = Redactor::new([
            "postgres",
            "/etc/keys/of-the-shop.json",
            "0123-4567-89ab-cdef",
        ]);
        assert!(redactor.knows(b"key = 0123-4567-89ab-cdef\n"));
        assert!(!redactor.knows(b"postgres /etc/keys/of-the-shop.json 0123-4567"));
        assert!(!Redactor::default().knows(b"anything"));
    }

    #[test]
    fn headers_urls_and_variables_keep_their_names() {
        let cases = [
            (
                "Authorization: Bearer abc.def",
                "Authorization: Bearer [redacted]",
            ),
            (
                r#"{"authorization":"token x1"}"#,
                r#"{"authorization":"token [redacted]"}"#,
            ),
            (
                r#"\"Authorization\": \"Basic eA==\""#,
                r#"\"Authorization\": \"Basic [redacted]\""#,
            ),
            ("x-api-key: k1", "x-api-key: [redacted]"),
            (
                "https://ada:pw@example.com/x",
                "https://[redacted]@example.com/x",
            ),
            ("postgres://ada:pw@db/x", "postgres://ada:[redacted]@db/x"),
            ("ssh://git@github.com/o/r", "ssh://git@github.com/o/r"),
            (
                "export DB_PASSWORD='hunter2hunter2'",
                "export DB_PASSWORD='[redacted]'",
            ),
            (
                "git@github.com:o/r and a@b.c",
                "git@github.com:o/r and a@b.c",
            ),
            (
                "task-risk-sk-loading-spinner",
                "task-risk-sk-loading-spinner",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(redactor().text(text), expected);
        }
    }

    #[test]
    fn a_private_key_goes_from_its_first_to_its_last_line() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEow\nIBAAKC==\n-----END RSA PRIVATE KEY-----";
        assert_eq!(
            redactor().text(&format!("a\n{key}\nb\n")),
            "a\n[redacted]\nb\n"
        );
        let escaped = format!("{{\"key\":\"{}\"}}", key.replace('\n', "\\n"));
        assert_eq!(redactor().text(&escaped), "{\"key\":\"[redacted]\"}");
    }

    #[test]
    fn a_private_key_that_never_ends_does_not_hide_the_rest() {
        let text = "-----BEGIN PRIVATE KEY-----\nMIIE\nno key any more\nMIIE\n";
        assert_eq!(redactor().text(text), "[redacted]\nno key any more\nMIIE\n");
    }

    #[test]
    fn a_secret_longer_than_the_window_is_masked_to_its_end() {
        let text = format!("x ghp_{} y", "a".repeat(3 * WINDOW));
        assert_eq!(redactor().text(&text), "x [redacted] y");
    }

    #[test]
    fn no_more_than_the_window_is_held_back() {
        let mut stream = redactor().stream();
        let mut out = 0;
        for given in 1..=4 * WINDOW {
            out += stream.push(b"x").len();
            assert!(given - out <= WINDOW);
        }
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter_and_no_secret_comes_through(
            pieces in proptest::collection::vec(
                (0..11_usize, "[ -~\n]{0,40}", 0..9_000_usize, any::<bool>()), 1..6),
            sizes in proptest::collection::vec(1..5_000_usize, 1..20),
        ) {
            let secrets = secrets();
            let mut text = String::new();
            for (secret, noise, filler, spaced) in &pieces {
                text.push_str(noise);
                // Long stretches with and without places to cut at.
                text.push_str(&if *spaced { "ab " } else { ".,;" }.repeat(filler / 3));
                text.push(' ');
                text.push_str(&secrets[*secret]);
                text.push(' ');
            }
            let whole = redactor().text(&text);
            for secret in &secrets {
                prop_assert!(!whole.contains(secret.as_str()));
            }
            let (mut stream, mut out, mut rest) = (redactor().stream(), Vec::new(), text.as_bytes());
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at(rest.len().min(*size));
                out.extend(stream.push(chunk));
                rest = after;
            }
            out.extend(stream.finish());
            prop_assert_eq!(String::from_utf8(out).unwrap(), whole);
        }

        #[test]
        fn text_without_secrets_is_not_touched(text in "[a-z ,.;\n]{0,300}") {
            prop_assert_eq!(redactor().text(&text), text);
        }
    }
}
