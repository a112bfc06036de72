"""Several runs in one repository, and others who use it meanwhile: nobody is in anybody's way."""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from command import WORKS, Outcome, Place
from on_github import REPOSITORY, Shop
from support import wait_for

LOCK = re.compile(
    r"\.lock\b|unable to create|cannot lock|could not lock|lock failed", re.IGNORECASE
)
"""What git says where another has taken what it needs."""


def finish(*commands: subprocess.Popen[str]) -> list[Outcome]:
    done = [(command.communicate(timeout=60), command.returncode) for command in commands]
    return [Outcome(code, out, err) for (out, err), code in done]


def check_no_lock_error(place: Place, *outcomes: Outcome) -> None:
    texts = [outcome.out + outcome.err for outcome in outcomes]
    texts += [path.read_text(encoding="utf-8") for path in place.runtime.glob("logs/*/*.log")]
    assert not [line for text in texts for line in text.splitlines() if LOCK.search(line)]


def titles(place: Place) -> list[str]:
    files = [*place.runtime.glob("forge/issues/*.md"), *place.runtime.glob("forge/pulls/*.md")]
    return [path.read_text(encoding="utf-8").split("title: ")[1].splitlines()[0] for path in files]


WAITS = 'while [ ! -e "$HOME/go" ]; do sleep 0.02; done; ' + WORKS


def race(place: Place, *command: str) -> tuple[Outcome, Outcome]:
    """Two of the same command at the same instant: the one that worked, and the one that is over
    before the other's agents may go on."""
    commands = [place.start(*command, "--agent", place.agent(WAITS)) for _ in range(2)]
    wait_for(lambda: any(one.poll() is not None for one in commands), "one to be refused", 30)
    commands.sort(key=lambda one: one.poll() is None)
    (Path(place.environment["HOME"]) / "go").touch()
    refused, worked = finish(*commands)
    assert worked.code == 0, worked.err
    assert refused.code == 9, refused.out + refused.err
    (line,) = [line for line in refused.err.splitlines() if line.startswith("error: ")]
    assert f"another run works on this plan: process {commands[1].pid} holds" in line
    assert refused.out == ""
    return worked, refused


def test_of_two_commands_at_once_for_one_plan_one_is_told_of_the_other(place: Place):
    done = race(place, place.plan("Add a", "Add b"))
    assert len(titles(place)) == len(set(titles(place))) == 5
    assert place.summary()["successful"] == 2
    check_no_lock_error(place, done[0])


def test_two_plans_at_once_in_one_repository_both_succeed(place: Place):
    agent = place.agent("sleep 0.1; " + WORKS)
    names = "first.md", "second.md"
    parts = [[f"Add {name} {part}" for part in range(4)] for name in ("a", "b")]
    plans = [place.plan(*tasks, name=name) for name, tasks in zip(names, parts, strict=True)]
    done = finish(*(place.start(plan, "--agent", agent) for plan in plans))
    assert [outcome.code for outcome in done] == [0, 0], [outcome.err for outcome in done]
    assert len(titles(place)) == 2 + 2 * 8
    assert len(place.git("branch", "--list", "feat/*").splitlines()) == 8
    check_no_lock_error(place, *done)


def test_two_issues_at_once_of_one_clone_that_is_behind_both_succeed(shop: Shop):
    issues = [shop.issue(f"Add {name}", f"Mend {name}") for name in ("cart", "login")]
    shop.place.git("commit", "--quiet", "--allow-empty", "--message=More")
    shop.place.git("push", "--quiet", "origin", "HEAD:main")
    shop.place.git("update-ref", "refs/remotes/origin/main", "HEAD~1")
    agent = shop.place.agent("sleep 0.1; " + WORKS)
    done = finish(*(shop.place.start(str(issue), "--agent", agent) for issue in issues))
    assert [outcome.code for outcome in done] == [0, 0], [outcome.err for outcome in done]
    assert len(shop.github.state(REPOSITORY)["pulls"]) == 4
    check_no_lock_error(shop.place, *done)


@contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Does something again and again."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.is_set():
            action()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_twenty_worktrees_at_once_while_others_use_the_repository(place: Place, tmp_path: Path):
    """Their own worktrees and branches come and go, and the locks of git's own files are taken
    for a while as an editor or a hook would."""
    other = tmp_path / "other"
    locks = [place.root / ".git" / name for name in ("config.lock", "index.lock")]

    def use() -> None:
        for lock in locks:
            lock.touch(exist_ok=True)
        time.sleep(0.3)
        for lock in locks:
            lock.unlink()
        place.git("worktree", "add", "--quiet", "-b", "theirs", str(other))
        place.git("worktree", "remove", str(other))
        place.git("pack-refs", "--all")
        place.git("branch", "--quiet", "-D", "theirs")

    plan = place.plan(*(f"Add part {part}" for part in range(20)))
    with meanwhile(use):
        done = place.run(plan, "--agent", place.agent(WORKS), "--max-workers", "20")
    assert done.code == 0, done.out + done.err
    assert place.summary()["successful"] == 20
    check_no_lock_error(place, done)


def test_two_commands_at_once_file_one_plan_on_github_once(shop: Shop):
    race(shop.place, shop.place.plan("Add cart"), "--forge", "github")
    assert len(shop.state["issues"]) == 2
    assert len(shop.state["pulls"]) == 1
