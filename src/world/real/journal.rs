//! The journal as a file: appended to and synced, never changed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::run::journal::{self, Journal};

/// A journal that is being written.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    file: File,
}

impl JournalFile {
    /// Creates a journal; one that exists is never written over.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let trouble = |error: std::io::Error| Error::File {
            action: "create",
            path: path.to_owned(),
            reason: super::reason(&error),
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(trouble)?;
        }
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)
            .map_err(trouble)?;
        // The name itself has to survive a power loss, too.
        if let Some(folder) = path.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(trouble)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    pub(super) fn append(&mut self, lines: &str, sync: bool) -> Result<()> {
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| {
            // On macOS `sync_data` is F_FULLFSYNC.
            if sync { self.file.sync_data() } else { Ok(()) }
        });
        written.map_err(|error| Error::File {
            action: "write",
            path: self.path.clone(),
            reason: super::reason(&error),
        })
    }
}

/// Reads a journal back.
pub fn read_journal(path: &Path) -> Result<Journal> {
    let bytes = std::fs::read(path).map_err(|error| Error::File {
        action: "read",
        path: path.to_owned(),
        reason: super::reason(&error),
    })?;
    journal::read(&bytes).map_err(|corrupt| Error::JournalCorrupt {
        path: path.to_owned(),
        line: corrupt.line,
    })
}
