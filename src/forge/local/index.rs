//! Which markers stand in which file, remembered for as long as the file is the same.
//!
//! Without it every new issue would read all others again. Touches nothing itself; it is handed
//! the facts of the files.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use super::document::{Document, Kind};
use crate::forge::Marker;

/// What tells a file from an edited one: our own writes replace it, which gives it a new inode;
/// an editor changes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    /// The stamp of a file.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }
}

/// The markers of files that were read before.
#[derive(Debug, Default)]
pub struct Index {
    known: HashMap<(Kind, u64), (Stamp, Vec<Marker>)>,
}

impl Index {
    /// The markers of a file, where it is still the one that was read.
    pub fn get(&self, kind: Kind, number: u64, stamp: Stamp) -> Option<&[Marker]> {
        let (known, markers) = self.known.get(&(kind, number))?;
        (*known == stamp).then_some(markers)
    }

    /// Remembers a file that was read.
    pub fn put(&mut self, stamp: Stamp, document: &Document) {
        let key = (document.front.kind, document.front.number);
        self.known.insert(key, (stamp, markers(document)));
    }
}

/// The markers of a document: its own, and those of the tasks that adopted it.
pub fn markers(document: &Document) -> Vec<Marker> {
    let adopted = document
        .front
        .adopted
        .iter()
        .filter_map(|line| Marker::parse(line));
    Marker::split(&document.body)
        .0
        .into_iter()
        .chain(adopted)
        .collect()
}
