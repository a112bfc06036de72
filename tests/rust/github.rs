//! GitHub's side of the forge against a scripted server: what is asked, how often, and what is
//! made of each answer.

mod server;
mod trouble;
mod verbs;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orchestration::forge::github::address::Repository;
use orchestration::forge::github::limits::Moment;
use orchestration::forge::github::time::Time;
use orchestration::forge::github::token::Token;
use orchestration::forge::github::{GitHubForge, Setting};
use orchestration::forge::{
    Changes, Created, Forge, ForgeError, Issue, Marker, MarkerKind, NewComment, NewIssue, NewPull,
    Notice, Reply, Request,
};
use serde_json::{Value, json};

use self::server::{Say, Server};

const SECRET: &str = "ghp_thisisverysecret";

const LISTING: &str =
    "GET /repos/octo/shop/issues?labels=parallel-orchestration&state=all&per_page=100";

const NEWEST: &str = "GET /repos/octo/shop/issues?labels=parallel-orchestration&state=all\
                      &per_page=100&sort=created&direction=desc";

/// A clock that moves when somebody waits, and only then.
struct Virtual {
    now: Mutex<Moment>,
    waits: Mutex<Vec<u64>>,
    interrupted: AtomicBool,
}

const START: Moment = Duration::from_secs(1_800_000_000);

impl Virtual {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(START),
            waits: Mutex::default(),
            interrupted: AtomicBool::new(false),
        })
    }

    /// The waits so far, in whole seconds.
    fn waits(&self) -> Vec<u64> {
        self.waits.lock().unwrap().clone()
    }
}

impl Time for Virtual {
    fn now(&self) -> Moment {
        *self.now.lock().unwrap()
    }

    fn chance(&self) -> f64 {
        0.0
    }

    fn wait(&self, until: Moment) -> bool {
        let mut now = self.now.lock().unwrap();
        let left = until.saturating_sub(*now);
        if !left.is_zero() {
            self.waits.lock().unwrap().push(left.as_secs());
            *now = until;
        }
        !self.is_interrupted()
    }

    fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}

struct Scene {
    server: Server,
    time: Arc<Virtual>,
    forge: Arc<GitHubForge>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    fn new(steps: Vec<(&str, Say)>) -> Self {
        let server = Server::start(steps);
        let time = Virtual::new();
        let forge = connect(&server.url, time.clone());
        let told = listen(&forge);
        Self {
            server,
            time,
            forge,
            told,
        }
    }

    fn ask(&self, request: &Request) -> Result<Reply, ForgeError> {
        let reply = self.forge.perform(request);
        let told = self.told();
        assert!(!told.contains(SECRET), "{told}");
        assert!(!format!("{reply:?}").contains(SECRET), "{reply:?}");
        reply
    }

    fn created(&self, request: &Request) -> Created {
        match self.ask(request).unwrap() {
            Reply::Created(created) => created,
            other => panic!("{other:?}"),
        }
    }

    fn issue(&self, number: u64) -> Issue {
        match self.ask(&Request::Issue { number }).unwrap() {
            Reply::Issue(issue) => issue,
            other => panic!("{other:?}"),
        }
    }

    fn sub_issues(&self, number: u64) -> Vec<Issue> {
        match self.ask(&Request::SubIssues { number }).unwrap() {
            Reply::Issues { issues } => issues,
            other => panic!("{other:?}"),
        }
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().join("\n")
    }
}

fn connect(api: &str, time: Arc<dyn Time>) -> Arc<GitHubForge> {
    Arc::new(
        GitHubForge::new(Setting {
            repository: Repository::new("github.com", "octo", "shop").unwrap(),
            api: api.to_owned(),
            token: Token::new(SECRET, "GH_TOKEN").unwrap(),
            time,
        })
        .unwrap(),
    )
}

fn listen(forge: &GitHubForge) -> Arc<Mutex<Vec<String>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&told);
    forge.listen(Box::new(move |notice| {
        if let Notice::Line(line) = notice {
            lines.lock().unwrap().push(line.clone());
        }
    }));
    told
}

/// An issue as GitHub shows it, by the repository's owner.
fn issue(number: u64, body: &str) -> Value {
    json!({
        "id": 9000 + number,
        "number": number,
        "title": format!("Issue {number}"),
        "body": body,
        "state": "open",
        "labels": [],
        "html_url": format!("https://github.com/octo/shop/issues/{number}"),
        "repository_url": "https://api.github.com/repos/octo/shop",
        "user": {"login": "octo", "type": "User"},
        "author_association": "OWNER",
        "comments": 0,
        "sub_issues_summary": {"total": 0, "completed": 0, "percent_completed": 0},
    })
}

/// The same with some of it changed.
fn but(mut object: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else {
        panic!("no object");
    };
    for (key, value) in changes {
        object[key] = value;
    }
    object
}

fn labelled(number: u64, marker: &Marker) -> Value {
    let labels = json!({"labels": [{"name": "parallel-orchestration"}]});
    but(issue(number, &marker.lead("Text")), labels)
}

fn pull(number: u64) -> Value {
    json!({
        "number": number,
        "html_url": format!("https://github.com/octo/shop/pull/{number}"),
        "state": "open",
        "body": "By an agent",
        "base": {"ref": "main"},
    })
}

fn task(key: &str, kind: MarkerKind) -> Marker {
    Marker::task("1", key, kind)
}

fn new_issue(key: &str) -> Request {
    Request::CreateIssue(NewIssue {
        marker: task(key, MarkerKind::SubIssue),
        title: format!("Task {key}"),
        body: "Text".into(),
        labels: vec!["parallel-orchestration".into(), "sub-issue".into()],
        parent: Some(1),
    })
}

fn new_pull(key: &str, draft: bool) -> Request {
    Request::CreatePull(NewPull {
        marker: task(key, MarkerKind::Pull),
        title: format!("Task {key} (#2)"),
        body: "Closes #2".into(),
        head: format!("feat/{key}"),
        base: "main".into(),
        commit: "0".repeat(40),
        draft,
        changes: Changes::default(),
    })
}

fn summary(body: &str) -> Request {
    Request::Comment(NewComment {
        issue: 1,
        marker: Marker::whole("1", MarkerKind::Summary),
        body: body.into(),
    })
}
