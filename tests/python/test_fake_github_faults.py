"""The fake GitHub at its edges: limits, faults, the contract, git, control, and by itself."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from github_client import AT, DEMO, ask, git, pull, refused
from tests.support.github import FakeGitHub, contract

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(30)

# Limits and conditional requests.


def test_what_has_not_changed_costs_nothing(github):
    first = ask(github, "GET", AT)
    again = ask(github, "GET", AT, If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["X-RateLimit-Used"] == first.headers["X-RateLimit-Used"] == "1"
    github.add_issue(DEMO, "x")
    assert ask(github, "GET", AT, If_None_Match=first.headers["ETag"]).status == 200
    assert [line.counted for line in github.requests] == [True, False, True]


def test_the_primary_limit_ends_at_its_reset(github):
    github.set_limit("octocat", remaining=1, reset_in=60)
    assert ask(github, "GET", AT).headers["X-RateLimit-Remaining"] == "0"
    answer = refused(ask(github, "GET", AT), 403, "API rate limit exceeded for user ID")
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert ask(github, "GET", "/rate_limit").body["resources"]["core"]["remaining"] == 0
    assert ask(github, "GET", AT, token="wanda").status == 200
    github.set_limit("octocat", remaining=0, reset_in=-1)
    assert ask(github, "GET", AT).headers["X-RateLimit-Remaining"] == "4999"


def test_too_much_content_is_a_secondary_limit(tmp_path):
    with FakeGitHub(tmp_path, content_per_minute=2) as github:
        github.add_repository(DEMO)
        statuses = [ask(github, "POST", f"{AT}/issues", {"title": "x"}).status for _ in range(3)]
        assert statuses == [201, 201, 403]


# Faults.


@pytest.mark.parametrize("status", [401, 403, 404, 410, 422, 500, 502, 503])
def test_a_status_on_demand_changes_nothing(github, status):
    github.fail(status, method="POST", path="/issues$", skip=1, count=1)
    answers = [ask(github, "POST", f"{AT}/issues", {"title": "x"}) for _ in range(3)]
    assert [answer.status for answer in answers] == [201, status, 201]
    assert answers[1].body["message"]
    assert len(github.state(DEMO)["issues"]) == 2
    assert [line.fault for line in github.requests] == [None, str(status), None]


@pytest.mark.parametrize("status", [403, 429])
def test_secondary_limits_come_with_and_without_a_time(github, status):
    github.fail("secondary_limit", status=status, retry_after=7)
    github.fail("secondary_limit", status=status)
    first, second = (refused(ask(github, "GET", AT), status, "secondary") for _ in range(2))
    assert (first.headers["Retry-After"], second.headers["Retry-After"]) == ("7", None)
    assert first.headers["X-RateLimit-Remaining"] != "0"


@pytest.mark.parametrize("status", [403, 429])
def test_a_primary_limit_on_demand_names_its_reset(github, status):
    github.fail("primary_limit", reset_in=5, status=status)
    answer = refused(ask(github, "GET", AT), status, "API rate limit exceeded")
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert 0 < int(answer.headers["X-RateLimit-Reset"]) - time.time() <= 6


def test_answers_are_spoiled_on_their_way(github):
    def post():
        return ask(github, "POST", f"{AT}/issues", {"title": "x"})

    github.fail("html")
    page = post()
    assert (page.status, page.body[:15]) == (502, b"<!DOCTYPE html>")
    assert github.state(DEMO)["issues"] == []
    github.fail("cut_off")
    with pytest.raises(ValueError, match=r"JSON|Unterminated|Expecting"):
        post()
    github.fail("wrong_length")
    with pytest.raises(HTTPException):
        post()
    github.fail("slow", delay=0.1)
    begun = time.monotonic()
    assert post().status == 201
    assert time.monotonic() - begun >= 0.1
    assert len(github.state(DEMO)["issues"]) == 3


@pytest.mark.parametrize(("kind", "made"), [("drop_before", 0), ("drop_after", 1)])
def test_a_connection_is_dropped_before_or_after_the_change(github, kind, made):
    github.fail(kind)
    with pytest.raises((HTTPException, ConnectionError)):
        ask(github, "POST", f"{AT}/issues", {"title": "x"})
    assert len(github.state(DEMO)["issues"]) == made
    assert [line.status for line in github.requests] == [None]


def test_a_refusal_may_hide_that_the_change_was_made(github):
    github.fail(502, made=True)
    assert ask(github, "POST", f"{AT}/issues", {"title": "x"}).status == 502
    assert len(github.state(DEMO)["issues"]) == 1


def test_a_redirect_to_another_host_shows_whether_the_token_goes_along(github, tmp_path):
    with FakeGitHub(tmp_path / "other") as other:
        github.fail("redirect", location=f"{other.api_url}/user", status=302)
        moved = ask(github, "GET", "/user")
        assert (moved.status, moved.headers["Location"]) == (302, f"{other.api_url}/user")
        ask(other, "GET", "/user", token=None)
        ask(other, "GET", "/user", token="foreign")
        assert [line.authorized for line in other.requests] == [False, True]


def test_random_faults_repeat_by_their_seed_and_can_be_got_over(github):
    def run(seed):
        github.clear_requests()
        github.fail_randomly(60, seed=seed, kinds=[500, 503])
        statuses = [ask(github, "GET", AT).status for _ in range(30)]
        github.clear_faults()
        return statuses

    first = run(7)
    assert run(7) == first
    assert run(8) != first
    assert {200, 500, 503} == set(first)
    assert not re.search(r"(50\d, ){3}", str(first))


# The contract.


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("POST", "/issues", {"titel": "x"}, "no property 'titel'"),
        ("POST", "/issues", {"title": "x", "labels": "a"}, "labels"),
        ("POST", "/issues", b"{", None),
        ("PATCH", "/issues/1", {"state": "done"}, "state"),
        ("POST", "/issues/1/sub_issues", {"sub_issue_id": "1"}, "sub_issue_id"),
        ("GET", "/issues?state=some", None, "state"),
        ("GET", "/issues?per_page=many", None, "per_page"),
        ("GET", "/issues?lables=x", None, "no parameter 'lables'"),
    ],
)
def test_a_request_that_github_does_not_describe_is_refused(github, method, path, body, problem):
    github.add_issue(DEMO, "x")
    answer = ask(github, method, AT + path, body)
    assert answer.status == 400
    assert problem is None or any(problem in found.problem for found in github.violations)


def test_an_answer_that_github_would_not_give_fails_loudly(tmp_path, monkeypatch):
    github = FakeGitHub(tmp_path).__enter__()
    github.add_repository(DEMO)
    github.add_issue(DEMO, "x")
    monkeypatch.setattr(github.render, "issue", lambda issue: {"title": issue.title})
    assert ask(github, "GET", f"{AT}/issues/1").status == 500
    with pytest.raises(AssertionError, match="number"):
        github.__exit__(None, None, None)


def test_what_the_fake_leaves_out_fails_loudly(tmp_path):
    github = FakeGitHub(tmp_path).__enter__()
    github.add_repository(DEMO)
    assert ask(github, "POST", f"{AT}/issues", {"title": "x", "milestone": 1}).status == 500
    with pytest.raises(AssertionError, match="milestone"):
        github.__exit__(None, None, None)


def test_null_is_allowed_where_the_description_says_nullable():
    simple = ("components", "schemas", "nullable-simple-user")
    assert contract.problems(simple, None) == []
    assert contract.problems(("components", "schemas", "simple-user"), None) != []


def test_every_answer_carries_githubs_headers(github):
    headers = ask(github, "GET", f"{AT}/issues").headers
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["X-OAuth-Scopes"] == "repo"
    for name in ("Limit", "Remaining", "Used", "Reset", "Resource"):
        assert headers[f"X-RateLimit-{name}"]
    assert headers["X-GitHub-Request-Id"]


def test_requests_share_a_connection(github):
    with contextlib.closing(HTTPConnection(urlsplit(github.url).netloc, timeout=10)) as connection:
        for _ in range(3):
            connection.request("GET", f"{github.prefix}{AT}", headers={"User-Agent": "test"})
            connection.getresponse().read()
            first = connection.sock
            assert first is not None
        assert first is connection.sock


def test_concurrent_requests_do_not_lose_each_other(github):
    def post(number):
        return ask(github, "POST", f"{AT}/issues", {"title": f"issue {number}"}).body["number"]

    with ThreadPoolExecutor(8) as executor:
        numbers = list(executor.map(post, range(24)))
    assert sorted(numbers) == list(range(1, 25))
    assert len(github.requests) == 24


def test_the_api_may_stand_at_the_root_as_the_public_one_does(tmp_path):
    with FakeGitHub(tmp_path / "github", prefix="") as github:
        github.add_repository(DEMO)
        assert ask(github, "GET", AT).body["url"] == f"{github.url}{AT}"
        assert git("clone", github.clone_url(DEMO), tmp_path / "clone").returncode == 0


# Git.


def test_git_clones_and_pushes_and_pulls_follow_their_branch(github, tmp_path):
    clone = tmp_path / "clone"
    assert git("clone", github.clone_url(DEMO, "wanda"), clone).returncode == 0
    git("checkout", "-b", "feat", cwd=clone)
    (clone / "big.bin").write_bytes(os.urandom(2_000_000))  # sent in chunks
    git("add", ".", cwd=clone)
    git("commit", "-m", "Big", cwd=clone)
    pushed = git("push", "origin", "feat", cwd=clone)
    assert pushed.returncode == 0, pushed.stderr
    assert pull(github).body["head"]["sha"] == git("rev-parse", "HEAD", cwd=clone).stdout.strip()
    git("commit", "--allow-empty", "-m", "More", cwd=clone)
    git("push", "origin", "feat", cwd=clone)
    assert ask(github, "GET", f"{AT}/pulls/1").body["commits"] == 2
    assert {line.user for line in github.git_requests} == {None, "wanda"}


@pytest.mark.parametrize(
    ("settings", "user", "said"),
    [
        ({}, None, "could not read Username"),
        ({}, "rita", "403"),
        ({"archived": True}, "wanda", "403"),
    ],
)
def test_git_pushes_only_for_whoever_may(github, tmp_path, settings, user, said):
    github.set_repository(DEMO, **settings)
    clone = tmp_path / "clone"
    assert git("clone", github.clone_url(DEMO, user), clone).returncode == 0
    pushed = git("push", "origin", "HEAD:refs/heads/new", cwd=clone)
    assert pushed.returncode != 0
    assert said in pushed.stderr


def test_git_finds_renamed_repositories_and_no_private_ones(github, tmp_path):
    github.rename_repository(DEMO, "octocat/shop")
    assert git("clone", github.clone_url(DEMO), tmp_path / "a").returncode == 0
    github.set_repository("octocat/shop", private=True)
    assert git("clone", github.clone_url("octocat/shop"), tmp_path / "b").returncode != 0
    assert git("clone", github.clone_url("octocat/shop", "octocat"), tmp_path / "c").returncode == 0


def test_git_meets_faults_too(github, tmp_path):
    github.fail(503, path=r"git-upload-pack$", method="POST")
    assert git("clone", github.clone_url(DEMO), tmp_path / "a").returncode != 0
    assert git("clone", github.clone_url(DEMO), tmp_path / "b").returncode == 0


# Control.


def test_other_processes_control_it_over_http(github):
    def call(name, /, **keywords):
        return ask(github, "POST", f"/_fake/{name}", keywords, url=github.url).body.get("result")

    def read(name):
        return ask(github, "GET", f"/_fake/{name}", url=github.url).body

    assert call("add_repository", name="octo/new", private=True) == "octo/new"
    assert call("add_issue", repo="octo/new", title="x", labels=["a"]) == 1
    call("fail", kind=503, path="/user")
    assert ask(github, "GET", "/user").status == 503
    assert read("state?repo=octo/new")["issues"][0]["title"] == "x"
    assert [(line["path"], line["status"]) for line in read("requests")] == [("/user", 503)]
    assert (read("violations"), read("errors")) == ([], [])
    assert ask(github, "POST", "/_fake/close", {}, url=github.url).status == 404
    assert ask(github, "POST", "/_fake/fail", {"kind": "x"}, url=github.url).status == 400


def test_issues_have_a_page_for_people(github):
    github.add_issue(DEMO, "A title", "A body", labels=["x"])
    github.add_comment(DEMO, 1, "A comment")
    page = ask(github, "GET", f"/{DEMO}/issues/1", url=github.url).body.decode()
    assert all(text in page for text in ("A title", "A body", "x", "A comment"))


def test_it_runs_by_itself_and_says_what_to_type(tmp_path):
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.support.github", "--folder", str(tmp_path / "kept")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        lines = []
        while not (lines and lines[-1].startswith("Ctrl-C")):
            lines.append(program.stdout.readline())
            assert lines[-1], program.communicate(timeout=5)
        said = "".join(lines)
        cloned = re.search(r"git (clone) (\S+)", said)
        assert git(*cloned.groups(), tmp_path / "clone").returncode == 0
        assert (tmp_path / "clone" / "shop" / "cart.py").exists()
        pushed = git("push", "origin", "HEAD:refs/heads/feat", cwd=tmp_path / "clone")
        assert pushed.returncode == 0, pushed.stderr
        variables = dict(re.findall(r"(\w+)=(\S+)", said))
        there = SimpleNamespace(api_url=variables["GITHUB_API_URL"], token=variables["GH_TOKEN"])
        master = ask(there, "GET", "/repos/octocat/bookshop/issues/1").body
        assert master["body"].count("- [ ]") == 3
        program.send_signal(signal.SIGINT)
        assert program.wait(timeout=10) == 0
        assert (tmp_path / "kept" / "octocat" / "bookshop.git").is_dir()
    finally:
        program.kill()
        program.communicate()
