//! What a dry run says of a plan: the specification's step "Dry Run", filled from a validation.
//!
//! Pure.

use super::console::shown_source;
use super::lines::{self, DryRun};
use crate::plan::{Plan, Target, Validation, Verdict};

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
            format!("Task {} waits for {on}: {}", found.from, found.reason)
        })
        .collect();
    // Every overlap is among the warnings; where there is one, no line claims the contrary.
    let (conflicts, warnings) = if validation.overlaps.is_empty() {
        (Vec::new(), validation.warnings.clone())
    } else {
        (validation.warnings.clone(), Vec::new())
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
        recommendation: &recommendation,
        command: (validation.verdict != Verdict::Abort).then_some(to_run),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{parse, validate};

    fn text(plan: &str) -> String {
        let plan = parse(plan, None).unwrap();
        dry_run(
            "plan.md",
            &plan,
            &validate(&plan, None),
            "parallel-orchestrate plan.md",
        )
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
