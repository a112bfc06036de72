"""An outcome as a small figure for notebooks: one line a task.

Pure. A notebook has a style of its own, dark or light, and may drop a style sheet: so text has the
colour of the text around it, and everything else is an attribute of the figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import words
from .axis import Axis
from .markup import Html, element, join

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestration.report import Report, TaskReport
    from orchestration.timeline import Status, TaskTimeline, Timeline

_MOST = 40
"""Of so many tasks each has a line; the others are counted."""
_LINE, _SIGN, _LABEL, _WIDTH, _VALUE = 20, 18, 300, 420, 90
_TITLE = 38

_LOOKS: dict[Status, tuple[str, str]] = {
    "completed": ("✓", "#2f83b7"),
    "failed": ("✗", "#d4622a"),
    "in_progress": ("▸", "#b08217"),
    "pending": ("○", "#858a8d"),
    "broken_off": ("–", "#a06bb0"),  # noqa: RUF001 - a dash
}
"""A sign and a colour that can be seen on dark and light."""
_PALE = {"setup": "0.35", "publish": "0.35", "verify": "0.6", "agent": "1"}


@dataclass(frozen=True)
class _Line:
    agent: str
    title: str
    status: Status
    bars: Sequence[tuple[float, float, Status, str]]
    """Where it begins, how wide it is (both in percent), its status and how strong it is."""
    value: str


def report(outcome: Report, over_time: Timeline | None) -> Html:
    """A report as a figure: over time where that is known, else how long each task took."""
    tasks = words.plural(outcome.total_sub_tasks, "task")
    if not outcome.orchestration_id:
        return _figure(f"A dry run of {tasks} (exit code {outcome.exit_code})", [])
    done = f"{outcome.successful} of {tasks} completed"
    title = f"{done} in {words.duration(outcome.duration_seconds)} (exit code {outcome.exit_code})"
    if over_time is not None:
        return _figure(title, _over_time(over_time))
    longest = max((task.duration_seconds for task in outcome.tasks), default=0) or 1
    return _figure(title, [_lasted(task, longest) for task in outcome.tasks])


def timeline(over_time: Timeline) -> Html:
    """A timeline as a figure."""
    done = words.tally(over_time).get("completed", 0)
    title = f"{done} of {words.plural(len(over_time.tasks), 'task')} completed"
    took = words.duration(over_time.wall_seconds)
    state = over_time.state if over_time.damage is None else "of a damaged journal"
    return _figure(f"{title}, {state}, {took}", _over_time(over_time))


def _over_time(over_time: Timeline) -> list[_Line]:
    axis = Axis(over_time)
    return [
        _Line(
            words.agent(task.agent),
            task.title,
            task.status,
            [_bar(task, axis, number) for number in range(len(task.spans))],
            words.duration(task.seconds) if task.spans else "",
        )
        for task in over_time.tasks
    ]


def _bar(task: TaskTimeline, axis: Axis, number: int) -> tuple[float, float, Status, str]:
    span = task.spans[number]
    begin = axis.x(span.from_)
    looks: dict[str, Status] = {
        "success": "completed",
        "in_progress": "in_progress",
        "broken_off": "broken_off",
        "cancelled": "broken_off",
        "refused": "broken_off",
    }
    status = looks.get(span.outcome, "failed")
    return begin, axis.x(span.to) - begin, status, _PALE[span.kind]


def _lasted(task: TaskReport, longest: float) -> _Line:
    share = 100 * task.duration_seconds / longest
    name = task.agent_id.replace("agent", "Agent", 1)
    bars = [(0.0, share, task.status, "1")]
    return _Line(name, task.title, task.status, bars, words.duration(task.duration_seconds))


def _figure(title: str, lines: Sequence[_Line]) -> Html:
    shown, more = lines[:_MOST], len(lines) - _MOST
    rows = [_row(number, line) for number, line in enumerate(shown)]
    said = "; ".join(f"{line.agent}: {words.STATUS[line.status]}, {line.value}" for line in shown)
    width, height = _LABEL + _WIDTH + _VALUE, _LINE * len(shown) + 4
    figure = element(
        "svg",
        *rows,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=f"{title}. {said}",
        fill="currentColor",
        font_family="system-ui, sans-serif",
        font_size=12,
    )
    rest = element("p", f"and {words.plural(more, 'task')} more") if more > 0 else None
    return element("div", element("p", element("strong", title)), figure if rows else None, rest)


def _row(number: int, line: _Line) -> Html:
    y = number * _LINE
    sign, colour = _LOOKS[line.status]
    title = line.title if len(line.title) <= _TITLE else f"{line.title[: _TITLE - 1]}…"
    bars = [
        element(
            "rect",
            x=_LABEL + _WIDTH * begin / 100,
            y=y + 5,
            width=max(_WIDTH * width / 100, 1.0),
            height=10,
            rx=2,
            fill=_LOOKS[status][1],
            opacity=strength,
        )
        for begin, width, status, strength in line.bars
    ]
    text = y + 14
    return join(
        [
            element("text", sign, x=2, y=text, fill=colour),
            # A figure within the figure: where it ends, its text does, however wide the letters.
            element(
                "svg",
                element("text", f"{line.agent} ", element("title", line.title), title, x=0, y=14),
                x=_SIGN,
                y=y,
                width=_LABEL - _SIGN - 8,
                height=_LINE,
            ),
            *bars,
            element("text", line.value, x=_LABEL + _WIDTH + 8, y=text),
        ]
    )
