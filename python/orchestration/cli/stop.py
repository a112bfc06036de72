"""Stopping an orchestration from another process: asks it, and waits until it has ended."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from orchestration import _core
from orchestration.watching import find, running

from .console import Console

if TYPE_CHECKING:
    from orchestration.watching import Orchestration

REQUEST = "run.cancel"
"""The file beside the journal that asks; a run takes it away when it has read it."""

LOOK_SECONDS = 0.1
"""Between two looks at how it stands."""

PATIENCE_SECONDS = 3.0
"""How long a run may take to notice before that is said."""


def stop(issue: str | None, *, repo: str, kill: bool, wait: bool) -> int:
    """Asks an orchestration to end. Returns the exit code."""
    console = Console("text")
    try:
        root = _core.main_worktree(repo)
        if issue is None:
            ones = running(root)
            if not ones:
                console.lines([f"nothing runs in {root}"])
                return 0
            orchestration = _only(ones)
        else:
            orchestration = find(root, issue)
        _Stop(console, orchestration).carry_out(kill=kill, wait=wait)
    except BrokenPipeError:  # whoever read it has seen enough; it is asked all the same
        console.abandon()
    except _core.OrchestrationError as error:
        return console.refuse(error)
    return 0


def _only(ones: list[Orchestration]) -> Orchestration:
    """The only one.

    Raises:
        UsageError: there are several, and ending the wrong one cannot be taken back.
    """
    if len(ones) == 1:
        return ones[0]
    error = _core.UsageError(f"{len(ones)} orchestrations run")
    error.hint = f"name one of them: {', '.join(one.id for one in ones)}"
    raise error


class _Stop:
    """The end of one orchestration."""

    def __init__(self, console: Console, orchestration: Orchestration) -> None:
        self._console = console
        self._orchestration = orchestration

    def carry_out(self, *, kill: bool, wait: bool) -> None:
        """Asks it to end, and waits until it has, or until it knows.

        A run that takes itself up again just now throws away what it was asked before, so it is
        asked until its journal says that it has heard.
        """
        name = self._orchestration.id
        before = self._look()
        if before["state"] != "running":
            self._console.lines([f"{name} does not run: {_in_words(before)}"])
            return
        kill = kill or before["stopping"]
        asked = "killing its agents" if kill else "its agents are asked to end"
        self._ask(kill=kill)
        self._console.lines([f"🛑 Stopping {name}: {asked}"])
        now = self._wait(kill=kill, wait=wait)
        if now["state"] == "running":
            self._console.note(
                f"hint: see what has become of it: parallel-orchestrate status {name}"
            )
            return
        done = sum(task["status"] == "completed" for task in now["tasks"])
        self._console.lines(
            [f"🛑 Stopped: {_in_words(now)}, {done} of {len(now['tasks'])} tasks done"]
        )
        hint = _core.overview(self._orchestration.journal, None)[2]
        if hint is not None:
            self._console.note(f"hint: {hint}")

    def _wait(self, *, kill: bool, wait: bool) -> dict[str, Any]:
        patience = time.monotonic() + PATIENCE_SECONDS
        while True:
            time.sleep(LOOK_SECONDS)
            now = self._look()
            if now["state"] != "running":
                return now
            is_unread = self._orchestration.journal.with_name(REQUEST).exists()
            if now["stopping"] and not is_unread and not wait:
                return now
            if not now["stopping"] and not is_unread:
                self._ask(kill=kill)
            if time.monotonic() >= patience:
                patience = float("inf")
                if not now["stopping"]:
                    self._console.note(f"process {now['pid']} has not answered yet")
                if not wait:
                    return now

    def _look(self) -> dict[str, Any]:
        journal, holder = self._orchestration.journal, self._orchestration.holder()
        return dict(json.loads(_core.overview(journal, holder)[0]))

    def _ask(self, *, kill: bool) -> None:
        _core.ask_to_end(self._orchestration.journal, kill)


def _in_words(overview: dict[str, Any]) -> str:
    """``interrupted (exit code 130)``."""
    code = overview["exit_code"]
    return str(overview["state"]) + ("" if code is None else f" (exit code {code})")
