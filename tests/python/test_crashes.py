"""The real command, killed at each sync of its journal in turn, and again in its `--retry`.

What the disk then holds of the last write is all of it, half, or nothing. Between two syncs lie
all effects, so one of these leaves every effect of a run done and not known, and another leaves it
known and not done. Whatever it was, the same command and `--retry` have to converge.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import Outcome
from on_github import Shop
from support import wait_for

SOURCE = Path(__file__).parents[1] / "support/crash/crash.c"

AGENT = """cat >/dev/null
before=$(cat "$HOME/$AGENT_ID.pid" 2>/dev/null)
if [ "$before" ] && read -r _ _ state _ <"/proc/$before/stat"; then
  [ "$state" = Z ] || echo "$AGENT_ID" >>"$HOME/doubled"
fi 2>/dev/null
echo $$ >"$HOME/$AGENT_ID.pid"
setsid sleep 60 >/dev/null 2>&1 &
echo one >one.txt; git add one.txt; git commit -qm One
code=0
if [ $AGENT_ID = agent-1 ] || [ -e "$HOME/mended" ]; then echo two >$AGENT_ID.txt; else code=1; fi
kill $!
exit $code"""
"""An agent that tells when another does its task still, commits, and leaves a process in a session
of its own behind if it is killed. The second one fails until somebody has mended what it lacks."""

MOST_SYNCS = 21
"""A run has one for its start, and one for each fact that does not come together with another:
about so many, a few more where the machine is busy."""

LEAVES = ("all", "half", "none")

TRIALS = [
    (sync, leaves)
    for sync in range(1, MOST_SYNCS + 1)
    for number, leaves in enumerate(LEAVES)
    if "CRASH_EVERYWHERE" in os.environ or sync % len(LEAVES) == number
]
"""Each sync, with what is left of its write in turn; with CRASH_EVERYWHERE set each with all."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a library is put into the command")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that kills, see its source."""
    built = tmp_path_factory.mktemp("crash") / "crash.so"
    build = ["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", built, SOURCE]
    subprocess.run(build, check=True, env={"PATH": os.defpath, "TMPDIR": built.parent})
    return built


def run_until(shop: Shop, library: Path, sync: int, leaves: str, *arguments: str) -> Outcome:
    """Runs the command until a sync of its journal, or its end if there are not so many."""
    environment = shop.place.environment
    crash = {"LD_PRELOAD": str(library), "CRASH_AT": str(sync), "CRASH_LEAVES": leaves}
    shop.place.environment = environment | crash
    try:
        return shop.run(*arguments)
    finally:
        shop.place.environment = environment


def begin(shop: Shop) -> tuple[str, ...]:
    """Files the issue, and returns the command for it."""
    master = shop.issue("Add cart", "Add login")
    agent = shop.place.agent(AGENT)
    verify = "test -e one.txt && test -e $AGENT_ID.txt"
    return str(master), "--agent", agent, "--setup", "true", "--verify", verify


def mend(shop: Shop) -> None:
    (Path(shop.place.environment["HOME"]) / "mended").touch()


def journals(shop: Shop) -> list[list[dict[str, Any]]]:
    """The whole records of each that has a start. Before that nothing was done, and the run that
    comes next has a journal of its own."""
    files = [path.read_text() for path in shop.place.runtime.glob("parallel/*/*.jsonl")]
    read = [[json.loads(line) for line in text.split("\n")[:-1]] for text in files]
    return [records for records in read if any(r["type"] == "started" for r in records)]


def has_finished(shop: Shop, code: int) -> bool:
    """Whether that is on the disk: then there is nothing to go on with."""
    last = [records[-1] for records in journals(shop)]
    return any(record["type"] == "finished" and record["exit_code"] == code for record in last)


def marked_processes(shop: Shop) -> dict[int, str]:
    """What runs of all that the command started in this test."""
    home = f"\0HOME={shop.place.environment['HOME']}\0".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = b"\0" + (process / "environ").read_bytes()
            if b"\0ORCHESTRATION_MARK=" in environment and home in environment:
                found[int(process.name)] = (process / "cmdline").read_bytes().decode()
        except OSError:
            continue  # It ended, or is somebody else's.
    return found


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
    wait_for(lambda: not marked_processes(shop), f"left: {marked_processes(shop)}", seconds=5)


@pytest.mark.parametrize(("sync", "leaves"), TRIALS)
def test_a_kill_at_any_sync_loses_nothing_and_doubles_nothing(
    shop: Shop, library: Path, sync: int, leaves: str
):
    command = begin(shop)
    killed = run_until(shop, library, sync, leaves, *command)
    assert killed.code in {-signal.SIGKILL, 2}, killed.err
    if not has_finished(shop, 2):
        again = shop.run(*command)
        assert again.code == 2, again.out + again.err
    mend(shop)
    retry = (command[0], "--retry")
    killed = run_until(shop, library, sync, leaves, *retry)
    assert killed.code in {-signal.SIGKILL, 0}, killed.err
    if not has_finished(shop, 0):
        again = shop.run(*retry)
        assert again.code == 0, again.out + again.err
    check_converged(shop)


def test_no_run_has_many_more_syncs_than_those_that_are_tried(shop: Shop, library: Path):
    assert run_until(shop, library, 1, "all", *begin(shop)).code == -signal.SIGKILL
    assert run_until(shop, library, MOST_SYNCS + 10, "all", *begin(shop)).code == 2
