//! Any file of an agent is read as a claim, and no claim says more than an agent may.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orchestration_fuzz::agent::claim::{self, LARGEST, LONGEST_STAGE};
use orchestration_fuzz::text::assert_one_line;

fuzz_target!(|bytes: &[u8]| {
    let read = claim::read(bytes);
    assert_eq!(read, claim::read(bytes));
    let Ok(claim) = read else { return };
    assert!(bytes.len() <= LARGEST);
    assert!(claim.percent.is_none_or(|percent| percent <= 100));
    if let Some(stage) = claim.stage {
        assert!(!stage.is_empty() && stage.chars().count() <= LONGEST_STAGE);
        assert_one_line(&stage);
    }
});
