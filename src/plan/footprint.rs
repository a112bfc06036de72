//! Which files a task is about: the paths named in its text.
//!
//! Pure. The repository is a [`Tree`] of paths that the caller has read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

/// The files of a repository, as paths relative to its root with `/` between names.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
    /// Paths by their last name.
    by_name: HashMap<String, Vec<String>>,
}

impl Tree {
    /// Builds a tree from the paths of its files.
    pub fn new<I, S>(paths: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let mut tree = Self::default();
        for path in paths {
            let path = path.into();
            for (at, _) in path.match_indices('/') {
                if tree.folders.insert(path[..at].to_owned()) {
                    let folder = path[..at].to_owned();
                    tree.by_name
                        .entry(last_name(&folder).to_owned())
                        .or_default()
                        .push(folder);
                }
            }
            tree.by_name
                .entry(last_name(&path).to_owned())
                .or_default()
                .push(path.clone());
            tree.files.insert(path);
        }
        tree
    }

    /// Whether the tree has this file or folder.
    pub fn contains(&self, path: &str) -> bool {
        self.files.contains(path) || self.folders.contains(path)
    }

    /// Whether the tree has this file.
    pub(super) fn is_file(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// The path in the tree that a text means: itself, or the only one that ends with it.
    pub fn resolve(&self, named: &str) -> Option<&str> {
        let bare = named.trim_end_matches('/');
        if let Some(path) = self.files.get(bare).or_else(|| self.folders.get(bare)) {
            return Some(path);
        }
        let mut ends = self.by_name.get(last_name(bare))?.iter().filter(|path| {
            path.strip_suffix(bare)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        });
        let only = ends.next()?;
        ends.next().is_none().then_some(only.as_str())
    }

    /// The files that look like code which others share: in a folder of utilities, or named so.
    pub(super) fn utilities(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str).filter(|path| {
            path.rsplit('/').any(|part| {
                let stem = part.split('.').next().unwrap_or_default();
                UTILITIES.contains(&stem) || stem.ends_with("_utils") || stem.ends_with("_helpers")
            })
        })
    }
}

/// Folders and files that others build on.
const UTILITIES: &[&str] = &[
    "util",
    "utils",
    "utilities",
    "helper",
    "helpers",
    "common",
    "shared",
    "lib",
];

pub(super) fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Extensions by which a name without a folder is known to be a file.
const EXTENSIONS: &[&str] = &[
    "rs",
    "py",
    "pyi",
    "js",
    "jsx",
    "ts",
    "tsx",
    "mjs",
    "cjs",
    "vue",
    "svelte",
    "go",
    "java",
    "kt",
    "kts",
    "scala",
    "rb",
    "php",
    "c",
    "h",
    "cc",
    "cpp",
    "cxx",
    "hpp",
    "cs",
    "fs",
    "swift",
    "m",
    "mm",
    "dart",
    "ex",
    "exs",
    "erl",
    "hs",
    "ml",
    "clj",
    "lua",
    "pl",
    "r",
    "jl",
    "zig",
    "nim",
    "sh",
    "bash",
    "zsh",
    "ps1",
    "bat",
    "sql",
    "html",
    "htm",
    "css",
    "scss",
    "sass",
    "less",
    "json",
    "jsonc",
    "yaml",
    "yml",
    "toml",
    "ini",
    "cfg",
    "conf",
    "env",
    "xml",
    "md",
    "mdx",
    "rst",
    "txt",
    "adoc",
    "csv",
    "proto",
    "graphql",
    "gql",
    "tf",
    "hcl",
    "nix",
    "gradle",
    "lock",
    "dockerfile",
    "ipynb",
    "properties",
    "erb",
    "ejs",
    "hbs",
    "twig",
    "tmpl",
    "prisma",
    "sol",
    "mk",
    "cmake",
    "bzl",
];

static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| EXTENSIONS.iter().copied().collect());

/// Whether a name is that of a file without an extension.
fn is_bare_file(name: &str) -> bool {
    // Quick for running text, which is in small letters.
    let first = name.as_bytes().first();
    let may_be = first.is_some_and(|byte| matches!(byte, b'A'..=b'Z' | b'.' | b'j'));
    may_be
        && matches!(
            name,
            "Makefile"
                | "Dockerfile"
                | "Gemfile"
                | "Rakefile"
                | "Procfile"
                | "Jenkinsfile"
                | "Vagrantfile"
                | "Justfile"
                | "justfile"
                | "CODEOWNERS"
                | "LICENSE"
                | ".gitignore"
                | ".env"
                | ".dockerignore"
                | ".editorconfig"
                | ".npmrc"
                | ".eslintrc"
                | ".prettierrc"
        )
}

/// Names with an extension that are products rather than files.
const PRODUCTS: &[&str] = &[
    "node.js",
    "next.js",
    "vue.js",
    "nuxt.js",
    "react.js",
    "express.js",
    "d3.js",
    "three.js",
    "asp.net",
    "socket.io",
    "moment.js",
    "chart.js",
    "angular.js",
    "backbone.js",
    "ember.js",
    "discord.js",
    "bun.sh",
    "e.g",
    "i.e",
];

/// What may stand beside a path in running text.
const SEPARATORS: &str = ",;()[]{}<>\"'`|*=“”«»、，。（）：「」→";

/// Whether a byte ends a word.
const ENDS: u8 = 1;
/// Whether a byte is one of those that make a word a path, or that follow a word.
const MARKS: u8 = 2;
/// Whether a byte belongs to a character that is more than a byte.
const WIDE: u8 = 4;

/// What each byte is to the words of a text.
const BYTES: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0x80;
    while at < table.len() {
        table[at] = WIDE;
        at += 1;
    }
    let ends = SEPARATORS.as_bytes();
    at = 0;
    while at < ends.len() {
        if ends[at].is_ascii() {
            table[ends[at] as usize] = ENDS;
        }
        at += 1;
    }
    let blanks = b" \t\n\r\x0b\x0c";
    at = 0;
    while at < blanks.len() {
        table[blanks[at] as usize] = ENDS;
        at += 1;
    }
    let marks = b"/.:!?";
    at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = MARKS;
        at += 1;
    }
    table
};

/// The words of a text between separators, each with what its bytes are. Bytes are looked at rather
/// than characters: this is the one step that a plan pays for with every byte.
fn words(text: &str) -> impl Iterator<Item = (&str, u8)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (end, next, bytes) = first_separator(rest);
        let word = &rest[..end];
        rest = &rest[next..];
        Some((word, bytes))
    })
}

/// Where the first separator of a text begins and ends, and what the bytes before it are.
fn first_separator(text: &str) -> (usize, usize, u8) {
    let mut seen = 0;
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        let is = BYTES[usize::from(byte)];
        if is & (ENDS | WIDE) == 0 {
            seen |= is;
            at += 1;
        } else if is & ENDS != 0 {
            return (at, at + 1, seen);
        } else {
            let c = text[at..].chars().next().unwrap_or_default();
            let next = at + c.len_utf8();
            if c.is_whitespace() || SEPARATORS.contains(c) {
                return (at, next, seen);
            }
            seen |= WIDE;
            at = next;
        }
    }
    (at, at, seen)
}

/// The paths named in a text, each once, in order.
pub(super) fn paths(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (word, bytes) in words(text) {
        // Most words are no paths, and are not looked at twice.
        if bytes == 0 && !is_bare_file(word) {
            continue;
        }
        let word = word.trim_end_matches(['.', ':', '!', '?', '…']);
        // A colon may stand before a line number.
        if !word.bytes().any(|byte| matches!(byte, b'/' | b'.' | b':')) && !is_bare_file(word) {
            continue;
        }
        let word = without_line(word.trim_start_matches("./"));
        if is_path(word) && !found.iter().any(|path| path == word) && found.len() < 64 {
            if found.is_empty() {
                // Most texts that name one name no other.
                found.reserve_exact(1);
            }
            found.push(word.to_owned());
        }
    }
    found
}

/// Drops a line number: `lexer.rs:120`, `lexer.rs#L12`.
fn without_line(word: &str) -> &str {
    let word = word.split_once("#L").map_or(word, |(path, _)| path);
    match word.rsplit_once(':') {
        Some((path, line))
            if !path.is_empty()
                && line
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'-') =>
        {
            without_line(path)
        }
        _ => word,
    }
}

fn is_path(word: &str) -> bool {
    if !(3..300).contains(&word.len()) || word.starts_with(['~', '-', '+']) {
        return false;
    }
    let mut parts = 1;
    let mut has_letter = false;
    // As behind a slash: a path does not begin with one.
    let mut before = '/';
    for c in word.chars() {
        match c {
            '/' if before == '/' => return false,
            '.' if before == '.' => return false,
            '/' => parts += 1,
            _ if !is_name(c) => return false,
            _ => has_letter |= c.is_alphabetic(),
        }
        before = c;
    }
    if !has_letter || before == '/' {
        return has_letter;
    }
    let name = last_name(word);
    if is_bare_file(name) {
        return true;
    }
    let extension = name
        .rsplit_once('.')
        .map(|(stem, extension)| (stem, extension.to_ascii_lowercase()));
    if let Some((stem, extension)) = extension
        && KNOWN.contains(extension.as_str())
        && (!stem.is_empty() || parts > 1)
    {
        return !PRODUCTS.contains(&word.to_ascii_lowercase().as_str());
    }
    // A path without an extension needs more than one slash: `read/write` is prose.
    parts >= 3 && word.is_ascii() && !word.chars().any(char::is_uppercase)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '*' | '~')
}

/// Whether a path is a folder, as far as its text says.
pub(super) fn is_folder(path: &str) -> bool {
    path.ends_with('/')
}

/// Where each path is named: path to task numbers, both in order.
pub(super) type Uses = BTreeMap<String, Vec<u32>>;
