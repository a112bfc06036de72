//! Limits, outages, redirects and interrupts.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use super::*;
use orchestration::forge::github::time::RealTime;

const MASTER: &str = "GET /repos/octo/shop/issues/1";
const ISSUES: &str = "POST /repos/octo/shop/issues";
const LINKS: &str = "POST /repos/octo/shop/issues/1/sub_issues";

fn limited(headers: Vec<(&'static str, String)>, message: &str) -> Say {
    Say::Raw(403, headers, json!({ "message": message }).to_string())
}

fn read_master() -> Request {
    Request::Issue { number: 1 }
}

#[test]
fn a_rate_limit_is_waited_for_and_said() {
    let reset = (START + Duration::from_secs(600)).as_secs();
    let scene = Scene::new(vec![
        (
            MASTER,
            limited(
                vec![
                    ("x-ratelimit-remaining", "0".into()),
                    ("x-ratelimit-reset", reset.to_string()),
                ],
                "API rate limit exceeded",
            ),
        ),
        (
            MASTER,
            limited(vec![("retry-after", "30".into())], "secondary rate limit"),
        ),
        (
            MASTER,
            Say::Raw(
                200,
                vec![("x-ratelimit-remaining", "4987".into())],
                issue(1, "").to_string(),
            ),
        ),
    ]);
    scene.issue(1);
    assert_eq!(scene.time.waits(), [601, 31]);
    insta::assert_snapshot!(scene.told(), @r"
    GET /repos/octo/shop/issues/1 403 (cost 1, 0 left, 0.00 s)
    GitHub's rate limit is used up, waiting until 08:10:01Z
    GET /repos/octo/shop/issues/1 403 (cost 1, 0.00 s)
    GitHub asks for a pause (secondary rate limit), waiting until 08:10:32Z
    GET /repos/octo/shop/issues/1 200 (cost 1, 4987 left, 0.00 s)
    ");
}

#[test]
fn a_limit_that_lasts_too_long_is_an_error_that_passes() {
    let scene = Scene::new(vec![(
        MASTER,
        limited(vec![("retry-after", "86400".into())], "slow down"),
    )]);
    let error = scene.ask(&read_master()).unwrap_err();
    assert!(matches!(error, ForgeError::Limited { until: Some(_) }) && error.is_passing());
    assert_eq!(scene.time.waits(), [0_u64; 0]);
}

#[test]
fn many_creations_are_paced() {
    let scene = Scene::new(vec![]);
    for number in 0..25 {
        let line = "POST /repos/octo/shop/pulls";
        scene.server.then(line, Say::Json(201, pull(number + 1)));
    }
    for number in 0..25 {
        scene.created(&new_pull(&format!("k{number}"), false));
    }
    assert_eq!(scene.time.waits(), [1, 1, 1, 1, 1]);
}

#[test]
fn reading_goes_on_after_every_kind_of_trouble() {
    let page = "<html><h1>502 Bad Gateway</h1></html>".to_owned();
    let scene = Scene::new(vec![
        (MASTER, Say::Drop),
        (MASTER, Say::Raw(502, vec![], page)),
        (MASTER, Say::Half(issue(1, "").to_string())),
        (MASTER, Say::Raw(200, vec![], "{\"id\": 1".into())),
        (MASTER, Say::Json(500, json!({"message": "Server Error"}))),
        (MASTER, Say::Json(200, issue(1, ""))),
    ]);
    assert_eq!(scene.issue(1).number, 1);
    scene.server.finished();
    assert_eq!(scene.time.waits(), [0, 1, 2, 4, 8]);
    assert!(scene.told().contains("asking again in 4 s"));
}

#[test]
fn trouble_that_does_not_end_is_given_up_within_two_minutes() {
    let scene = Scene::new(vec![]);
    for _ in 0..30 {
        scene.server.then(MASTER, Say::Json(503, Value::Null));
    }
    let error = scene.ask(&read_master()).unwrap_err();
    assert!(error.is_passing(), "{error:?}");
    assert!(scene.time.now() <= START + Duration::from_secs(120));

    let dropped = Scene::new(vec![]);
    for _ in 0..30 {
        dropped.server.then(MASTER, Say::Drop);
    }
    let error = dropped.ask(&read_master()).unwrap_err();
    assert!(matches!(error, ForgeError::Unreachable { .. }), "{error:?}");
}

#[test]
fn a_lost_answer_does_not_double_an_issue() {
    let known = task("a", MarkerKind::SubIssue);
    let lost = [
        Say::Drop,
        Say::Json(502, Value::Null),
        Say::Half(issue(7, "").to_string()),
        Say::Raw(201, vec![], "{\"number\":".into()),
    ];
    for say in lost {
        let scene = Scene::new(vec![
            (LISTING, Say::Json(200, json!([]))),
            (ISSUES, say),
            (NEWEST, Say::Json(200, json!([labelled(7, &known)]))),
            (LINKS, Say::Json(201, issue(1, ""))),
        ]);
        let created = scene.created(&new_issue("a"));
        assert_eq!((created.number, created.existed), (7, false));
        scene.server.finished();
    }
}

#[test]
fn what_was_not_created_is_sent_again() {
    let scene = Scene::new(vec![
        (LISTING, Say::Json(200, json!([]))),
        (ISSUES, Say::Drop),
        (NEWEST, Say::Json(200, json!([]))),
        (ISSUES, Say::Json(201, issue(7, ""))),
        (LINKS, Say::Drop),
        (
            "GET /repos/octo/shop/issues/1/sub_issues?per_page=100",
            Say::Json(200, json!([issue(7, "")])),
        ),
    ]);
    assert_eq!(scene.created(&new_issue("a")).number, 7);
    scene.server.finished();
}

#[test]
fn who_asks_again_after_giving_up_finds_what_was_created() {
    let known = task("a", MarkerKind::SubIssue);
    let scene = Scene::new(vec![
        (LISTING, Say::Json(200, json!([]))),
        (ISSUES, Say::Drop),
        (
            NEWEST,
            limited(vec![("retry-after", "86400".into())], "slow down"),
        ),
        (LISTING, Say::Json(200, json!([labelled(7, &known)]))),
        (LINKS, Say::Json(201, issue(1, ""))),
    ]);
    assert!(scene.ask(&new_issue("a")).unwrap_err().is_passing());
    let created = scene.created(&new_issue("a"));
    assert_eq!((created.number, created.existed), (7, true));
    scene.server.finished();
}

#[test]
fn a_lost_pull_request_and_a_lost_comment_are_found() {
    let body = Marker::whole("1", MarkerKind::Summary).lead("Done");
    let comment = json!({"id": 5, "html_url": "u", "body": body, "user": {"login": "octo"},
                         "author_association": "OWNER"});
    let scene = Scene::new(vec![
        ("POST /repos/octo/shop/pulls", Say::Drop),
        (
            "GET /repos/octo/shop/pulls?head=octo:feat/a&state=all&per_page=100",
            Say::Json(200, json!([pull(9)])),
        ),
        (MASTER, Say::Json(200, issue(1, ""))),
        ("POST /repos/octo/shop/issues/1/comments", Say::Drop),
        (
            "GET /repos/octo/shop/issues/1/comments?per_page=100",
            Say::Json(200, json!([comment])),
        ),
    ]);
    assert_eq!(scene.created(&new_pull("a", false)).number, 9);
    scene.issue(1);
    assert_eq!(scene.created(&summary("Done")).number, 5);
    scene.server.finished();
}

#[test]
fn what_did_not_change_is_served_from_memory() {
    let etag = vec![("etag", "W/\"abc\"".to_owned())];
    let scene = Scene::new(vec![
        (MASTER, Say::Raw(200, etag, issue(1, "Kept").to_string())),
        (MASTER, Say::Raw(304, vec![], String::new())),
    ]);
    scene.issue(1);
    assert_eq!(scene.issue(1).body, "Kept");
    let seen = scene.server.seen();
    assert_eq!(seen[0].header("if-none-match"), None);
    assert_eq!(seen[1].header("if-none-match"), Some("W/\"abc\""));
    assert!(scene.told().contains("304 (cost 0"), "{}", scene.told());
}

#[test]
fn a_renamed_repository_is_followed_on_its_own_host() {
    let scene = Scene::new(vec![(LISTING, Say::Json(200, json!([])))]);
    let moved = |path: &str| vec![("location", format!("{}{path}", scene.server.url))];
    for (line, status, path) in [
        (MASTER, 301, "/repositories/5/issues/1"),
        (ISSUES, 307, "/repositories/5/issues"),
        (LINKS, 308, "/repositories/5/issues/1/sub_issues"),
    ] {
        let say = Say::Raw(status, moved(path), String::new());
        scene.server.then(line, say);
    }
    for (line, body) in [
        ("GET /repositories/5/issues/1", issue(1, "")),
        ("POST /repositories/5/issues", issue(7, "")),
        ("POST /repositories/5/issues/1/sub_issues", issue(1, "")),
    ] {
        scene.server.then(line, Say::Json(200, body));
    }
    scene.issue(1);
    assert_eq!(scene.created(&new_issue("a")).number, 7);
    scene.server.finished();
}

#[test]
fn no_other_host_is_asked_let_alone_given_the_token() {
    let other = Server::start(vec![]);
    let place = other.url.trim_start_matches("http://");
    for location in [
        other.url.clone(),
        format!("//{place}"),
        format!("http://x@{place}"),
        "https://evil.example".to_owned(),
    ] {
        let location = vec![("location", format!("{location}/repos/octo/shop/issues/1"))];
        let scene = Scene::new(vec![(MASTER, Say::Raw(301, location, String::new()))]);
        let error = scene.ask(&read_master()).unwrap_err();
        assert!(error.to_string().contains("the token"), "{error}");
    }
    // Nor the same machine by another name.
    let scene = Scene::new(vec![]);
    let by_name = scene.server.url.replace("127.0.0.1", "localhost");
    let location = vec![("location", format!("{by_name}/repos/octo/shop/issues/1"))];
    scene
        .server
        .then(MASTER, Say::Raw(302, location, String::new()));
    assert!(scene.ask(&read_master()).is_err());
    assert_eq!(scene.server.lines(), [MASTER]);
    // Nor is the next page of a list fetched there.
    let next = format!("<{}/x?page=2>; rel=\"next\"", other.url);
    let scene = Scene::new(vec![(
        LISTING,
        Say::Raw(200, vec![("link", next)], "[]".into()),
    )]);
    let request = Request::Marked { master: "1".into() };
    let error = scene.ask(&request).unwrap_err();
    assert!(error.to_string().contains("the token"), "{error}");
    assert_eq!(other.lines(), [""; 0]);
}

#[test]
fn a_redirect_in_a_circle_ends() {
    let scene = Scene::new(vec![]);
    for _ in 0..10 {
        let location = vec![("location", "/repos/octo/shop/issues/1".to_owned())];
        scene
            .server
            .then(MASTER, Say::Raw(301, location, String::new()));
    }
    let error = scene.ask(&read_master()).unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
}

#[test]
fn a_refused_token_says_where_it_came_from() {
    let scene = Scene::new(vec![(
        MASTER,
        Say::Json(401, json!({"message": "Bad credentials"})),
    )]);
    let error = scene.ask(&read_master()).unwrap_err();
    let shown = orchestration::error::Error::from(error);
    assert_eq!(shown.exit_code(), 5);
    assert_eq!(
        shown.to_string(),
        "the forge refused to read issue #1: Bad credentials (status 401)"
    );
    assert!(shown.hint().contains("GH_TOKEN"), "{}", shown.hint());
}

#[test]
fn a_missing_issue_is_not_found() {
    let scene = Scene::new(vec![(
        MASTER,
        Say::Json(404, json!({"message": "Not Found"})),
    )]);
    let error = scene.ask(&read_master()).unwrap_err();
    assert!(
        matches!(&error, ForgeError::NotFound { what, .. } if what == "issue #1 of octo/shop"),
        "{error:?}"
    );
}

#[test]
fn an_interrupt_ends_a_wait_and_all_that_is_asked_later() {
    let server = Server::start(vec![(
        MASTER,
        limited(vec![("retry-after", "3600".into())], "secondary rate limit"),
    )]);
    let forge = connect(&server.url, Arc::new(RealTime::default()));
    let (teller, told) = channel();
    forge.listen(Box::new(move |notice| {
        if let Notice::Line(line) = notice {
            // The test may be over.
            let _ = teller.send(line.clone());
        }
    }));
    let waiting = {
        let forge = Arc::clone(&forge);
        thread::spawn(move || forge.perform(&read_master()))
    };
    let deadline = Duration::from_secs(10);
    while !told.recv_timeout(deadline).unwrap().contains("waiting") {}
    forge.interrupt();
    assert_eq!(waiting.join().unwrap(), Err(ForgeError::Interrupted));
    assert_eq!(forge.perform(&read_master()), Err(ForgeError::Interrupted));
    server.finished();
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "measures what a person would wait"
)]
fn an_interrupt_ends_what_is_never_answered() {
    let (_gate, held) = channel();
    let never = Say::Held(held, Box::new(Say::Drop));
    let server = Server::start(vec![(MASTER, never)]);
    let forge = connect(&server.url, Arc::new(RealTime::default()));
    let asking = {
        let forge = Arc::clone(&forge);
        thread::spawn(move || forge.perform(&read_master()))
    };
    assert_eq!(server.arrival(), MASTER);
    let began = Instant::now();
    forge.interrupt();
    assert_eq!(asking.join().unwrap(), Err(ForgeError::Interrupted));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_slow_answer_holds_up_nobody_else() {
    let (gate, held) = channel();
    let slow = Say::Held(held, Box::new(Say::Json(200, issue(1, "Slow"))));
    let scene = Scene::new(vec![
        (MASTER, slow),
        ("POST /repos/octo/shop/pulls", Say::Json(201, pull(9))),
        (
            "GET /repos/octo/shop/issues/2",
            Say::Json(200, issue(2, "Fast")),
        ),
    ]);
    let asking = {
        let forge = Arc::clone(&scene.forge);
        thread::spawn(move || forge.perform(&read_master()))
    };
    assert_eq!(scene.server.arrival(), MASTER);
    assert_eq!(scene.issue(2).body, "Fast");
    assert_eq!(scene.created(&new_pull("a", false)).number, 9);
    assert!(!asking.is_finished());
    drop(gate);
    assert!(matches!(asking.join().unwrap(), Ok(Reply::Issue(_))));
    scene.server.finished();
}
