"""Hostile issues and plans: what each may cause, and what it must not.

The texts are those in `tests/fixtures/hostile`; one run has all of them.
"""

import re
import time

from command import Place, refused
from hostile import (
    TITLES,
    assert_branches,
    assert_harmless_output,
    assert_issue,
    assert_nothing_outside,
    assert_one_line,
    files_below,
    issue_of,
)
from on_github import REPOSITORY, Shop

KEEPS_THE_PROMPT = "cat >.claude-prompt.txt; env >>.claude-prompt.txt; echo done >$AGENT_ID.txt"
"""An agent that shows what it was told."""


def shown(place: Place, branches: list[str]) -> list[str]:
    """What the agents were told, and what they found in their environment."""
    return [place.git("show", f"{branch}:.claude-prompt.txt") for branch in branches]


def assert_fenced(prompt: str) -> None:
    """The issue's text stands in fences that end, and our rules come after them."""
    fence: str | None = None
    outside = []
    for line in prompt.splitlines():
        if fence is None and re.match(r"`{3,}text$", line):
            fence = line.removesuffix("text")
        elif line == fence:
            fence = None
        elif fence is None:
            outside.append(line)
    assert fence is None
    ours = "\n".join(outside)
    assert "# Rules" in ours
    assert "do not count" in ours
    for foreign in ("pwned", "SYSTEM:", "Ignore all rules", "hosts.yml"):
        assert foreign not in ours


def test_hostile_titles_of_a_plan_do_nothing(place: Place) -> None:
    plan = place.root / "plan.md"
    plan.write_text(issue_of(TITLES), encoding="utf-8")
    place.git("add", "plan.md")
    place.git("commit", "--quiet", "--message=Plan")
    agent = place.agent(KEEPS_THE_PROMPT)
    before = files_below(place.root.parent)
    done = place.run("plan.md", "--yes", "--agent", agent, "--max-workers", "4")
    assert done.code == 0, done.out + done.err
    assert_harmless_output(done)
    assert_nothing_outside(place, before)
    branches = place.git("branch", "--format=%(refname:short)", "--list", "feat/*").splitlines()
    assert_branches(place, branches, len(TITLES))
    for prompt in shown(place, branches):
        assert_fenced(prompt.partition("\nPATH=")[0])
    for path in (place.runtime / "forge" / "issues").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert re.match(r"---\n(.*\n)*?state: (open|closed)\n(.*\n)*?---\n", text), text
    tasks = place.summary()["tasks"]
    for task in tasks:
        assert_one_line(task["title"])
        assert task["status"] == "completed"


def test_hostile_titles_of_an_issue_do_nothing(shop: Shop) -> None:
    # No more than GitHub's pace allows at once.
    titles = [title for title in TITLES if title["on_github"]]
    text = issue_of(titles)
    master = shop.github.add_issue(REPOSITORY, "Open the shop", text)
    place = shop.place
    agent = place.agent(KEEPS_THE_PROMPT)
    before = files_below(place.root.parent)
    done = shop.run(str(master), "--yes", "--agent", agent, "--max-workers", "4")
    assert done.code == 0, done.out + done.err
    assert_harmless_output(done)
    assert_nothing_outside(place, before)
    state = shop.state
    assert set(state["branches"]) - {pull["head"] for pull in state["pulls"]} == {"main"}
    assert_branches(place, [pull["head"] for pull in state["pulls"]], len(titles))
    issues = shop.issues("sub-issue")
    assert len(issues) == len(titles)
    for thing in issues + state["pulls"]:
        assert_issue(thing["title"], thing["body"])
    (original,) = [issue for issue in state["issues"] if issue["number"] == master]
    assert original["body"] == text
    closes = re.compile(r"(?i)\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):? #(\d+)")
    for pull in state["pulls"]:
        (closed,) = closes.findall(pull["body"])
        assert int(closed) in {issue["number"] for issue in issues}


def test_a_title_of_a_megabyte_is_cut(place: Place) -> None:
    plan = place.plan("Add " + "very " * 200_000 + "long", "Add cart")
    done = place.run(plan, "--yes", "--agent", place.agent(KEEPS_THE_PROMPT))
    assert done.code == 0, done.out[-2000:] + done.err[-2000:]
    assert max(map(len, done.out.splitlines())) < 1000
    for path in (place.runtime / "forge" / "issues").glob("[23].md"):
        (title,) = re.findall(r"(?m)^title: (.*)$", path.read_text(encoding="utf-8"))
        assert len(title) <= 260
    for subject in place.git("log", "--format=%s", "--branches=feat/*").splitlines():
        assert len(subject) < 300


def test_ten_thousand_tasks_of_a_plan_are_judged_in_seconds(place: Place) -> None:
    plan = place.plan(*[f"Add part {number}" for number in range(10_000)])
    began = time.monotonic()
    done = place.run(plan, "--dry-run")
    assert done.code == 0
    assert "10,000" in done.out or "10000" in done.out
    assert time.monotonic() - began < 10
    assert not place.runtime.exists()


def test_more_tasks_than_github_links_are_refused_before_anything_is_made(shop: Shop) -> None:
    master = shop.issue(*[f"Add part {number}" for number in range(10_000)])
    done = shop.run(str(master), "--yes", "--agent", shop.place.agent(KEEPS_THE_PROMPT))
    refused(done, 4, "10000", "100")
    assert len(shop.state["issues"]) == 1
    assert shop.requests("POST") == []
