//! What reading and judging a plan costs, and how well plans are read: `cargo bench --bench plan`.
//!
//! The reference is the Markdown parser alone over the same bytes. Each round measures a text, one
//! of twice its size, and the reference, one after the other and in CPU time, so that a busy
//! machine disturbs all of them alike; medians over the rounds are quoted. A ratio of 2 for twice
//! the input is linear growth.
//!
//! Where a figure misses its aim the program ends with 1.
//!
//! Each reading is the first of a process of its own, as it is in use: memory that an earlier one
//! left behind would be free for one size and not for the other.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

use std::hint::black_box;
use std::process::Command;

use orchestration::plan::{self, Plan, Tree};
use pulldown_cmark::{Options, Parser};
use rustix::time::{ClockId, clock_gettime};

#[path = "../tests/rust/corpus/score.rs"]
#[expect(dead_code, reason = "the tests also print what is wrong")]
mod score;

const ROUNDS: usize = 25;

/// What plans are read with: GitHub's Markdown.
const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_GFM);

/// Makes a text of a size.
type Maker = fn(usize) -> String;

const TEXTS: [(&str, usize, Maker); 8] = [
    ("25,000 tasks, check list", 25_000, checklist),
    ("25,000 tasks, headings", 25_000, headings),
    ("25,000 tasks, numbered", 25_000, numbered),
    ("quotes in quotes", 1_000_000, |n| nested(">", n)),
    ("lists in lists", 20_000, |n| nested("- ", n)),
    ("quotes and lists in turn", 4_000, |n| nested("> - ", n)),
    ("emphasis in emphasis", 100_000, |n| {
        format!("- [ ] {}a\n", "*a_ ".repeat(n))
    }),
    ("nothing but words of order", 40_000, |n| {
        format!("- [ ] {}\n", "after the first task is done ".repeat(n))
    }),
];

/// What one process measures.
const ONCE: &str = "once";
const TWICE: &str = "twice";
const BARE: &str = "bare";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [what, text] = &arguments[..] {
        return println!("{}", measured(what, text.parse().unwrap()));
    }
    let mut missed = false;
    println!("Reading plans\n");
    println!(
        "{:<28} {:>8} {:>9} {:>13} {:>12}",
        "", "MB", "MB/s", "x CommonMark", "twice input"
    );
    for (at, (name, size, text)) in TEXTS.into_iter().enumerate() {
        missed |= !reading(at, name, &text(size), &text(2 * size));
    }

    println!("\nJudging independence\n");
    println!(
        "{:<28} {:>8} {:>9} {:>26}",
        "", "tasks", "ms", "twice input"
    );
    missed |= !judging("each task its own file", 10_000, |n| {
        (n, format!("src/module_{n}/store.rs"))
    });
    missed |= !judging("all tasks share one file", 10_000, |n| {
        (n, "models/user.py".to_owned())
    });

    println!("\nThe labelled plans\n");
    println!("{:<28} {:>8} {:>14}", "", "F1", "wholly right");
    for folder in ["tuned", "held_out"] {
        let score = score::score(folder);
        println!(
            "{folder:<28} {:>8.3} {:>13.1}%",
            score.f1(),
            100.0 * score.wholly_right()
        );
        missed |= score.f1() < 0.97 || score.wholly_right() < 0.9;
    }
    std::process::exit(i32::from(missed));
}

/// The seconds that this process takes for one of [`TEXTS`].
fn measured(what: &str, text: usize) -> f64 {
    let (_, size, maker) = TEXTS[text];
    let text = maker(if what == TWICE { 2 * size } else { size });
    if what == BARE {
        return seconds(|| {
            let events = Parser::new_ext(black_box(&text), OPTIONS).into_offset_iter();
            events.count()
        });
    }
    seconds(|| plan::parse(black_box(&text), None))
}

/// The same, by a process of its own.
#[expect(clippy::disallowed_methods, reason = "a reading in a new process")]
fn elsewhere(what: &str, text: usize) -> f64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([what, &text.to_string()])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// Returns whether that was quick enough. The large plans have to be read at 20 MB/s.
fn reading(at: usize, name: &str, text: &str, double: &str) -> bool {
    let (mut cost, mut growth, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    // Twice the tasks are a little more than twice the text, for their numbers are longer.
    let doubling = 2.0 * text.len() as f64 / double.len() as f64;
    for _ in 0..ROUNDS {
        let one = elsewhere(ONCE, at);
        let two = elsewhere(TWICE, at);
        cost.push(one);
        growth.push(two / one * doubling);
        floor.push(one / elsewhere(BARE, at));
    }
    let megabytes = text.len() as f64 / 1e6;
    let (cost, growth) = (median(cost), median(growth));
    println!(
        "{name:<28} {megabytes:>8.2} {:>9.1} {:>13.1} {:>12.2}",
        megabytes / cost,
        median(floor),
        growth
    );
    growth <= 2.1 && (megabytes < 4.0 || megabytes / cost >= 20.0)
}

/// Returns whether that was quick enough.
fn judging(name: &str, tasks: usize, task: fn(usize) -> (usize, String)) -> bool {
    let plan = |tasks: usize| -> (Plan, Tree) {
        let named: Vec<_> = (0..tasks).map(task).collect();
        let lines: Vec<_> = named
            .iter()
            .map(|(n, path)| format!("- [ ] Change number {n} of {path}\n"))
            .collect();
        let text = lines.concat();
        let tree = Tree::new(named.into_iter().map(|(_, path)| path));
        (plan::parse(&text, None).unwrap(), tree)
    };
    let ((half, half_tree), (whole, tree)) = (plan(tasks / 2), plan(tasks));
    let (mut cost, mut growth) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let one = seconds(|| plan::validate(&half, Some(&half_tree)));
        let two = seconds(|| plan::validate(&whole, Some(&tree)));
        cost.push(two);
        growth.push(two / one);
    }
    let cost = median(cost);
    println!(
        "{name:<28} {tasks:>8} {:>9.0} {:>26.2}",
        1e3 * cost,
        median(growth)
    );
    cost < 1.0
}

/// A check list of tasks of 200 bytes.
fn checklist(tasks: usize) -> String {
    below_heading(tasks, |n| {
        format!(
            "- [ ] Sub-task {n}: Move module number {n} over to the new storage layer\n  - touches `src/module_{n}/store.rs`\n  - show a message after saving, and keep the old format readable for a while\n"
        )
    })
}

/// One heading for each task, with its criteria as a check list.
fn headings(tasks: usize) -> String {
    below_heading(tasks, |n| {
        format!(
            "### Task {n}: Move module number {n}\n\nIt lives in `src/module_{n}/store.rs` and is read by everybody at start-up.\n\n- [ ] The old format stays readable\n- [ ] Nothing is lost\n\n"
        )
    })
}

/// A numbered list, each task with a paragraph of prose.
fn numbered(tasks: usize) -> String {
    below_heading(tasks, |n| {
        format!(
            "{}. Move module number {n} over to the new storage layer\n\n   Users may not notice it: a file of the old format, as `src/module_{n}/store.rs` writes it, is read as before.\n\n",
            n + 1
        )
    })
}

fn below_heading(tasks: usize, task: fn(usize) -> String) -> String {
    let tasks = (0..tasks).map(task).collect::<String>();
    format!("# Plan\n\n## Tasks\n\n{tasks}")
}

/// A text whose blocks stand in each other, and one task behind it.
fn nested(mark: &str, depth: usize) -> String {
    format!("{}deep\n\n\n\n\n\n- [ ] Add login\n", mark.repeat(depth))
}

/// The time until the result is there; it is taken away after the clock has stopped.
fn seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = now();
    let result = work();
    let end = now();
    drop(black_box(result));
    end - start
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
