//! Any text is read as a plan, the same way each time, and its tasks are well formed.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use orchestration_fuzz::plan::{self, Plan, PlanError, Target, Tree};
use orchestration_fuzz::text::assert_one_line;

fuzz_target!(|text: &str| {
    let read = plan::parse(text, Some("plan.md"));
    assert_eq!(read, plan::parse(text, Some("plan.md")));
    match read {
        Ok(plan) => check(&plan),
        Err(PlanError::AllDone { count }) => assert!(count > 0),
        Err(PlanError::NoTasks) => {}
    }
});

fn check(plan: &Plan) {
    assert!(!plan.tasks.is_empty());
    assert!(plan.title.as_deref().is_some_and(|title| !title.is_empty()));
    plan.title.iter().for_each(|title| assert_one_line(title));
    let count = plan.tasks.len() as u32;
    let mut keys = BTreeSet::new();
    for (task, index) in plan.tasks.iter().zip(1..) {
        assert_eq!(task.index, index);
        assert!(!task.title.is_empty());
        assert!(task.title.chars().count() <= 256);
        assert_one_line(&task.title);
        task.acceptance
            .iter()
            .for_each(|line| assert_one_line(line));
        assert!(
            keys.insert(plan::key(&task.title, task.occurrence)),
            "two tasks with one key"
        );
        for dependency in &task.depends_on {
            assert_eq!(dependency.from, index);
            if let Target::Task(to) = dependency.to {
                assert!((1..=count).contains(&to) && to != index, "{dependency:?}");
            }
        }
    }
    let json = serde_json::to_string(plan).expect("plain data");
    assert_eq!(
        serde_json::from_str::<Plan>(&json).expect("what was written"),
        *plan
    );
    let tree = Tree::new(["src/app.py", "README.md", "tests/test_app.py"]);
    let validation = plan::validate(plan, Some(&tree));
    assert_eq!(validation, plan::validate(plan, Some(&tree)));
    for overlap in &validation.overlaps {
        let within = overlap.a < overlap.b && (1..=count).contains(&overlap.b);
        assert!(within, "{overlap:?}");
    }
}
