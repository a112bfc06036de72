//! Speed of parsing and validating: `cargo bench --bench plan`.
//!
//! The promises (issue-sized text at 20 MB/s or better, linear growth, ten thousand tasks judged in
//! under a second) are kept by ratios and counts here, never by a timed test.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use orchestration::plan;

fn main() {
    divan::main();
}

/// A checklist of `count` tasks of 200 bytes.
fn checklist(count: usize) -> String {
    let mut text = String::from("# Plan\n\n## Tasks\n\n");
    for n in 0..count {
        let task = format!(
            "- [ ] Sub-task {n}: Move module number {n} over to the new storage layer\n  - touches `src/module_{n}/store.rs`\n  - show a message after saving, and keep the old format readable for a while\n"
        );
        text.push_str(&task);
    }
    text
}

#[divan::bench(args = [12_500, 25_000], sample_count = 10)]
fn parse_checklist(bencher: Bencher<'_, '_>, tasks: usize) {
    let text = checklist(tasks);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| plan::parse(black_box(&text), None));
}

#[divan::bench(args = [12_500, 25_000], sample_count = 10)]
fn parse_headings(bencher: Bencher<'_, '_>, tasks: usize) {
    let mut text = String::from("# Plan\n\n## Tasks\n\n");
    for n in 0..tasks {
        let task = format!(
            "### Task {n}: Move module number {n}\n\nIt lives in `src/module_{n}/store.rs` and is read by everybody at start-up.\n\n- [ ] The old format stays readable\n- [ ] Nothing is lost\n\n"
        );
        text.push_str(&task);
    }
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| plan::parse(black_box(&text), None));
}

#[divan::bench(args = [500_000, 1_000_000], sample_count = 5)]
fn parse_deep_quotes(bencher: Bencher<'_, '_>, depth: usize) {
    let text = format!("{} deep\n\n- [ ] Add login\n", ">".repeat(depth));
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| plan::parse(black_box(&text), None));
}

#[divan::bench(args = [10_000, 20_000], sample_count = 5)]
fn parse_deep_list(bencher: Bencher<'_, '_>, depth: usize) {
    let text = format!("{}deep\n\n\n\n\n\n- [ ] Add login\n", "- ".repeat(depth));
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| plan::parse(black_box(&text), None));
}

#[divan::bench(args = [5_000, 10_000], sample_count = 5)]
fn validate_independent(bencher: Bencher<'_, '_>, tasks: usize) {
    let parsed = plan::parse(&checklist(tasks), None).expect("a plan");
    let tree = plan::Tree::new((0..tasks).map(|n| format!("src/module_{n}/store.rs")));
    bencher.bench(|| plan::validate(black_box(&parsed), Some(&tree)));
}

#[divan::bench(args = [5_000, 10_000], sample_count = 5)]
fn validate_one_shared_file(bencher: Bencher<'_, '_>, tasks: usize) {
    let mut text = String::new();
    for n in 0..tasks {
        let task = format!("- [ ] Change number {n} of models/user.py\n");
        text.push_str(&task);
    }
    let parsed = plan::parse(&text, None).expect("a plan");
    bencher.bench(|| plan::validate(black_box(&parsed), None));
}
