//! Plans: the specification's formats, what a plan must never do to the parser, and the promises
//! that hold for every text.

use std::fmt::Write as _;

use std::collections::BTreeSet;

use orchestration::plan::{self, IssueRef, Plan, PlanError, Target, Tree, Verdict};
use proptest::prelude::*;

fn parse(text: &str) -> Plan {
    plan::parse(text, None).unwrap()
}

fn titles(text: &str) -> Vec<String> {
    parse(text)
        .tasks
        .into_iter()
        .map(|task| task.title)
        .collect()
}

/// Dependencies between tasks, as pairs.
fn edges(text: &str) -> Vec<(u32, u32)> {
    let validation = plan::validate(&parse(text), None);
    let pairs = validation
        .dependencies
        .iter()
        .filter_map(|dependency| match dependency.to {
            Target::Task(to) => Some((dependency.from, to)),
            Target::Issue(_) => None,
        });
    pairs.collect()
}

#[test]
fn a_plan_without_tasks_is_refused() {
    assert_eq!(plan::parse("Just prose.", None), Err(PlanError::NoTasks));
    assert_eq!(plan::parse("", None), Err(PlanError::NoTasks));
    assert_eq!(
        plan::parse("- [x] a\n- [x] b", None),
        Err(PlanError::AllDone { count: 2 })
    );
}

#[test]
fn the_dry_run_of_the_specification_is_estimated_as_printed_there() {
    let plan = parse(
        "1. Add authentication module\n2. Add authorization middleware\n3. Implement JWT tokens\n\
         4. Add user management API\n5. Create integration tests\n",
    );
    let validation = plan::validate(&plan, None);
    assert_eq!(
        validation
            .complexity
            .iter()
            .map(|one| one.as_str())
            .collect::<Vec<_>>(),
        ["medium", "low", "medium", "high", "medium"]
    );
    assert_eq!(validation.estimate.parallel_minutes, (15, 20));
    assert_eq!(validation.estimate.pull_requests, 5);
    assert_eq!(validation.verdict, Verdict::Proceed);
}

#[test]
fn utilities_of_the_repository_that_two_tasks_name_are_a_warning() {
    let plan = parse("- [ ] Add tokens\n- [ ] Export user data\n- [ ] Delete user accounts\n");
    let tree = Tree::new(["src/utils/user.py", "src/main.py"]);
    let validation = plan::validate(&plan, Some(&tree));
    assert_eq!(
        validation.warnings,
        ["Tasks 2-3 may share user.py utilities"]
    );
    assert_eq!(validation.verdict, Verdict::Warn);
}

#[test]
fn a_file_is_the_same_by_its_full_path_and_by_its_end() {
    let plan = parse("- [ ] Change models/user.py\n- [ ] b\n- [ ] Split src/models/user.py\n");
    let tree = Tree::new(["src/models/user.py"]);
    let validation = plan::validate(&plan, Some(&tree));
    assert_eq!(validation.warnings, ["Tasks 1, 3 name src/models/user.py"]);
    assert!(plan::validate(&plan, None).overlaps.is_empty());
}

#[test]
fn a_task_has_its_description_and_its_criteria() {
    let plan = parse(
        "# Shop\n\nWe sell more.\n\n## Tasks\n\n- [ ] **Cart**: keeps articles\n  - survives a reload\n\n  \
         Acceptance criteria:\n  - [ ] holds 100 articles\n- [ ] Checkout\n",
    );
    assert_eq!(plan.title.as_deref(), Some("Shop"));
    assert_eq!(plan.opening, "We sell more.");
    let cart = &plan.tasks[0];
    assert_eq!(cart.title, "Cart");
    insta::assert_snapshot!(cart.description, @r"
    keeps articles

    - survives a reload
    ");
    assert_eq!(cart.acceptance, ["holds 100 articles"]);
    assert_eq!(plan.tasks.len(), 2);
}

#[test]
fn titles_lose_numbering_and_characters_that_deceive() {
    let found = titles(
        "- [ ] Sub-task 3: Add\u{202e} login\u{7}:\n- [ ] Aufgabe 4 - Suche\n- [ ] 2.1 Index\n",
    );
    assert_eq!(found, ["Add login", "Suche", "Index"]);
}

#[test]
fn an_item_that_begins_with_a_reference_adopts_the_issue() {
    let plan = parse("- [ ] #12\n- [ ] o/r#3: Fix it\n- [ ] Follow up on #4\n");
    let adopts: Vec<_> = plan.tasks.iter().map(|task| task.adopts.clone()).collect();
    let other = IssueRef {
        repository: Some("o/r".into()),
        number: 3,
    };
    assert_eq!(
        adopts,
        [
            Some(IssueRef {
                repository: None,
                number: 12
            }),
            Some(other),
            None
        ]
    );
    assert_eq!(plan.tasks[1].title, "Fix it");
}

#[test]
fn words_order_tasks_only_beside_a_task() {
    assert_eq!(
        edges(
            "- [ ] Log in again after logout\n- [ ] Show a message after saving\n- [ ] Save drafts\n"
        ),
        []
    );
    assert_eq!(
        edges("1. Schema\n2. API, after task 1\n3. Page (requires step 2)\n"),
        [(2, 1), (3, 2)]
    );
    assert_eq!(
        edges("- [ ] Database schema\n- [ ] Queries, once the schema is merged\n"),
        [(2, 1)]
    );
    assert_eq!(edges("- [ ] A\n- [ ] B\n  - independent of task 1\n"), []);
}

#[test]
fn phases_order_the_tasks_below_them() {
    let text = "## Phase 1\n- [ ] A\n- [ ] B\n## Phase 2\n- [ ] C\n";
    assert_eq!(edges(text), [(3, 1), (3, 2)]);
    assert_eq!(
        plan::validate(&parse(text), None).waves,
        [vec![1, 2], vec![3]]
    );
}

#[test]
fn a_circle_is_named_and_still_ordered() {
    let plan = parse("- [ ] A\n  - depends on task 2\n- [ ] B\n  - depends on task 1\n- [ ] C\n");
    let validation = plan::validate(&plan, None);
    assert_eq!(validation.verdict, Verdict::Abort);
    assert_eq!(validation.cycle, Some(vec![1, 2]));
    assert_eq!(validation.order.len(), 3);
}

#[test]
fn keys_survive_small_corrections_and_tell_equal_titles_apart() {
    assert_eq!(plan::key("Add login", 0), plan::key("  add  LOGIN. ", 0));
    assert_ne!(plan::key("Add login", 0), plan::key("Add login", 1));
    let plan = parse("- [ ] Fix it\n- [ ] fix it!\n");
    assert_eq!(plan.tasks[1].occurrence, 1);
}

#[test]
fn a_plan_survives_serialization() {
    let plan = parse("# T\n\n- [ ] A\n- [ ] B\n  - depends on task 1, blocked by #7\n");
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn hostile_texts_are_read_like_any_other() {
    let million = 1_000_000;
    let texts = [
        format!("- [ ] {}", "a".repeat(million)),
        format!("- [ ] {}", "a.a-".repeat(million / 4)),
        format!("- [ ] {}", "after task ".repeat(5_000)),
        format!("{} x\n\n- [ ] A", ">".repeat(20_000)),
        format!("{}x\n\n- [ ] A", "- ".repeat(10_000)),
        format!("{}x\n{}- [ ] A", "- ".repeat(10_000), "\n".repeat(20_000)),
        format!("- [ ] A\n{}", "#".repeat(million)),
        format!("- [ ] {}", "[".repeat(50_000)),
        "- [ ] \0\0\n- [ ] a\0b\n".to_owned(),
        "- [ ] \u{202e}\u{200f}\n- [ ] \u{200f}مرحبا\n".to_owned(),
        "> ".repeat(5_000) + "- [ ] A\n\n- [ ] B",
    ];
    for text in &texts {
        let _ = plan::parse(text, None).map(|plan| plan::validate(&plan, None));
    }
    assert_eq!(titles(&texts[3]), ["A"]);
    assert_eq!(titles(&texts[8]), ["ab"]);
}

#[test]
fn ten_thousand_tasks_that_wait_for_all_others_are_judged() {
    let mut text = String::new();
    for n in 1..=10_000 {
        let _ = writeln!(
            text,
            "- [ ] Task {n}: change models/user.py after all of the above"
        );
    }
    let validation = plan::validate(&parse(&text), None);
    assert_eq!(validation.verdict, Verdict::Abort);
    assert_eq!(validation.order, (1..=10_000).collect::<Vec<_>>());
}

/// Lines that plans are made of.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ ]{0,4}(- |\\* |1\\. |2\\) |> |)(\\[ \\] |\\[x\\] |)(Task [0-9]: |#[0-9]{1,3} |)\\PC{0,30}",
        "#{1,6} (Tasks|Phase [12]|Notes|Acceptance criteria|\\PC{0,12})",
        "(- \\[ \\] |  - )(depends on task|after|blocked by|before|once|依赖任务|タスク) ?#?[0-9]{1,2}( is merged|完了後|)",
        "(```|~~~|<!--|-->|---|\\*\\*[a-z]+:\\*\\*|)",
    ]
}

fn document() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(line(), 0..30).prop_map(|lines| lines.join("\n")),
        any::<String>()
    ]
}

proptest! {
    #[test]
    fn what_is_parsed_keeps_its_promises(text in document()) {
        let Ok(plan) = plan::parse(&text, None) else { return Ok(()) };
        prop_assert_eq!(&plan, &plan::parse(&text, None).unwrap());
        let count = u32::try_from(plan.tasks.len()).unwrap();
        let indexes: Vec<u32> = plan.tasks.iter().map(|task| task.index).collect();
        prop_assert_eq!(&indexes, &(1..=count).collect::<Vec<_>>());
        let keys: BTreeSet<String> = plan.tasks.iter().map(|task| plan::key(&task.title, task.occurrence)).collect();
        prop_assert_eq!(keys.len(), plan.tasks.len());
        for task in &plan.tasks {
            prop_assert!(!task.title.is_empty() && !task.title.contains(char::is_control), "{:?}", task.title);
        }

        let validation = plan::validate(&plan, None);
        prop_assert_eq!(&validation, &plan::validate(&plan, None));
        let mut order = validation.order.clone();
        order.sort_unstable();
        prop_assert_eq!(&order, &indexes);
        let mut waves: Vec<u32> = validation.waves.concat();
        waves.sort_unstable();
        prop_assert_eq!(&waves, &indexes);
        for dependency in &validation.dependencies {
            prop_assert!(dependency.to != Target::Task(dependency.from));
            if let (Target::Task(to), None) = (&dependency.to, &validation.cycle) {
                let at = |task: u32| validation.order.iter().position(|&one| one == task);
                prop_assert!(at(*to) < at(dependency.from));
            }
        }
        prop_assert_eq!(validation.verdict == Verdict::Abort, !validation.dependencies.is_empty());
    }
}
