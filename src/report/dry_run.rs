//! What a dry run says of a plan: the specification's step "Dry Run", filled from a validation.
//!
//! Pure.

use super::console::shown_source;
use super::lines::{self, DryRun, Finding};
use super::text::duration;
use crate::plan::{Estimate, Plan, Quote, Target, Validation, Verdict};

/// The text of a dry run. `to_run` is the command that runs it.
pub fn dry_run(source: &str, plan: &Plan, validation: &Validation, to_run: &str) -> String {
    let tasks: Vec<_> = plan
        .tasks
        .iter()
        .zip(&validation.complexity)
        .map(|(task, complexity)| (task.title.clone(), complexity.as_str()))
        .collect();
    let dependencies: Vec<_> = validation
        .dependencies
        .iter()
        .map(|found| {
            let on = match &found.to {
                Target::Task(number) => format!("task {number}"),
                Target::Issue(issue) => issue.to_string(),
            };
            format!("Task {} waits for {on}: {}", found.from, found.reason).into()
        })
        .collect();
    // Every overlap is among the warnings; where there is one, no line claims the contrary.
    let found = warnings(validation);
    let (conflicts, warnings) = if validation.overlaps.is_empty() {
        (Vec::new(), found)
    } else {
        (found, Vec::new())
    };
    let numbers = |numbers: &[u32], between: &str| {
        numbers
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(between)
    };
    let recommendation = match (validation.verdict, &validation.cycle) {
        (Verdict::Proceed, _) => "Proceed with orchestration".to_owned(),
        (Verdict::Warn, _) => "Review the warnings, then proceed with --yes".to_owned(),
        (Verdict::Abort, Some(cycle)) => {
            format!("Break the circle of tasks {}", numbers(cycle, " → "))
        }
        (Verdict::Abort, None) => {
            format!(
                "Run the tasks one after another: {}",
                numbers(&validation.order, ", ")
            )
        }
    };
    let (from, to) = validation.estimate.parallel_minutes;
    lines::dry_run(&DryRun {
        source: &shown_source(source),
        tasks: &tasks,
        conflicts: &conflicts,
        dependencies: &dependencies,
        warnings: &warnings,
        minutes: (u64::from(from), u64::from(to)),
        reckoned_from: &reckoned_from(&validation.estimate),
        recommendation: &recommendation,
        command: (validation.verdict != Verdict::Abort).then_some(to_run),
    })
}

/// The warnings, each with the words that led to it.
fn warnings(validation: &Validation) -> Vec<Finding> {
    let because = |warning: &String| {
        let mut reasons = validation.reasons.iter();
        let reason = reasons.find(|reason| reason.warning == *warning);
        reason.map_or_else(Vec::new, |reason| {
            reason.quotes.iter().map(quoted).collect()
        })
    };
    let finding = |warning: &String| Finding {
        line: warning.clone(),
        because: because(warning),
    };
    validation.warnings.iter().map(finding).collect()
}

/// `Task 1: "Add the model in models/user.py"`
fn quoted(quote: &Quote) -> String {
    match quote.task {
        Some(task) => format!("Task {task}: \"{}\"", quote.words),
        None => format!("The plan: \"{}\"", quote.words),
    }
}

/// What the estimated duration comes from.
fn reckoned_from(estimate: &Estimate) -> String {
    let Some(past) = &estimate.past else {
        return "a rule of thumb, since no task has succeeded here yet".to_owned();
    };
    let median = duration(f64::from(past.median_seconds));
    match past.tasks {
        1 => format!("1 past task here, which took {median}"),
        tasks => format!("{tasks} past tasks here, which took {median} each (median)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Pace, Past, Tree, estimate, parse, validate};

    fn text(plan: &str) -> String {
        let plan = parse(plan, None).unwrap();
        shown(&plan, &validate(&plan, None))
    }

    fn shown(plan: &Plan, validation: &Validation) -> String {
        dry_run("plan.md", plan, validation, "parallel-orchestrate plan.md")
    }

    #[test]
    fn every_warning_has_the_words_that_led_to_it() {
        let plan = parse(
            "# Users\n\n- [ ] Add the model in models/user.py\n\
             - [ ] Add the API\n  - reads `models/user.py`\n\
             - [ ] Move all of models/ to the new base\n\
             - [ ] Add dates to the invoice\n- [ ] Parse dates of orders\n\n\
             Tasks 4 and 5 share the clock.\n",
            None,
        )
        .unwrap();
        let tree = Tree::new(["models/user.py", "utils/dates.py"]);
        let mut validation = validate(&plan, Some(&tree));
        let past = Past::of([250.0; 12]);
        validation.estimate = estimate(
            &plan,
            &Pace {
                past,
                ..Pace::default()
            },
        );
        insta::assert_snapshot!(shown(&plan, &validation), @r#"
        🔍 DRY RUN MODE
        🚀 Parsed 5 sub-tasks from plan.md

        Sub-tasks identified:
        1. Add the model in models/user.py (estimated complexity: low)
        2. Add the API (estimated complexity: medium)
        3. Move all of models/ to the new base (estimated complexity: low)
        4. Add dates to the invoice (estimated complexity: low)
        5. Parse dates of orders (estimated complexity: low)

        Independence validation:
        ⚠️  Tasks 1-3 name models/user.py
            Task 1: "Add the model in models/user.py"
            Task 2: "reads `models/user.py`"
            Task 3: "Move all of models/ to the new base"
        ⚠️  Tasks 4-5 may share dates.py utilities
            Task 4: "Add dates to the invoice"
            Task 5: "Parse dates of orders"
        ⚠️  Tasks 4-5 may share clock
            The plan: "tasks 4 and 5 share the clock."
        ✅ No sequential dependencies

        Estimated duration: 5 minutes (parallel)
        Estimated PRs: 5
        Estimated from: 12 past tasks here, which took 4m 10s each (median)

        Recommendation: Review the warnings, then proceed with --yes
        To run: parallel-orchestrate plan.md
        "#);
    }

    #[test]
    fn hostile_words_draw_nothing() {
        let text = text("- [ ] Add \u{1b}[2Ja in m.py\n- [ ] Add b in m.py\n");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn an_independent_plan_may_proceed() {
        let text = text("- [ ] Fix the login page in auth/\n- [ ] Fix the invoice total in pay/\n");
        assert!(text.contains("✅ No file conflicts detected\n✅ No sequential dependencies"));
        assert!(text.ends_with("To run: parallel-orchestrate plan.md"));
    }

    #[test]
    fn a_plan_with_an_order_is_not_offered_to_be_run() {
        let text = text("- [ ] Add the schema\n- [ ] Add the API (after task 1)\n");
        assert!(text.contains("❌ Task 2 waits for task 1"), "{text}");
        assert!(
            text.ends_with("Recommendation: Run the tasks one after another: 1, 2"),
            "{text}"
        );
    }

    #[test]
    fn tasks_that_name_the_same_file_are_said_to() {
        let text = text("- [ ] Add model in models/user.py\n- [ ] Add API in models/user.py\n");
        assert!(!text.contains("No file conflicts"), "{text}");
        assert!(text.contains("⚠️  "), "{text}");
    }
}
