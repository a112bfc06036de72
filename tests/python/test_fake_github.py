"""The fake GitHub keeps to the real one's contract: addresses, filters, refusals, permissions."""

import re

import pytest
from github_client import AT, DEMO, ask, pull, refused

pytestmark = pytest.mark.timeout(30)

# Issues.


def test_issues_and_pulls_share_one_sequence_and_ids_are_no_numbers(github):
    github.commit(DEMO, "feat", {"a.txt": "a\n"})
    issue = ask(github, "POST", f"{AT}/issues", {"title": "One"})
    pull = ask(github, "POST", f"{AT}/pulls", {"title": "Two", "head": "feat", "base": "main"})
    assert (issue.status, pull.status) == (201, 201)
    assert (issue.body["number"], pull.body["number"]) == (1, 2)
    assert issue.body["id"] > 1_000_000
    assert issue.headers["Location"] == issue.body["url"]
    assert issue.body["html_url"] == f"{github.url}/{DEMO}/issues/1"
    assert pull.body["html_url"] == f"{github.url}/{DEMO}/pull/2"
    listed = ask(github, "GET", f"{AT}/issues").body
    assert [("pull_request" in item, item["number"]) for item in listed] == [(True, 2), (False, 1)]


def test_an_issue_is_changed_closed_and_reopened(github):
    github.add_issue(DEMO, "Old", "text")
    change = {"title": "New", "body": None, "state": "closed", "state_reason": "not_planned"}
    closed = ask(github, "PATCH", f"{AT}/issues/1", change).body
    assert (closed["title"], closed["body"], closed["state"]) == ("New", None, "closed")
    assert closed["state_reason"] == "not_planned"
    assert closed["closed_by"]["login"] == "octocat"
    opened = ask(github, "PATCH", f"{AT}/issues/1", {"state": "open"}).body
    assert (opened["state"], opened["state_reason"], opened["closed_at"]) == (
        "open", "reopened", None,
    )  # fmt: skip


def test_labels_are_made_for_whoever_may_write_and_dropped_for_others(github):
    asked = {"title": "x", "labels": ["sub-issue", "Sub-Issue", "parallel"]}
    made = ask(github, "POST", f"{AT}/issues", asked, token="wanda")
    assert [label["name"] for label in made.body["labels"]] == ["sub-issue", "parallel"]
    dropped = ask(github, "POST", f"{AT}/issues", asked, token="rita")
    assert (dropped.status, dropped.body["labels"]) == (201, [])
    assert github.state(DEMO)["labels"] == ["parallel", "sub-issue"]
    added = ask(github, "POST", f"{AT}/issues/2/labels", {"labels": ["late"]})
    assert [label["name"] for label in added.body] == ["late"]


def test_issues_are_filtered(github):
    github.add_issue(DEMO, "a", labels=["x", "y"])
    github.add_issue(DEMO, "b", labels=["x"], user="wanda")
    github.add_issue(DEMO, "c", state="closed", labels=["x", "y"])

    def numbers(query):
        return [issue["number"] for issue in ask(github, "GET", f"{AT}/issues?{query}").body]

    assert numbers("") == [2, 1]
    assert numbers("labels=x,Y") == [1]
    assert numbers("labels=x,y&state=all") == [3, 1]
    assert numbers("state=closed") == [3]
    assert numbers("state=all&direction=asc") == [1, 2, 3]
    assert numbers("creator=wanda") == [2]
    assert numbers("since=2099-01-01T00:00:00Z") == []


def test_pages_are_linked_by_the_id_of_the_repository(github):
    for number in range(5):
        github.add_issue(DEMO, f"issue {number}")
    first = ask(github, "GET", f"{AT}/issues?per_page=2&direction=asc")
    links = dict(re.findall(r'<([^>]+)>; rel="(\w+)"', first.headers["Link"]))
    links = {name: address for address, name in links.items()}
    assert set(links) == {"next", "last"}
    assert "/repositories/" in links["next"]
    numbers, following = [issue["number"] for issue in first.body], links["next"]
    while following:
        page = ask(github, "GET", following.removeprefix(github.api_url))
        numbers += [issue["number"] for issue in page.body]
        found = re.search(r'<([^>]+)>; rel="next"', page.headers["Link"])
        following = found and found[1]
    assert numbers == [1, 2, 3, 4, 5]
    assert "Link" not in ask(github, "GET", f"{AT}/issues").headers


def test_comments_are_made_listed_and_changed_by_whoever_may(github):
    github.add_issue(DEMO, "x")
    made = ask(github, "POST", f"{AT}/issues/1/comments", {"body": "mine"}, token="rita")
    assert (made.status, made.body["author_association"]) == (201, "COLLABORATOR")
    other = ask(github, "POST", f"{AT}/issues/1/comments", {"body": "hm"}, token="stranger")
    assert other.body["author_association"] == "NONE"
    at = f"{AT}/issues/comments/{made.body['id']}"
    refused(ask(github, "PATCH", at, {"body": "z"}, token="stranger"), 403, "admin rights")
    assert ask(github, "PATCH", at, {"body": "new"}, token="rita").body["body"] == "new"
    assert ask(github, "GET", at).body["body"] == "new"
    listed = ask(github, "GET", f"{AT}/issues/1/comments").body
    assert [comment["body"] for comment in listed] == ["new", "hm"]
    assert ask(github, "GET", f"{AT}/issues/1").body["comments"] == 2


def test_texts_have_githubs_limits(github):
    def problem(path, body):
        answer = refused(ask(github, "POST", AT + path, body), 422, "Validation Failed")
        return answer.body["errors"][0]

    github.add_issue(DEMO, "x")
    assert "256" in problem("/issues", {"title": "x" * 257})["message"]
    assert problem("/issues", {"title": " "})["code"] == "missing_field"
    assert problem("/issues", {"title": "x", "body": "x" * 65537}) == {
        "resource": "Issue",
        "code": "custom",
        "field": "body",
        "message": "body is too long (maximum is 65536 characters)",
    }
    assert "65536" in problem("/issues/1/comments", {"body": "x" * 65537})["message"]
    assert "50" in problem("/issues", {"title": "x", "labels": ["x" * 51]})["message"]
    assert ask(github, "POST", f"{AT}/issues", {"title": "ü" * 256}).status == 201


# Sub-issues.


def sub_issue(github, parent, child, **more):
    made = github.state(DEMO)["issues"]
    number = next((issue["id"] for issue in made if issue["number"] == child), child)
    body = {"sub_issue_id": number} | more
    return ask(github, "POST", f"{AT}/issues/{parent}/sub_issues", body)


def test_sub_issues_are_linked_by_id_and_counted(github):
    for title in ("master", "one", "two"):
        github.add_issue(DEMO, title)
    assert sub_issue(github, 1, 2).status == 201
    assert sub_issue(github, 1, 3).body["sub_issues_summary"]["total"] == 2
    github.close_issue(DEMO, 2)
    master = ask(github, "GET", f"{AT}/issues/1").body
    expected = {"total": 2, "completed": 1, "percent_completed": 50}
    assert master["sub_issues_summary"] == expected
    listed = ask(github, "GET", f"{AT}/issues/1/sub_issues").body
    assert [issue["number"] for issue in listed] == [2, 3]
    assert listed[0]["parent_issue_url"].endswith("/issues/1")
    assert ask(github, "GET", f"{AT}/issues/2/parent").body["number"] == 1
    assert ask(github, "GET", f"{AT}/issues/1/parent").status == 404


def test_a_sub_issue_has_one_parent_and_makes_no_circle(github):
    for title in ("master", "child", "other"):
        github.add_issue(DEMO, title)
    assert sub_issue(github, 1, 2).status == 201
    refused(sub_issue(github, 1, 2), 422, "duplicate")
    refused(sub_issue(github, 3, 2), 422, "only have one parent")
    refused(sub_issue(github, 2, 1), 422, "circular")
    refused(sub_issue(github, 1, 987654), 404, "does not exist")  # as if a number were given
    assert sub_issue(github, 3, 2, replace_parent=True).status == 201
    assert [i["sub_issues"] for i in github.state(DEMO)["issues"]] == [[], [], [2]]


def test_a_parent_has_at_most_a_hundred(github):
    github.add_issue(DEMO, "master")
    for number in range(2, 102):
        github.add_issue(DEMO, "child", parent=1)
        assert github.state(DEMO)["issues"][0]["sub_issues"][-1] == number
    github.add_issue(DEMO, "one too many")
    refused(sub_issue(github, 1, 102), 422, "100 sub-issues")


# Pulls.


def test_a_pull_is_checked_against_the_repository(github):
    def error(answer):
        return refused(answer, 422, "Validation Failed").body["errors"][0]

    github.commit(DEMO, "feat", {"a.txt": "1\n2\n"})
    assert error(pull(github, "nowhere")) | {"field": "head"} == error(pull(github, "nowhere"))
    assert error(pull(github, base="nowhere"))["field"] == "base"
    assert error(pull(github, "main"))["message"] == "No commits between main and main"
    made = pull(github, draft=True)
    assert (made.status, made.body["draft"]) == (201, True)
    shown = {name: made.body[name] for name in ("commits", "additions", "changed_files")}
    assert shown == {"commits": 1, "additions": 2, "changed_files": 1}
    assert made.body["head"]["sha"] == github.state(DEMO)["branches"]["feat"]
    assert error(pull(github))["message"] == "A pull request already exists for octocat:feat."
    assert ask(github, "PATCH", f"{AT}/pulls/1", {"state": "closed"}).body["state"] == "closed"
    assert pull(github, "octocat:feat").status == 201


def test_pulls_are_found_by_head_base_and_state(github):
    for branch in ("one", "two"):
        github.commit(DEMO, branch, {f"{branch}.txt": "x\n"})
        github.add_pull(DEMO, branch, branch)
    ask(github, "PATCH", f"{AT}/pulls/1", {"state": "closed", "title": "Closed", "body": "b"})

    def titles(query):
        return [item["title"] for item in ask(github, "GET", f"{AT}/pulls?{query}").body]

    assert titles("") == ["two"]
    assert titles("state=all") == ["two", "Closed"]
    assert titles("head=octocat:one&state=closed") == ["Closed"]
    assert titles("head=octocat:one") == []
    assert titles("head=one&state=all") == ["two", "Closed"]  # without an owner it is ignored
    assert titles("base=other") == []
    assert ask(github, "GET", f"{AT}/pulls/2").body["number"] == 2
    assert ask(github, "GET", f"{AT}/pulls/9").status == 404


def test_drafts_may_be_refused(github):
    github.set_repository(DEMO, drafts=False)
    github.commit(DEMO, "feat", {"a.txt": "x\n"})
    refused(pull(github, draft=True), 422, "Draft pull requests are not supported")
    assert pull(github).status == 201


# Who may do what.


def test_a_user_has_a_permission_by_repository(github):
    def permission(user, **more):
        return ask(github, "GET", f"{AT}/collaborators/{user}/permission", **more)

    named = ("octocat", "wanda", "rita", "stranger")
    found = [permission(user).body["permission"] for user in named]
    assert found == ["admin", "write", "read", "read"]
    assert permission("nobody-of-that-name").status == 404
    refused(permission("wanda", token="rita"), 403, "Must have push access")
    github.set_repository(DEMO, private=True)
    assert permission("stranger").body["permission"] == "none"


def test_tokens_are_known_or_refused(github):
    refused(ask(github, "GET", "/user", token="wrong"), 401, "Bad credentials")
    refused(ask(github, "GET", "/user", token=None), 401, "Requires authentication")
    refused(ask(github, "POST", f"{AT}/issues", {"title": "x"}, token=None), 401, "Requires")
    assert ask(github, "GET", AT, token=None).status == 200
    assert ask(github, "GET", "/user", token="rita").body["login"] == "rita"


def test_a_classic_token_needs_its_scope(github):
    bare = github.add_token("octocat", scopes=())
    answer = refused(ask(github, "POST", f"{AT}/issues", {"title": "x"}, token=bare), 404, "Not")
    assert answer.headers["X-OAuth-Scopes"] == ""
    assert answer.headers["X-Accepted-OAuth-Scopes"] == "public_repo, repo"
    assert ask(github, "GET", AT, token=bare).status == 200
    github.set_repository(DEMO, private=True)
    assert ask(github, "GET", AT, token=bare).status == 404


def test_a_fine_grained_token_needs_its_permission(github):
    token = github.add_token("octocat", permissions={"issues": "read"})
    answer = ask(github, "POST", f"{AT}/issues", {"title": "x"}, token=token)
    refused(answer, 403, "Resource not accessible by personal access token")
    assert answer.headers["X-Accepted-GitHub-Permissions"] == "issues=write"
    assert "X-OAuth-Scopes" not in answer.headers
    able = github.add_token("octocat", permissions={"issues": "write"}, repositories=[DEMO])
    assert ask(github, "POST", f"{AT}/issues", {"title": "x"}, token=able).status == 201
    elsewhere = github.add_token("octocat", permissions={"issues": "write"}, repositories=[])
    assert ask(github, "POST", f"{AT}/issues", {"title": "x"}, token=elsewhere).status == 403
    github.set_repository(DEMO, private=True)
    assert ask(github, "GET", f"{AT}/issues", token=elsewhere).status == 404


def test_roles_limit_what_a_user_may_change(github):
    github.add_issue(DEMO, "x")
    github.commit(DEMO, "feat", {"a.txt": "x\n"})
    for path, body in {
        "/issues/1/labels": {"labels": ["x"]},
        "/issues/1/sub_issues": {"sub_issue_id": 1},
        "/pulls": {"title": "x", "head": "feat", "base": "main"},
    }.items():
        assert ask(github, "POST", AT + path, body, token="rita").status == 403
    assert ask(github, "PATCH", f"{AT}/issues/1", {"title": "y"}, token="rita").status == 403


def test_archived_private_and_switched_off(github):
    github.add_issue(DEMO, "x")
    github.set_repository(DEMO, archived=True)
    assert ask(github, "GET", f"{AT}/issues/1").status == 200
    refused(ask(github, "POST", f"{AT}/issues", {"title": "x"}), 403, "archived so is read-only")
    github.set_repository(DEMO, archived=False, has_issues=False)
    refused(ask(github, "POST", f"{AT}/issues", {"title": "x"}), 410, "Issues has been disabled")
    refused(ask(github, "GET", f"{AT}/issues/1"), 410, "Issues has been disabled")
    github.set_repository(DEMO, has_issues=True, private=True)
    refused(ask(github, "GET", f"{AT}/issues/1", token="stranger"), 404, "Not Found")
    github.delete_issue(DEMO, 1)
    refused(ask(github, "GET", f"{AT}/issues/1"), 410, "deleted")


def test_unknown_addresses_are_404_in_json(github):
    for path in ("/nope", f"{AT}/issues/77", "/repos/octocat/other", f"{AT}/issues/x"):
        refused(ask(github, "GET", path), 404, "Not Found")


def test_a_renamed_repository_leads_to_its_new_name(github):
    github.add_issue(DEMO, "x")
    github.rename_repository(DEMO, "octocat/shop")
    moved = ask(github, "GET", f"{AT}/issues/1")
    assert moved.status == 301
    assert moved.headers["Location"] == moved.body["url"]
    followed = ask(github, "GET", moved.headers["Location"].removeprefix(github.api_url))
    assert followed.body["repository_url"].endswith("/repos/octocat/shop")
    kept = ask(github, "POST", f"{AT}/issues", {"title": "y"})
    assert (kept.status, "/repositories/" in kept.headers["Location"]) == (307, True)
