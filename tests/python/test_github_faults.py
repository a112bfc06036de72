"""GitHub limps, and all the same everything is made, and made once.

Each test starts the real command against the fake GitHub with faults switched on.
"""

import re
import signal
import time

import pytest
from command import WORKS, Outcome
from on_github import REPOSITORY, Shop
from tests.support.github.faults import RECOVERABLE

API = "^/repos/"
POINTS = {
    "listing": ("GET", r"/issues\?labels"),
    "issue": ("POST", "/issues$"),
    "link": ("POST", "/sub_issues$"),
    "pull": ("POST", "/pulls$"),
    "comment": ("POST", "/comments$"),
}


def run(shop: Shop, *arguments: str) -> Outcome:
    return shop.run("1", "--agent", shop.place.agent(WORKS), *arguments)


def is_whole(shop: Shop, tasks: int) -> None:
    """Each thing is there, once, and where it belongs; and the fake kept to its contract."""
    master, *others = shop.state["issues"]
    subs = [issue["number"] for issue in shop.issues("sub-issue")]
    assert [issue["number"] for issue in others] == subs
    assert len(subs) == tasks
    assert sorted(master["sub_issues"]) == subs
    assert len({issue["title"] for issue in others}) == tasks
    pulls = shop.state["pulls"]
    assert sorted(pull["title"].split()[-1] for pull in pulls) == sorted(f"(#{n})" for n in subs)
    assert {pull["head"] for pull in pulls} == set(shop.state["branches"]) - {"main"}
    assert {pull["base"] for pull in pulls} == {"main"}
    assert len(master["comments"]) == 1
    assert f"{tasks}/{tasks} tasks completed successfully" in master["comments"][0]["body"]
    assert shop.github.violations == []
    summary = shop.place.summary()
    assert sorted(summary["prs_created"]) == sorted(pull["number"] for pull in pulls)
    assert summary["exit_code"] == 0


class TestTrouble:
    @pytest.mark.parametrize("kind", [*RECOVERABLE, "slow"], ids=str)
    def test_trouble_at_every_step_is_got_over(self, shop: Shop, kind: int | str) -> None:
        shop.issue("Add a", "Add b")
        for method, path in POINTS.values():
            shop.github.fail(kind, method=method, path=path, delay=0.1)
        done = run(shop)
        assert done.code == 0, done.err + shop.session_log()
        assert sum(request.fault == str(kind) for request in shop.github.requests) == len(POINTS)
        is_whole(shop, 2)

    @pytest.mark.parametrize("point", ["issue", "link", "pull", "comment"])
    def test_what_was_made_without_an_answer_is_found_again(self, shop: Shop, point: str) -> None:
        """Twice in a row, and the connection ends when the change has been made."""
        shop.issue("Add a", "Add b")
        method, path = POINTS[point]
        shop.github.fail("drop_after", method=method, path=path)
        shop.github.fail(502, method=method, path=path, made=True)
        done = run(shop)
        assert done.code == 0, done.err + shop.session_log()
        is_whole(shop, 2)

    @pytest.mark.parametrize("seed", range(4))
    def test_faults_at_random_double_and_lose_nothing(self, shop: Shop, seed: int) -> None:
        shop.issue(*(f"Add part{number}" for number in range(6)))
        shop.github.fail_randomly(10, seed=seed, path=API)
        done = run(shop)
        assert done.code == 0, done.err + shop.session_log()
        assert any(request.fault for request in shop.github.requests)
        is_whole(shop, 6)


class TestRefused:
    """Refused for good at one step: what is refused is said, and the next run makes up for it."""

    @pytest.mark.parametrize("point", ["listing", "issue", "link"])
    def test_without_sub_issues_nothing_begins(self, shop: Shop, point: str) -> None:
        shop.issue("Add a", "Add b")
        method, path = POINTS[point]
        shop.github.fail(422, method=method, path=path, count=None)
        done = run(shop)
        assert done.code == 5, done.out + done.err
        assert "(status 422)" in done.err
        assert len(shop.place.git("worktree", "list").splitlines()) == 1
        shop.github.clear_faults()
        assert run(shop).code == 0
        is_whole(shop, 2)

    def test_a_refused_pull_request_costs_its_task_alone(self, shop: Shop) -> None:
        shop.issue("Add a", "Add b")
        shop.github.fail(422, method="POST", path="/pulls$")
        done = run(shop)
        assert done.code == 2, done.err
        assert len(shop.state["pulls"]) == 1
        assert len(shop.issues("diagnostic")) == 1

    def test_a_refused_comment_costs_no_task(self, shop: Shop) -> None:
        shop.issue("Add a")
        shop.github.fail(403, method="POST", path="/comments$", count=None)
        done = run(shop)
        assert done.code == 0, done.err
        assert "comment" in done.err
        assert shop.state["issues"][0]["comments"] == []
        assert len(shop.state["pulls"]) == 1


class TestLimits:
    def test_a_primary_limit_is_waited_for(self, shop: Shop) -> None:
        shop.issue("Add a")
        shop.github.fail("primary_limit", method="POST", path="/issues$", reset_in=1)
        started = time.time()
        done = run(shop)
        assert done.code == 0, done.err
        refused, again = (r for r in shop.github.requests if r.path.endswith("/issues"))
        assert (refused.status, again.status) == (403, 201)
        assert again.time >= started + 1
        assert "GitHub's rate limit is used up, waiting until" in shop.session_log()
        is_whole(shop, 1)

    @pytest.mark.parametrize("status", [403, 429])
    def test_a_secondary_limit_is_waited_for_as_long_as_it_says(
        self, shop: Shop, status: int
    ) -> None:
        shop.issue("Add a", "Add b")
        limit = {"status": status, "retry_after": 1}
        shop.github.fail("secondary_limit", method="POST", path="/pulls$", **limit)
        done = run(shop)
        assert done.code == 0, done.err
        first = next(r for r in shop.github.requests if r.fault)
        later = [r for r in shop.github.requests if r.time > first.time + 0.3]
        assert later
        assert all(r.time >= first.time + 1 for r in later)
        assert "secondary rate limit" in shop.session_log()
        is_whole(shop, 2)

    def test_known_content_is_asked_for_conditionally_and_costs_nothing(self, shop: Shop) -> None:
        """A comment is looked for twice where the answer to its making is lost."""
        master = shop.issue("Add a")
        shop.github.add_comment(REPOSITORY, master, "Hello.")
        shop.github.fail("drop_before", method="POST", path="/comments$")
        done = run(shop)
        assert done.code == 0, done.err
        listed = [r for r in shop.github.requests if re.search(r"/comments\?", r.path)]
        assert [(r.status, r.counted) for r in listed] == [(200, True), (304, False)]
        assert "/comments?per_page=100 304 (cost 0, " in shop.session_log()

    @pytest.mark.parametrize(
        ("source", "path"),
        [("1", "/issues/1$"), ("1", "/issues$"), ("plan.md", "/issues$")],
        ids=["reading the master", "filing a sub-issue", "filing the master"],
    )
    def test_an_interrupt_ends_a_wait_at_once(self, shop: Shop, source: str, path: str) -> None:
        if source == "1":
            shop.issue("Add a")
        shop.place.plan("Add a")
        shop.github.fail("primary_limit", path=path, reset_in=600)
        options = ("--forge", "github", "--agent", shop.place.agent(WORKS))
        command = shop.place.start(source, *options)
        deadline = time.monotonic() + 10
        while not any(request.fault for request in shop.github.requests):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)  # the wait begins
        command.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, err = command.communicate(timeout=10)
        assert time.monotonic() - started < 2
        assert command.returncode == 130, err
        assert "Traceback" not in err
        assert shop.state["pulls"] == []
