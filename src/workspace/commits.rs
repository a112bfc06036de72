//! What the commits of a branch would publish: their messages, names and contents.
//!
//! Reads through libgit2. What counts as a secret is the caller's to say.

use std::path::Path;

use git2::{Commit, DiffFindOptions, Oid, Repository};

/// Where the commits from `base` to `head` hold what `is_secret` knows and what was there before
/// does not: `src/app.py in commit 1a2b3c4`. What one commit adds and the next takes out is
/// published as well.
pub fn find_secret(
    repository: &Path,
    base: &str,
    head: &str,
    is_secret: impl Fn(&[u8]) -> bool,
) -> Result<Option<String>, git2::Error> {
    let repository = Repository::open(repository)?;
    let mut walk = repository.revwalk()?;
    walk.push(Oid::from_str(head)?)?;
    walk.hide(Oid::from_str(base)?)?;
    for commit in walk {
        let commit = repository.find_commit(commit?)?;
        let found = in_commit(&repository, &commit, &is_secret)?;
        if let Some(place) = found {
            let name: String = commit.id().to_string().chars().take(7).collect();
            return Ok(Some(format!("{place} in commit {name}")));
        }
    }
    Ok(None)
}

fn in_commit(
    repository: &Repository,
    commit: &Commit<'_>,
    is_secret: impl Fn(&[u8]) -> bool,
) -> Result<Option<String>, git2::Error> {
    if is_secret(commit.message_raw_bytes()) || is_secret(commit.raw_header_bytes()) {
        return Ok(Some("the message".to_owned()));
    }
    let before = commit.parents().next().map(|parent| parent.tree());
    let before = before.transpose()?;
    let mut diff = repository.diff_tree_to_tree(before.as_ref(), Some(&commit.tree()?), None)?;
    // A file under another name has its text from before.
    diff.find_similar(Some(DiffFindOptions::new().renames(true).copies(true)))?;
    // What is no blob is a file that is gone, or a submodule.
    let holds = |blob: Oid| {
        let blob = repository.find_blob(blob);
        blob.is_ok_and(|blob| is_secret(blob.content()))
    };
    for delta in diff.deltas() {
        let path = delta.new_file().path_bytes().unwrap_or_default();
        let is_new = holds(delta.new_file().id()) && !holds(delta.old_file().id());
        if is_new || is_secret(path) {
            return Ok(Some(String::from_utf8_lossy(path).into_owned()));
        }
    }
    Ok(None)
}
