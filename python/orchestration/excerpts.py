"""The ends of the agents' logs, as the page of an orchestration shows them.

Reads files below the folder of the logs, which are redacted as they are written. A page has to stay
small whatever the agents print, so they share what there is; failures get more of it.
"""

from __future__ import annotations

import html
import os
from typing import TYPE_CHECKING

from .transcript import for_people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .timeline import Timeline
    from .watching import Orchestration

_ALL = 480_000
"""What all excerpts together may add to a page, in bytes."""
_ONE = 12_000
"""What one excerpt may add; a failure may three times as much."""
_LINES = 60
_LINES_OF_A_FAILURE = 200
_LONGEST_LINE = 500
_LOOKED_AT = 256 * 1024
"""How much of the end of a log is read."""


def of(orchestration: Orchestration, timeline: Timeline) -> dict[int, list[str]]:
    """The last lines of each agent's log, by its number; agents without a log are left out."""
    ended_well = {"completed", "in_progress", "pending"}
    failed = {task.agent for task in timeline.tasks if task.status not in ended_well}
    share = min(_ONE, _ALL // max(len(timeline.tasks) + 2 * len(failed), 1))
    excerpts = {}
    for task in timeline.tasks:
        bad = task.agent in failed
        lines = _tail(orchestration.log(task.agent))
        kept = _last(lines, _LINES_OF_A_FAILURE if bad else _LINES, share * (3 if bad else 1))
        if kept:
            excerpts[task.agent] = kept
    return excerpts


def _tail(log: Path) -> list[str]:
    """The last lines of a log; none where there is no log, or none that can be read."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _LOOKED_AT, 0))
            text = file.read(_LOOKED_AT).decode("utf-8", errors="replace")
    except OSError:
        return []
    lines = text.split("\n")
    return lines[1:] if size > _LOOKED_AT and len(lines) > 1 else lines


def _last(lines: list[str], most: int, size: int) -> list[str]:
    """As many of the last lines as there is room for, as people read them."""
    kept: list[str] = []
    for line in _backwards(lines):
        if not line and not kept:
            continue
        short = line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"
        size -= len(html.escape(short).encode("utf-8", errors="replace")) + 1
        if len(kept) == most or size < 0:
            break
        kept.append(short)
    return kept[::-1]


def _backwards(lines: list[str]) -> Iterator[str]:
    """The lines for people, the last one first: of a long log few are looked at."""
    for line in reversed(lines):
        yield from reversed(list(for_people([line])))
