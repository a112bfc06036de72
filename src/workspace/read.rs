//! Questions to the repository, answered through libgit2.
//!
//! Reads only: no reference, index or file is ever written here. The repository is opened for
//! each question, so a [`Workspace`] is plain data that any thread may hold.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{
    BranchType, DiffFindOptions, DiffOptions, ErrorCode, ObjectType, Repository, StatusOptions,
    WorktreeLockStatus,
};

use super::is_own_path;
use crate::error::{Error, Result};

/// A repository with a work tree and at least one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    root: PathBuf,
    common_dir: PathBuf,
}

/// What is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The branch's short name; `None` where the head is detached.
    pub branch: Option<String>,
    /// The commit, in full.
    pub commit: String,
}

/// Where the agents start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The branch or revision as people know it; the abbreviated commit for a detached head.
    pub name: String,
    /// The commit, in full.
    pub commit: String,
}

/// What stands on a task's branch, our own files left out (DESIGN section 5, "Success is
/// evidence, not a claim").
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four findings that do not depend on each other"
)]
pub struct Evidence {
    /// Commits on the branch that the base has not.
    pub commits: usize,
    /// Files changed between the base and the branch.
    pub files: usize,
    /// Lines added; binary files count none.
    pub insertions: usize,
    /// Lines removed.
    pub deletions: usize,
    /// The changed files, sorted, with `/`; names that are not UTF-8 are shown with `\u{fffd}`.
    pub changed_paths: Vec<String>,
    /// There seems to be work that is not committed; see [`Workspace::is_dirty`].
    pub dirty: bool,
    /// A merge, a rebase or the like was left with conflicts that nobody resolved.
    pub conflicted: bool,
    /// A commit holds one of our own files, which is to be taken out again.
    pub own_files_committed: bool,
    /// A submodule stands at another commit than in the base.
    pub submodules_changed: bool,
    /// What is checked out; an agent may have left its branch.
    pub branch: Option<String>,
    /// The commit of the worktree's head, in full.
    pub head: String,
}

impl Evidence {
    /// At least one commit, and a difference outside our own files.
    pub const fn shows_work(&self) -> bool {
        self.commits > 0 && self.files > 0
    }
}

/// A worktree that git knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its folder.
    pub path: PathBuf,
    /// The branch that is checked out there.
    pub branch: Option<String>,
    /// The folder is there, with the link to the repository in it.
    pub exists: bool,
    /// Somebody keeps it from being removed or pruned, for this reason, which may be empty.
    pub locked: Option<String>,
}

impl Workspace {
    /// Finds the repository that `path` belongs to: from its root, a folder below, or a linked
    /// worktree, always the main worktree is meant.
    pub fn discover(path: &Path) -> Result<Self> {
        let found = Repository::discover(path).map_err(|error| open_error(path, &error))?;
        let main = if found.is_worktree() {
            let common = found.commondir().to_owned();
            Repository::open(&common).map_err(|error| open_error(&common, &error))?
        } else {
            found
        };
        let Some(root) = main.workdir() else {
            return Err(Error::BareRepository {
                path: main.path().to_owned(),
            });
        };
        let root = root.canonicalize().map_err(|error| Error::File {
            action: "read",
            path: root.to_owned(),
            reason: crate::error::reason(&error),
        })?;
        let workspace = Self {
            root,
            common_dir: main.commondir().to_owned(),
        };
        workspace.head()?;
        Ok(workspace)
    }

    /// The main worktree, absolute and without symbolic links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The git folder that all worktrees share.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    pub(super) fn open(&self) -> Result<Repository> {
        Repository::open(&self.root).map_err(|error| open_error(&self.root, &error))
    }

    /// What is checked out in the main worktree.
    pub fn head(&self) -> Result<Head> {
        head_of(&self.open()?, &self.root)
    }

    /// The commit that agents start from.
    ///
    /// `name` is a branch, a remote branch or any revision; without one it is the branch that is
    /// checked out, or the commit of a detached head.
    pub fn base(&self, name: Option<&str>) -> Result<Base> {
        let Some(name) = name else {
            let head = self.head()?;
            let name = head
                .branch
                .unwrap_or_else(|| head.commit.chars().take(12).collect());
            return Ok(Base {
                name,
                commit: head.commit,
            });
        };
        let repository = self.open()?;
        // Branches first: a branch may share its name with a tag or look like a commit.
        [format!("refs/heads/{name}"), format!("refs/remotes/{name}")]
            .iter()
            .chain([&format!("refs/remotes/origin/{name}"), &name.to_owned()])
            .find_map(|revision| {
                let object = repository.revparse_single(revision).ok()?;
                Some(object.peel_to_commit().ok()?.id().to_string())
            })
            .map(|commit| Base {
                name: name.to_owned(),
                commit,
            })
            .ok_or_else(|| Error::BaseMissing {
                name: name.to_owned(),
                path: self.root.clone(),
            })
    }

    /// The paths of all files of a commit, in git's order, with `/`.
    ///
    /// Names that are not UTF-8 are shown with `\u{fffd}`; submodules are left out.
    pub fn tree(&self, commit: &str) -> Result<Vec<String>> {
        let repository = self.open()?;
        let tree = commit_tree(&repository, commit)?;
        let mut files = Vec::new();
        list(&repository, &tree, &mut Vec::new(), &mut files).map_err(|e| failed("ls-tree", &e))?;
        Ok(files)
    }

    /// Whether a local branch of that name exists.
    pub fn branch_exists(&self, branch: &str) -> Result<bool> {
        Ok(self.branch_commit(branch)?.is_some())
    }

    /// The commit of a local branch, where there is one.
    pub fn branch_commit(&self, branch: &str) -> Result<Option<String>> {
        self.reference_commit(&format!("refs/heads/{branch}"))
    }

    /// The commit of a reference (`refs/remotes/origin/main`), where there is one.
    pub fn reference_commit(&self, name: &str) -> Result<Option<String>> {
        match self.open()?.find_reference(name) {
            Ok(reference) => {
                let commit = reference
                    .peel_to_commit()
                    .map_err(|e| failed("rev-parse", &e))?;
                Ok(Some(commit.id().to_string()))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(failed("rev-parse", &error)),
        }
    }

    /// Whether a commit is another one, or is in its history. What this clone has no knowledge of is
    /// in nobody's.
    pub fn is_within(&self, commit: &str, other: &str) -> Result<bool> {
        if commit == other {
            return Ok(true);
        }
        let repository = self.open()?;
        let known = |commit| {
            let id = git2::Oid::from_str(commit).ok()?;
            repository.find_commit(id).ok().map(|commit| commit.id())
        };
        let (Some(commit), Some(other)) = (known(commit), known(other)) else {
            return Ok(false);
        };
        repository
            .graph_descendant_of(other, commit)
            .map_err(|error| failed("merge-base", &error))
    }

    /// The short names of all local branches; those that are not UTF-8 are left out.
    pub fn branches(&self) -> Result<Vec<String>> {
        let repository = self.open()?;
        let branches = repository
            .branches(Some(BranchType::Local))
            .map_err(|e| failed("branch", &e))?;
        let mut names = Vec::new();
        for branch in branches {
            let (branch, _) = branch.map_err(|e| failed("branch", &e))?;
            names.extend(branch.name().ok().flatten().map(str::to_owned));
        }
        Ok(names)
    }

    /// About how many bytes a check-out takes: what the files of the main worktree took when git
    /// last looked at them.
    pub fn checkout_size(&self) -> Result<u64> {
        let repository = self.open()?;
        let index = repository.index().map_err(|e| failed("read-tree", &e))?;
        Ok(index.iter().map(|entry| u64::from(entry.file_size)).sum())
    }

    /// Whether a worktree was ever filled: one that is only registered has no index.
    pub fn is_checked_out(&self, worktree: &Path) -> Result<bool> {
        let repository = Repository::open(worktree).map_err(|e| open_error(worktree, &e))?;
        let index = repository.index().map_err(|e| failed("read-tree", &e))?;
        Ok(index.path().is_some_and(Path::exists))
    }

    /// Whether the index has something in a folder, which is relative to the root, or has something
    /// else in its place.
    pub fn tracks(&self, folder: &str) -> Result<bool> {
        let repository = self.open()?;
        let index = repository.index().map_err(|e| failed("read-tree", &e))?;
        let in_place = index.get_path(Path::new(folder), 0).is_some();
        Ok(in_place || index.find_prefix(format!("{folder}/")).is_ok())
    }

    /// Whether a worktree's own link leads to this repository, and not to one that this was copied
    /// from.
    pub fn owns(&self, worktree: &Path) -> bool {
        let link = fs::read_to_string(worktree.join(".git")).unwrap_or_default();
        let Some(target) = link.trim_end().strip_prefix("gitdir: ") else {
            return false;
        };
        // Relative in newer versions of git, and then to the worktree.
        let registration = fs::canonicalize(worktree.join(target));
        let common = fs::canonicalize(&self.common_dir);
        matches!((registration, common), (Ok(at), Ok(common)) if at.starts_with(&common))
    }

    /// The linked worktrees, by folder.
    pub fn worktrees(&self) -> Result<Vec<Registered>> {
        let repository = self.open()?;
        let names = repository
            .worktrees()
            .map_err(|error| failed("worktree list", &error))?;
        let mut found = Vec::new();
        for name in names.iter().flatten().flatten() {
            // One that vanishes meanwhile is none.
            let Ok(worktree) = repository.find_worktree(name) else {
                continue;
            };
            let branch = Repository::open_from_worktree(&worktree)
                .ok()
                .and_then(|linked| head_of(&linked, worktree.path()).ok()?.branch);
            let path = worktree.path().to_owned();
            let locked = match worktree.is_locked() {
                Ok(WorktreeLockStatus::Locked(reason)) => {
                    Some(reason.unwrap_or_default().trim().to_owned())
                }
                _ => None,
            };
            found.push(Registered {
                exists: path.join(".git").exists(),
                path,
                branch,
                locked,
            });
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Whether a commit has submodules.
    pub fn has_submodules(&self, commit: &str) -> Result<bool> {
        let repository = self.open()?;
        let tree = commit_tree(&repository, commit)?;
        Ok(tree.get_name(".gitmodules").is_some())
    }

    /// Whether a worktree, or the main one, has work that is not committed, our own files left
    /// out. Untracked files count, ignored ones do not.
    ///
    /// No is certain. Yes is a suspicion where the repository uses filters such as LFS, which
    /// libgit2 does not run: staging everything, or [`Git::status`](super::cli::Git::status),
    /// settles it.
    pub fn is_dirty(&self, worktree: &Path) -> Result<bool> {
        let repository = Repository::open(worktree).map_err(|e| open_error(worktree, &e))?;
        dirty(&repository)
    }

    /// What an agent left on its branch, compared with where it started.
    pub fn evidence(&self, worktree: &Path, base_commit: &str) -> Result<Evidence> {
        let repository = Repository::open(worktree).map_err(|e| open_error(worktree, &e))?;
        let head = head_of(&repository, worktree)?;
        // libgit2 looks for the end of a shallow history in the main worktree alone.
        let history = self.open()?;
        let mut evidence = count_commits(&history, base_commit, &head.commit)
            .and_then(|commits| {
                Ok(Evidence {
                    commits,
                    ..differences(&history, base_commit, &head.commit)?
                })
            })
            .map_err(|error| failed("diff", &error))?;
        evidence.dirty = dirty(&repository)?;
        evidence.conflicted = repository
            .index()
            .map_err(|error| failed("status", &error))?
            .has_conflicts();
        evidence.branch = head.branch;
        evidence.head = head.commit;
        Ok(evidence)
    }

    /// Whether the repository's configuration names an SSH command.
    pub fn ssh_is_set(&self) -> Result<bool> {
        Ok(self.setting("core.sshCommand")?.is_some())
    }

    fn setting(&self, name: &str) -> Result<Option<String>> {
        let config = self
            .open()?
            .config()
            .and_then(|mut config| config.snapshot())
            .map_err(|error| failed("config", &error))?;
        Ok(config.get_string(name).ok())
    }
}

fn head_of(repository: &Repository, path: &Path) -> Result<Head> {
    let head = match repository.head() {
        Ok(head) => head,
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
            return Err(Error::NoCommits {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(failed("rev-parse", &error)),
    };
    let commit = head
        .peel_to_commit()
        .map_err(|error| failed("rev-parse", &error))?;
    let branch = head
        .is_branch()
        .then(|| String::from_utf8_lossy(head.shorthand_bytes()).into_owned());
    Ok(Head {
        branch,
        commit: commit.id().to_string(),
    })
}

pub(super) fn commit_tree<'r>(repository: &'r Repository, commit: &str) -> Result<git2::Tree<'r>> {
    repository
        .revparse_single(commit)
        .and_then(|object| object.peel_to_tree())
        .map_err(|error| failed("ls-tree", &error))
}

/// Lists by bytes: libgit2's own walk stops at a folder whose name is not UTF-8.
fn list(
    repository: &Repository,
    tree: &git2::Tree<'_>,
    prefix: &mut Vec<u8>,
    files: &mut Vec<String>,
) -> Result<(), git2::Error> {
    for entry in tree {
        let length = prefix.len();
        prefix.extend_from_slice(entry.name_bytes());
        match entry.kind() {
            Some(ObjectType::Blob) => files.push(String::from_utf8_lossy(prefix).into_owned()),
            Some(ObjectType::Tree) => {
                prefix.push(b'/');
                list(
                    repository,
                    &repository.find_tree(entry.id())?,
                    prefix,
                    files,
                )?;
            }
            _ => {}
        }
        prefix.truncate(length);
    }
    Ok(())
}

fn count_commits(repository: &Repository, base: &str, head: &str) -> Result<usize, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.push(git2::Oid::from_str(head)?)?;
    walk.hide(git2::Oid::from_str(base)?)?;
    walk.try_fold(0, |count, commit| commit.map(|_| count + 1))
}

fn differences(repository: &Repository, base: &str, head: &str) -> Result<Evidence, git2::Error> {
    let tree = |commit| repository.find_commit(git2::Oid::from_str(commit)?)?.tree();
    let (base, head) = (tree(base)?, tree(head)?);
    let mut options = DiffOptions::new();
    options.ignore_submodules(false).skip_binary_check(false);
    let mut diff = repository.diff_tree_to_tree(Some(&base), Some(&head), Some(&mut options))?;
    // As `git diff` and forges count: a file that only moved adds no lines.
    diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;

    let mut evidence = Evidence::default();
    for index in 0..diff.deltas().len() {
        let Some(delta) = diff.get_delta(index) else {
            continue;
        };
        let Some(path) = delta
            .new_file()
            .path_bytes()
            .or_else(|| delta.old_file().path_bytes())
        else {
            continue;
        };
        if is_own_path(path) {
            evidence.own_files_committed = true;
            continue;
        }
        evidence.submodules_changed |= delta.old_file().mode() == git2::FileMode::Commit
            || delta.new_file().mode() == git2::FileMode::Commit;
        evidence.files += 1;
        evidence
            .changed_paths
            .push(String::from_utf8_lossy(path).into_owned());
        if let Some(patch) = git2::Patch::from_diff(&diff, index)? {
            let (_, insertions, deletions) = patch.line_stats()?;
            evidence.insertions += insertions;
            evidence.deletions += deletions;
        }
    }
    evidence.changed_paths.sort();
    Ok(evidence)
}

fn dirty(repository: &Repository) -> Result<bool> {
    let mut options = StatusOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        .include_ignored(false);
    let statuses = repository
        .statuses(Some(&mut options))
        .map_err(|error| failed("status", &error))?;
    Ok(statuses
        .iter()
        .any(|entry| !is_own_path(entry.path_bytes())))
}

pub(super) fn open_error(path: &Path, error: &git2::Error) -> Error {
    let path = path.to_owned();
    match error.code() {
        ErrorCode::NotFound => Error::NotARepository { path },
        ErrorCode::Owner => Error::ForeignRepository { path },
        _ => failed("rev-parse", error),
    }
}

pub(super) fn failed(command: &str, error: &git2::Error) -> Error {
    Error::Git {
        command: command.to_owned(),
        reason: error.message().to_owned(),
    }
}
