//! Whole orchestrations over real repositories, with real processes as agents.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orchestration::error::Error;
use orchestration::run::event::{Event, EventKind};
use orchestration::run::handle::{Handle, Seen};
use orchestration::run::interruption::Interruption;
use orchestration::run::options::Options;
use orchestration::run::prepare::{self, Prepared};
use orchestration::run::summary::{Summary, TaskStatus};
use orchestration::supervisor::{Newlines, UnitSpec, run_command};

/// Nobody interrupts it.
fn prepare(source: &str, text: Option<String>, options: Options) -> Result<Prepared, Error> {
    prepare::prepare(source, text, options, &Interruption::default())
}

/// A throw-away repository with one commit, and a folder for agents beside it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(place.root()).unwrap();
        place.git(&["init", "-q", "-b", "main"]);
        fs::write(place.root().join("README.md"), "A shop.\n").unwrap();
        place.git(&["add", "-A"]);
        place.git(&["commit", "-qm", "Begin"]);
        place
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("my shöp")
    }

    fn git(&self, args: &[&str]) -> String {
        git_in(&self.root(), args)
    }

    fn plan(&self, text: &str) -> String {
        let path = self.root().join("plan.md");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// An agent that is a shell script.
    fn agent(&self, script: &str) -> String {
        let path = self.folder.path().join("agent.sh");
        fs::write(&path, script).unwrap();
        format!("sh '{}'", path.display())
    }

    fn options(&self, script: &str) -> Options {
        Options {
            repo: Some(self.root().to_str().unwrap().to_owned()),
            agent: Some(self.agent(script)),
            yes: true,
            ..Options::default()
        }
    }
}

fn run(plan: &str, options: Options) -> (Vec<Event>, Summary) {
    let mut handle = Handle::start(prepare(plan, None, options).unwrap()).unwrap();
    let events = events(&mut handle, |_, _| {});
    (events, handle.join().unwrap().summary)
}

fn git_in(folder: &Path, args: &[&str]) -> String {
    let identity = ["-c", "user.name=T", "-c", "user.email=t@example.invalid"];
    let finished = run_command(UnitSpec {
        working_dir: Some(folder.to_owned()),
        ..UnitSpec::new("git").args(identity.iter().chain(args))
    })
    .unwrap();
    let errors = finished.captured.stderr.text(Newlines::Universal);
    assert_eq!(finished.exit_code(), 0, "git {args:?}: {errors}");
    finished.captured.stdout.text(Newlines::Universal)
}

fn events(handle: &mut Handle, mut seen: impl FnMut(&Event, &mut Handle)) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match handle.next(Duration::from_secs(60)) {
            Seen::Event(event) => {
                seen(&event, handle);
                events.push(*event);
            }
            Seen::Nothing => panic!("nothing happened for a minute after {:?}", events.last()),
            Seen::End => return events,
        }
    }
}

const PLAN: &str = "# Shop\n\n- [ ] Add the cart\n- [ ] Add the till\n";
const WORKS: &str = "cat >/dev/null; echo work > $AGENT_ID.txt";

#[test]
fn a_plan_becomes_branches_change_requests_and_a_summary_and_the_checkout_is_left_alone() {
    let place = Place::new();
    fs::write(place.root().join("README.md"), "Changed by the user.\n").unwrap();
    let plan = place.plan(PLAN);
    let (_, summary) = run(&plan, place.options(WORKS));
    assert_eq!((summary.exit_code, summary.prs_created.len()), (0, 2));
    for task in &summary.tasks {
        let branch = task.branch.as_deref().unwrap();
        let files = place.git(&["diff", "--name-only", "main", branch]);
        assert_eq!(files.trim(), format!("{}.txt", task.agent_id));
    }
    let readme = fs::read_to_string(place.root().join("README.md")).unwrap();
    assert_eq!(readme, "Changed by the user.\n");
    assert_eq!(
        place.git(&["status", "--porcelain"]),
        " M README.md\n?? plan.md\n"
    );
    assert_eq!(
        place.git(&["worktree", "list"]).lines().count(),
        1,
        "worktrees are gone"
    );
}

#[test]
fn a_claim_of_success_without_a_change_is_a_failure() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    let claims = r#"cat >/dev/null; echo '{"progress_percentage": 100}' > "$STATUS_FILE""#;
    let (_, summary) = run(&plan, place.options(claims));
    assert_eq!((summary.exit_code, summary.successful), (2, 0));
    assert_eq!(summary.follow_up_issues.len(), 2);
    for task in &summary.tasks {
        assert!(
            task.error.as_deref().unwrap().starts_with("NO_CHANGES: "),
            "{task:?}"
        );
    }
}

#[test]
fn a_status_file_that_an_agent_commits_by_force_is_taken_out_again() {
    let place = Place::new();
    let plan = place.plan("- [ ] Add the cart\n");
    let forces = "cat >/dev/null; echo '{}' > .agent_status.json; echo work > cart.txt\n\
                  git add -f .agent_status.json cart.txt\n\
                  git -c user.name=A -c user.email=a@example.invalid commit -qm 'Add all'";
    let (_, summary) = run(&plan, place.options(forces));
    assert_eq!(summary.exit_code, 0, "{summary:?}");
    let branch = summary.tasks[0].branch.clone().unwrap();
    assert_eq!(
        place.git(&["diff", "--name-only", "main", &branch]).trim(),
        "cart.txt"
    );
}

#[test]
fn worktrees_of_successful_tasks_are_kept_on_request() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    let options = Options {
        keep_worktrees: true,
        ..place.options(WORKS)
    };
    let (_, summary) = run(&plan, options);
    assert_eq!(summary.exit_code, 0);
    assert_eq!(place.git(&["worktree", "list"]).lines().count(), 3);
    let status = place
        .root()
        .join(".claude/runtime/parallel/local-1/agent-1.status.json");
    let status = fs::read_to_string(status).unwrap();
    assert!(!status.contains(r#""working_dir": null"#), "{status}");
}

#[test]
fn an_interruption_ends_a_git_command_that_hangs() {
    let place = Place::new();
    let plan = place.plan("- [ ] Add the cart\n");
    let pipe = place.folder.path().join("pipe");
    let hooks = place.root().join(".git/hooks");
    fs::create_dir_all(&hooks).unwrap();
    let hook = hooks.join("pre-commit");
    let script = format!("#!/bin/sh\necho hangs > '{}'\nsleep 600\n", pipe.display());
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let options = Options {
        // It runs again when the work is taken up.
        setup: Some(format!("[ -p '{0}' ] || mkfifo '{0}'", pipe.display())),
        ..place.options(WORKS)
    };
    let mut handle = Handle::start(prepare(&plan, None, options).unwrap()).unwrap();
    events(&mut handle, |event, handle| {
        if matches!(event.kind, EventKind::AgentFinished { .. }) {
            // Waits for the hook.
            fs::read(&pipe).unwrap();
            handle.cancel(130);
        }
    });
    let outcome = handle.join().unwrap();
    assert_eq!(outcome.exit_code, 130);
    let error = outcome.summary.tasks[0].error.as_deref().unwrap();
    assert!(error.starts_with("CANCELLED: "), "{error}");
    // The work is still there, for the next run.
    fs::remove_file(&hook).unwrap();
    let (_, again) = run(&plan, place.options("cat >/dev/null"));
    assert_eq!((again.exit_code, again.successful), (0, 1));
}

#[test]
fn a_named_pipe_for_a_status_file_is_not_waited_for() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    let agent = r#"mkfifo "$STATUS_FILE"; cat >/dev/null; echo work > $AGENT_ID.txt"#;
    let (_, summary) = run(&plan, place.options(agent));
    assert_eq!(summary.exit_code, 0);
}

#[test]
fn conflicts_that_an_agent_left_are_no_success_and_are_not_committed() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    let agent = r#"cat >/dev/null
        export GIT_CONFIG_COUNT=2
        export GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=T
        export GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=t@example.invalid
        echo ours > README.md; git commit -qam ours
        git checkout -q --detach HEAD~1
        echo theirs > README.md; git commit -qam theirs
        theirs=$(git rev-parse HEAD)
        git checkout -q "$BRANCH_NAME"
        git merge -q "$theirs"
        true"#;
    let (_, summary) = run(&plan, place.options(agent));
    assert_eq!((summary.exit_code, summary.successful), (2, 0));
    for task in &summary.tasks {
        let error = task.error.as_deref().unwrap();
        assert!(error.starts_with("FILE_CONFLICT: "), "{error}");
        let branch = task.branch.as_deref().unwrap();
        assert_eq!(
            place.git(&["show", &format!("{branch}:README.md")]),
            "ours\n"
        );
    }
}

#[test]
fn a_shallow_clone_is_as_good_as_a_deep_one() {
    let deep = Place::new();
    deep.git(&["commit", "-q", "--allow-empty", "-m", "Go on"]);
    let place = Place::new();
    fs::remove_dir_all(place.root()).unwrap();
    git_in(
        place.folder.path(),
        &[
            "clone",
            "-q",
            "--depth=1",
            &format!("file://{}", deep.root().display()),
            place.root().to_str().unwrap(),
        ],
    );
    let plan = place.plan(PLAN);
    let (_, summary) = run(&plan, place.options(WORKS));
    assert_eq!((summary.exit_code, summary.successful), (0, 2));
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_that_is_no_text_is_refused_before_anything_is_created() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let place = Place::new();
    let root = place.folder.path().join(OsStr::from_bytes(b"caf\xe9"));
    fs::rename(place.root(), &root).unwrap();
    // Nobody can name it, but one can stand in it or follow a link.
    std::os::unix::fs::symlink(&root, place.root()).unwrap();
    let plan = place.plan(PLAN);
    let error = prepare(&plan, None, place.options(WORKS)).err().unwrap();
    assert!(matches!(error, Error::PathNotText { .. }), "{error}");
    assert!(!root.join(".claude").exists());
}

#[test]
fn nothing_is_committed_to_a_branch_that_is_not_the_agents() {
    let place = Place::new();
    place.git(&["branch", "develop"]);
    let plan = place.plan("- [ ] Add the cart\n");
    let agent = "cat >/dev/null; git switch -q develop; echo work > cart.txt";
    let (_, summary) = run(&plan, place.options(agent));
    assert_eq!(summary.exit_code, 2);
    assert_eq!(
        place.git(&["rev-parse", "develop"]),
        place.git(&["rev-parse", "main"])
    );
}

#[test]
fn a_failed_verification_opens_no_change_request() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    let options = Options {
        verify: Some("test -f agent-1.txt".to_owned()),
        ..place.options(WORKS)
    };
    let (_, summary) = run(&plan, options);
    let [first, second] = &summary.tasks[..] else {
        panic!("{summary:?}")
    };
    assert_eq!(
        (first.status, first.tests_passing),
        (TaskStatus::Completed, Some(true))
    );
    assert_eq!(
        (second.status, second.tests_passing),
        (TaskStatus::Failed, Some(false))
    );
    assert_eq!(
        second.failure_stage,
        Some(orchestration::run::failure::Stage::Testing)
    );
    assert_eq!((second.pr_number, summary.prs_created.len()), (None, 1));
    assert!(
        Path::new(second.worktree.as_deref().unwrap()).is_dir(),
        "failed work is kept"
    );
}

#[test]
fn setup_runs_in_each_worktree_before_its_agent() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    let options = Options {
        setup: Some("echo ready > $AGENT_ID.env".to_owned()),
        ..place.options("cat >/dev/null; cp $AGENT_ID.env result.txt")
    };
    let (_, summary) = run(&plan, options);
    assert_eq!(summary.exit_code, 0, "{summary:?}");
}

#[test]
fn a_submodule_that_git_refuses_to_fetch_fails_its_task_by_name() {
    let place = Place::new();
    let library = place.folder.path().join("library");
    fs::create_dir(&library).unwrap();
    git_in(&library, &["init", "-q", "-b", "main"]);
    fs::write(library.join("lib.txt"), "code\n").unwrap();
    git_in(&library, &["add", "-A"]);
    git_in(&library, &["commit", "-qm", "Begin"]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "add", "-q"];
    place.git(&[&add[..], &[library.to_str().unwrap(), "vendor/library"]].concat());
    place.git(&["commit", "-qm", "Add the library"]);
    let plan = place.plan("- [ ] Use the library\n");
    // git fetches no submodule from a path unless the user allows it (CVE-2022-39253).
    let (_, summary) = run(&plan, place.options(WORKS));
    let error = summary.tasks[0].error.as_deref().unwrap();
    assert!(
        error.starts_with("UNKNOWN: git submodule update failed"),
        "{error}"
    );
}

#[test]
fn a_cancelled_run_ends_its_agents_and_says_130() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    let sleeps = "cat >/dev/null; echo begun > begun.txt; sleep 1000";
    let prepared = prepare(&plan, None, place.options(sleeps)).unwrap();
    let mut handle = Handle::start(prepared).unwrap();
    let mut pids = Vec::new();
    let events = events(&mut handle, |event, handle| {
        if let EventKind::AgentStarted { pid, .. } = event.kind {
            pids.push(pid);
            if pids.len() == 2 {
                handle.cancel(130);
            }
        }
    });
    let outcome = handle.join().unwrap();
    assert_eq!(outcome.exit_code, 130);
    assert!(
        outcome.summary.follow_up_issues.is_empty(),
        "an interruption is no diagnosis"
    );
    for task in &outcome.summary.tasks {
        assert!(
            task.error.as_deref().unwrap().starts_with("CANCELLED: "),
            "{task:?}"
        );
    }
    assert!(matches!(
        events.last().unwrap().kind,
        EventKind::OrchestrationFinished { exit_code: 130, .. }
    ));
    for pid in pids {
        assert!(
            !Path::new(&format!("/proc/{pid}/cwd")).exists(),
            "{pid} lives"
        );
    }
    // What was interrupted is run by the next one, in the same worktree.
    let (_, again) = run(&plan, place.options(WORKS));
    assert_eq!((again.exit_code, again.successful), (0, 2));
}

#[test]
fn the_same_plan_twice_repeats_nothing_and_new_tasks_run_alone() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    let (_, first) = run(&plan, place.options(WORKS));
    let handle = Handle::start(prepare(&plan, None, place.options(WORKS)).unwrap()).unwrap();
    assert!(handle.was_done());
    assert_eq!(
        handle.join().unwrap().summary.orchestration_id,
        first.orchestration_id
    );
    place.plan(&format!("{PLAN}- [ ] Add the door\n"));
    let (_, third) = run(&plan, place.options(WORKS));
    let titles: Vec<_> = third.tasks.iter().map(|task| task.title.as_str()).collect();
    assert_eq!(
        (titles, third.tasks[0].agent_id.as_str()),
        (vec!["Add the door"], "agent-3")
    );
}

#[test]
fn work_of_an_earlier_run_is_no_evidence_for_a_new_one() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    run(&plan, place.options(WORKS));
    let idle = Options {
        new: true,
        ..place.options("cat >/dev/null")
    };
    let (_, second) = run(&plan, idle);
    assert_eq!((second.exit_code, second.successful), (2, 0), "{second:?}");
    let works = Options {
        new: true,
        ..place.options("cat >/dev/null; echo more > more.txt")
    };
    let (_, third) = run(&plan, works);
    assert_eq!((third.exit_code, third.successful), (0, 2), "{third:?}");
}

#[test]
fn a_second_run_at_the_same_time_is_refused() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    let waits = "cat >/dev/null; echo begun > begun.txt; sleep 1000";
    let mut handle = Handle::start(prepare(&plan, None, place.options(waits)).unwrap()).unwrap();
    let second = prepare(&plan, None, place.options(WORKS)).err().unwrap();
    assert!(
        matches!(second, Error::Locked { pid, .. } if pid == std::process::id()),
        "{second}"
    );
    assert_eq!(second.exit_code(), 9);
    handle.cancel(130);
    events(&mut handle, |_, _| {});
    handle.join().unwrap();
}

#[test]
fn branches_that_a_deleted_forge_left_behind_are_not_taken_up() {
    let place = Place::new();
    let plan = place.plan(PLAN);
    let (_, first) = run(&plan, place.options(WORKS));
    fs::remove_dir_all(place.root().join(".claude")).unwrap();
    let (_, second) = run(&plan, place.options("cat >/dev/null; echo new > new.txt"));
    assert_eq!(second.exit_code, 0, "{second:?}");
    for task in &second.tasks {
        let branch = task.branch.clone().unwrap();
        assert!(
            first
                .tasks
                .iter()
                .all(|old| old.branch.as_ref() != Some(&branch))
        );
        assert_eq!(
            place.git(&["diff", "--name-only", "main", &branch]).trim(),
            "new.txt"
        );
    }
}

#[test]
fn a_worktree_that_was_registered_but_never_filled_is_filled() {
    let place = Place::new();
    let plan = place.plan("- [ ] Add the cart\n");
    let path = place
        .folder
        .path()
        .join("my shöp.worktrees/feat-local-2-agent-1");
    // What a crash between the two steps leaves; the forge is filed as it was then.
    let prepared = prepare(&plan, None, place.options(WORKS)).unwrap();
    drop(prepared);
    let (_, first) = run(&plan, place.options("cat >/dev/null; exit 1"));
    assert_eq!(first.exit_code, 2);
    place.git(&["worktree", "remove", "--force", path.to_str().unwrap()]);
    let branch = "feat/local-2-agent-1";
    place.git(&[
        "worktree",
        "add",
        "-q",
        "--no-checkout",
        path.to_str().unwrap(),
        branch,
    ]);
    // A check-out that was killed leaves its lock.
    let lock = place
        .root()
        .join(".git/worktrees/feat-local-2-agent-1/index.lock");
    fs::write(&lock, "").unwrap();
    let options = Options {
        new: true,
        ..place.options("cat >/dev/null; cat README.md > copy.txt")
    };
    let (_, second) = run(&plan, options);
    assert_eq!(second.exit_code, 0, "{second:?}");
}

#[test]
fn secrets_never_reach_a_log_or_an_issue() {
    let place = Place::new();
    let plan = place.plan("- [ ] Add the cart\n");
    let token = format!("ghp_{}", "A1b2C3d4E5".repeat(4).get(..36).unwrap());
    let leaks = format!("cat >/dev/null; echo 'token {token}'; exit 1");
    let (_, summary) = run(&plan, place.options(&leaks));
    assert_eq!(summary.exit_code, 2);
    let mut folders = vec![place.root().join(".claude/runtime")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                let bytes = fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                assert!(!text.contains(&token), "{}", path.display());
            }
        }
    }
    assert!(files > 8, "only {files} files were looked at");
}
