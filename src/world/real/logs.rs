//! The logs of one orchestration: `session.log` and one `agent-{N}.log` each, redacted as they
//! are written.
//!
//! Appends to files below the orchestration's log folder, and touches nothing else. A log that
//! cannot be written stops nothing.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::report::redact::{Redactor, Stream};
use crate::world::Log;

/// How much of the end of a log is looked at for what went wrong, in bytes.
const TAIL: u64 = 64 * 1024;

/// The open logs.
#[derive(Debug)]
pub(super) struct Logs {
    folder: PathBuf,
    redactor: Redactor,
    /// Whether agents' lines go to standard error as well.
    echo: bool,
    open: BTreeMap<Log, (Stream, Option<File>)>,
}

impl Logs {
    pub(super) const fn new(folder: PathBuf, redactor: Redactor, echo: bool) -> Self {
        Self {
            folder,
            redactor,
            echo,
            open: BTreeMap::new(),
        }
    }

    /// Adds to a log. `stamp` is put before it, for the engine's own lines.
    pub(super) fn write(&mut self, log: Log, stamp: Option<&str>, text: &[u8]) {
        let path = self.path(log);
        let redactor = &self.redactor;
        let (stream, file) = self
            .open
            .entry(log)
            .or_insert_with(|| (redactor.stream(), open(&path)));
        let Some(file) = file else { return };
        let mut out = stream.push(stamp.unwrap_or_default().as_bytes());
        out.extend(stream.push(text));
        if self.echo && matches!(log, Log::Agent(_)) {
            // Nobody may be there to read it.
            let _ = std::io::stderr().write_all(&out);
        }
        // Said once per line at most, and never to the run: logs are for people.
        if let Err(error) = file.write_all(&out) {
            tracing::warn!(path = %path.display(), %error, "cannot write a log");
        }
    }

    /// Writes what is held back, so that a reader sees all.
    pub(super) fn flush(&mut self, log: Log) {
        if let Some((stream, Some(file))) = self.open.get_mut(&log)
            && let Err(error) = file.write_all(&stream.finish())
        {
            tracing::warn!(%error, "cannot write a log");
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
        let logs: Vec<_> = self.open.keys().copied().collect();
        for log in logs {
            self.flush(log);
        }
    }
}

fn open(path: &Path) -> Option<File> {
    match OpenOptions::new().create(true).append(true).open(path) {
        Ok(file) => Some(file),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot open a log");
            None
        }
    }
}

fn read_tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
