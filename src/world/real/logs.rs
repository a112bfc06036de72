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

/// How much of what an agent prints goes to its log, in bytes. Taking secrets out takes its time,
/// in which nothing else of the run goes on.
const LONGEST: u64 = 32 * 1024 * 1024;

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
    /// How much of it was taken in, and the end of what was not.
    lengths: BTreeMap<Log, Length>,
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
            lengths: BTreeMap::new(),
            files: VecDeque::new(),
        }
    }

    /// Adds to a log. `stamp` is put before it, for the engine's own lines. Of a log that has
    /// become too long only the end is kept, until it is flushed.
    pub(super) fn write(&mut self, log: Log, stamp: Option<&str>, text: &[u8]) {
        if matches!(log, Log::Agent(_)) && !self.lengths.entry(log).or_default().takes(text) {
            return;
        }
        self.put(log, stamp, text);
    }

    fn put(&mut self, log: Log, stamp: Option<&str>, text: &[u8]) {
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
        if let Some((left_out, end)) = self.lengths.get_mut(&log).and_then(Length::end) {
            if left_out > 0 {
                let gap = format!("\n… {left_out} bytes left out …\n");
                self.put(log, None, gap.as_bytes());
            }
            self.put(log, None, &end);
        }
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

/// How long a log has become.
#[derive(Debug, Default)]
struct Length {
    taken: u64,
    left_out: u64,
    /// The end of what was left out, at most twice [`TAIL`].
    end: Vec<u8>,
}

impl Length {
    /// Whether there is room for a text; where there is none its end is remembered.
    fn takes(&mut self, text: &[u8]) -> bool {
        let length = text.len() as u64;
        if self.taken + length <= LONGEST {
            self.taken += length;
            return true;
        }
        // From here on all of it is left out: what follows a gap would not be read right.
        self.taken = LONGEST;
        self.left_out += length;
        let keep = usize::try_from(TAIL).unwrap_or(usize::MAX);
        self.end
            .extend_from_slice(&text[text.len().saturating_sub(keep)..]);
        if self.end.len() > 2 * keep {
            self.end.drain(..self.end.len() - keep);
        }
        false
    }

    /// How much was left out since the last time without its end, which comes as well: from its
    /// first whole line on.
    fn end(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.left_out == 0 {
            return None;
        }
        let end = std::mem::take(&mut self.end);
        let left_out = std::mem::take(&mut self.left_out);
        let is_whole = left_out == end.len() as u64;
        let line = end.iter().position(|byte| *byte == b'\n');
        let from = line.filter(|_| !is_whole).map_or(0, |at| at + 1);
        let kept = end[from..].to_vec();
        Some((left_out.saturating_sub(kept.len() as u64), kept))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_that_is_too_long_the_beginning_and_the_end_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut logs = Logs::new(folder.path().to_owned(), Redactor::default(), false);
        let log = Log::Agent(1);
        let line = format!("{}\n", "x".repeat(1023));
        let lines = LONGEST / 1024;
        for _ in 0..lines + 1000 {
            logs.write(log, None, line.as_bytes());
        }
        logs.write(
            log,
            None,
            b"token ghp_0123456789abcdefghijABCDEFGHIJ012345\nthe end\n",
        );
        assert!(logs.tail(log).ends_with("token [redacted]\nthe end\n"));
        let text = fs_read(folder.path());
        assert!(text.len() as u64 <= LONGEST + 3 * TAIL);
        let marks: Vec<_> = text
            .lines()
            .filter(|line| line.contains("left out"))
            .collect();
        assert_eq!(marks.len(), 1, "{marks:?}");
        logs.write(log, None, b"one more\n");
        assert!(logs.tail(log).ends_with("the end\none more\n"));
    }

    fn fs_read(folder: &Path) -> String {
        std::fs::read_to_string(folder.join("agent-1.log")).unwrap()
    }
}
