"""One look at an orchestration: what it has printed since the last one, and what comes."""

from __future__ import annotations

import os
import shlex
import time
from typing import TYPE_CHECKING, Literal

from orchestration import _core
from orchestration.events import Error, Event, OrchestrationFinished, PlanParsed
from orchestration.watching import Orchestration, find, issue_of

from .console import Console

if TYPE_CHECKING:
    from pathlib import Path

LOOK_SECONDS = 0.05
"""Between two looks whether the journal has grown."""

HOLDER_SECONDS = 1.0
"""Between two looks whether somebody still writes it."""


def look(
    issue: str | None,
    *,
    repo: str,
    seconds: float | None,
    everything: bool,
    output: Literal["text", "json"],
) -> int:
    """Shows an orchestration until it has ended, or for some seconds. Returns the exit code."""
    console = Console(output)
    until = None if seconds is None else time.monotonic() + seconds
    try:
        orchestration = find(_core.main_worktree(repo), issue)
        cursor = _Cursor(orchestration, everything=everything)
        with console.live():
            return _Watch(console, orchestration, cursor).follow(until)
    except _core.OrchestrationError as error:
        return console.refuse(error)
    except BrokenPipeError:  # whoever read it has seen enough
        console.abandon()
        return 0


class _Cursor:
    """How far a user has looked, in a file of that user beside the journal."""

    def __init__(self, orchestration: Orchestration, *, everything: bool) -> None:
        name = f"{orchestration.id}.seen-{os.getuid()}"
        self._path: Path = orchestration.journal.with_name(name)
        self._kept = self.seq = 0
        if not everything:
            try:
                self._kept = self.seq = int(self._path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                pass  # never looked; or it is not known: then everything is new

    def keep(self) -> None:
        """Where it cannot be written, the next look shows the same again; that harms nobody."""
        if self.seq == self._kept:
            return
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            draft.write_text(f"{self.seq}\n", encoding="utf-8")
            draft.replace(self._path)
        except OSError:
            return
        self._kept = self.seq


class _Watch:
    """One look at an orchestration."""

    def __init__(self, console: Console, orchestration: Orchestration, cursor: _Cursor) -> None:
        self._console = console
        self._orchestration = orchestration
        self._journal = _core.Journal(orchestration.journal)
        self._cursor = cursor
        self._lines = _core.Lines()
        self._source = ""
        self._exit_code: int | None = None
        """That of the orchestration, where its last event was seen."""

    def follow(self, until: float | None) -> int:
        """Shows what is new until it has ended, or until a time. Returns the exit code.

        Raises:
            EngineError: nobody works on it any more.
        """
        before = self._cursor.seq
        asked = -HOLDER_SECONDS
        while True:
            self._show_news()
            if self._exit_code is not None:
                if self._cursor.seq == before:
                    self._console.note("nothing new; everything is shown with --all")
                return self._exit_code
            now = time.monotonic()
            if now - asked >= HOLDER_SECONDS:
                asked = now
                self._refuse_orphan()
                if self._exit_code is not None:
                    continue
            if until is not None and now >= until:
                again = f"parallel-orchestrate watch {self._orchestration.id}"
                self._console.note(f"hint: {self._orchestration.id} goes on; look again: {again}")
                return 0
            self._console.refresh()
            left = LOOK_SECONDS if until is None else max(until - now, 0)
            time.sleep(min(LOOK_SECONDS, left))

    def _show_news(self) -> None:
        news = [(Event.from_json(line), line) for line in self._journal.news()]
        for event, _ in news:  # all of them first: no table is to show what is past already
            self._console.show(event)
        try:
            for event, line in news:
                self._show(event, line)
        finally:
            self._cursor.keep()

    def _show(self, event: Event, line: str) -> None:
        """Shows an event that was not seen before; the lines of later ones depend on all."""
        last = event if isinstance(event, (OrchestrationFinished, Error)) else None
        self._exit_code = None if last is None else last.exit_code
        if isinstance(event, PlanParsed):
            self._source = event.source
        lines, notes = self._lines.render(line), self._lines.notes(line)
        if event.seq <= self._cursor.seq:
            return
        if self._console.json:
            self._console.lines([line])
        else:
            self._console.lines(lines)
            for note in notes:
                self._console.note(note)
            if isinstance(event, Error):
                self._console.note(f"error: {event.message}")
                self._console.note(f"hint: {event.hint}")
        self._cursor.seq = event.seq

    def _refuse_orphan(self) -> None:
        """Ends the watch of an orchestration that nobody works on.

        Raises:
            EngineError: nobody does, and the journal has no end.
        """
        if self._orchestration.holder() is not None:
            return
        self._show_news()  # it may have ended just now
        if self._exit_code is None:
            raise _orphaned(self._orchestration, self._source)


def _orphaned(orchestration: Orchestration, source: str) -> _core.EngineError:
    error = _core.EngineError(f"{orchestration.id} has not ended, and nobody works on it any more")
    issue = shlex.quote(issue_of(orchestration.id, source))
    error.hint = f"what it did is kept; go on with: parallel-orchestrate {issue}"
    return error
