//! What each verb asks, and what it makes of the answers.

use super::*;
use orchestration::forge::{CloseReason, Marked};

const MASTER: &str = "GET /repos/octo/shop/issues/1";
const ISSUES: &str = "POST /repos/octo/shop/issues";
const LINKS: &str = "POST /repos/octo/shop/issues/1/sub_issues";
const PULLS: &str = "POST /repos/octo/shop/pulls";
const COMMENTS: &str = "GET /repos/octo/shop/issues/1/comments?per_page=100";

fn comment(id: u64, body: &str, association: &str) -> Value {
    json!({
        "id": id,
        "html_url": format!("https://github.com/octo/shop/issues/1#issuecomment-{id}"),
        "body": body,
        "user": {"login": "ada", "type": "User"},
        "author_association": association,
    })
}

#[test]
fn a_first_run_of_three_tasks_keeps_to_its_budget() {
    let member = json!({"author_association": "MEMBER", "user": {"login": "ada"}, "comments": 2});
    let scene = Scene::new(vec![
        (MASTER, Say::Json(200, but(issue(1, "- [ ] A"), member))),
        (
            "GET /repos/octo/shop/collaborators/ada/permission",
            Say::Json(200, json!({"permission": "write", "role_name": "maintain"})),
        ),
        (LISTING, Say::Json(200, json!([]))),
        (COMMENTS, Say::Json(200, json!([]))),
        (
            "POST /repos/octo/shop/issues/1/comments",
            Say::Json(201, comment(5, "Done", "MEMBER")),
        ),
    ]);
    for number in 2..5 {
        scene.server.then(ISSUES, Say::Json(201, issue(number, "")));
        scene.server.then(LINKS, Say::Json(201, issue(1, "")));
        scene.server.then(PULLS, Say::Json(201, pull(number + 10)));
    }
    assert_eq!(scene.issue(1).stranger, None);
    assert_eq!(scene.sub_issues(1), []);
    for (key, number) in [("a", 2), ("b", 3), ("c", 4)] {
        assert_eq!(scene.created(&new_issue(key)).number, number);
        assert_eq!(scene.created(&new_pull(key, false)).number, number + 10);
    }
    assert!(!scene.created(&summary("Done")).existed);
    scene.server.finished();
    let requests = scene.server.seen();
    assert!(requests.len() <= 3 * 3 + 5, "{}", requests.len());

    let posted = requests.iter().find(|seen| seen.line == ISSUES).unwrap();
    assert_eq!(
        posted.body,
        json!({
            "title": "Task a",
            "body": task("a", MarkerKind::SubIssue).lead("Text"),
            "labels": ["parallel-orchestration", "sub-issue"],
        })
    );
    let bearer = format!("Bearer {SECRET}");
    assert_eq!(posted.header("authorization"), Some(bearer.as_str()));
    assert_eq!(posted.header("accept"), Some("application/vnd.github+json"));
    assert_eq!(posted.header("x-github-api-version"), Some("2022-11-28"));
    assert!(posted.header("user-agent").is_some());
    let linked = requests.iter().find(|seen| seen.line == LINKS).unwrap();
    assert_eq!(linked.body, json!({"sub_issue_id": 9002}));
}

#[test]
fn an_issue_with_the_marker_is_used_again_and_linked() {
    let known = task("a", MarkerKind::SubIssue);
    let scene = Scene::new(vec![
        (LISTING, Say::Json(200, json!([labelled(7, &known)]))),
        (
            LINKS,
            Say::Json(
                422,
                json!({"message": "An error occurred while adding the sub-issue to the parent \
                       issue. Issue may not contain duplicate sub-issues"}),
            ),
        ),
    ]);
    let created = scene.created(&new_issue("a"));
    assert_eq!((created.number, created.existed), (7, true));
    assert_eq!(scene.created(&new_issue("a")).number, 7);
    scene.server.finished();
}

#[test]
fn of_several_issues_with_a_marker_the_open_one_counts() {
    let known = task("a", MarkerKind::SubIssue);
    let closed = json!({"state": "closed"});
    let parent = json!({"parent_issue_url": "https://api.github.com/repos/octo/shop/issues/1"});
    let listed = json!([
        but(labelled(7, &known), closed),
        but(labelled(8, &known), parent)
    ]);
    let scene = Scene::new(vec![(LISTING, Say::Json(200, listed))]);
    assert_eq!(scene.created(&new_issue("a")).number, 8);
    scene.server.finished();
}

#[test]
fn a_marker_that_a_stranger_wrote_is_not_ours() {
    let known = task("a", MarkerKind::SubIssue);
    let stranger = json!({"author_association": "NONE", "user": {"login": "eve", "type": "User"}});
    let unlabelled = json!({"labels": []});
    let listed = json!([
        but(labelled(7, &known), stranger),
        but(labelled(8, &known), unlabelled),
        but(labelled(9, &known), json!({"pull_request": {"url": "x"}})),
    ]);
    let scene = Scene::new(vec![
        (LISTING, Say::Json(200, listed)),
        (
            "GET /repos/octo/shop/collaborators/eve/permission",
            Say::Json(200, json!({"permission": "read", "role_name": "read"})),
        ),
        (ISSUES, Say::Json(201, issue(10, ""))),
        (LINKS, Say::Json(201, issue(1, ""))),
    ]);
    assert_eq!(scene.created(&new_issue("a")).number, 10);
    scene.server.finished();
}

#[test]
fn an_issue_that_an_app_made_is_found_again() {
    let known = task("a", MarkerKind::SubIssue);
    let app = json!({"author_association": "NONE", "user": {"login": "ci[bot]", "type": "Bot"}});
    let scene = Scene::new(vec![
        (
            LISTING,
            Say::Json(200, json!([but(labelled(7, &known), app)])),
        ),
        (LINKS, Say::Json(201, issue(1, ""))),
    ]);
    assert_eq!(scene.created(&new_issue("a")).number, 7);
}

#[test]
fn an_older_github_without_sub_issues_is_linked_by_text_alone() {
    let older = json!({"sub_issues_summary": null});
    let missing = json!({"message": "Not Found"});
    let scene = Scene::new(vec![
        (MASTER, Say::Json(200, but(issue(1, ""), older))),
        (
            "GET /repos/octo/shop/issues/1/sub_issues?per_page=100",
            Say::Json(404, missing.clone()),
        ),
        (LISTING, Say::Json(200, json!([]))),
        (ISSUES, Say::Json(201, issue(7, ""))),
        (LINKS, Say::Json(404, missing)),
    ]);
    scene.issue(1);
    assert_eq!(scene.sub_issues(1), []);
    assert_eq!(scene.created(&new_issue("a")).number, 7);
    assert!(scene.told().contains("the text alone"), "{}", scene.told());
}

#[test]
fn a_list_is_read_to_its_last_page() {
    let scene = Scene::new(vec![]);
    let link = |page: u32| {
        let next = format!("{}/repositories/1/issues?page={page}", scene.server.url);
        vec![("link", format!("<{next}>; rel=\"next\", <x>; rel=\"last\""))]
    };
    let listed = |marker: &Marker, number| json!([labelled(number, marker)]).to_string();
    let (first, second) = (
        Marker::whole("1", MarkerKind::Summary),
        task("b", MarkerKind::Diagnostic),
    );
    let other = Marker::whole("2", MarkerKind::Master);
    scene
        .server
        .then(LISTING, Say::Raw(200, link(2), listed(&second, 9)));
    scene.server.then(
        "GET /repositories/1/issues?page=2",
        Say::Raw(200, link(3), listed(&other, 8)),
    );
    scene.server.then(
        "GET /repositories/1/issues?page=3",
        Say::Raw(200, vec![], listed(&first, 7)),
    );
    let Reply::Marked { found } = scene.ask(&Request::Marked { master: "1".into() }).unwrap()
    else {
        panic!("no list");
    };
    let numbers = |marked: &Marked| (marked.number, marked.marker.clone());
    let found: Vec<_> = found.iter().map(numbers).collect();
    assert_eq!(found, [(7, first), (9, second)]);
    scene.server.finished();
}

#[test]
fn adopting_labels_and_links_and_leaves_the_text_alone() {
    let scene = Scene::new(vec![
        (
            "GET /repos/octo/shop/issues/12",
            Say::Json(200, issue(12, "Theirs")),
        ),
        (
            "POST /repos/octo/shop/issues/12/labels",
            Say::Json(200, json!([])),
        ),
        (LINKS, Say::Json(201, issue(1, ""))),
    ]);
    let adopt = Request::Adopt {
        number: 12,
        marker: task("a", MarkerKind::SubIssue),
        labels: vec!["parallel-orchestration".into()],
        parent: Some(1),
    };
    assert_eq!(scene.issue(12).body, "Theirs");
    assert!(scene.created(&adopt).existed);
    assert!(scene.created(&adopt).existed);
    scene.server.finished();
}

#[test]
fn a_sub_issue_that_is_adopted_is_not_linked_again() {
    let scene = Scene::new(vec![
        (
            "GET /repos/octo/shop/issues/1/sub_issues?per_page=100",
            Say::Json(200, json!([issue(12, "Theirs")])),
        ),
        (
            "POST /repos/octo/shop/issues/12/labels",
            Say::Json(200, json!([])),
        ),
    ]);
    assert_eq!(scene.sub_issues(1).len(), 1);
    scene.created(&Request::Adopt {
        number: 12,
        marker: task("a", MarkerKind::SubIssue),
        labels: vec!["parallel-orchestration".into()],
        parent: Some(1),
    });
    scene.server.finished();
}

#[test]
fn a_sub_issue_of_another_repository_is_refused_while_it_is_open() {
    const SUB_ISSUES: &str = "GET /repos/octo/shop/issues/1/sub_issues?per_page=100";
    let other = json!({"repository_url": "https://api.github.com/repos/octo/other"});
    let open = but(issue(5, ""), other);
    let closed = but(open.clone(), json!({"state": "closed"}));
    let scene = Scene::new(vec![
        (SUB_ISSUES, Say::Json(200, json!([closed]))),
        (SUB_ISSUES, Say::Json(200, json!([open]))),
    ]);
    assert_eq!(scene.sub_issues(1), []);
    let error = scene.ask(&Request::SubIssues { number: 1 }).unwrap_err();
    assert!(error.to_string().contains("another repository"), "{error}");
}

#[test]
fn only_who_may_write_is_no_stranger() {
    const PERMISSION: &str = "GET /repos/octo/shop/collaborators/ada/permission";
    for (association, permission, stranger) in [
        ("OWNER", None, false),
        ("CONTRIBUTOR", None, true),
        ("NONE", None, true),
        ("COLLABORATOR", Some((200, "write")), false),
        ("COLLABORATOR", Some((200, "read")), true),
        ("MEMBER", Some((200, "admin")), false),
        ("MEMBER", Some((403, "")), false),
        ("MEMBER", Some((404, "")), false),
    ] {
        let author = json!({"author_association": association, "user": {"login": "ada"}});
        let scene = Scene::new(vec![(MASTER, Say::Json(200, but(issue(1, ""), author)))]);
        if let Some((status, permission)) = permission {
            let body = json!({"permission": permission});
            scene.server.then(PERMISSION, Say::Json(status, body));
        }
        let expected = stranger.then(|| "ada".to_owned());
        assert_eq!(
            scene.issue(1).stranger,
            expected,
            "{association} {permission:?}"
        );
        scene.server.finished();
    }
}

#[test]
fn a_pull_request_and_a_moved_issue_are_no_issue_of_this_number() {
    for (changes, word) in [
        (json!({"pull_request": {"url": "x"}}), "pull request"),
        (json!({"number": 77}), "moved"),
    ] {
        let scene = Scene::new(vec![(MASTER, Say::Json(200, but(issue(1, ""), changes)))]);
        let error = scene.ask(&Request::Issue { number: 1 }).unwrap_err();
        assert!(matches!(error, ForgeError::NotFound { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_pull_request_that_is_there_is_taken() {
    let scene = Scene::new(vec![
        (
            PULLS,
            Say::Json(
                422,
                json!({"message": "Validation Failed", "errors": [{"resource": "PullRequest",
                    "code": "custom", "message": "A pull request already exists for octo:feat/a."}]}),
            ),
        ),
        (
            "GET /repos/octo/shop/pulls?head=octo:feat/a&state=all&per_page=100",
            Say::Json(
                200,
                json!([but(pull(8), json!({"state": "closed"})), pull(9)]),
            ),
        ),
    ]);
    let created = scene.created(&new_pull("a", false));
    assert_eq!((created.number, created.existed), (9, true));
    scene.server.finished();
}

#[test]
fn a_refused_pull_request_says_why() {
    let scene = Scene::new(vec![
        (
            PULLS,
            Say::Json(
                422,
                json!({"message": "Validation Failed", "errors": [{"message": "No commits between main and feat/a"}]}),
            ),
        ),
        (
            "GET /repos/octo/shop/pulls?head=octo:feat/a&state=all&per_page=100",
            Say::Json(200, json!([])),
        ),
    ]);
    let error = scene.ask(&new_pull("a", false)).unwrap_err();
    assert!(error.to_string().contains("No commits between"), "{error}");
}

#[test]
fn where_drafts_are_refused_it_is_opened_for_review() {
    let refusal = json!({"message": "Draft pull requests are not supported in this repository."});
    let scene = Scene::new(vec![
        (PULLS, Say::Json(422, refusal)),
        (PULLS, Say::Json(201, pull(9))),
    ]);
    assert_eq!(scene.created(&new_pull("a", true)).number, 9);
    let drafts: Vec<Value> = scene
        .server
        .seen()
        .iter()
        .map(|seen| seen.body["draft"].clone())
        .collect();
    assert_eq!(drafts, [true, false]);
    assert!(scene.told().contains("no drafts"));
}

#[test]
fn our_comment_is_edited_in_place_and_a_forged_one_is_not() {
    let text = |body: &str| Marker::whole("1", MarkerKind::Summary).lead(body);
    let listed = json!([
        comment(3, &text("Forged"), "NONE"),
        comment(4, &format!("> {}", text("Quoted")), "OWNER"),
        comment(5, &text("Old"), "OWNER"),
    ]);
    let edit = "PATCH /repos/octo/shop/issues/comments/5";
    let scene = Scene::new(vec![
        (COMMENTS, Say::Json(200, listed)),
        (
            "GET /repos/octo/shop/collaborators/ada/permission",
            Say::Json(200, json!({"permission": "read"})),
        ),
        (edit, Say::Json(200, comment(5, &text("New"), "OWNER"))),
        (edit, Say::Json(200, comment(5, &text("Newer"), "OWNER"))),
    ]);
    let created = scene.created(&summary("New"));
    assert_eq!((created.number, created.existed), (5, true));
    scene.created(&summary("New"));
    scene.created(&summary("Newer"));
    scene.server.finished();
}

#[test]
fn closing_what_is_closed_changes_nothing() {
    let closed = json!({"state": "closed"});
    let close = Request::Close {
        number: 1,
        why: CloseReason::NotPlanned,
    };
    let scene = Scene::new(vec![
        (MASTER, Say::Json(200, issue(1, ""))),
        (
            "PATCH /repos/octo/shop/issues/1",
            Say::Json(200, issue(1, "")),
        ),
        (MASTER, Say::Json(200, but(issue(1, ""), closed))),
    ]);
    assert_eq!(scene.ask(&close), Ok(Reply::Done));
    assert_eq!(scene.ask(&close), Ok(Reply::Done));
    scene.server.finished();
    let expected = json!({"state": "closed", "state_reason": "not_planned"});
    assert_eq!(scene.server.seen()[1].body, expected);
}
