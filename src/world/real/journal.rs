//! The journal as a file: appended to and synced, never changed; read back, also while it grows.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::run::event::Event;
use crate::run::facts::Start;
use crate::run::journal::{self, Corrupt, Journal};
use crate::run::publish::publish;
use crate::run::record::{Body, Record};

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

    /// Goes on in a journal behind its whole lines; a torn one at its end is cut off.
    pub(super) fn take_up(path: &Path, good_bytes: u64) -> Result<Self> {
        let open = || {
            let file = OpenOptions::new().append(true).open(path)?;
            file.set_len(good_bytes)?;
            Ok(file)
        };
        let file = open().map_err(|error: std::io::Error| Error::File {
            action: "write",
            path: path.to_owned(),
            reason: super::reason(&error),
        })?;
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
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    journal::read(&bytes).map_err(|corrupt| damaged(path, &corrupt))
}

/// Reads a journal as far as it is good, and says what is damaged there.
pub fn read_good_journal(path: &Path) -> Result<(Journal, Option<Error>)> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let (journal, corrupt) = journal::read_good(&bytes, 0);
    Ok((journal, corrupt.map(|corrupt| damaged(path, &corrupt))))
}

/// Reads the events of a journal that somebody may be writing.
#[derive(Debug)]
pub struct JournalReader {
    path: PathBuf,
    /// How much was read, up to the end of a line.
    bytes: u64,
    records: usize,
    start: Option<Box<Start>>,
}

impl JournalReader {
    /// Begins at the beginning.
    pub const fn new(path: PathBuf) -> Self {
        Self {
            path,
            bytes: 0,
            records: 0,
            start: None,
        }
    }

    /// The events since the last call, as the run published them. A line that is not written to
    /// its end is left for the next call. Damage is told once nothing stands before it.
    pub fn news(&mut self) -> Result<Vec<Event>> {
        let bytes = self
            .read_on()
            .map_err(|error| unreadable(&self.path, &error))?;
        let (journal, corrupt) = journal::read_good(&bytes, self.records);
        if self.start.is_none() {
            self.start = journal.records.iter().find_map(started);
        }
        // What was recorded before the start names the orchestration, too.
        let mut events = Vec::new();
        if let Some(start) = self.start.as_deref_mut() {
            self.bytes += journal.good_bytes as u64;
            self.records += journal.records.len();
            for record in &journal.records {
                if let Body::Resumed(resumption) = &record.body {
                    start.settings = resumption.settings.clone();
                }
                events.extend(publish(record, Some(start)));
            }
        }
        match corrupt {
            Some(corrupt) if events.is_empty() => Err(damaged(&self.path, &corrupt)),
            _ => Ok(events),
        }
    }

    fn read_on(&self) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.bytes))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn started(record: &Record) -> Option<Box<Start>> {
    match &record.body {
        Body::Started(start) => Some(start.clone()),
        _ => None,
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::File {
        action: "read",
        path: path.to_owned(),
        reason: super::reason(error),
    }
}

fn damaged(path: &Path, corrupt: &Corrupt) -> Error {
    Error::JournalCorrupt {
        path: path.to_owned(),
        line: corrupt.line,
    }
}
