//! Merging branches in memory, to see which of them collide.
//!
//! Reads the repository through libgit2; no branch, index or file is touched.

use std::collections::BTreeSet;

use git2::{MergeOptions, Oid, Repository, Tree};

use super::read::{Workspace, commit_tree, failed};
use crate::error::Result;

/// How many files a collision names.
pub const PATHS_NAMED: usize = 20;

/// How many merges are tried. Only branches that touch the same files are merged at all, so this
/// is for the plan in which everybody edits one file.
const MOST_MERGES: usize = 5_000;

/// Two branches that do not merge by themselves, or one and the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// The position of the one among the tips.
    pub one: usize,
    /// The position of the other; `None` is the base.
    pub other: Option<usize>,
    /// The files, the first [`PATHS_NAMED`] of them. Names that are not UTF-8 are shown with
    /// `\u{fffd}`.
    pub paths: Vec<String>,
}

/// What came of all merges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clashes {
    /// What collides.
    pub found: Vec<Clash>,
    /// Pairs that touch the same files and were not tried, because there are too many of them.
    pub untried: usize,
}

/// A branch as a merge sees it.
struct Side<'r> {
    commit: Oid,
    tree: Tree<'r>,
    /// What it changed since the start.
    changed: BTreeSet<Vec<u8>>,
}

impl Workspace {
    /// Merges each tip with the base and with every other tip.
    ///
    /// `start` is the commit that the branches started from, `base` the one that they would be
    /// merged into now; all are commits in full.
    pub fn clashes(&self, start: &str, base: &str, tips: &[String]) -> Result<Clashes> {
        let repository = self.open()?;
        let start = commit_tree(&repository, start)?;
        let side = |commit: &String| side(&repository, &start, commit);
        let tips: Vec<_> = tips.iter().map(side).collect::<Result<_>>()?;
        let base = side(&base.to_owned())?;
        let with_base = (0..tips.len()).map(|one| (one, None));
        let pairs =
            (0..tips.len()).flat_map(|one| (one + 1..tips.len()).map(move |n| (one, Some(n))));
        let other = |other: Option<usize>| other.map_or(&base, |other| &tips[other]);
        let mut near: Vec<_> = with_base
            .chain(pairs)
            .filter(|(one, two)| meet(&tips[*one].changed, &other(*two).changed))
            .collect();
        let untried = near.len().saturating_sub(MOST_MERGES);
        near.truncate(MOST_MERGES);
        let mut found = Vec::new();
        for (one, two) in near {
            let paths = conflicts(&repository, &start, &tips[one], other(two))
                .map_err(|error| failed("merge-tree", &error))?;
            if !paths.is_empty() {
                found.push(Clash {
                    one,
                    other: two,
                    paths,
                });
            }
        }
        Ok(Clashes { found, untried })
    }
}

fn side<'r>(repository: &'r Repository, start: &Tree<'_>, commit: &str) -> Result<Side<'r>> {
    let tree = commit_tree(repository, commit)?;
    let diff = repository
        .diff_tree_to_tree(Some(start), Some(&tree), None)
        .map_err(|error| failed("diff", &error))?;
    let path = |file: git2::DiffFile<'_>| file.path_bytes().map(<[u8]>::to_vec);
    let changed = diff
        .deltas()
        .flat_map(|delta| [path(delta.old_file()), path(delta.new_file())])
        .flatten()
        .collect();
    let commit = Oid::from_str(commit).map_err(|error| failed("rev-parse", &error))?;
    Ok(Side {
        commit,
        tree,
        changed,
    })
}

/// Whether two sets of paths have one in common, or one is a folder in the other.
fn meet(one: &BTreeSet<Vec<u8>>, other: &BTreeSet<Vec<u8>>) -> bool {
    let holds = |paths: &BTreeSet<Vec<u8>>, path: &Vec<u8>| {
        let folder = [path.as_slice(), b"/"].concat();
        paths.contains(path)
            || paths
                .range(folder.clone()..)
                .next()
                .is_some_and(|next| next.starts_with(&folder))
    };
    one.iter().any(|path| holds(other, path)) || other.iter().any(|path| holds(one, path))
}

/// The files of a merge that git leaves to a person.
fn conflicts(
    repository: &Repository,
    start: &Tree<'_>,
    one: &Side<'_>,
    other: &Side<'_>,
) -> std::result::Result<Vec<String>, git2::Error> {
    // A shallow clone may not know the commit where they part; then they part at the start.
    let parted = repository
        .merge_base(one.commit, other.commit)
        .and_then(|commit| repository.find_commit(commit)?.tree());
    let ancestor = parted.as_ref().unwrap_or(start);
    let options = MergeOptions::new();
    let index = repository.merge_trees(ancestor, &one.tree, &other.tree, Some(&options))?;
    let mut paths = BTreeSet::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        paths.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    Ok(paths.into_iter().take(PATHS_NAMED).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&str]) -> BTreeSet<Vec<u8>> {
        paths.iter().map(|path| path.as_bytes().to_vec()).collect()
    }

    #[test]
    fn only_the_same_file_or_a_folder_in_its_place_can_collide() {
        assert!(meet(&set(&["a", "b"]), &set(&["b"])));
        assert!(meet(&set(&["a"]), &set(&["a/b"])));
        assert!(meet(&set(&["a/b"]), &set(&["a"])));
        assert!(!meet(&set(&["a-b", "ab"]), &set(&["a", "a.c"])));
        assert!(!meet(&set(&[]), &set(&["a"])));
    }
}
