//! Why a warning is given: the words of the tasks that led to it.
//!
//! Pure. Whoever shows them escapes them: they are somebody's text.

use serde::{Deserialize, Serialize};

use crate::report::untrusted::{cut, one_line};

use super::task::Task;

/// A warning, and whose words led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The warning, as it stands among the others.
    pub warning: String,
    /// The words. Of many tasks only the first are quoted.
    pub quotes: Vec<Quote>,
}

/// Words of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The task that they are in; `None` where they are about several.
    pub task: Option<u32>,
    /// One line.
    pub words: String,
}

/// So many tasks are quoted for one warning.
pub(super) const MOST_QUOTED: usize = 6;

/// The longest quote, in characters.
const LONGEST: usize = 100;

/// The line of a task that has this in it, whatever the case of its letters; else its title.
pub(super) fn quote(task: &Task, part: &str) -> Quote {
    let part = part.to_lowercase();
    let lines = std::iter::once(&*task.title)
        .chain(task.description.lines())
        .chain(task.acceptance.iter().map(String::as_str));
    let line = lines
        .into_iter()
        .find(|line| line.to_lowercase().contains(&part))
        .unwrap_or(&task.title);
    Quote {
        task: Some(task.index),
        words: around(&one_line(without_bullet(line)), &part),
    }
}

/// Words of the plan that are about several tasks.
pub(super) fn of_plan(words: &str) -> Quote {
    Quote {
        task: None,
        words: cut(&one_line(without_bullet(words)), LONGEST),
    }
}

fn without_bullet(line: &str) -> &str {
    let line = line.trim();
    let rest = ["- ", "* ", "+ ", "> "]
        .iter()
        .find_map(|bullet| line.strip_prefix(bullet));
    rest.unwrap_or(line).trim_start()
}

/// A line, or of a long one what is around a part of it.
fn around(line: &str, part: &str) -> String {
    let length = line.chars().count();
    if length <= LONGEST {
        return line.to_owned();
    }
    let lower = line.to_lowercase();
    let at = lower.find(part).unwrap_or(0);
    let before = lower[..at].chars().count();
    let start = before.saturating_sub(LONGEST / 3).min(length - 1);
    let rest: String = line.chars().skip(start).collect();
    let lead = if start > 0 { "…" } else { "" };
    format!("{lead}{}", cut(&rest, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::parse;

    fn words(plan: &str, part: &str) -> String {
        quote(&parse(plan, None).unwrap().tasks[0], part).words
    }

    #[test]
    fn the_line_that_names_it_is_quoted_wherever_it_stands() {
        let plan = "- [ ] Add login\n  - touches `auth/form.py`, and its test\n  - and more\n";
        assert_eq!(
            words(plan, "auth/form.py"),
            "touches `auth/form.py`, and its test"
        );
        assert_eq!(words(plan, "LOGIN"), "Add login");
        assert_eq!(words(plan, "elsewhere.py"), "Add login");
    }

    #[test]
    fn of_a_long_line_the_part_is_shown() {
        let line = format!("{} `pay.py` {}", "before ".repeat(40), "after ".repeat(40));
        let shown = words(&format!("- [ ] Pay\n  {line}\n"), "pay.py");
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
        assert!(shown.contains(" pay.py after"), "{shown}");
        assert!(shown.chars().count() <= LONGEST + 1, "{shown}");
    }
}
