"""The log of one agent, to its end or to that of its task."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from orchestration import _core
from orchestration.events import Event
from orchestration.watching import find

from .console import Console, escaped
from .transcript import transcribe
from .view import Standing, View

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestration.watching import Orchestration

LOOK_SECONDS = 0.05
"""Between two looks whether the log has grown."""

PIECE = 1 << 20
"""Bytes that are read at once."""


def tail(agent: str, *, issue: str | None, repo: str, follow: bool, raw: bool) -> int:
    """Shows a log. Returns the exit code."""
    console = Console("text")
    try:
        root = _core.main_worktree(repo)
        run = _Followed(find(root, issue))
        number = run.number(agent)
        path = root / ".claude" / "runtime" / "logs" / run.id / f"agent-{number}.log"
        show = console.bytes if raw else _Lines(console).show
        _read(path, show, lambda: follow and not run.has_ended(number))
        if not path.exists():
            run.refuse_gone(number, path)
            console.note(f"agent-{number} of {run.id} has printed nothing yet")
    except BrokenPipeError:  # whoever read it has seen enough
        console.abandon()
    except _core.OrchestrationError as error:
        return console.refuse(error)
    return 0


class _Followed:
    """An orchestration, as its journal tells it."""

    def __init__(self, orchestration: Orchestration) -> None:
        self.id = orchestration.id
        self._orchestration = orchestration
        self._journal = _core.Journal(orchestration.journal)
        self._view = View()

    def number(self, agent: str) -> int:
        """The agent that is meant.

        Raises:
            UsageError: there is none of that name.
        """
        self._look()
        text = agent.lower().removeprefix("agent-")
        number = int(text) if text.isascii() and text.isdigit() else 0
        if number in self._view.tasks:
            return number
        error = _core.UsageError(f"no agent {escaped(agent)} in {self.id}")
        error.hint = f"its agents are {', '.join(f'agent-{known}' for known in self._view.tasks)}"
        raise error

    def refuse_gone(self, agent: int, path: Path) -> None:
        """Refuses a log that is not there although its agent is through.

        Raises:
            EngineError: it has been removed.
        """
        if self._view.tasks[agent].attempt and self.has_ended(agent):
            error = _core.EngineError(f"the log of agent-{agent} of {self.id} is gone: {path}")
            error.hint = (
                f"somebody removed it; what came of it says: parallel-orchestrate status {self.id}"
            )
            raise error

    def has_ended(self, agent: int) -> bool:
        """Whether its task has, or the whole, or nobody works on it any more."""
        if self._orchestration.holder() is None:
            return True
        self._look()
        standing = self._view.tasks[agent].standing
        return self._view.has_ended or standing in {Standing.DONE, Standing.FAILED}

    def _look(self) -> None:
        for line in self._journal.news():
            self._view.apply(Event.from_json(line))


def _read(path: Path, show: Callable[[bytes], object], goes_on: Callable[[], bool]) -> None:
    """Shows a file while it grows. An empty piece is its end.

    Raises:
        EngineError: it cannot be read.
    """
    place = 0
    while True:
        may_grow = goes_on()  # asked first: what is written before the end is read after it
        try:
            with path.open("rb") as file:
                file.seek(place)
                while piece := file.read(PIECE):
                    place += len(piece)
                    show(piece)
        except FileNotFoundError:
            pass  # it has not begun
        except BrokenPipeError:
            raise
        except OSError as problem:
            error = _core.EngineError(f"cannot read {path}: {problem.strerror}")
            error.hint = "check the permissions of the file and of its folder"
            raise error from problem
        if not may_grow:
            show(b"")
            return
        time.sleep(LOOK_SECONDS)


class _Lines:
    """Turns bytes into lines for people."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._guard = escaped if sys.stdout is not None and sys.stdout.isatty() else str
        self._begun: list[bytes] = []
        """A line that has not come to its end."""

    def show(self, piece: bytes) -> None:
        """Shows the lines that are whole; an empty piece completes the last."""
        head, end, begun = piece.rpartition(b"\n")
        if piece and not end:
            self._begun.append(piece)
            return
        whole = b"".join([*self._begun, head])
        self._begun = [begun] if begun else []
        lines = whole.split(b"\n") if piece or whole else []
        texts = (line.removesuffix(b"\r").decode(errors="replace") for line in lines)
        shown = [self._guard(said) for text in texts for said in transcribe(text)]
        if shown:  # written at once: each by itself costs more than reading it
            self._console.lines(["\n".join(shown)])
