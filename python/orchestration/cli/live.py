"""A table below the lines on a terminal: what is to be written so that it stands there.

The cursor rests, hidden, where the table begins, and not below it. So whatever the terminal made
of the rows when its window changed, "from the cursor to the end" is the table and nothing else: no
line above is ever touched, and nothing has to be known of how a terminal wraps.

Writes nothing itself: :class:`~.console.Console` does, in one piece. Asks for the size of the
window and the time.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from .view import View

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestration.events import Event

    from .view import Standing

REDRAW_SECONDS = 0.125
"""Between two tables, at least."""

BEGIN = "\x1b[?2026h"
"""What follows is one picture, for terminals that know that; up to ``END``."""
END = "\x1b[?2026l"
HIDE_CURSOR = "\x1b[?25l"
SHOW_CURSOR = "\x1b[?25h"
NO_WRAP = "\x1b[?7l"
WRAP = "\x1b[?7h"
CLEAR = "\r\x1b[J"
"""Removes the table."""
CLEAR_REST = "\x1b[K"


def is_possible() -> bool:
    """Whether there can be a table on standard output."""
    out = sys.stdout
    if out is None or not out.isatty() or os.environ.get("TERM", "") in {"", "dumb"}:
        return False
    # With that variable the engine writes agents' output to standard error, past everything here.
    echo = os.environ.get("AMPLIHACK_PARALLEL_VERBOSE", "").strip()
    return echo in {"", "0", "false", "no"}


class Live:
    """The table of one orchestration. What it returns is to be written at once."""

    def __init__(
        self,
        *,
        size: Callable[[], tuple[int, int]] | None = None,
        clock: Callable[[], float] = time.time,
        is_in_front: Callable[[], bool] | None = None,
    ) -> None:
        """With the window and the clock of this process, unless told otherwise."""
        self.view = View()
        self._size = size or _window
        self._clock = clock
        self._is_in_front = is_in_front or _is_in_front
        self._drawn: str | None = None
        """The table that is on the screen."""
        self._drawn_at = (0, 0)
        self._next = 0.0
        self._is_outrun = False
        """A task begins, waits or is over that stands otherwise in that table."""

    def apply(self, event: Event) -> None:
        """Takes in an event, for the next table."""
        before = self._standings()
        self.view.apply(event)
        self._is_outrun = self._is_outrun or self._standings() != before

    def above(self, text: str) -> str:
        """Lines above the table."""
        if self._drawn is None:
            return text
        is_due = self._clock() >= self._next or self._size() != self._drawn_at
        # No table is to contradict the line above it.
        is_stale = is_due or self._is_outrun
        frame = self._draw() if is_stale else self._drawn
        return f"{BEGIN}{CLEAR}{text}{frame}{END}"

    def news(self) -> str:
        """The table anew, where it is time and something has changed; else nothing."""
        if not self._is_in_front():
            return self.leave()
        if self._clock() < self._next or not self.view.tasks:
            return ""
        before = self._drawn
        frame = self._draw()
        if frame == before:
            return ""
        # In place, so that nothing blinks: each row takes the rest of its line along, and the
        # last one all that is below.
        hide = HIDE_CURSOR if before is None else ""
        return f"{BEGIN}{hide}\r{frame}{END}"

    def leave(self) -> str:
        """Takes the table off the screen; nothing of it stays."""
        if self._drawn is None:
            return ""
        self._drawn, self._next = None, 0.0  # where it comes back, it is at once
        return f"{CLEAR}{SHOW_CURSOR}"

    def _standings(self) -> list[Standing]:
        return [task.standing for task in self.view.tasks.values()]

    def _draw(self) -> str:
        """The table, and the way back to where it begins."""
        self._drawn_at = width, height = self._size()
        self._next = self._clock() + REDRAW_SECONDS
        self._is_outrun = False
        rows = _rows(self.view, width, height, self._clock())
        back = f"\x1b[{len(rows) - 1}A" if len(rows) > 1 else ""
        body = f"{CLEAR_REST}\r\n".join(rows)
        self._drawn = f"{NO_WRAP}{body}\x1b[J\r{back}{WRAP}"
        return self._drawn


def _rows(view: View, width: int, height: int, now: float) -> list[str]:
    """The rows of the table, with the colours that the terminal knows."""
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    from .table import ASCII, UNICODE, render  # noqa: PLC0415

    signs = UNICODE if "utf" in (sys.stdout.encoding or "").lower() else ASCII
    console = Console(
        width=width, height=height, force_terminal=True, highlight=False, legacy_windows=False
    )
    with console.capture() as captured:
        console.print(render(view, width, height, now, signs), end="")
    return captured.get().rstrip("\n").split("\n")


def _window() -> tuple[int, int]:
    """Columns and rows; what a terminal without a size is taken for."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24


def _is_in_front() -> bool:
    """Whether the terminal is ours: a job in the background draws no tables."""
    try:
        return os.tcgetpgrp(sys.stdout.fileno()) == os.getpgrp()
    except OSError:  # a terminal that controls no session of ours
        return True
