use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// A recording of the real program.
macro_rules! recording {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/claude/", $name, ".jsonl"))
    };
}

fn signs(text: &str) -> Vec<Sign> {
    let mut stream = Stream::default();
    let mut signs = stream.feed(text.as_bytes());
    signs.append(&mut stream.finish());
    signs
}

/// The signs as lines that people read.
fn told(text: &str) -> String {
    let mut lines = String::new();
    for sign in signs(text) {
        let _ = match sign {
            Sign::Progress { stage, percent } => match percent {
                Some(percent) => writeln!(lines, "{percent:>3}% {stage}"),
                None => writeln!(lines, "     {stage}"),
            },
            Sign::Usage(usage) => writeln!(lines, "     {}", spent(&usage)),
            Sign::Limited { until } => writeln!(lines, "     limited until {until:?}"),
            Sign::Denied { tool } => writeln!(lines, "     denied: {tool}"),
            Sign::Result(result) => writeln!(
                lines,
                "{:?}{}: {:?}\n{}, {} denied",
                result.verdict(),
                if result.waits { ", waiting" } else { "" },
                result.text,
                spent(&result.usage),
                result.denials
            ),
        };
    }
    lines
}

fn spent(usage: &Usage) -> String {
    let cost = usage.cost_usd.map(|cost| format!(" ${cost:.3}"));
    format!(
        "{} in, {} out, {} turns{}",
        usage.input_tokens,
        usage.output_tokens,
        usage.turns,
        cost.unwrap_or_default()
    )
}

#[test]
fn a_success_is_told_step_by_step() {
    insta::assert_snapshot!(told(recording!("success")), @r#"
         1000 in, 1 out, 1 turns
         List the files
         Writing greeting.py
         2000 in, 2 out, 2 turns
         Run the program
         3000 in, 3 out, 3 turns
         Commit the work
         4000 in, 4 out, 4 turns
         5000 in, 5 out, 5 turns
    Done: "The greeting is there."
    5000 in, 250 out, 5 turns $0.025, 0 denied
    "#);
}

#[test]
fn tasks_give_stage_and_percent() {
    insta::assert_snapshot!(told(recording!("tasks")), @r#"
         1000 in, 1 out, 1 turns
      0% Writing code
         2000 in, 2 out, 2 turns
     50% Writing code
         3000 in, 3 out, 3 turns
     50% Run the tests
         4000 in, 4 out, 4 turns
         5000 in, 5 out, 5 turns
    Done: "Done."
    5000 in, 250 out, 6 turns $0.025, 0 denied
    "#);
}

#[test]
fn a_list_of_todos_gives_the_same() {
    insta::assert_snapshot!(told(recording!("todos")), @r#"
     33% Running tests
         1000 in, 1 out, 1 turns
         2000 in, 2 out, 2 turns
    Done: "Done."
    2000 in, 100 out, 2 turns $0.010, 0 denied
    "#);
}

#[test]
fn a_subagent_shows_its_work_and_costs() {
    insta::assert_snapshot!(told(recording!("subagent")), @r#"
         Asking a subagent: Look around
         1000 in, 1 out, 1 turns
         List the files
         2000 in, 2 out, 1 turns
         3000 in, 3 out, 2 turns
    Done: "Done."
    4000 in, 200 out, 2 turns $0.020, 0 denied
    "#);
}

#[test]
fn what_goes_on_in_the_background_is_waited_for() {
    insta::assert_snapshot!(told(recording!("background")), @r#"
         Wait a little
         1000 in, 1 out, 1 turns
         2000 in, 2 out, 2 turns
    Done, waiting: "Started."
    2000 in, 100 out, 2 turns $0.010, 0 denied
         3000 in, 101 out, 3 turns $0.010
    Done: "It has ended."
    3000 in, 150 out, 3 turns $0.015, 0 denied
    "#);
}

#[test]
fn denials_are_told_one_by_one_and_are_no_error() {
    insta::assert_snapshot!(told(recording!("denied")), @r#"
         Run a command
         1000 in, 1 out, 1 turns
         denied: Bash
         Writing greeting.py
         2000 in, 2 out, 2 turns
         denied: Write
         3000 in, 3 out, 3 turns
    Done: "I may not."
    3000 in, 150 out, 3 turns $0.015, 2 denied
    "#);
}

#[test]
fn an_overloaded_provider_is_told_from_a_failure() {
    insta::assert_snapshot!(told(recording!("overload")), @r#"
         Asking the model again, 1 of 1 times (overloaded)
    Overloaded: "API Error: 529 Overloaded. This is a server-side issue, usually temporary — try again in a moment. If it persists, check…"
    0 in, 0 out, 1 turns $0.000, 0 denied
    "#);
    insta::assert_snapshot!(told(recording!("server_error")), @r#"
         Asking the model again, 1 of 1 times (server error)
    Overloaded: "API Error: 500 Internal server error. This is a server-side issue, usually temporary — try again in a moment. If it pers…"
    0 in, 0 out, 1 turns $0.000, 0 denied
    "#);
}

#[test]
fn a_usage_limit_says_until_when_where_the_provider_does() {
    insta::assert_snapshot!(told(recording!("usage_limit_of_a_plan")), @r#"
         limited until Some(1800000000)
    UsageLimit { until: Some(1800000000) }: "You've hit your 5-hour limit · resets 8am (UTC)"
    0 in, 0 out, 1 turns $0.000, 0 denied
    "#);
    insta::assert_snapshot!(told(recording!("rate_limit")), @r#"
    UsageLimit { until: None }: "API Error: Request rejected (429) · This request would exceed your usage limit."
    0 in, 0 out, 1 turns $0.000, 0 denied
    "#);
}

#[test]
fn limits_of_the_agents_own_end_it() {
    insta::assert_snapshot!(told(recording!("max_turns")), @r#"
         Run a command
         1000 in, 1 out, 1 turns
         2000 in, 2 out, 2 turns
    Failed { message: "Reached maximum number of turns (2)" }: "Reached maximum number of turns (2)"
    2000 in, 100 out, 3 turns $0.010, 0 denied
    "#);
    insta::assert_snapshot!(told(recording!("max_budget")), @r#"
         Run a command
         50000 in, 1 out, 1 turns
         100000 in, 2 out, 2 turns
    BudgetExceeded: "Reached maximum budget ($0.25)"
    100000 in, 100 out, 2 turns $0.402, 0 denied
    "#);
}

#[test]
fn a_resumed_session_counts_this_run_alone() {
    insta::assert_snapshot!(told(recording!("resumed")), @r#"
         1000 in, 1 out, 1 turns
    Done: "Now."
    1000 in, 50 out, 1 turns $0.005, 0 denied
    "#);
}

#[test]
fn a_session_that_is_not_there_is_known() {
    insta::assert_snapshot!(told(recording!("unknown_session")), @r#"
    UnknownSession: "No conversation found with session ID: 00000000-0000-4000-8000-000000000001"
    0 in, 0 out, 0 turns $0.000, 0 denied
    "#);
}

/// The only result in a text.
fn result(text: &str) -> AgentResult {
    match signs(text).pop() {
        Some(Sign::Result(result)) => result,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_flag_decides_and_not_the_subtype() {
    let failed = r#"{"type": "result", "subtype": "success", "is_error": true, "result": "No."}"#;
    let message = "No.".to_owned();
    assert_eq!(result(failed).verdict(), Verdict::Failed { message });
    let done = r#"{"type": "result", "subtype": "error_max_turns", "is_error": false}"#;
    assert_eq!(result(done).verdict(), Verdict::Done);
    let neither = r#"{"type": "result", "subtype": "success"}"#;
    assert_ne!(result(neither).verdict(), Verdict::Done);
}

#[test]
fn a_limit_that_was_lifted_or_is_paid_for_is_none() {
    let event =
        |info: &str| format!(r#"{{"type": "rate_limit_event", "rate_limit_info": {info}}}"#) + "\n";
    let failed = r#"{"type": "result", "subtype": "success", "is_error": true, "result": "No."}"#;
    let rejected = event(r#"{"status": "rejected", "resetsAt": 1800000000}"#);
    let allowed = event(r#"{"status": "allowed_warning", "resetsAt": 1800000000}"#);
    let paid = event(r#"{"status": "rejected", "isUsingOverage": true}"#);

    let until = Some(1_800_000_000);
    let limited = result(&(rejected.clone() + failed));
    assert_eq!(limited.verdict(), Verdict::UsageLimit { until });
    for lifted in [rejected + &allowed + failed, paid + failed] {
        let verdict = result(&lifted).verdict();
        assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
    }
}

#[test]
fn several_results_add_up() {
    let part = |cost: f64| {
        format!(
            r#"{{"type": "result", "is_error": false, "num_turns": 1, "model_usage_since_last_result":
            {{"m": {{"inputTokens": 5, "cacheReadInputTokens": 2, "outputTokens": 3, "costUSD": {cost}}}}}}}"#
        )
        .replace('\n', "")
            + "\n"
    };
    let usage = result(&(part(0.25) + &part(0.5))).usage;
    assert_eq!(spent(&usage), "14 in, 6 out, 2 turns $0.750");
}

#[test]
fn a_version_without_an_account_by_model_is_taken_at_its_totals() {
    let line = r#"{"type": "result", "is_error": false, "num_turns": 4, "total_cost_usd": 0.125,
        "usage": {"input_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 3,
        "output_tokens": 7}}"#;
    let usage = result(&line.replace('\n', " ")).usage;
    assert_eq!(spent(&usage), "6 in, 7 out, 4 turns $0.125");
}

#[test]
fn a_stage_is_one_short_line_without_control_characters() {
    let description = format!("Clear\u{1b}[2J\\u001b[31m\\nthe {}", "long ".repeat(60));
    let call = format!(
        r#"{{"type": "assistant", "message": {{"content": [{{"type": "tool_use", "name": "Bash",
        "input": {{"description": "{}"}}}}]}}}}"#,
        description.replace('\u{1b}', "\\u001b")
    );
    let signs = signs(&call.replace('\n', " "));
    let [Sign::Progress { stage, .. }] = signs.as_slice() else {
        panic!("{signs:?}");
    };
    assert!(stage.starts_with("Clear the long long"), "{stage}");
    assert!(stage.chars().count() <= LONGEST_STAGE);
}

#[test]
fn a_list_that_is_done_claims_ninety_percent() {
    let call = r#"{"type": "assistant", "message": {"content": [
        {"type": "tool_use", "name": "Read", "input": {"file_path": "/a/b"}},
        {"type": "tool_use", "name": "TodoWrite", "input": {"todos": [{"status": "completed"}]}}]}}"#;
    let stage = "Reading /a/b".to_owned();
    let percent = Some(90);
    assert_eq!(
        signs(&call.replace('\n', " ")).last(),
        Some(&Sign::Progress { stage, percent })
    );
}

#[test]
fn a_line_that_is_too_long_is_passed_over_and_the_next_is_read() {
    let long = format!(
        r#"{{"type": "result", "is_error": false, "result": "{}"}}"#,
        "x".repeat(LONGEST_LINE)
    );
    let short = r#"{"type": "result", "is_error": false, "result": "short"}"#;
    assert_eq!(signs(&format!("{long}\n{short}\n")).len(), 1);
    assert_eq!(result(&format!("{long}\n{short}")).text, "short");
}

#[test]
fn what_is_not_utf8_is_replaced() {
    let mut stream = Stream::default();
    let line = b"{\"type\": \"result\", \"is_error\": false, \"result\": \"caf\xe9\"}\n";
    let signs = stream.feed(line);
    let [Sign::Result(result)] = signs.as_slice() else {
        panic!("{signs:?}");
    };
    assert_eq!(result.text, "caf\u{fffd}");
}

#[test]
fn lines_of_no_known_kind_say_nothing() {
    for line in [
        "",
        "Warning: something",
        "[]",
        "null",
        "{\"type\": 7}",
        "{\"type\": \"assistant\"}",
        "{\"type\": \"assistant\", \"message\": {\"content\": \"text\"}}",
        "{\"type\": \"new_kind\", \"is_error\": true}",
        "{\"type\": \"result\", \"is_error\": fal",
    ] {
        assert_eq!(signs(&format!("{line}\n")), [], "{line}");
    }
}

/// Everything that was recorded, as one stream.
fn everything() -> String {
    [
        recording!("success"),
        recording!("tasks"),
        recording!("todos"),
        recording!("subagent"),
        recording!("denied"),
        recording!("overload"),
        recording!("usage_limit_of_a_plan"),
        recording!("max_budget"),
    ]
    .concat()
}

/// JSON of the kinds of events, with any values at the places that are read.
fn odd_event() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("[[]]".to_owned()),
        Just("{\"id\": []}".to_owned()),
        Just("[{\"type\": \"tool_use\", \"name\": \"TodoWrite\", \"input\": [1]}]".to_owned()),
        any::<f64>().prop_filter_map("finite", |number| number
            .is_finite()
            .then(|| number.to_string())),
        any::<u64>().prop_map(|number| number.to_string()),
        "[a-z_]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    let kind = prop::sample::select(vec!["system", "assistant", "user", "result"]);
    (kind, prop::collection::vec(value, 8)).prop_map(|(kind, v)| {
        format!(
            r#"{{"type": "{kind}", "subtype": {}, "message": {{"id": {}, "content": {}, "usage":
            {{"input_tokens": {}}}}}, "usage": {}, "total_cost_usd": {}, "tool_use_result":
            {{"task": {}}}, "model_usage_since_last_result": {{"m": {{"costUSD": {}}}}}}}"#,
            v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
        )
        .replace('\n', " ")
    })
}

proptest! {
    #[test]
    fn any_cut_of_the_bytes_gives_the_same_signs(
        cuts in prop::collection::vec(1..4000_usize, 1..40)
    ) {
        let whole = everything();
        let mut stream = Stream::default();
        let mut cut = Vec::new();
        let mut rest = whole.as_bytes();
        for length in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            cut.append(&mut stream.feed(piece));
            rest = after;
        }
        cut.append(&mut stream.finish());
        prop_assert_eq!(cut, signs(&whole));
    }

    #[test]
    fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut stream = Stream::default();
        stream.feed(&bytes);
        stream.finish();
    }

    #[test]
    fn any_values_at_known_places_are_borne(lines in prop::collection::vec(odd_event(), 1..6)) {
        signs(&lines.join("\n"));
    }
}
