"""The real command, killed at each sync of its journal in turn, and again in its `--retry`.

What the disk then holds of the last write is all of it, half, or nothing. Between two syncs lie
all effects, so one of these leaves every effect of a run done and not known, and another leaves it
known and not done. Whatever it was, the same command and `--retry` have to converge.
"""

import os
import signal
import sys
from pathlib import Path

import pytest
from command import Outcome, preloaded
from on_github import Shop, check_converged, journals

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
    return preloaded(tmp_path_factory.mktemp("crash"), SOURCE)


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


def has_finished(shop: Shop, code: int) -> bool:
    """Whether that is on the disk: then there is nothing to go on with."""
    last = [records[-1] for records in journals(shop)]
    return any(record["type"] == "finished" and record["exit_code"] == code for record in last)


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
