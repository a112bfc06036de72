//! The journal's lines: one JSON object each, checksummed (DESIGN section 6).
//!
//! Pure: text in, records out. A line ends in `,"crc":"xxxxxxxx"}`, the CRC-32 (IEEE 802.3, in
//! lower-case hexadecimal) of the object's bytes without that field. A torn last line is what a
//! crash leaves, and is dropped with a note; a damaged line before the last is an error that
//! names it, because what follows can no longer be trusted to be all.

use std::fmt::Write as _;

use super::record::{Record, VERSION};

/// The field that ends a line, up to the checksum's digits.
const SEAL: &str = ",\"crc\":\"";

/// Why a line is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// No checksum at the end.
    #[error("the checksum is missing")]
    Unsealed,
    /// The checksum is not that of the line.
    #[error("the checksum does not fit")]
    Checksum,
    /// Sealed, but not a record that this version knows.
    #[error("not a record: {0}")]
    Content(String),
    /// A record of a later version.
    #[error("format version {0} is newer than {VERSION}")]
    Version(u32),
    /// The number does not follow that of the line before.
    #[error("record {found} where {expected} was due")]
    Sequence {
        /// The number that was due.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
}

/// A line in the middle of a journal that is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct Corrupt {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub error: LineError,
}

/// A journal as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    /// The records, in order.
    pub records: Vec<Record>,
    /// How many bytes the good lines take: where an appender goes on.
    pub good_bytes: usize,
    /// The last line was torn, and was dropped.
    pub torn: bool,
}

/// One record as a line, with the line break.
pub fn encode(record: &Record) -> String {
    // A record is plain data with string keys, which always has a JSON form.
    let mut line = serde_json::to_string(record).unwrap_or_else(|_| "{}".to_owned());
    let crc = crc32fast::hash(line.as_bytes());
    line.pop();
    line.push_str(SEAL);
    // Writing into a String cannot fail.
    let _ = writeln!(line, "{crc:08x}\"}}");
    line
}

/// One line, without the line break, as a record.
pub fn decode(line: &str) -> Result<Record, LineError> {
    let (object, digits) = line.rsplit_once(SEAL).ok_or(LineError::Unsealed)?;
    let digits = digits.strip_suffix("\"}").ok_or(LineError::Unsealed)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(object.as_bytes());
    hasher.update(b"}");
    if digits != format!("{:08x}", hasher.finalize()) {
        return Err(LineError::Checksum);
    }
    let text = format!("{object}}}");
    let record: Record =
        serde_json::from_str(&text).map_err(|error| LineError::Content(error.to_string()))?;
    if record.v > VERSION {
        return Err(LineError::Version(record.v));
    }
    Ok(record)
}

/// A whole journal.
pub fn read(bytes: &[u8]) -> Result<Journal, Corrupt> {
    read_on(bytes, 0)
}

/// What stands in a journal behind its first `before` records.
pub fn read_on(bytes: &[u8], before: usize) -> Result<Journal, Corrupt> {
    match read_good(bytes, before) {
        (journal, None) => Ok(journal),
        (_, Some(corrupt)) => Err(corrupt),
    }
}

/// The same as far as it is good, and what is damaged there.
pub fn read_good(bytes: &[u8], before: usize) -> (Journal, Option<Corrupt>) {
    let mut journal = Journal {
        records: Vec::new(),
        good_bytes: 0,
        torn: false,
    };
    let mut lines = bytes
        .split_inclusive(|&byte| byte == b'\n')
        .enumerate()
        .peekable();
    while let Some((index, raw)) = lines.next() {
        let decoded = match raw.strip_suffix(b"\n") {
            Some(line) => std::str::from_utf8(line)
                .map_err(|error| LineError::Content(error.to_string()))
                .and_then(decode)
                .and_then(|record| in_sequence(record, before + journal.records.len())),
            None => Err(LineError::Unsealed),
        };
        match decoded {
            Ok(record) => {
                journal.records.push(record);
                journal.good_bytes += raw.len();
            }
            Err(_) if lines.peek().is_none() => journal.torn = true,
            Err(error) => {
                let line = before + index + 1;
                return (journal, Some(Corrupt { line, error }));
            }
        }
    }
    (journal, None)
}

fn in_sequence(record: Record, before: usize) -> Result<Record, LineError> {
    let expected = before as u64 + 1;
    if record.seq == expected {
        Ok(record)
    } else {
        Err(LineError::Sequence {
            expected,
            found: record.seq,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::record::Body;
    use proptest::prelude::*;

    fn record(seq: u64, message: &str) -> Record {
        Record {
            v: VERSION,
            seq,
            time: 1_764_590_400_123,
            at: 42,
            body: Body::Warned {
                agent: Some(3),
                message: message.to_owned(),
            },
        }
    }

    fn journal(messages: &[String]) -> (Vec<Record>, String) {
        let records: Vec<_> = messages
            .iter()
            .zip(1..)
            .map(|(message, seq)| record(seq, message))
            .collect();
        let text = records.iter().map(encode).collect();
        (records, text)
    }

    #[test]
    fn a_line_reads_like_this() {
        insta::assert_snapshot!(encode(&record(7, "kept")).trim_end(), @r#"{"v":1,"seq":7,"time":1764590400123,"at":42,"type":"warned","agent":3,"message":"kept","crc":"13c4aa0f"}"#);
    }

    #[test]
    fn a_flipped_bit_in_the_middle_is_named_by_its_line() {
        let (_, text) = journal(&["one".into(), "two".into(), "three".into()]);
        let damaged = text.replacen("two", "twp", 1);
        let error = read(damaged.as_bytes()).unwrap_err();
        assert_eq!(
            error,
            Corrupt {
                line: 2,
                error: LineError::Checksum
            }
        );
    }

    #[test]
    fn what_stands_before_a_damaged_line_is_good() {
        let (records, text) = journal(&["one".into(), "two".into(), "three".into()]);
        let damaged = text.replacen("two", "twp", 1);
        let (journal, corrupt) = read_good(damaged.as_bytes(), 0);
        assert_eq!(journal.records, records[..1]);
        assert_eq!(journal.good_bytes, text.find('\n').unwrap() + 1);
        assert_eq!(corrupt.map(|corrupt| corrupt.line), Some(2));
    }

    #[test]
    fn a_missing_line_is_noticed() {
        let (records, _) = journal(&["one".into(), "two".into(), "three".into()]);
        let text = [&records[0], &records[2], &records[2]].map(encode).concat();
        let error = read(text.as_bytes()).unwrap_err();
        assert_eq!(
            error.error,
            LineError::Sequence {
                expected: 2,
                found: 3
            }
        );
    }

    #[test]
    fn a_later_version_is_refused_by_name() {
        let mut later = record(1, "x");
        later.v = VERSION + 1;
        assert_eq!(
            decode(encode(&later).trim_end()),
            Err(LineError::Version(VERSION + 1))
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(messages in prop::collection::vec(".*", 0..8)) {
            let (records, text) = journal(&messages);
            let read = read(text.as_bytes()).unwrap();
            prop_assert_eq!(read.records, records);
            prop_assert_eq!(read.good_bytes, text.len());
            prop_assert!(!read.torn);
        }

        #[test]
        fn a_journal_torn_anywhere_keeps_every_whole_line(
            messages in prop::collection::vec(".*", 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let (records, text) = journal(&messages);
            let end = cut.index(text.len());
            let whole = text[..].bytes().take(end).filter(|&byte| byte == b'\n').count();
            let read = read(&text.as_bytes()[..end]).unwrap();
            prop_assert_eq!(&read.records[..], &records[..whole]);
            prop_assert_eq!(read.torn, !text.as_bytes()[..end].ends_with(b"\n") && end > 0);
        }

        #[test]
        fn a_journal_read_in_two_goes_is_the_journal_read_in_one(
            messages in prop::collection::vec(".*", 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let (records, text) = journal(&messages);
            let first = read(&text.as_bytes()[..cut.index(text.len())]).unwrap();
            let rest = read_on(&text.as_bytes()[first.good_bytes..], first.records.len()).unwrap();
            prop_assert_eq!([first.records, rest.records].concat(), records);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }
    }
}
