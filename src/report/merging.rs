//! What is said of merging the change requests.
//!
//! Pure.

use std::collections::BTreeSet;

use super::untrusted::code;
use crate::run::summary::{MergeConflict, Summary};

/// How many files of a collision are named.
const FILES_NAMED: usize = 3;

/// How many change requests that collide in the same files are named.
const PRS_NAMED: usize = 12;

/// How many lines there are of collisions. A comment has room for 65,536 characters, and the
/// timeline follows.
const MOST_LINES: usize = 30;

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
            problem
                .chain(lines(conflicts, &base))
                .collect::<Vec<_>>()
                .join("\n")
        }
    };
    Some(format!(
        "### Merge Order\n\n{}\n\n{said}",
        numbers.join(" → ")
    ))
}

/// A line for all that collide in the same files: of forty branches that all touch one file there
/// are 780 pairs.
fn lines(conflicts: &[MergeConflict], base: &str) -> Vec<String> {
    let mut groups: Vec<Group> = Vec::new();
    for conflict in conflicts {
        let files = files(conflict);
        let with_base = conflict.other_pr.is_none();
        let known = groups
            .iter()
            .position(|group| group.with_base == with_base && group.files == files);
        let at = known.unwrap_or_else(|| {
            groups.push(Group {
                with_base,
                files,
                prs: BTreeSet::new(),
            });
            groups.len() - 1
        });
        groups[at].prs.insert(conflict.pr);
        groups[at].prs.extend(conflict.other_pr);
    }
    let left_out = groups.len().saturating_sub(MOST_LINES);
    let mut lines: Vec<_> = groups
        .iter()
        .take(MOST_LINES)
        .map(|group| group.line(base))
        .collect();
    if left_out > 0 {
        lines.push(format!("- and so on in {left_out} more sets of files"));
    }
    lines
}

/// Change requests that collide in the same files.
struct Group {
    with_base: bool,
    /// As they are shown.
    files: String,
    prs: BTreeSet<u64>,
}

impl Group {
    fn line(&self, base: &str) -> String {
        let files = &self.files;
        let prs: Vec<_> = self.prs.iter().map(|pr| format!("#{pr}")).collect();
        match (&*prs, self.with_base) {
            ([pr], true) => {
                format!("- {pr} collides with {base} in {files}: bring it up to date first")
            }
            (_, true) => format!(
                "- {} collide with {base} in {files}: bring them up to date first",
                and(&prs)
            ),
            ([one, other], false) => format!(
                "- {one} and {other} collide in {files}: merge one, then bring the other up to date"
            ),
            _ => format!(
                "- {} collide in {files}: merge one after another, each brought up to date before",
                and(&prs)
            ),
        }
    }
}

/// `#1, #2 and #3`, and of many the first.
fn and(prs: &[String]) -> String {
    match prs {
        [all @ .., last] if prs.len() <= PRS_NAMED => format!("{} and {last}", all.join(", ")),
        _ => format!(
            "{} and {} more",
            prs[..PRS_NAMED].join(", "),
            prs.len() - PRS_NAMED
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

        - #1241 and #1244 collide in `a.py`, `b.py`, `c.py` and 1 more: merge one, then bring the other up to date
        - #1241 collides with `main` in ``odd`name.py``: bring it up to date first
        ");
    }

    #[test]
    fn many_that_collide_in_one_file_are_one_line_and_many_files_end() {
        let mut summary = example();
        summary.merge_order = (1..=40).collect();
        summary.merge_conflicts = (1..=40)
            .flat_map(|one| (one + 1..=40).map(move |two| conflict(one, Some(two), &["a.py"])))
            .chain([conflict(1, None, &["b.py"]), conflict(2, None, &["b.py"])])
            .collect();
        let said = section(&summary).unwrap();
        let said = said.split("\n\n").last().unwrap();
        insta::assert_snapshot!(said, @r"
        - #1, #2, #3, #4, #5, #6, #7, #8, #9, #10, #11, #12 and 28 more collide in `a.py`: merge one after another, each brought up to date before
        - #1 and #2 collide with `main` in `b.py`: bring them up to date first
        ");
        summary.merge_conflicts = (1..=40)
            .map(|n| conflict(n, Some(n + 1), &[&format!("{n}.py")]))
            .collect();
        let said = section(&summary).unwrap();
        assert_eq!(
            said.lines().filter(|line| line.starts_with("- ")).count(),
            31
        );
        assert!(
            said.ends_with("- and so on in 10 more sets of files"),
            "{said}"
        );
    }

    #[test]
    fn where_nothing_is_to_be_merged_nothing_is_said() {
        let mut summary = example();
        summary.merge_order.clear();
        assert_eq!(section(&summary), None);
    }
}
