//! Any bytes are read as a journal: what is good of it is a whole number of records, reads the
//! same in two goes, and replays without a panic to a state that can be shown.
//!
//! No chance finds a checksum. So the bytes are read as they are, and once more with each line
//! sealed and numbered, as a program would write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orchestration_fuzz::run::journal::{self, Journal};
use orchestration_fuzz::run::overview::overview;
use orchestration_fuzz::run::publish::publish;
use orchestration_fuzz::run::record::Record;
use orchestration_fuzz::run::state::State;
use orchestration_fuzz::run::status::status_file;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(sealed(bytes).as_bytes());
});

/// The records in the lines, as a journal.
fn sealed(bytes: &[u8]) -> String {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Record>(line).ok())
        .zip(1..)
        .map(|(record, seq)| journal::encode(&Record { seq, ..record }))
        .collect()
}

fn check(bytes: &[u8]) {
    let (journal, corrupt) = journal::read_good(bytes, 0);
    assert!(journal.good_bytes <= bytes.len());
    assert_eq!(journal::read(bytes).is_ok(), corrupt.is_none());
    assert!(
        journal
            .records
            .iter()
            .zip(1..)
            .all(|(record, seq)| record.seq == seq)
    );
    let whole = Journal {
        torn: false,
        ..journal
    };
    assert_eq!(
        journal::read(&bytes[..whole.good_bytes]).as_ref(),
        Ok(&whole),
        "the good part"
    );
    in_two_goes(&bytes[..whole.good_bytes], &whole);
    replay(&whole.records);
}

fn in_two_goes(bytes: &[u8], whole: &Journal) {
    let first = journal::read(&bytes[..bytes.len() / 2]).expect("a torn journal");
    assert_eq!(
        first.records,
        whole.records[..first.records.len()],
        "a prefix"
    );
    let rest = journal::read_on(&bytes[first.good_bytes..], first.records.len());
    let rest = rest.expect("the rest of a good journal");
    assert_eq!([first.records, rest.records].concat(), whole.records);
}

fn replay(records: &[Record]) {
    let state = State::replay(records);
    assert_eq!(state, State::replay(records));
    let Some(state) = state else { return };
    for record in records {
        let _ = publish(record, Some(&state.start));
    }
    for task in &state.tasks {
        let _ = status_file(&state, task, i64::MAX);
    }
    for holder in [None, Some(1)] {
        let _ = overview(&state, holder, None, 0).lines(i64::MAX);
    }
    let _ = state.summary();
}
