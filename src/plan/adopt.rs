//! Issues that stand for tasks already, beside those that the plan's own text names.
//!
//! Pure.

use std::collections::HashMap;

use super::footprint;
use super::ordering;
use super::reference::Named;
use super::task::{Dependency, Plan, Target, Task};
use super::title::{self, IssueRef};

impl Plan {
    /// A plan whose text names no tasks: all that it has are issues.
    pub fn of_issues(title: &str, opening: &str) -> Self {
        let title = title::clean(title);
        Self {
            title: (!title.is_empty()).then_some(title),
            opening: opening.trim().to_owned(),
            ..Self::default()
        }
    }

    /// Whether a task stands for this issue already.
    pub fn adopts(&self, number: u64) -> bool {
        self.tasks.iter().any(|task| {
            task.adopts
                .as_ref()
                .is_some_and(|issue| issue.repository.is_none() && issue.number == number)
        })
    }

    /// Adds tasks, one for each issue that none stands for yet: number, title and text.
    ///
    /// What their texts say about files and about other issues counts as for any task.
    pub fn adopt<'i>(&mut self, issues: impl IntoIterator<Item = (u64, &'i str, &'i str)>) {
        let mut seen: HashMap<String, u32> = HashMap::new();
        for task in &self.tasks {
            *seen.entry(title::normalized(&task.title)).or_default() += 1;
        }
        let mut statements = Vec::new();
        for (number, name, body) in issues {
            if self.adopts(number) {
                continue;
            }
            let index = u32::try_from(self.tasks.len() + 1).unwrap_or(u32::MAX);
            let title = title::clean(name);
            let text = format!("{title}\n{body}");
            let occurrence = seen.entry(title::normalized(&title)).or_default();
            for statement in ordering::statements(&text.to_lowercase()) {
                statements.push((index, statement));
            }
            self.tasks.push(Task {
                index,
                paths: footprint::paths(&text),
                description: body.trim().to_owned(),
                acceptance: Vec::new(),
                adopts: Some(IssueRef {
                    repository: None,
                    number,
                }),
                depends_on: Vec::new(),
                occurrence: *occurrence,
                title,
            });
            *occurrence += 1;
        }
        for (index, statement) in statements {
            self.wait(index, &statement);
        }
    }

    /// An issue's text speaks for itself, and names others by their numbers: `depends on #12`.
    fn wait(&mut self, index: u32, statement: &ordering::Statement) {
        if !statement.subjects.is_empty() {
            return;
        }
        for named in &statement.objects {
            let Named::Issue(issue) = named else { continue };
            let task = self
                .tasks
                .iter()
                .find(|task| task.adopts.as_ref() == Some(issue));
            let to = match task {
                Some(task) if task.index == index => continue,
                Some(task) => Target::Task(task.index),
                None => Target::Issue(issue.clone()),
            };
            let task = &mut self.tasks[index as usize - 1];
            if task.depends_on.iter().all(|known| known.to != to) {
                task.depends_on.push(Dependency {
                    from: index,
                    to,
                    reason: statement.reason.clone(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::parse;

    #[test]
    fn each_issue_becomes_one_task_behind_those_of_the_text() {
        let mut plan = parse("# Shop\n\n- [ ] Add cart\n- [ ] #7\n", None).unwrap();
        plan.adopt([
            (7, "Named above", ""),
            (9, "Add login", "Touch `auth/login.py`."),
        ]);
        let numbers: Vec<_> = plan
            .tasks
            .iter()
            .map(|task| (task.index, task.adopts.as_ref().map(|issue| issue.number)))
            .collect();
        assert_eq!(numbers, [(1, None), (2, Some(7)), (3, Some(9))]);
        assert_eq!(plan.tasks[2].paths, ["auth/login.py"]);
        assert_eq!(plan.tasks[2].description, "Touch `auth/login.py`.");
    }

    #[test]
    fn issues_that_wait_for_each_other_depend_and_equal_titles_are_told_apart() {
        let mut plan = Plan::of_issues("Shop", "");
        plan.adopt([
            (7, "Add login", ""),
            (8, "Add login", "Depends on #7."),
            (9, "Add cart", "Blocked by #99."),
        ]);
        assert_eq!(plan.tasks[1].depends_on[0].to, Target::Task(1));
        assert!(
            matches!(&plan.tasks[2].depends_on[0].to, Target::Issue(issue) if issue.number == 99)
        );
        let occurrences: Vec<_> = plan.tasks.iter().map(|task| task.occurrence).collect();
        assert_eq!(occurrences, [0, 1, 0]);
    }
}
