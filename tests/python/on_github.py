"""A clone of a repository on the fake GitHub, and the command in it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command import Outcome, Place, marked_processes
from support import wait_for
from tests.support.github import FakeGitHub

REPOSITORY = "octocat/shop"
OPENING = "We need a shop."


@dataclass
class Shop:
    """A clone, and the GitHub that it is from."""

    place: Place
    github: FakeGitHub

    def issue(self, *titles: str, title: str = "Open the shop", **more: Any) -> int:
        """Files a master issue with these tasks."""
        tasks = "".join(f"- [ ] {task}\n" for task in titles)
        return self.github.add_issue(REPOSITORY, title, f"{OPENING}\n\n{tasks}", **more)

    def run(self, *arguments: str) -> Outcome:
        return self.place.run(*arguments)

    @property
    def state(self) -> dict[str, Any]:
        return self.github.state(REPOSITORY)

    def issues(self, label: str) -> list[dict[str, Any]]:
        return [issue for issue in self.state["issues"] if label in issue["labels"]]

    def requests(self, method: str = "") -> list[str]:
        """What was asked, as `POST /repos/…`."""
        asked = [f"{request.method} {request.path}" for request in self.github.requests]
        return [line for line in asked if line.startswith(method)]

    def session_log(self) -> str:
        (path,) = self.place.runtime.glob("logs/*/session.log")
        return path.read_text(encoding="utf-8")

    def status(self, issue: int, agent: int) -> dict[str, Any]:
        path = self.place.runtime / f"parallel/{issue}/agent-{agent}.status.json"
        return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture
def shop(place: Place, tmp_path: Path) -> Iterator[Shop]:
    with FakeGitHub(tmp_path / "github") as fake:
        fake.add_repository(REPOSITORY, files={"README.md": "# Shop\n"}, owner_kind="User")
        place.root = tmp_path / "clone"
        url = fake.clone_url(REPOSITORY, user="octocat")
        place.git("clone", "--quiet", url, str(place.root), cwd=tmp_path)
        place.git("config", "user.name", "Tester")
        place.git("config", "user.email", "tester@example.invalid")
        place.environment |= {"GITHUB_API_URL": fake.api_url, "GH_TOKEN": fake.token}
        yield Shop(place, fake)


def journals(shop: Shop) -> list[list[dict[str, Any]]]:
    """The whole records of each that has a start. Before that nothing was done, and the run that
    comes next has a journal of its own."""
    files = [path.read_text() for path in shop.place.runtime.glob("parallel/*/*.jsonl")]
    read = [[json.loads(line) for line in text.split("\n")[:-1]] for text in files]
    return [records for records in read if any(r["type"] == "started" for r in records)]


def check_converged(shop: Shop) -> None:
    """Everything is done, everything once, and nothing is left over."""
    state = shop.state
    carts, logins = issues = sorted(shop.issues("sub-issue"), key=lambda issue: issue["title"])
    assert [issue["title"].rpartition(": ")[2] for issue in issues] == ["Add cart", "Add login"]
    diagnostics = shop.issues("diagnostic")
    assert len(diagnostics) <= 1
    assert all(issue["state"] == "closed" for issue in diagnostics)
    (master,) = [issue for issue in state["issues"] if issue["number"] == 1]
    (comment,) = master["comments"]
    assert "2/2 tasks completed successfully" in comment["body"]
    assert len(state["issues"]) == 3 + len(diagnostics)

    place = shop.place
    branches = [f"feat/issue-{carts['number']}-agent-1", f"feat/issue-{logins['number']}-agent-2"]
    assert sorted(pull["head"] for pull in state["pulls"]) == sorted(branches)
    for pull in state["pulls"]:
        assert pull["head_sha"] == place.git("rev-parse", pull["head"])
        subjects = place.git("log", "--format=%s", f"main..{pull['head']}").splitlines()
        assert len(subjects) == len(set(subjects)), "no commit is made twice"
    assert len(place.git("worktree", "list").splitlines()) == 1
    assert not list(place.root.parent.glob("clone.worktrees/*"))
    assert not place.git("status", "--porcelain")

    assert len(journals(shop)) == 1
    assert place.summary()["successful"] == 2
    status = json.loads(shop.run("status", "--json").out)
    assert (status["state"], status["exit_code"]) == ("finished", 0)
    assert [task["status"] for task in status["tasks"]] == ["completed", "completed"]
    assert not (place.root.parent / "doubled").exists(), "no agent ran twice at once"
    wait_for(lambda: not marked_processes(place), f"left: {marked_processes(place)}", seconds=5)
