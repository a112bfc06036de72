"""The hosts that a clone may be of, and the ways to them: SSH, GitHub Enterprise, `gh`, a proxy.

Each test starts the real command; what is beyond this machine is on loopback.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import WORKS, Place, refused
from on_github import REPOSITORY, Shop
from tests.support.github import FakeGitHub, ssh

WORK = """\
Host work
    HostName github.com
    User git
"""


def whole_run(shop: Shop, source: str = "1") -> None:
    """From a master issue with two tasks to two pull requests of what was pushed."""
    shop.issue("Add a", "Add b")
    done = shop.run(source, "--agent", shop.place.agent(WORKS))
    assert (done.code, done.err) == (0, ""), done.out
    state = shop.state
    heads = {f"feat/issue-{number}-agent-{agent}" for number, agent in ((2, 1), (3, 2))}
    assert {issue["parent"] for issue in shop.issues("sub-issue")} == {1}
    assert {pull["head"] for pull in state["pulls"]} == heads
    assert set(state["branches"]) == heads | {"main"}
    for pull in state["pulls"]:
        assert pull["head_sha"] == state["branches"][pull["head"]]
    (master,) = [issue for issue in state["issues"] if issue["number"] == 1]
    assert len(master["comments"]) == 1


class TestSsh:
    @pytest.fixture
    def calls(self, shop: Shop, tmp_path: Path) -> Callable[[], list[str]]:
        """The calls of `ssh`, which leads to the fake GitHub."""
        path = shop.place.environment["PATH"]
        shop.place.environment["PATH"] = f"{tmp_path / 'bin'}:{path}"
        shop.github.clear_requests()
        log = ssh.install(shop.github, tmp_path / "bin", WORK)
        return lambda: log.read_text(encoding="utf-8").splitlines()

    def test_a_remote_by_an_alias_is_the_repository_behind_it(
        self, shop: Shop, calls: Callable[[], list[str]]
    ) -> None:
        shop.place.git("remote", "set-url", "origin", f"git@work:{REPOSITORY}.git")
        whole_run(shop, f"https://github.com/{REPOSITORY}/issues/1")
        assert "-G -- work" in calls()
        assert shop.github.git_requests == []

    def test_an_ssh_address_leads_to_pull_requests_and_ssh_asks_no_questions(
        self, shop: Shop, calls: Callable[[], list[str]]
    ) -> None:
        shop.place.git("remote", "set-url", "origin", f"ssh://git@github.com:22/{REPOSITORY}.git")
        whole_run(shop, f"https://github.com/{REPOSITORY}/issues/1")
        assert shop.github.git_requests == []
        of_git = [call for call in calls() if "-pack" in call]
        assert sum("git-receive-pack" in call for call in of_git) == 2
        assert all("-o BatchMode=yes" in call for call in of_git), of_git

    @pytest.mark.parametrize("chosen", ["GIT_SSH_COMMAND", "core.sshCommand"])
    def test_the_ssh_command_of_the_user_is_used_as_it_is(
        self, shop: Shop, calls: Callable[[], list[str]], chosen: str
    ) -> None:
        shop.issue("Add a")
        shop.place.git("remote", "set-url", "origin", f"git@work:{REPOSITORY}.git")
        command = "ssh -o BatchMode=no"
        if chosen == "GIT_SSH_COMMAND":
            shop.place.environment[chosen] = command
        else:
            shop.place.git("config", chosen, command)
        done = shop.run("1", "--dry-run", "--agent", shop.place.agent(WORKS))
        assert done.code == 0, done.err
        of_git = [call for call in calls() if "-pack" in call]
        assert of_git
        assert all("BatchMode=no " in call for call in of_git), of_git
        assert not any("BatchMode=yes" in call for call in of_git), of_git
