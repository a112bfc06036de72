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
    matches!(
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

/// The ASCII separators and blanks as a set of bits.
const ASCII_SEPARATORS: u128 = {
    let mut set = 0;
    let bytes = SEPARATORS.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii() {
            set |= 1 << bytes[at];
        }
        at += 1;
    }
    set | 1 << b' ' | 1 << b'\t' | 1 << b'\n' | 1 << b'\r' | 1 << 0x0b | 1 << 0x0c
};

/// The words of a text between separators, without the punctuation behind them. Bytes are looked at
/// rather than characters: this is the one step that a plan pays for with every byte.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (end, next) = first_separator(rest);
        let word = &rest[..end];
        rest = &rest[next..];
        Some(word.trim_end_matches(['.', ':', '!', '?', '…']))
    })
}

/// Where the first separator of a text begins and ends.
fn first_separator(text: &str) -> (usize, usize) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii() {
            if ASCII_SEPARATORS >> byte & 1 == 1 {
                return (at, at + 1);
            }
            at += 1;
        } else {
            let c = text[at..].chars().next().unwrap_or_default();
            let next = at + c.len_utf8();
            if c.is_whitespace() || SEPARATORS.contains(c) {
                return (at, next);
            }
            at = next;
        }
    }
    (at, at)
}

/// The paths named in a text, each once, in order.
pub(super) fn paths(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in words(text) {
        // Most words are no paths, and a colon may stand before a line number.
        if !word.bytes().any(|byte| matches!(byte, b'/' | b'.' | b':')) && !is_bare_file(word) {
            continue;
        }
        let word = without_line(word.trim_start_matches("./"));
        if is_path(word) && !found.iter().any(|path| path == word) && found.len() < 64 {
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
