"""A signal in every phase of a run: it ends soon and says little, and the same command goes on."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import pytest
from command import WORKS, Place
from on_github import Shop
from support import wait_for
from tests.support.descendants import related

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}

PROMPT = 2.0
"""How long the end may take, in seconds, where nothing is stubborn."""

FOREVER = 20
"""How long a phase takes unless something ends it, in seconds; far more than a test waits."""

WAITS = f'touch "$HOME/there"; [ -e "$HOME/mended" ] || exec sleep {FOREVER}'
"""A command that takes its time until somebody has mended it."""


@dataclass(frozen=True)
class Phase:
    """How a run is held up in a phase: by one answer of GitHub, a git hook or a command."""

    answer: tuple[str, str] = ("", "")
    hook: str = ""
    option: str = ""


PHASES = {
    "reading": Phase(answer=("GET", "/issues/1$")),
    "sub-issues": Phase(answer=("POST", "/issues$")),
    "worktrees": Phase(hook="post-checkout"),
    "setup": Phase(option="--setup"),
    "agents": Phase(option="--agent"),
    "verify": Phase(option="--verify"),
    "push": Phase(hook="pre-push"),
    "pulls": Phase(answer=("POST", "/pulls$")),
    "comment": Phase(answer=("POST", "/comments$")),
}


def home(place: Place) -> Path:
    return Path(place.environment["HOME"])


def hold_up(shop: Shop, phase: Phase) -> tuple[list[str], Callable[[], bool]]:
    """The command's further arguments, and whether the run is in this phase by now."""
    options = {"--agent": shop.place.agent(WORKS)}
    if phase.option:
        script = f"{WAITS}; {WORKS}" if phase.option == "--agent" else WAITS
        options[phase.option] = shop.place.agent(script)
    if phase.hook:
        hook = shop.place.root / ".git" / "hooks" / phase.hook
        hook.write_text(f"#!/bin/sh\n{WAITS}\n", encoding="utf-8")
        hook.chmod(0o755)
    arguments = [word for option in options.items() for word in option]
    if not any(phase.answer):
        return arguments, (home(shop.place) / "there").exists
    method, path = phase.answer
    shop.github.fail("slow", method=method, path=path, delay=FOREVER)
    return arguments, lambda: shop.github.faults.held > 0


def let_go(shop: Shop) -> None:
    """Nothing is slow any more; what was asked is carried out, although nobody listens."""
    (home(shop.place) / "mended").touch()
    shop.github.clear_faults()
    wait_for(lambda: not shop.github.faults.held, "the request under way")


def send(command: Popen[str], number: signal.Signals, times: int) -> float:
    """Returns when the first went off."""
    began = time.monotonic()
    command.send_signal(number)
    for _ in range(1, times):
        time.sleep(0.02)
        command.send_signal(number)
    return began


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("number", CODES, ids=[number.name for number in CODES])
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_ends_a_run_that_goes_on_with_the_same_command(
    shop: Shop, phase: str, number: signal.Signals, times: int
) -> None:
    master = shop.issue("Add cart", "Add login")
    options, is_there = hold_up(shop, PHASES[phase])
    arguments = [str(master), *options]
    command = shop.place.start(*arguments)
    wait_for(is_there, f"the phase {phase}")

    began = send(command, number, times)
    out, err = command.communicate(timeout=FOREVER)
    took = time.monotonic() - began
    assert command.returncode == CODES[number], err + out
    assert took < PROMPT
    for text in (out, err):
        assert "Traceback" not in text
        assert "panicked" not in text
    # The watcher is the last to go: where strangers come and go, it looks for five seconds.
    wait_for(lambda: not related(str(home(shop.place))), "all processes to end", seconds=10)

    let_go(shop)
    again = shop.run(*arguments)
    assert again.code == 0, again.err + again.out
    assert len(shop.issues("sub-issue")) == 2
    assert len(shop.state["pulls"]) == 2
    assert shop.issues("diagnostic") == []
    (issue,) = [issue for issue in shop.state["issues"] if issue["number"] == master]
    assert len(issue["comments"]) == 1
