//! Parsing and independence, scored on the labelled plans in `tests/fixtures/plans`.
//!
//! The documents of `tuned` may be looked at when a rule is changed; those of `held_out` are only
//! counted, so that the figures say something about documents that nobody has seen.

mod score;

use score::score;

const F1: f64 = 0.97;
const WHOLLY_RIGHT: f64 = 0.9;

#[test]
fn the_tuned_plans_are_read_as_labelled() {
    let score = score("tuned");
    println!("{}{}", score.line("tuned"), score.details());
    assert!(
        score.f1() >= F1 && score.wholly_right() >= WHOLLY_RIGHT,
        "{}{}",
        score.line("tuned"),
        score.details()
    );
}

#[test]
fn the_held_out_plans_are_read_as_labelled() {
    let score = score("held_out");
    println!("{}", score.line("held_out"));
    assert!(
        score.f1() >= 0.95 && score.wholly_right() >= 0.8,
        "{}",
        score.line("held_out")
    );
}
