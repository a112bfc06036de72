"""A clone of a repository on the fake GitHub, and the command in it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command import Outcome, Place
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
