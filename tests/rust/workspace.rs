//! The workspace against real repositories: what is read through libgit2, and what the command
//! lines do when the user's git runs them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use orchestration::error::Error;
use orchestration::workspace::answers::{check_version, references, uncommitted};
use orchestration::workspace::cli::{Git, GitCommand};
use orchestration::workspace::{Workspace, exclude};
use tempfile::TempDir;

/// A throw-away repository in a folder with a space and letters beyond ASCII.
struct Scene {
    _folder: TempDir,
    root: PathBuf,
}

impl Scene {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("my café");
        fs::create_dir(&root).unwrap();
        let scene = Self {
            _folder: folder,
            root,
        };
        scene.git(&["init", "--quiet", "--initial-branch=main"]);
        scene.git(&["config", "user.name", "Ada"]);
        scene.git(&["config", "user.email", "ada@example.com"]);
        scene
    }

    fn new() -> Self {
        let scene = Self::empty();
        fs::write(scene.root.join("README.md"), "one\ntwo\n").unwrap();
        fs::create_dir(scene.root.join("src")).unwrap();
        fs::write(scene.root.join("src/lib.rs"), "a\n").unwrap();
        scene.git(&["add", "-A"]);
        scene.git(&["commit", "--quiet", "-m", "first"]);
        scene
    }

    fn git(&self, args: &[&str]) -> String {
        git_in(&self.root, args)
    }

    fn workspace(&self) -> Workspace {
        Workspace::discover(&self.root).unwrap()
    }

    /// A worktree made the way the engine does it.
    fn worktree(&self, branch: &str) -> (PathBuf, String) {
        let workspace = self.workspace();
        let base = workspace.base(None).unwrap().commit;
        let path = self
            .root
            .parent()
            .unwrap()
            .join("my café.worktrees")
            .join("t 1");
        exclude::exclude_own_files(workspace.common_dir()).unwrap();
        succeed(&git().worktree_add(&self.root, branch, &path, &base));
        succeed(&git().check_out(&path));
        (path, base)
    }
}

fn git() -> Git {
    Git::new("git", false, true)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test drives the user's own git"
)]
fn command(program: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}

fn git_in(folder: &Path, args: &[&str]) -> String {
    let output = command(Path::new("git"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn run(git: &GitCommand) -> std::process::Output {
    let mut command = command(&git.program);
    command
        .args(&git.args)
        .current_dir(&git.folder)
        .envs(git.set.iter().cloned());
    for name in &git.remove {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn succeed(command: &GitCommand) {
    let output = run(command);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
}

#[test]
fn the_main_worktree_is_found_from_below_and_from_a_linked_worktree() {
    let scene = Scene::new();
    let (linked, _) = scene.worktree("feat/local-2-agent-1");
    for place in [
        scene.root.clone(),
        scene.root.join("src"),
        linked.clone(),
        linked.join("src"),
    ] {
        let workspace = Workspace::discover(&place).unwrap();
        assert_eq!(workspace.root(), scene.root, "from {}", place.display());
        assert_eq!(
            workspace.common_dir().canonicalize().unwrap(),
            scene.root.join(".git")
        );
    }
}

#[test]
fn what_is_no_usable_repository_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Workspace::discover(folder.path()),
        Err(Error::NotARepository { .. })
    ));

    git_in(folder.path(), &["init", "--quiet", "--bare", "bare.git"]);
    let bare = folder.path().join("bare.git");
    assert!(matches!(
        Workspace::discover(&bare),
        Err(Error::BareRepository { .. })
    ));

    let empty = Scene::empty();
    assert!(matches!(
        Workspace::discover(&empty.root),
        Err(Error::NoCommits { .. })
    ));
}

#[test]
fn the_base_is_the_checked_out_branch_or_the_one_that_is_named() {
    let scene = Scene::new();
    let first = scene.git(&["rev-parse", "HEAD"]);
    scene.git(&["branch", "release/1.0"]);
    scene.git(&["commit", "--quiet", "--allow-empty", "-m", "second"]);
    let workspace = scene.workspace();

    let base = workspace.base(None).unwrap();
    assert_eq!(
        (base.name.as_str(), base.commit),
        ("main", scene.git(&["rev-parse", "HEAD"]))
    );
    assert_eq!(workspace.base(Some("release/1.0")).unwrap().commit, first);
    assert_eq!(workspace.base(Some("HEAD~1")).unwrap().commit, first);
    let missing = workspace.base(Some("--upload-pack=x")).unwrap_err();
    assert!(matches!(missing, Error::BaseMissing { .. }), "{missing}");
}

#[test]
fn a_detached_head_is_a_base() {
    let scene = Scene::new();
    scene.git(&["checkout", "--quiet", "--detach"]);
    let workspace = scene.workspace();
    assert_eq!(workspace.head().unwrap().branch, None);
    let base = workspace.base(None).unwrap();
    assert!(base.commit.starts_with(&base.name) && base.name.len() == 12);
}

#[test]
fn a_tree_lists_its_files_whatever_their_names() {
    let scene = Scene::new();
    let odd = scene.root.join(OsStr::from_bytes(b"caf\xe9 dir"));
    // Some file systems refuse names that are not UTF-8.
    let byte_names = fs::create_dir(&odd).is_ok();
    if byte_names {
        fs::write(odd.join("x"), "").unwrap();
    }
    fs::write(scene.root.join("ünï côde.txt"), "").unwrap();
    scene.git(&["add", "-A"]);
    scene.git(&["commit", "--quiet", "-m", "names"]);
    let workspace = scene.workspace();
    let files = workspace.tree(&workspace.head().unwrap().commit).unwrap();
    assert!(files.contains(&"ünï côde.txt".to_owned()));
    assert!(files.contains(&"src/lib.rs".to_owned()));
    assert_eq!(files.contains(&"caf\u{fffd} dir/x".to_owned()), byte_names);
}

#[test]
fn the_registration_checks_nothing_out_and_the_check_out_leaves_it_clean() {
    let scene = Scene::new();
    fs::write(scene.root.join("README.md"), "the user's own change\n").unwrap();
    let workspace = scene.workspace();
    let base = workspace.base(None).unwrap().commit;
    let path = scene.root.parent().unwrap().join("w");

    succeed(&git().worktree_add(&scene.root, "feat/x", &path, &base));
    assert!(!path.join("README.md").exists());
    succeed(&git().check_out(&path));

    assert_eq!(
        fs::read_to_string(path.join("README.md")).unwrap(),
        "one\ntwo\n"
    );
    assert!(!workspace.is_dirty(&path).unwrap());
    assert!(workspace.is_dirty(&scene.root).unwrap());
    assert!(workspace.branch_exists("feat/x").unwrap());
    assert!(!workspace.branch_exists("feat/y").unwrap());
    let listed = workspace.worktrees().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].path.canonicalize().unwrap(), path);
    assert_eq!(listed[0].branch.as_deref(), Some("feat/x"));
}

#[test]
fn a_branch_or_folder_that_exists_already_is_refused() {
    let scene = Scene::new();
    let (path, base) = scene.worktree("feat/x");
    let again = git().worktree_add(&scene.root, "feat/x", &path.with_file_name("other"), &base);
    let output = run(&again);
    assert!(!output.status.success());
    let error = again.failure(&String::from_utf8_lossy(&output.stderr));
    assert!(error.to_string().contains("already exists"), "{error}");
    assert!(!path.with_file_name("other").exists());
}

#[test]
fn the_check_out_runs_the_hook_and_the_filters_of_the_user() {
    let scene = Scene::new();
    scene.git(&["config", "filter.shout.smudge", "tr a-z A-Z"]);
    scene.git(&["config", "filter.shout.clean", "tr A-Z a-z"]);
    fs::write(scene.root.join(".gitattributes"), "*.md filter=shout\n").unwrap();
    scene.git(&["add", "-A"]);
    scene.git(&["commit", "--quiet", "-m", "filters"]);
    let hook = scene.root.join(".git/hooks/post-checkout");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\ntouch hook-was-here\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();

    let (path, _) = scene.worktree("feat/x");
    assert_eq!(
        fs::read_to_string(path.join("README.md")).unwrap(),
        "ONE\nTWO\n"
    );
    assert!(path.join("hook-was-here").exists());
    let status = run(&git().status(&path));
    assert_eq!(uncommitted(&status.stdout), ["hook-was-here"]);
}

#[test]
fn nothing_done_is_no_evidence() {
    let scene = Scene::new();
    let (path, base) = scene.worktree("feat/x");
    let evidence = scene.workspace().evidence(&path, &base).unwrap();
    assert!(!evidence.shows_work() && !evidence.dirty);
    assert_eq!(evidence.head, base);

    git_in(
        &path,
        &["commit", "--quiet", "--allow-empty", "-m", "done!"],
    );
    let evidence = scene.workspace().evidence(&path, &base).unwrap();
    assert_eq!((evidence.commits, evidence.files), (1, 0));
    assert!(!evidence.shows_work());
}

#[test]
fn evidence_counts_the_work_on_the_branch_and_what_is_not_committed_yet() {
    let scene = Scene::new();
    let (path, base) = scene.worktree("feat/x");
    fs::write(path.join("README.md"), "one\nzwei\ndrei\n").unwrap();
    fs::write(path.join("neu ä.txt"), "x\n").unwrap();
    let before = scene.workspace().evidence(&path, &base).unwrap();
    assert!(before.dirty && before.commits == 0);

    succeed(&git().stage_all(&path));
    assert_eq!(run(&git().anything_staged(&path)).status.code(), Some(1));
    succeed(&git().commit(&path, "--amend this title"));
    fs::rename(path.join("src/lib.rs"), path.join("src/core.rs")).unwrap();
    succeed(&git().stage_all(&path));
    succeed(&git().commit(&path, "move"));

    let after = scene.workspace().evidence(&path, &base).unwrap();
    assert_eq!((after.commits, after.files), (2, 3));
    assert_eq!((after.insertions, after.deletions), (3, 1));
    assert_eq!(
        after.changed_paths,
        ["README.md", "neu ä.txt", "src/core.rs"]
    );
    assert_eq!(after.branch.as_deref(), Some("feat/x"));
    assert!(after.shows_work() && !after.dirty && !after.own_files_committed);
    assert_eq!(
        git_in(&path, &["log", "-1", "--format=%s", "HEAD~1"]),
        "--amend this title"
    );
}

#[test]
fn our_own_files_are_no_work_and_are_never_staged() {
    let scene = Scene::new();
    let (path, base) = scene.worktree("feat/x");
    fs::write(path.join(".agent_status.json"), "{}").unwrap();
    fs::create_dir_all(path.join(".claude/runtime/logs")).unwrap();
    fs::write(path.join(".claude/runtime/logs/x.log"), "x").unwrap();

    assert!(!scene.workspace().evidence(&path, &base).unwrap().dirty);
    succeed(&git().stage_all(&path));
    succeed(&git().unstage_own_files(&path, &base));
    assert_eq!(run(&git().anything_staged(&path)).status.code(), Some(0));
}

#[test]
fn a_status_file_that_an_agent_forced_in_is_taken_out_again() {
    let scene = Scene::new();
    let (path, base) = scene.worktree("feat/x");
    fs::write(path.join(".agent_status.json"), "{}").unwrap();
    fs::write(path.join("work.txt"), "work\n").unwrap();
    git_in(&path, &["add", "--force", ".agent_status.json", "work.txt"]);
    git_in(&path, &["commit", "--quiet", "-m", "all of it"]);

    let evidence = scene.workspace().evidence(&path, &base).unwrap();
    assert!(evidence.own_files_committed);
    assert_eq!(evidence.changed_paths, ["work.txt"]);

    succeed(&git().unstage_own_files(&path, &base));
    succeed(&git().commit(&path, "Take the progress file out"));
    let evidence = scene.workspace().evidence(&path, &base).unwrap();
    assert!(!evidence.own_files_committed && !evidence.dirty);
    assert!(path.join(".agent_status.json").exists());
    assert_eq!(git_in(&path, &["ls-files", ".agent_status.json"]), "");
}

#[test]
fn a_worktree_with_work_that_is_not_committed_is_not_removed() {
    let scene = Scene::new();
    let (path, _) = scene.worktree("feat/x");
    fs::write(path.join("work.txt"), "work\n").unwrap();
    assert!(
        !run(&git().worktree_remove(&scene.root, &path))
            .status
            .success()
    );
    assert!(path.join("work.txt").exists());

    fs::remove_file(path.join("work.txt")).unwrap();
    fs::write(path.join(".agent_status.json"), "{}").unwrap();
    succeed(&git().worktree_remove(&scene.root, &path));
    assert!(!path.exists());
}

#[test]
fn a_branch_is_deleted_only_while_it_stands_where_we_put_it() {
    let scene = Scene::new();
    let base = scene.git(&["rev-parse", "HEAD"]);
    scene.git(&["branch", "feat/untouched"]);
    scene.git(&["branch", "feat/moved"]);
    scene.git(&["commit", "--quiet", "--allow-empty", "-m", "second"]);
    scene.git(&["branch", "--force", "feat/moved", "HEAD"]);

    succeed(&git().delete_branch(&scene.root, "feat/untouched", &base));
    assert!(
        !run(&git().delete_branch(&scene.root, "feat/moved", &base))
            .status
            .success()
    );
    assert!(!scene.workspace().branch_exists("feat/untouched").unwrap());
    assert!(scene.workspace().branch_exists("feat/moved").unwrap());
}

#[test]
fn a_commit_is_within_what_was_built_on_it_and_nothing_else() {
    let scene = Scene::new();
    let first = scene.git(&["rev-parse", "HEAD"]);
    scene.git(&["switch", "--quiet", "--create", "side"]);
    scene.git(&["commit", "--quiet", "--allow-empty", "-m", "side"]);
    let side = scene.git(&["rev-parse", "HEAD"]);
    scene.git(&["switch", "--quiet", "main"]);
    scene.git(&["commit", "--quiet", "--allow-empty", "-m", "second"]);
    let second = scene.git(&["rev-parse", "HEAD"]);
    let within = |commit: &str, other: &str| scene.workspace().is_within(commit, other).unwrap();
    assert!(within(&first, &first) && within(&first, &second) && within(&first, &side));
    assert!(!within(&second, &first) && !within(&side, &second));
    let unknown = "0123456789012345678901234567890123456789";
    assert!(!within(unknown, &second) && !within(&second, unknown));
    assert!(
        within(unknown, unknown),
        "a remote says that it has the very commit"
    );
    assert!(!within("no commit", &second));
}

#[test]
fn a_remote_answers_for_the_references_that_are_asked_for() {
    let scene = Scene::new();
    let head = scene.git(&["rev-parse", "HEAD"]);
    for name in ["refs/heads/feat/a", "refs/pull/7/head", "refs/heads/other"] {
        scene.git(&["update-ref", name, "HEAD"]);
    }
    let url = scene.root.to_str().unwrap();
    let names = ["refs/heads/feat/a", "refs/pull/7/head", "refs/heads/gone"];
    let command = git().remote_references(&scene.root, url, names.map(str::to_owned));
    let output = run(&command);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let found = [("refs/heads/feat/a", &*head), ("refs/pull/7/head", &*head)];
    assert_eq!(references(&text), found);
}

#[test]
fn commits_work_without_a_configured_identity() {
    let scene = Scene::new();
    let (path, base) = scene.worktree("feat/x");
    scene.git(&["config", "--unset", "user.name"]);
    scene.git(&["config", "--unset", "user.email"]);
    scene.git(&["config", "user.useConfigOnly", "true"]);
    let git = Git::new("git", false, false);
    fs::write(path.join("work.txt"), "work\n").unwrap();
    succeed(&git.stage_all(&path));
    succeed(&git.commit(&path, "work"));
    assert!(
        scene
            .workspace()
            .evidence(&path, &base)
            .unwrap()
            .shows_work()
    );
}

#[test]
fn submodules_are_seen_and_filled() {
    let library = Scene::new();
    let scene = Scene::new();
    let workspace = scene.workspace();
    assert!(
        !workspace
            .has_submodules(&workspace.head().unwrap().commit)
            .unwrap()
    );
    let url = library.root.to_str().unwrap();
    scene.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        url,
        "lib",
    ]);
    scene.git(&["commit", "--quiet", "-m", "submodule"]);
    assert!(
        workspace
            .has_submodules(&workspace.head().unwrap().commit)
            .unwrap()
    );

    let (path, base) = scene.worktree("feat/x");
    let mut fill = git().submodules(&path);
    // git distrusts local submodules unless told otherwise; the real ones are remote.
    fill.set.extend(
        [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "protocol.file.allow"),
            ("GIT_CONFIG_VALUE_0", "always"),
        ]
        .map(|(name, value)| (name.into(), value.into())),
    );
    succeed(&fill);
    assert!(path.join("lib/README.md").exists());
    let evidence = workspace.evidence(&path, &base).unwrap();
    assert!(!evidence.dirty && !evidence.submodules_changed);

    assert!(
        !run(&git().worktree_remove(&scene.root, &path))
            .status
            .success()
    );
    git_in(&path.join("lib"), &["config", "user.name", "Ada"]);
    git_in(
        &path.join("lib"),
        &["config", "user.email", "ada@example.com"],
    );
    git_in(
        &path.join("lib"),
        &["commit", "--quiet", "--allow-empty", "-m", "in the library"],
    );
    assert_eq!(uncommitted(&run(&git().status(&path)).stdout), ["lib"]);
    git_in(&path, &["commit", "--quiet", "-am", "newer library"]);
    assert!(workspace.evidence(&path, &base).unwrap().submodules_changed);
    succeed(&git().worktree_remove_with_submodules(&scene.root, &path));
}

#[test]
fn the_installed_git_is_new_enough() {
    let output = run(&git().version(Path::new("/")));
    assert!(check_version(&String::from_utf8(output.stdout).unwrap()).is_ok());
}

#[test]
fn a_repository_of_somebody_else_is_refused_with_the_way_to_trust_it() {
    let scene = Scene::new();
    let theirs = Some(12_345);
    if std::os::unix::fs::chown(&scene.root, theirs, None).is_err() {
        eprintln!("skipped: only root can give a folder away");
        return;
    }
    std::os::unix::fs::chown(scene.root.join(".git"), theirs, None).unwrap();
    let error = Workspace::discover(&scene.root).unwrap_err();
    assert!(matches!(error, Error::ForeignRepository { .. }), "{error}");
    assert!(error.hint().contains("safe.directory"));
}

/// The commit of a branch that starts at `start` and has these files; an empty text deletes one.
fn branch_with(scene: &Scene, name: &str, start: &str, files: &[(&str, &str)]) -> String {
    scene.git(&["checkout", "--quiet", "-b", name, start]);
    for (path, text) in files {
        let path = scene.root.join(path);
        if text.is_empty() {
            fs::remove_file(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    scene.git(&["add", "-A"]);
    scene.git(&["commit", "--quiet", "-m", name]);
    let commit = scene.git(&["rev-parse", "HEAD"]).trim().to_owned();
    scene.git(&["checkout", "--quiet", "main"]);
    commit
}

#[test]
fn branches_are_merged_with_each_other_and_with_the_base_and_nothing_is_touched() {
    let scene = Scene::new();
    let start = scene.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let branch = |name: &str, files: &[(&str, &str)]| branch_with(&scene, name, &start, files);
    let tips = [
        branch("top", &[("README.md", "ONE\ntwo\n")]),
        branch("other-top", &[("README.md", "uno\ntwo\n")]),
        branch("alone", &[("alone.txt", "x\n")]),
        branch("deletes", &[("src/lib.rs", "")]),
        branch("folder", &[("docs/a.md", "x\n")]),
        branch("file", &[("docs", "x\n")]),
    ];
    let base = branch("moved-on", &[("src/lib.rs", "b\n")]);
    let before = scene.git(&["status", "--porcelain"]);
    let clashes = scene.workspace().clashes(&start, &base, &tips).unwrap();
    let found: Vec<_> = clashes
        .found
        .iter()
        .map(|clash| (clash.one, clash.other, clash.paths.join(" ")))
        .collect();
    assert_eq!(found[0], (3, None, "src/lib.rs".to_owned()));
    assert_eq!(found[1], (0, Some(1), "README.md".to_owned()));
    assert_eq!((found[2].0, found[2].1), (4, Some(5)));
    assert_eq!((found.len(), clashes.untried), (3, 0));
    assert_eq!(scene.git(&["status", "--porcelain"]), before);
}

#[test]
fn only_a_secret_that_was_not_there_before_is_found() {
    use orchestration::workspace::commits::find_secret;
    let scene = Scene::new();
    fs::write(scene.root.join("conf.env"), "key=canary\nname=shop\n").unwrap();
    scene.git(&["add", "-A"]);
    scene.git(&["commit", "--quiet", "-m", "before"]);
    let start = scene.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let is_secret = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"canary");
    let found = |tip: &str| find_secret(&scene.root, &start, tip, is_secret).unwrap();
    scene.git(&["checkout", "--quiet", "-b", "moves"]);
    scene.git(&["mv", "conf.env", "settings.env"]);
    scene.git(&["commit", "--quiet", "-m", "move"]);
    assert_eq!(found(scene.git(&["rev-parse", "HEAD"]).trim()), None);
    let leaks = branch_with(&scene, "leaks", &start, &[("other.txt", "canary\n")]);
    let place = found(&leaks).unwrap();
    assert!(place.starts_with("other.txt in commit "), "{place}");
}
