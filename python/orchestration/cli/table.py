"""The live table, drawn: a view in so many columns and rows at some moment.

Pure. It promises no more rows than two thirds of the window, and none as wide as it: so the lines
above stay in sight, and no terminal wraps a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from .console import printable
from .view import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .view import TaskView, View

GAP = "  "


@dataclass(frozen=True)
class Signs:
    """The characters that are no words."""

    marks: dict[Standing, str]
    full: str
    empty: str
    rule: str
    dot: str
    more: str


UNICODE = Signs(
    {Standing.WAITING: "·", Standing.AT_WORK: "●", Standing.DONE: "✓", Standing.FAILED: "✗"},
    full="━",
    empty="╌",
    rule="─",
    dot="·",
    more="…",
)
ASCII = Signs(
    {Standing.WAITING: ".", Standing.AT_WORK: "*", Standing.DONE: "+", Standing.FAILED: "x"},
    full="#",
    empty=".",
    rule="-",
    dot="|",
    more="~",
)
"""For a terminal that is not in UTF-8."""

STYLES = {
    Standing.WAITING: "dim",
    Standing.AT_WORK: "",
    Standing.DONE: "green",
    Standing.FAILED: "red",
}


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    heading: str
    cell: Callable[[TaskView], str]
    width: int
    """In cells. Those of weight take what is left besides."""
    weight: int = 0
    right: bool = False


def render(view: View, width: int, height: int, now: float, signs: Signs = UNICODE) -> Group:
    """The table for a window of so many columns and rows.

    Args:
        view: What is known.
        width: Of the window.
        height: Of the window.
        now: In seconds since 1970.
        signs: What bars and marks are made of.
    """
    width, rows = width - 1, max(height * 2 // 3, 1)
    head = [_status(view, width, now, signs)]
    if view.pause is not None:
        head.append(_pause(*view.pause, now))
    if rows - len(head) >= 4:  # noqa: PLR2004 - else the tasks need the room more
        head.insert(0, Text(signs.rule * width, "dim"))
    table = _table(view, width, rows - len(head), now, signs)
    lines = [*head, *table][:rows]
    for line in lines:
        line.no_wrap = True
        _fit(line, width, signs)
    return Group(*lines)


def _status(view: View, width: int, now: float, signs: Signs) -> Text:
    """How all stands, the most important first; what has no room is left out."""
    # Before the first batch nobody has said how many may be.
    of_workers = f" of {view.max_workers}" if view.max_workers else ""
    parts = [(f"{view.count(Standing.AT_WORK)}{of_workers} at work", "bold")]
    if view.batches > 1:
        parts.insert(0, (f"batch {view.batch} of {view.batches}", ""))
    parts += [
        (f"{count} {standing.value}", STYLES[standing])
        for standing in (Standing.WAITING, Standing.DONE, Standing.FAILED)
        if (count := view.count(standing))
    ]
    if view.began is not None:
        parts.append((duration(now - view.began), ""))
    if view.cost is not None:
        parts.append((_dollars(view.cost), ""))
    if view.tokens:
        parts.append((f"{_thousands(view.tokens)} tokens", ""))
    if view.allowance is not None:
        remaining, reset = view.allowance
        left = duration(max(reset - now, 0.0))
        parts.append((f"{remaining} requests left for {left}", ""))
    line, between = Text(), f" {signs.dot} "
    for words, style in parts:
        if line and line.cell_len + len(between) + len(words) > width:
            break
        line.append(between if line else "", "dim").append(words, style)
    return line


def _pause(reason: str, until: float, now: float) -> Text:
    clock = datetime.fromtimestamp(until).astimezone().strftime("%H:%M")
    left = duration(until - now)
    return Text(f"paused until {clock}, for {left} more: {printable(reason)}", "yellow")


def _table(view: View, width: int, rows: int, now: float, signs: Signs) -> list[Text]:
    """A row a task where there is room, else one for each at work and one for all others of a kind.

    At work they stand in the order of their numbers, so that none moves without need.
    """
    tasks = list(view.tasks.values())
    groups: list[Text] = []
    room = rows - 1
    if len(tasks) > room:
        tasks, groups = _grouped(tasks, room, signs)
    if not tasks:
        return groups
    columns = _columns(view, width, now, signs)
    heading = Text(_row((column.heading for column in columns), columns, signs), "dim")
    return [heading, *(_line(task, columns, signs) for task in tasks), *groups]


def _grouped(
    tasks: Sequence[TaskView], room: int, signs: Signs
) -> tuple[list[TaskView], list[Text]]:
    """The tasks that get a row each, and a row for the others of each kind.

    Where not even two would be seen at work, the failed ones get a row before those that wait or
    are done: how many those are is said above.
    """
    by_standing = {
        standing: [task for task in tasks if task.standing is standing] for standing in Standing
    }
    at_work = by_standing[Standing.AT_WORK]
    kinds = [
        kind for kind in (Standing.WAITING, Standing.DONE, Standing.FAILED) if by_standing[kind]
    ]
    while kinds and room - len(kinds) < min(len(at_work), 2):
        kinds.pop(0)
    groups = [_group(kind, by_standing[kind], signs) for kind in kinds]
    room = max(room - len(groups), 0)
    if len(at_work) > room:
        room = max(room - 1, 0)
        groups.insert(0, _group(Standing.AT_WORK, at_work[room:], signs, more=room > 0))
    return at_work[:room], groups


def _group(
    standing: Standing, tasks: Sequence[TaskView], signs: Signs, *, more: bool = False
) -> Text:
    """``✓ 12 done: 1-10, 14, 17``."""
    agents = _ranges([task.agent for task in tasks])
    count = f"{len(tasks)} {'more ' if more else ''}{standing.value}"
    return Text(f"{signs.marks[standing]} {count}: {agents}", STYLES[standing])


def _columns(view: View, width: int, now: float, signs: Signs) -> list[Column]:
    """Which columns there are, with their widths: the wider the window, the more."""
    agent = max(len(str(max(view.tasks, default=0))), 1) + 2
    bar = 16 if width >= 120 else 8  # noqa: PLR2004 - where it has room to be seen
    has_cost, has_tokens = view.cost is not None, view.tokens > 0
    columns = [
        (0, Column("", lambda task: f"{signs.marks[task.standing]} {task.agent}", agent)),
        (0, Column("task", lambda task: printable(task.title), 0, weight=2)),
        (55, Column("stage", lambda task: printable(task.stage), 0, weight=2)),
        (70, Column("progress", lambda task: _bar(task, bar, signs), bar)),
        (0, Column("", _percent, 4, right=True)),
        (35, Column("time", lambda task: _elapsed(task, now), 7, right=True)),
        (76 if has_cost else None, Column("cost", _cost, 7, right=True)),
        (96 if has_tokens else None, Column("tokens", _tokens, 6, right=True)),
        (108, Column("last sign", lambda task: _last(task, now), 11, right=True)),
    ]
    shown = [column for least, column in columns if least is not None and width >= least]
    left = width - sum(column.width for column in shown) - len(GAP) * (len(shown) - 1)
    weights = sum(column.weight for column in shown)
    return [
        Column(
            column.heading,
            column.cell,
            column.width + max(left, 0) * column.weight // weights,
            right=column.right,
        )
        for column in shown
    ]


def _line(task: TaskView, columns: Sequence[Column], signs: Signs) -> Text:
    line = Text(_row((column.cell(task) for column in columns), columns, signs))
    style = STYLES[task.standing]
    # The mark and the words take the colour; a bar at work is the one thing that stands out.
    line.stylize(style)
    if task.standing is Standing.AT_WORK:
        line.highlight_regex(f"[{signs.full}]{{2,}}", "cyan")
    return line


def _row(cells: Iterable[str], columns: Sequence[Column], signs: Signs) -> str:
    return GAP.join(_cell(text, column, signs) for text, column in zip(cells, columns, strict=True))


def _cell(words: str, column: Column, signs: Signs) -> str:
    text = Text(words)
    _fit(text, column.width, signs)
    room = " " * (column.width - text.cell_len)
    return room + text.plain if column.right else text.plain + room


def _fit(text: Text, width: int, signs: Signs) -> None:
    """Cuts a text that is too wide, and shows that it did."""
    if text.cell_len > width:
        text.truncate(max(width - 1, 0), overflow="crop")
        text.append(signs.more if width > 0 else "")


def _bar(task: TaskView, width: int, signs: Signs) -> str:
    if task.standing is Standing.WAITING:
        return ""
    full = width * min(max(task.percent, 0), 100) // 100
    return signs.full * full + signs.empty * (width - full)


def _percent(task: TaskView) -> str:
    return "" if task.standing is Standing.WAITING else f"{task.percent}%"


def _elapsed(task: TaskView, now: float) -> str:
    if task.seconds is not None:
        return duration(task.seconds)
    return "" if task.began is None else duration(now - task.began)


def _cost(task: TaskView) -> str:
    return "" if task.cost is None else _dollars(task.cost)


def _tokens(task: TaskView) -> str:
    return _thousands(task.tokens) if task.tokens else ""


def _last(task: TaskView, now: float) -> str:
    if task.heard is None or task.standing is not Standing.AT_WORK:
        return ""
    return f"{duration(now - task.heard)} ago"


def duration(seconds: float) -> str:
    """``5s``, ``12m 05s``, ``1h 02m``."""
    whole = max(int(seconds), 0)
    minutes, hours = whole // 60, whole // 3600
    if hours:
        return f"{hours}h {minutes % 60:02}m"
    return f"{minutes}m {whole % 60:02}s" if minutes else f"{whole}s"


def _dollars(amount: float) -> str:
    return f"${amount:.2f}"


def _thousands(number: int) -> str:
    """``950``, ``12.3k``, ``1.2M``."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return str(number)


def _ranges(numbers: Sequence[int]) -> str:
    """``1-3, 5``: of numbers that rise."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    return ", ".join("-".join(str(end) for end in one) for one in ranges)
