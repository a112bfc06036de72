//! The local forge: what it promises to people who read its files, to a run that is repeated
//! after a crash, and to two processes at once.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use orchestration::error::{Error, Kind};
use orchestration::forge::{
    Changes, CloseReason, Created, Forge, ForgeError, Issue, LocalForge, Marked, Marker,
    MarkerKind, NewComment, NewIssue, NewPull, Reply, Request, State,
};
use tempfile::TempDir;

const SHOWN: &str = ".claude/runtime/forge";

struct Scene {
    _folder: TempDir,
    folder: PathBuf,
    forge: LocalForge,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forge");
        Self {
            forge: open(&path),
            folder: path,
            _folder: folder,
        }
    }

    fn created(&self, request: &Request) -> Created {
        match self.forge.perform(request).unwrap() {
            Reply::Created(created) => created,
            other => unreachable!("{other:?}"),
        }
    }

    fn read(&self, number: u64) -> Result<Issue, ForgeError> {
        match self.forge.perform(&Request::Issue { number })? {
            Reply::Issue(issue) => Ok(issue),
            other => unreachable!("{other:?}"),
        }
    }

    fn marked(&self, master: &str) -> Vec<Marked> {
        match self
            .forge
            .perform(&Request::Marked {
                master: master.into(),
            })
            .unwrap()
        {
            Reply::Marked { found } => found,
            other => unreachable!("{other:?}"),
        }
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap()
    }
}

fn open(folder: &std::path::Path) -> LocalForge {
    LocalForge::new(folder, SHOWN, || "2026-01-01T12:00:00Z".parse().unwrap())
}

fn issue(task: &str) -> Request {
    Request::CreateIssue(NewIssue {
        marker: Marker::task("1", task, MarkerKind::SubIssue),
        title: format!("[Master #1] Sub-task: {task}"),
        body: "**Master Issue**: #1\n".into(),
        labels: vec!["sub-issue".into()],
        parent: None,
    })
}

fn pull(task: &str) -> Request {
    Request::CreatePull(NewPull {
        marker: Marker::task("1", task, MarkerKind::Pull),
        title: "Add login (#1)".into(),
        body: "Closes #1".into(),
        head: "feat/local-1-agent-1".into(),
        base: "main".into(),
        commit: "c0ffee".into(),
        draft: false,
        changes: Changes {
            files: 2,
            insertions: 30,
            deletions: 4,
        },
    })
}

fn comment(issue: u64, body: &str) -> Request {
    let marker = Marker::whole("1", MarkerKind::Summary);
    Request::Comment(NewComment {
        issue,
        marker,
        body: body.into(),
    })
}

#[test]
fn issues_and_change_requests_share_one_sequence_from_one() {
    let scene = Scene::new();
    let first = scene.created(&issue("a"));
    assert_eq!(first.url, ".claude/runtime/forge/issues/1.md");
    assert_eq!((first.number, first.existed), (1, false));
    let second = scene.created(&pull("a"));
    assert_eq!(second.url, ".claude/runtime/forge/pulls/2.md");
    assert_eq!(scene.created(&issue("b")).number, 3);
    insta::assert_snapshot!(scene.file("pulls/2.md"), @r#"
    ---
    number: 2
    kind: pull
    title: "Add login (#1)"
    state: open
    created: 2026-01-01T12:00:00Z
    head: feat/local-1-agent-1
    base: main
    commit: c0ffee
    changes:
      files: 2
      insertions: 30
      deletions: 4
    ---
    <!-- parallel-orchestrate master=1 task=a kind=pull -->

    Closes #1
    "#);
}

#[test]
fn asking_again_returns_what_is_there_also_after_a_restart() {
    let scene = Scene::new();
    for request in [issue("a"), pull("a"), comment(1, "x")] {
        let first = scene.created(&request);
        let again = match open(&scene.folder).perform(&request).unwrap() {
            Reply::Created(created) => created,
            other => unreachable!("{other:?}"),
        };
        assert!(!first.existed && again.existed);
        assert_eq!((first.number, &first.url), (again.number, &again.url));
    }
    assert_eq!(
        fs::read_dir(scene.folder.join("issues")).unwrap().count(),
        1
    );
}

#[test]
fn a_number_is_never_given_twice_even_after_its_file_is_gone() {
    let scene = Scene::new();
    scene.created(&issue("a"));
    scene.created(&issue("b"));
    fs::remove_file(scene.folder.join("issues/2.md")).unwrap();
    assert_eq!(scene.created(&issue("c")).number, 3);
}

#[test]
fn processes_and_threads_at_once_never_share_a_number() {
    let scene = Scene::new();
    let numbers: BTreeSet<u64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                // A forge of its own each: only the lock file stands between them.
                let forge = open(&scene.folder);
                scope.spawn(move || {
                    let create = |task| forge.perform(&issue(&format!("{worker}-{task}")));
                    (0..5).map(|task| create(task).unwrap()).collect::<Vec<_>>()
                })
            })
            .collect();
        let replies = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap());
        replies
            .map(|reply| match reply {
                Reply::Created(created) => created.number,
                other => unreachable!("{other:?}"),
            })
            .collect()
    });
    assert_eq!(numbers, (1..=20).collect());
}

#[test]
fn a_comment_is_written_once_and_renewed_in_place() {
    let scene = Scene::new();
    scene.created(&issue("a"));
    assert!(!scene.created(&comment(1, "4/5 tasks")).existed);
    assert!(scene.created(&comment(1, "5/5 tasks")).existed);
    let text = scene.file("issues/1.md");
    assert_eq!(text.matches("<!-- comment ").count(), 1);
    assert!(text.contains("5/5 tasks") && !text.contains("4/5"));
}

#[test]
fn an_adopted_issue_keeps_its_text_and_is_found_by_its_task() {
    let scene = Scene::new();
    fs::create_dir_all(scene.folder.join("issues")).unwrap();
    let by_hand = "---\nnumber: 5\nkind: issue\ntitle: Fix it\n---\nBy hand.\n";
    fs::write(scene.folder.join("issues/5.md"), by_hand).unwrap();
    let marker = Marker::task("1", "a", MarkerKind::SubIssue);
    let adopt = Request::Adopt {
        number: 5,
        marker,
        labels: vec!["sub-issue".into()],
        parent: None,
    };
    assert!(scene.created(&adopt).existed);
    scene.created(&adopt);

    let adopted = scene.read(5).unwrap();
    assert_eq!(
        (adopted.body.as_str(), adopted.labels),
        ("By hand.", vec!["sub-issue".into()])
    );
    assert_eq!(scene.created(&issue("a")).number, 5);
    assert_eq!(scene.created(&issue("b")).number, 6);
}

#[test]
fn everything_of_a_master_is_found_with_its_state() {
    let scene = Scene::new();
    scene.created(&issue("a"));
    scene.created(&pull("a"));
    scene.created(&issue("b"));
    let close = Request::Close {
        number: 1,
        why: CloseReason::Completed,
    };
    assert_eq!(scene.forge.perform(&close).unwrap(), Reply::Done);
    let found: Vec<_> = scene
        .marked("1")
        .into_iter()
        .map(|m| (m.number, m.marker.kind, m.state))
        .collect();
    assert_eq!(
        found,
        [
            (1, MarkerKind::SubIssue, State::Closed),
            (2, MarkerKind::Pull, State::Open),
            (3, MarkerKind::SubIssue, State::Open),
        ]
    );
    assert!(scene.marked("2").is_empty());
    assert!(scene.file("issues/1.md").contains("reason: completed"));
}

#[test]
fn the_text_of_an_issue_comes_back_without_our_marker() {
    let scene = Scene::new();
    scene.created(&issue("a"));
    let issue = scene.read(1).unwrap();
    assert_eq!(issue.body, "**Master Issue**: #1");
    assert_eq!(issue.title, "[Master #1] Sub-task: a");
}

#[test]
fn a_damaged_file_is_named_and_left_as_it_is() {
    let scene = Scene::new();
    scene.created(&issue("a"));
    let path = scene.folder.join("issues/1.md");
    for damage in [
        "",
        "hello",
        "---\nnumber: 1\n",
        "---\nnumber: 2\nkind: issue\ntitle: t\n---\n",
    ] {
        fs::write(&path, damage).unwrap();
        let error = scene.forge.perform(&issue("b")).unwrap_err();
        assert!(matches!(&error, ForgeError::Corrupt { path: named, .. } if *named == path));
        assert_eq!(fs::read_to_string(&path).unwrap(), damage);
        let error = Error::from(error);
        assert_eq!(error.kind(), Kind::Forge);
        assert!(
            error.to_string().contains("issues/1.md") && error.hint().contains("left as it is")
        );
    }
}

#[test]
fn files_that_are_not_ours_do_not_matter() {
    let scene = Scene::new();
    scene.created(&issue("a"));
    for name in ["notes.md", "1.md~", ".DS_Store", "1.new"] {
        fs::write(scene.folder.join("issues").join(name), "x").unwrap();
    }
    assert_eq!(scene.created(&issue("b")).number, 2);
}

#[test]
fn what_is_not_there_is_named() {
    let error = Scene::new().read(12).unwrap_err();
    assert_eq!(error.to_string(), "issue #12: not found");
    assert_eq!(Error::from(error).exit_code(), 5);
}

#[test]
fn looking_creates_nothing() {
    let scene = Scene::new();
    scene.read(12).unwrap_err();
    let request = Request::Marked {
        master: "plan.md".into(),
    };
    let reply = scene.forge.perform(&request).unwrap();
    assert!(matches!(reply, Reply::Marked { found } if found.is_empty()));
    assert!(!scene.folder.exists());
}

#[test]
fn trouble_with_the_disk_is_an_error_of_this_machine() {
    let scene = Scene::new();
    fs::write(&scene.folder, "a file where the folder belongs").unwrap();
    let error = Error::from(scene.forge.perform(&issue("a")).unwrap_err());
    assert!(
        matches!(error, Error::File { .. }) && error.exit_code() == 9,
        "{error}"
    );
}

#[test]
fn an_edit_by_hand_is_seen_by_a_forge_that_read_the_file_before() {
    let scene = Scene::new();
    scene.created(&issue("a"));
    assert!(scene.created(&issue("a")).existed);
    let path = scene.folder.join("issues/1.md");
    let edited = scene.file("issues/1.md").replace("task=a ", "task=z ");
    fs::write(&path, edited).unwrap();
    assert_eq!(scene.created(&issue("z")).number, 1);
    assert_eq!(scene.created(&issue("a")).number, 2);

    fs::write(&path, "no longer an issue").unwrap();
    let error = scene.forge.perform(&issue("b")).unwrap_err();
    assert!(matches!(error, ForgeError::Corrupt { .. }), "{error}");
}
