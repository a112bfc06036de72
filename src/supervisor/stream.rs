//! The reading side of one output pipe: captures, copies to the log, and reports whole lines.
//!
//! Reads only its own pipe, into a buffer that all pipes share, and never waits for it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::event::{Input, OutputStream, UnitId};
use super::output::CapturedStream;

/// How many times the scratch buffer is filled from one pipe before others have their turn.
const READS_PER_TURN: usize = 8;

/// How many more reads a pipe gets when its unit is released while something still holds it.
const LAST_READS: usize = 64;

/// How long a line may become before it is reported in pieces, in bytes: an endless one would fill
/// the disk, and then the memory of whoever listens.
const LONGEST_LINE: u64 = 1024 * 1024;

/// The size that a busy pipe is given, in bytes.
#[cfg(target_os = "linux")]
const BUSY_PIPE: usize = 256 * 1024;

/// One output stream of a running child.
#[derive(Debug)]
pub(super) struct Output {
    unit: UnitId,
    stream: OutputStream,
    /// `None` once it is at its end.
    pipe: Option<OwnedFd>,
    captured: CapturedStream,
    /// How far the stream was reported; `None` where nobody wants it.
    mirrored: Option<u64>,
    length: u64,
    /// The last byte was a `\r`, which may be half of the end of a line.
    carriage_return: bool,
    busy: bool,
}

/// Where the last line ends that these bytes complete, after bytes that ended with a `\r` or not.
///
/// A `\r` ends a line as well, once it is clear that no `\n` belongs to it.
fn end_of_last_line(bytes: &[u8], after_carriage_return: bool) -> Option<usize> {
    let (last, before) = bytes.split_last()?;
    if *last == b'\n' {
        return Some(bytes.len());
    }
    let end = before
        .iter()
        .rposition(|byte| matches!(byte, b'\n' | b'\r'));
    end.map(|end| end + 1)
        .or(after_carriage_return.then_some(0))
}

/// Where bytes can be cut so that neither a character of UTF-8 nor `\r\n` comes apart.
fn end_of_last_character(bytes: &[u8]) -> usize {
    let length = bytes.len();
    if bytes.ends_with(b"\r") {
        return length - 1;
    }
    for (behind, byte) in bytes.iter().rev().take(3).enumerate() {
        let wanted = match byte {
            0xf0.. => 4,
            0xe0.. => 3,
            0xc0.. => 2,
            0x80.. => continue,
            _ => 1,
        };
        return if wanted > behind + 1 {
            length - behind - 1
        } else {
            length
        };
    }
    length
}

/// What reading needs from outside.
pub(super) struct Reading<'a> {
    /// Where bytes go on their way.
    pub(super) scratch: &'a mut [u8],
    /// The log that they are appended to.
    pub(super) tee: Option<&'a mut File>,
    /// Where mirrored lines are reported.
    pub(super) facts: &'a mut VecDeque<Input>,
}

/// How far to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Until a read fills the buffer in part: then the pipe was empty, and news will be told.
    Short,
    /// Until the end, or until nothing is there: there may be no more news.
    ToTheEnd,
}

impl Output {
    pub(super) fn new(
        unit: UnitId,
        stream: OutputStream,
        pipe: OwnedFd,
        captured: CapturedStream,
        mirror: bool,
    ) -> Self {
        let mirrored = mirror.then_some(0);
        Self {
            unit,
            stream,
            pipe: Some(pipe),
            captured,
            mirrored,
            length: 0,
            carriage_return: false,
            busy: false,
        }
    }

    pub(super) const fn stream(&self) -> OutputStream {
        self.stream
    }

    /// The pipe, while it is not at its end.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    pub(super) const fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Reads what is there, for one turn; true where there is more.
    pub(super) fn read(&mut self, turn: Turn, reading: &mut Reading<'_>) -> bool {
        self.read_times(READS_PER_TURN, turn, reading)
    }

    /// Reports the line that was begun, where there is one.
    pub(super) fn report_rest(&mut self, facts: &mut VecDeque<Input>) {
        self.report(self.length, facts);
    }

    /// Takes what is left, reports nothing more, and ends the stream.
    pub(super) fn release(&mut self, reading: &mut Reading<'_>) {
        self.mirrored = None;
        self.read_times(LAST_READS, Turn::ToTheEnd, reading);
        self.close();
    }

    fn read_times(&mut self, times: usize, turn: Turn, reading: &mut Reading<'_>) -> bool {
        for _ in 0..times {
            let Some(pipe) = &self.pipe else { return false };
            match rustix::io::read(pipe, &mut *reading.scratch) {
                Ok(0) => {
                    self.report_rest(reading.facts);
                    self.close();
                    return false;
                }
                Ok(count) => {
                    let full = count == reading.scratch.len();
                    let bytes = &reading.scratch[..count];
                    if let Some(log) = &mut reading.tee {
                        // A full disk must not hold up the child; the capture counts what it lost.
                        let _ = log.write_all(bytes);
                    }
                    self.take(bytes, reading.facts);
                    if full {
                        self.widen();
                    } else if turn == Turn::Short {
                        return false;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(_) => {
                    self.close();
                    return false;
                }
            }
        }
        true
    }

    fn close(&mut self) {
        self.captured.seal();
        self.pipe = None;
    }

    fn take(&mut self, bytes: &[u8], facts: &mut VecDeque<Input>) {
        self.captured.append(bytes);
        let before = self.length;
        self.length += bytes.len() as u64;
        if let Some(mirrored) = self.mirrored {
            let is_overlong = self.length - mirrored > LONGEST_LINE;
            let end = end_of_last_line(bytes, self.carriage_return)
                .or_else(|| is_overlong.then(|| end_of_last_character(bytes)));
            if let Some(end) = end {
                self.report(before + end as u64, facts);
            }
        }
        self.carriage_return = bytes.last() == Some(&b'\r');
    }

    /// Reports the stream up to `end`.
    fn report(&mut self, end: u64, facts: &mut VecDeque<Input>) {
        if let Some(start) = self.mirrored.filter(|start| *start < end) {
            let chunk = self.captured.chunk(start, end);
            facts.push_back(Input::Output {
                unit: self.unit,
                stream: self.stream,
                chunk,
            });
            self.mirrored = Some(end);
        }
    }

    /// Gives a flooding child a wider pipe, so that it and we are woken less often.
    fn widen(&mut self) {
        if std::mem::replace(&mut self.busy, true) {
            return;
        }
        #[cfg(target_os = "linux")]
        if let Some(pipe) = &self.pipe {
            // The system refuses where the user's share is used up.
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, BUSY_PIPE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{end_of_last_character, end_of_last_line};

    #[test]
    fn a_line_in_pieces_is_cut_between_characters() {
        for (bytes, end) in [
            (&b""[..], 0),
            (b"one", 3),
            (b"one\r", 3),
            ("é".as_bytes(), 2),
            (&"é".as_bytes()[..1], 0),
            (&"a€".as_bytes()[..2], 1),
            (&"a€".as_bytes()[..3], 1),
            ("a€".as_bytes(), 4),
            (&"a🎉".as_bytes()[..4], 1),
            ("a🎉".as_bytes(), 5),
            (b"\x80\x80\x80\x80", 4),
        ] {
            assert_eq!(end_of_last_character(bytes), end, "{bytes:?}");
        }
    }

    #[test]
    fn lines_end_with_either_sign_and_never_between_both() {
        for (bytes, after_carriage_return, end) in [
            ("", true, None),
            ("one", false, None),
            ("one", true, Some(0)),
            ("one\ntwo", false, Some(4)),
            ("one\n", true, Some(4)),
            ("one\r", false, None),
            ("\r", true, Some(0)),
            ("\n", true, Some(1)),
            ("\ntwo", true, Some(1)),
            ("one\rtwo", false, Some(4)),
            ("one\r\ntwo", false, Some(5)),
            ("one\r\n", false, Some(5)),
            ("one\ntwo\r", false, Some(4)),
        ] {
            let found = end_of_last_line(bytes.as_bytes(), after_carriage_return);
            assert_eq!(
                found, end,
                "{bytes:?} after a carriage return: {after_carriage_return}"
            );
        }
    }
}
