//! Any bytes are read as Claude Code's stream, however they were cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orchestration_fuzz::agent::stream::{Sign, Stream, Usage};
use orchestration_fuzz::text::assert_one_line;

fuzz_target!(|bytes: &[u8]| {
    let signs = read([bytes]);
    assert_eq!(
        signs,
        read(bytes.chunks(1 + bytes.len() / 7)),
        "cut in pieces"
    );
    let half = usize::from(bytes.first().copied().unwrap_or_default()).min(bytes.len());
    assert_eq!(signs, read([&bytes[..half], &bytes[half..]]), "cut in two");
    signs.iter().for_each(check);
});

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Sign> {
    let mut stream = Stream::default();
    let mut signs: Vec<_> = pieces
        .into_iter()
        .flat_map(|piece| stream.feed(piece))
        .collect();
    signs.extend(stream.finish());
    signs
}

fn check(sign: &Sign) {
    match sign {
        Sign::Progress { stage, percent } => {
            assert!(!stage.is_empty() && stage.chars().count() <= 120);
            assert_one_line(stage);
            assert!(percent.is_none_or(|percent| percent <= 90));
        }
        Sign::Usage(usage) => check_usage(usage),
        Sign::Denied { tool } => assert_one_line(tool),
        Sign::Result(result) => {
            assert_one_line(&result.text);
            check_usage(&result.usage);
            let _ = result.verdict();
        }
        Sign::Limited { .. } => {}
    }
}

fn check_usage(usage: &Usage) {
    assert!(
        usage
            .cost_usd
            .is_none_or(|cost| cost.is_finite() && cost >= 0.0),
        "{usage:?}"
    );
}
