"""What GitHub refuses: exit code 5, what was asked, the status, the way out, and nothing made."""

import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from command import WORKS, Outcome, refused
from on_github import REPOSITORY, Shop


def run(shop: Shop, *arguments: str) -> Outcome:
    return shop.run(*(arguments or ("1",)), "--agent", shop.place.agent(WORKS))


def refuses(shop: Shop, *words: str, hint: str, source: str = "1", begun: bool = False) -> None:
    """The run is refused with code 5, and neither GitHub nor the clone has anything of it."""
    before = shop.state
    done = run(shop, source)
    if begun:
        assert done.out.startswith("🚀 Parsed ")
        done = replace(done, out="")
    refused(done, 5, *words)
    (line,) = [line for line in done.err.splitlines() if line.startswith("hint: ")]
    assert hint in line, done.err
    assert shop.state == before
    assert shop.place.git("branch", "--list", "feat/*") == ""
    assert len(shop.place.git("worktree", "list").splitlines()) == 1
    shows_no_token(shop, done)


def shows_no_token(shop: Shop, done: Outcome) -> None:
    tokens = [*shop.github.model.tokens, "ghp_" + "x" * 36]
    for token in tokens:
        assert token not in done.out + done.err
    for path in shop.place.runtime.rglob("*"):
        if path.is_file():
            for token in tokens:
                assert token.encode() not in path.read_bytes(), path


def use_token(shop: Shop, token: str) -> None:
    shop.place.environment["GH_TOKEN"] = token


class TestTokens:
    def test_a_missing_token_is_said_before_anything_is_asked(self, shop: Shop) -> None:
        shop.issue("Add a")
        del shop.place.environment["GH_TOKEN"]
        has_gh = shutil.which("gh", path=shop.place.environment["PATH"])
        gh = "`gh auth token --hostname 127.0.0.1` " if has_gh else "gh is not installed"
        looked = f"GH_TOKEN and GITHUB_TOKEN are not set, and {gh}"
        refuses(shop, "error: there is no token for 127.0.0.1: ", looked, hint="gh auth login")
        assert shop.github.requests == []

    def test_a_refused_token(self, shop: Shop) -> None:
        shop.issue("Add a")
        use_token(shop, "ghp_" + "x" * 36)
        refuses(shop, "read issue #1", "401", "Bad credentials", hint="from GH_TOKEN is not valid")

    def test_a_classic_token_without_the_scope(self, shop: Shop) -> None:
        shop.issue("Add a")
        use_token(shop, shop.github.add_token("octocat", scopes=("gist",)))
        refuses(shop, "work in octocat/shop", "403", hint="lacks the scope public_repo or repo")

    def test_a_classic_token_without_the_scope_for_a_private_repository(self, shop: Shop) -> None:
        shop.issue("Add a")
        shop.github.set_repository(REPOSITORY, private=True)
        use_token(shop, shop.github.add_token("octocat", scopes=("public_repo",)))
        refuses(shop, "issue #1", "404", hint="lacks the scope repo")

    def test_a_fine_grained_token_without_the_permission(self, shop: Shop) -> None:
        shop.issue("Add a")
        use_token(shop, shop.github.add_token("octocat", permissions={"contents": "write"}))
        refuses(
            shop,
            "create the issue",
            "403",
            "Resource not accessible by personal access token",
            hint="the permission issues=write for octocat/shop",
            begun=True,
        )

    def test_a_token_of_somebody_who_may_only_read(self, shop: Shop) -> None:
        shop.issue("Add a", "Add b")
        use_token(shop, shop.github.add_user("reader"))
        refuses(shop, "work in octocat/shop", "403", "may not write", hint="write access")
        assert run(shop, "1", "--dry-run").code == 0

    def test_a_token_of_an_app_is_not_told_what_it_may_do_and_tries(self, shop: Shop) -> None:
        shop.issue("Add a")
        use_token(shop, shop.github.add_user("app", token="ghs_" + "a" * 36))
        run(shop)
        assert shop.requests("POST")[0] == "POST /repos/octocat/shop/issues"


class TestPlaces:
    def test_an_issue_that_is_not_there(self, shop: Shop) -> None:
        refuses(shop, "issue #7 of octocat/shop", "404", hint="octocat/shop", source="7")

    def test_an_issue_that_was_deleted(self, shop: Shop) -> None:
        shop.github.delete_issue(REPOSITORY, shop.issue("Add a"))
        refuses(shop, "read issue #1", "410", hint="deleted")

    def test_a_pull_request_is_no_issue(self, shop: Shop) -> None:
        shop.github.commit(REPOSITORY, "work", {"a.txt": "a\n"})
        number = shop.github.add_pull(REPOSITORY, "Add a", "work", body="- [ ] Add b\n")
        refuses(shop, "issue #1", "is a pull request", hint="name an issue", source=str(number))

    def test_a_repository_that_is_not_there_or_not_shown(self, shop: Shop) -> None:
        shop.issue("Add a")
        shop.github.set_repository(REPOSITORY, private=True)
        use_token(shop, shop.github.add_user("stranger"))
        refuses(shop, "octocat/shop", "404", hint="octocat/shop")

    def test_a_repository_whose_issues_are_switched_off(self, shop: Shop) -> None:
        shop.issue("Add a")
        shop.github.set_repository(REPOSITORY, has_issues=False)
        refuses(shop, "410", "disabled", hint="switch on issues in the settings of octocat/shop")

    def test_an_archived_repository(self, shop: Shop) -> None:
        shop.issue("Add a", "Add b")
        shop.github.set_repository(REPOSITORY, archived=True)
        refuses(shop, "work in octocat/shop", "403", "archived", hint="unarchive it")

    def test_a_plan_for_a_repository_whose_issues_are_switched_off(self, shop: Shop) -> None:
        shop.github.set_repository(REPOSITORY, has_issues=False)
        plan = shop.place.plan("Add a")
        done = run(shop, plan, "--forge", "github")
        refused(done, 5, "410")
        assert shop.requests("POST") == []


class TestRemote:
    def test_a_remote_that_is_not_there_is_a_system_error(self, shop: Shop) -> None:
        shop.issue("Add a")
        shop.github.fail(503, path=r"\.git/", count=None)
        before = shop.state
        done = run(shop)
        refused(done, 9, "git ls-remote failed", "503")
        assert shop.state == before

    def test_a_refused_push_fails_the_task_and_loses_nothing(self, shop: Shop) -> None:
        shop.issue("Add a")
        shop.github.fail(403, method="POST", path="git-receive-pack", count=None)
        done = run(shop)
        assert done.code == 2, done.err
        (task,) = shop.place.summary()["tasks"]  # type: ignore[misc]
        assert task["failure_stage"] == "pr"
        assert task["error"].startswith("API_ERROR: git push failed: ")
        assert "403" in task["error"]
        assert shop.place.git("show", "feat/issue-2-agent-1:agent-1.txt") == "done"
        assert shop.state["pulls"] == []
        assert len(shop.issues("diagnostic")) == 1
        shows_no_token(shop, done)

    def test_a_refused_pull_request_fails_the_task_and_keeps_its_branch(self, shop: Shop) -> None:
        shop.issue("Add a")
        shop.github.fail(422, method="POST", path="/pulls$", count=None)
        done = run(shop)
        assert done.code == 2, done.err
        (task,) = shop.place.summary()["tasks"]  # type: ignore[misc]
        assert task["failure_stage"] == "pr"
        assert "422" in task["error"]
        assert set(shop.state["branches"]) == {"main", "feat/issue-2-agent-1"}
        (diagnostic,) = shop.issues("diagnostic")
        assert "422" in diagnostic["body"]


@contextmanager
def another_host() -> Iterator[tuple[str, list[str]]]:
    """A server elsewhere; the addresses asked, and the list of the tokens that it got."""
    heard: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("Authorization", "none"))
            body = json.dumps({"message": "Not Found"}).encode()
            self.send_response(404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://localhost:{server.server_port}", heard
        server.shutdown()
        thread.join()


class TestTokenStaysHome:
    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_to_another_host_carries_no_token(self, shop: Shop, status: int) -> None:
        shop.issue("Add a")
        with another_host() as (url, heard):
            shop.github.fail("redirect", status=status, location=f"{url}/api/v3/x", count=None)
            refuses(shop, "points to localhost", hint="remote")
        assert [token for token in heard if token != "none"] == []

    def test_another_host_does_not_get_the_token_of_github(self, shop: Shop) -> None:
        """Without GITHUB_API_URL the remote's host decides, and it is none of GitHub's own."""
        shop.issue("Add a")
        del shop.place.environment["GITHUB_API_URL"]
        shop.place.environment["GITHUB_TOKEN"] = shop.github.token
        done = run(shop)
        refused(done, 5, "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
        assert shop.github.requests == []
        shows_no_token(shop, done)
