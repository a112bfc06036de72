"""What is drawn: agents over time, how many there were at once, and what that saved.

Pure. Places are percents of a width that the page decides, so that nothing is scaled but the time;
sizes are pixels. A figure is one image with its content in words, and the tables tell the same.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from . import words
from .axis import Axis
from .headline import link_to
from .markup import Html, element, join

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestration.timeline import Gap, Pause, Span, Status, TaskTimeline, Timeline

_DENSE = 40
"""From this many agents on rows are lower."""
_HEIGHT = {"agent": 14, "verify": 14, "setup": 4, "publish": 4}
_ROW = 24
_STAGES = 60
"""The most marks of stages in one row."""
_AT_THE_END = 92
"""From there on, in percent, a label stands to the left of its mark."""

_SHAPES = {
    "completed": "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.6 4.7-4.4 5.5-2.8-2.6.9-1 1.8 1.6 3.4-4.3Z",
    "failed": "M8 .5 15.5 8 8 15.5.5 8ZM5.9 5 5 5.9 7.1 8 5 10.1l.9.9L8 8.9l2.1 2.1.9-.9L8.9 8 11 "
    "5.9 10.1 5 8 7.1Z",
    "in_progress": "M3 1.5v13L14.5 8Z",
    "pending": "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm0 2a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 "
    "0-9Z",
    "broken_off": "M1.5 1.5h13v13h-13Zm2.5 5.4v2.2h8V6.9Z",
}


def symbols() -> Html:
    """The shapes and patterns that the figures use, defined once."""
    shapes = [
        element(
            "symbol",
            element("path", d=path, fill_rule="evenodd"),
            id=f"shape-{name}",
            viewBox="0 0 16 16",
        )
        for name, path in _SHAPES.items()
    ]
    hatches = [
        element(
            "pattern",
            element("rect", width="6", height="6", class_="ground"),
            element("path", d="M-1 7 7 -1M-1 1 1 -1M5 7 7 5", class_="stroke"),
            id=f"hatch-{name}",
            class_=name,
            width="6",
            height="6",
            patternUnits="userSpaceOnUse",
        )
        for name in ("failed", "verify", "broken_off", "pause")
    ]
    return element(
        "svg",
        element("defs", *shapes, *hatches),
        width="0",
        height="0",
        class_="symbols",
        aria_hidden="true",
        focusable="false",
    )


def timeline(over_time: Timeline) -> Html:
    """The agents over time, below how many of them there were."""
    axis = Axis(over_time)
    dense = " dense" if len(over_time.tasks) >= _DENSE else ""
    rows = element("ol", *(_row(task, axis) for task in over_time.tasks), class_="rows")
    chart = element(
        "div",
        _bands(over_time, axis),
        element(
            "div", element("span", "Time of work", class_="who"), _scale(axis), class_="row scale"
        ),
        _concurrency(over_time, axis),
        rows,
        class_=f"gantt{dense}",
    )
    return join([_legend(over_time), chart, _interruptions(over_time)])


def comparison(over_time: Timeline) -> Html:
    """How long it took side by side, and how long one after another would have."""
    if over_time.speed_up is None:
        return element("p", "No task has taken any time yet.", class_="none")
    most = max(over_time.wall_seconds, over_time.sequential_seconds)
    wall = [("together", over_time.wall_seconds)]
    alone = [("task", task.seconds) for task in over_time.tasks if task.seconds > 0]
    bars = element(
        "div",
        _bar("Side by side", wall, most, over_time.wall_seconds),
        _bar("One after another", alone, most, over_time.sequential_seconds),
        class_="comparison",
    )
    last = " Of a task that ran more than once its last attempt is counted."
    again = any(task.attempts > 1 for task in over_time.tasks)
    return join([element("p", _gained(over_time) + (last if again else "")), bars])


def _gained(over_time: Timeline) -> str:
    """What it was good for; nothing is, before a task has completed."""
    if "completed" not in words.tally(over_time):
        return "No task has completed, so nothing was gained."
    if len(over_time.tasks) == 1:
        return "One task has nothing beside it."
    if (speed_up := words.speed_up(over_time)) is None:
        return "Side by side was hardly faster here, or not at all."
    saved = words.duration(over_time.sequential_seconds - over_time.wall_seconds)
    so_far = "" if over_time.state == "finished" else " so far"
    return f"{speed_up} times as fast{so_far}, {saved} saved."


def _bar(name: str, parts: list[tuple[str, float]], most: float, total: float) -> Html:
    begun, rectangles = 0.0, []
    for kind, seconds in parts:
        rectangles.append(
            element(
                "rect",
                x=f"{100 * begun / most:.2f}%",
                width=f"{100 * seconds / most:.2f}%",
                height="100%",
                class_=kind,
            )
        )
        begun += seconds
    return element(
        "div",
        element("span", name, class_="label"),
        element("svg", *rectangles, aria_hidden="true", class_="bar"),
        element("span", words.duration(total), class_="value"),
    )


def _scale(axis: Axis) -> Html:
    labels = []
    for place, label in axis.ticks():
        at_end = place > _AT_THE_END
        anchor = "end" if at_end else "middle" if place > 0 else "start"
        labels.append(
            element("text", label, x=f"{100.0 if at_end else place:.2f}%", y=13, text_anchor=anchor)
        )
    return element("svg", *labels, class_="track", aria_hidden="true")


def _bands(over_time: Timeline, axis: Axis) -> Html:
    """What goes through all rows: the grid, pauses and gaps."""
    grid = [
        element("line", x1=f"{place:.2f}%", x2=f"{place:.2f}%", y2="100%", class_="grid")
        for place, _ in axis.ticks()
    ]
    pauses = [_band("pause", axis.x(p.from_), axis.x(p.to)) for p in over_time.pauses]
    gaps = [_band("gap", axis.x(gap.from_), axis.x(gap.to)) for gap in over_time.gaps]
    return element("svg", *grid, *pauses, *gaps, class_="bands", aria_hidden="true")


def _band(kind: str, begin: float, end: float) -> Html:
    width = max(end - begin, 0.15)
    return element(
        "rect", x=f"{begin:.2f}%", width=f"{width:.2f}%", height="100%", class_=f"band {kind}"
    )


def _concurrency(over_time: Timeline, axis: Axis) -> Html:
    limit = words.limit(over_time)
    scale = 90 / max(limit or over_time.peak, 1)
    steps = "M0 100" + "".join(
        f"H{10 * axis.x(alive.at):.1f}V{100 - scale * alive.agents:.1f}"
        for alive in over_time.concurrency
    )
    said = f"Agents at once: {over_time.peak} at most" + (f", {limit} allowed" if limit else "")
    return element(
        "div",
        element(
            "span",
            "Agents at once",
            element("small", f"peak {over_time.peak}" + (f", limit {limit}" if limit else "")),
            class_="who",
        ),
        element(
            "svg",
            element("path", d=f"{steps}V100Z", class_="area"),
            element("path", d=steps, class_="steps"),
            element("path", d=f"M0 {100 - scale * limit:.1f}H1000", class_="limit")
            if limit
            else None,
            viewBox="0 0 1000 100",
            preserveAspectRatio="none",
            class_="track",
            role="img",
            aria_label=said,
        ),
        class_="row concurrency",
    )


def _row(task: TaskTimeline, axis: Axis) -> Html:
    who = link_to(
        f"agent-{task.agent}",
        words.shape(task.status),
        element("span", words.agent(task.agent), class_="number"),
        element("bdi", task.title),
    )
    marks = [_span(task, span, axis) for span in task.spans]
    track = element(
        "svg",
        *marks,
        *_stages(task, axis),
        *_ends(task, axis),
        class_="track",
        role="img",
        aria_label=_in_words(task, axis),
    )
    return element(
        "li",
        element("span", who, class_="who", title=f"{words.agent(task.agent)} {task.title}"),
        track,
        class_="row",
        data_agent=task.agent,
        data_status=task.status,
    )


def _span(task: TaskTimeline, span: Span, axis: Axis) -> Html:
    begin, end = axis.x(span.from_), axis.x(span.to)
    height = _HEIGHT[span.kind]
    bar = element(
        "rect",
        element("title", _span_in_words(span, axis)),
        x=f"{begin:.2f}%",
        width=f"{max(end - begin, 0.12):.2f}%",
        y=(_ROW - height) / 2,
        height=height,
        rx=2 if height > _HEIGHT["setup"] else 0,
        class_=f"span {span.kind} {_look(span)}",
    )
    if span.kind != "agent" or task.attempts < _AGAIN:
        return bar
    number = element("text", span.attempt, x=f"{begin:.2f}%", dx=4, y=_ROW / 2 + 3.5)
    return join([bar, number if end - begin > _ROOM else None])


_AGAIN = 2
_ROOM = 3.0
"""The width of a bar, in percent, that has room for the number of its attempt."""
_ROOM_FOR_A_SHAPE = 2.0
"""The same, between two attempts."""


def _stages(task: TaskTimeline, axis: Axis) -> Iterator[Html]:
    """Notches where an agent said that it had come to something else."""
    for stage in task.stages[:: max(1, len(task.stages) // _STAGES)]:
        if not any(span.from_ <= stage.at <= span.to for span in task.spans if _is_hatched(span)):
            x = f"{axis.x(stage.at):.2f}%"
            yield element("rect", x=x, width=1, y=8, height=8, class_="stage")


def _is_hatched(span: Span) -> bool:
    return span.kind == "verify" or _look(span) in {"failed", "broken_off"}


def _ends(task: TaskTimeline, axis: Axis) -> Iterator[Html]:
    """The shape of how it ended behind each attempt: an agent that ended well proves nothing."""
    for span, after in pairwise(task.spans):
        begin, end = axis.x(span.to), axis.x(after.from_)
        if span.attempt != after.attempt and end - begin > _ROOM_FOR_A_SHAPE:
            yield _end("broken_off" if _look(span) == "broken_off" else "failed", begin)
    if task.spans:
        yield _end(task.status, axis.x(task.spans[-1].to))


def _end(status: Status, place: float) -> Html:
    return element(
        "use",
        href=f"#shape-{status}",
        x=f"{place:.2f}%",
        y=6,
        width=12,
        height=12,
        transform="translate(3 0)",
        class_=status,
    )


def _look(span: Span) -> str:
    """The four ways that a span may look."""
    if span.outcome in {"success", "in_progress"}:
        return span.outcome
    return "broken_off" if span.outcome in {"broken_off", "cancelled", "refused"} else "failed"


def _in_words(task: TaskTimeline, axis: Axis) -> str:
    spans = (_span_in_words(span, axis) for span in words.telling(task))
    return "; ".join([words.STATUS[task.status], *spans])


def _span_in_words(span: Span, axis: Axis) -> str:
    took = f"{words.duration(span.seconds)} from {words.duration(axis.worked(span.from_))} on"
    return f"{words.span(span)}: {took}, {words.OUTCOMES.get(span.outcome, span.outcome)}"


def _legend(over_time: Timeline) -> Html:
    statuses = [
        element("li", words.shape(status), f" {words.STATUS[status]}: {number}")
        for status, number in words.tally(over_time).items()
    ]
    kinds = [
        ("agent success", "Agent"),
        ("agent in_progress", "Agent at work"),
        ("agent failed", "Attempt that failed"),
        ("agent broken_off", f"Attempt that was {_cut_short(over_time)}"),
        ("verify success", "Verify command"),
        ("verify failed", "Verify command that failed"),
        ("setup success", "Set-up, checks, publishing"),
        ("setup failed", "One of them that failed"),
        ("band pause", "Pause"),
        ("band gap", " or ".join(dict.fromkeys(map(_left, over_time.gaps)))),
    ]
    drawn = {f"{_drawn_as(span)} {_look(span)}" for span in _spans(over_time)}
    drawn |= {"band pause"} if over_time.pauses else set()
    drawn |= {"band gap"} if over_time.gaps else set()
    keys = [element("li", _key(class_), f" {name}") for class_, name in kinds if class_ in drawn]
    return element("ul", *statuses, *keys, class_="legend", aria_label="Key")


def _spans(over_time: Timeline) -> Iterator[Span]:
    return (span for task in over_time.tasks for span in task.spans)


def _drawn_as(span: Span) -> str:
    """The kind that it looks like."""
    return "setup" if span.kind == "publish" else span.kind


def _cut_short(over_time: Timeline) -> str:
    """What the attempts met that look alike, for neither says anything of the work."""
    met = {span.outcome for span in _spans(over_time)}
    broken_off = "broken off" if met & {"broken_off", "cancelled"} else None
    refused = "refused by the provider" if "refused" in met else None
    return " or ".join(one for one in (broken_off, refused) if one)


def _key(class_: str) -> Html:
    height = 4 if class_.startswith("setup") else 12
    bar = element(
        "rect", width=22, height=height, y=(14 - height) / 2, rx=2, class_=f"span {class_}"
    )
    return element("svg", bar, width=22, height=14, aria_hidden="true", class_="key")


def _interruptions(over_time: Timeline) -> Html | None:
    """Pauses and gaps in words."""
    lines = [
        _stopped("Paused", over_time, pause) + f": {pause.reason}" for pause in over_time.pauses
    ] + [
        _stopped(_left(gap), over_time, gap)
        + ("; then what had failed was tried again" if gap.retry else "; then it was gone on with")
        for gap in over_time.gaps
    ]
    if not lines:
        return None
    return element("ul", *(element("li", line) for line in lines), class_="interruptions")


def _left(gap: Gap) -> str:
    """What a gap was. A program that was killed may have worked on without a word until then."""
    return "Nobody worked on it" if gap.retry else "Nothing was heard of it"


def _stopped(what: str, over_time: Timeline, interval: Pause | Gap) -> str:
    at = words.duration(over_time.worked(interval.from_))
    lasts = over_time.state == "running" and interval.to == over_time.seconds
    so_far = " so far" if lasts else ""
    return f"{what} at {at} for {words.duration(interval.to - interval.from_)}{so_far}"
