//! What is said of merging the change requests.
//!
//! Pure.

use super::untrusted::code;
use crate::run::summary::{MergeConflict, Summary};

/// How many files of a collision are named.
const FILES_NAMED: usize = 3;

/// The section of the summary; `None` where there is nothing to merge.
pub fn section(summary: &Summary) -> Option<String> {
    if summary.merge_order.is_empty() {
        return None;
    }
    let numbers: Vec<_> = summary
        .merge_order
        .iter()
        .map(|n| format!("#{n}"))
        .collect();
    let base = code(&summary.context.base);
    let said = match (&summary.context.merge_problem, &*summary.merge_conflicts) {
        (None, []) if numbers.len() == 1 => format!("It merges cleanly with {base}."),
        (None, []) => format!("They merge cleanly, with each other and with {base}."),
        (problem, conflicts) => {
            let problem = problem.iter();
            let problem =
                problem.map(|problem| format!("- Not everything was tried: {}", code(problem)));
            let conflicts = conflicts.iter().map(|conflict| line(conflict, &base));
            problem.chain(conflicts).collect::<Vec<_>>().join("\n")
        }
    };
    Some(format!(
        "### Merge Order\n\n{}\n\n{said}",
        numbers.join(" → ")
    ))
}

fn line(conflict: &MergeConflict, base: &str) -> String {
    let files = files(conflict);
    match conflict.other_pr {
        Some(other) => format!(
            "- #{} and #{other} collide in {files}: merge one, then bring the other up to date",
            conflict.pr
        ),
        None => format!(
            "- #{} collides with {base} in {files}: bring it up to date first",
            conflict.pr
        ),
    }
}

/// `` `a.py`, `b.py` and 3 more ``
fn files(conflict: &MergeConflict) -> String {
    let named: Vec<_> = conflict
        .files
        .iter()
        .take(FILES_NAMED)
        .map(|file| code(file))
        .collect();
    match conflict.files.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::tests::example;

    fn conflict(pr: u64, other_pr: Option<u64>, files: &[&str]) -> MergeConflict {
        MergeConflict {
            pr,
            other_pr,
            files: files.iter().map(|&file| file.to_owned()).collect(),
        }
    }

    #[test]
    fn the_order_is_given_and_what_collides_is_named() {
        let mut summary = example();
        summary.merge_order = vec![1240, 1244, 1241];
        insta::assert_snapshot!(section(&summary).unwrap(), @r"
        ### Merge Order

        #1240 → #1244 → #1241

        They merge cleanly, with each other and with `main`.
        ");
        summary.merge_conflicts = vec![
            conflict(1244, Some(1241), &["a.py", "b.py", "c.py", "d.py"]),
            conflict(1241, None, &["odd`name.py"]),
        ];
        insta::assert_snapshot!(section(&summary).unwrap(), @r"
        ### Merge Order

        #1240 → #1244 → #1241

        - #1244 and #1241 collide in `a.py`, `b.py`, `c.py` and 1 more: merge one, then bring the other up to date
        - #1241 collides with `main` in ``odd`name.py``: bring it up to date first
        ");
    }

    #[test]
    fn where_nothing_is_to_be_merged_nothing_is_said() {
        let mut summary = example();
        summary.merge_order.clear();
        assert_eq!(section(&summary), None);
    }
}
