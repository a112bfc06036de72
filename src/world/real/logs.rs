//! The logs of one orchestration: `session.log` and one `agent-{N}.log` each, redacted as they
//! are written.
//!
//! Appends to files below the orchestration's log folder, and touches nothing else. A log that
//! cannot be written stops nothing.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::report::redact::{Redactor, Stream};
use crate::world::Log;

/// Logs that are open at once, however many agents there are.
const MOST_OPEN: usize = 4;

/// How much of the end of a log is looked at for what went wrong, in bytes.
const TAIL: u64 = 64 * 1024;

/// The open logs.
#[derive(Debug)]
pub(super) struct Logs {
    folder: PathBuf,
    redactor: Redactor,
    /// Whether agents' lines go to standard error as well.
    echo: bool,
    streams: BTreeMap<Log, Stream>,
    /// The open ones, that which was written to last at the end.
    files: VecDeque<(Log, File)>,
}

impl Logs {
    pub(super) const fn new(folder: PathBuf, redactor: Redactor, echo: bool) -> Self {
        Self {
            folder,
            redactor,
            echo,
            streams: BTreeMap::new(),
            files: VecDeque::new(),
        }
    }

    /// Adds to a log. `stamp` is put before it, for the engine's own lines.
    pub(super) fn write(&mut self, log: Log, stamp: Option<&str>, text: &[u8]) {
        let redactor = &self.redactor;
        let stream = self.streams.entry(log).or_insert_with(|| redactor.stream());
        let mut out = stream.push(stamp.unwrap_or_default().as_bytes());
        out.extend(stream.push(text));
        if self.echo && matches!(log, Log::Agent(_)) {
            // Nobody may be there to read it.
            let _ = io::stderr().write_all(&out);
        }
        self.append(log, &out);
    }

    /// A failure is said, and never to the run: logs are for people.
    fn append(&mut self, log: Log, text: &[u8]) {
        let written = self.file(log).and_then(|file| file.write_all(text));
        if let Err(error) = written {
            tracing::warn!(path = %self.path(log).display(), %error, "cannot write a log");
        }
    }

    fn file(&mut self, log: Log) -> io::Result<&mut File> {
        let known = self.files.iter().position(|(known, _)| *known == log);
        let last = match known.and_then(|at| self.files.remove(at)) {
            Some(known) => known,
            None => (log, open(&self.path(log))?),
        };
        if self.files.len() == MOST_OPEN {
            self.files.pop_front();
        }
        self.files.push_back(last);
        let last = self.files.back_mut().map(|(_, file)| file);
        last.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Writes what is held back, so that a reader sees all.
    pub(super) fn flush(&mut self, log: Log) {
        if let Some(stream) = self.streams.get_mut(&log) {
            let rest = stream.finish();
            if !rest.is_empty() {
                self.append(log, &rest);
            }
        }
    }

    /// The end of a log, redacted as the log is.
    pub(super) fn tail(&mut self, log: Log) -> String {
        self.flush(log);
        read_tail(&self.path(log)).unwrap_or_default()
    }

    fn path(&self, log: Log) -> PathBuf {
        match log {
            Log::Session => self.folder.join("session.log"),
            Log::Agent(agent) => self.folder.join(format!("agent-{agent}.log")),
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let logs: Vec<_> = self.streams.keys().copied().collect();
        for log in logs {
            self.flush(log);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn read_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
