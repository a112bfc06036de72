"""The top of the page: what it was, how it ended, the figures; and its last line.

Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from . import words
from .markup import Html, element, join, link

if TYPE_CHECKING:
    from orchestration.timeline import TaskTimeline, Timeline

_SHOWN_FAILURES = 5


def header(timeline: Timeline, root: str) -> Html:
    """The title, the state in words, and what failed."""
    number = None if timeline.issue is None else f"#{timeline.issue}"
    issue = number and link(timeline.issue_url or "", f"Issue {number}", root=root)
    began = join(["begun ", words.moment(timeline.started)])
    return join(
        [
            element("p", "Parallel orchestration", class_="eyebrow"),
            element("h1", timeline.title or timeline.orchestration, dir="auto"),
            element(
                "p",
                join(
                    element("span", part)
                    for part in (issue, element("code", timeline.orchestration), began)
                    if part
                ),
                class_="facts",
            ),
            element("p", *_verdict(timeline), class_="verdict", id="verdict"),
            _failures(timeline),
        ]
    )


def summary(timeline: Timeline) -> Html:
    """The figures that people look for first."""
    completed = words.tally(timeline).get("completed", 0)
    speed = words.speed_up(timeline)
    lines = [task.lines_of_code for task in timeline.tasks if task.lines_of_code is not None]
    most = words.limit(timeline)
    return words.definitions(
        ("Completed", _figure(completed, f" of {len(timeline.tasks)}")),
        ("Wall time", _figure(words.duration(timeline.wall_seconds))),
        ("Side by side", None if speed is None else _figure(speed, " times as fast")),
        ("Agents at once", _figure(timeline.peak, f" of at most {most}" if most else "")),
        ("Cost", _cost(timeline)),
        ("Tokens", _tokens(timeline)),
        ("Lines added", _figure(f"{sum(lines):,}") if lines else None),
        class_="figures",
    )


def contents(timeline: Timeline) -> Html:
    """Links to the parts of the page that there are."""
    parts = {
        "timeline": "Timeline",
        "outcomes": "Outcomes",
        "merging": timeline.merging and "Merge order",
        "time": "Time",
        "costs": "Cost and tokens",
        "tasks": "Tasks and logs",
        "warnings": timeline.notes and f"Warnings ({len(timeline.notes)})",
    }
    links = (element("li", link_to(place, name)) for place, name in parts.items() if name)
    return element("ul", *links)


def footer(timeline: Timeline) -> Html:
    """What the page is, and until when it knows."""
    until: list[object] = ["from its journal; times are in UTC"]
    if timeline.state == "running":
        began = datetime.fromisoformat(timeline.started.replace("Z", "+00:00"))
        now = (began + timedelta(seconds=timeline.seconds)).isoformat(timespec="milliseconds")
        until = ["while it was running, as of ", words.moment(now)]
    return element("p", "Written by parallel-orchestrate report, ", *until, ".")


def _figure(value: object, more: str = "") -> Html:
    return join([element("b", value), element("small", more) if more else None])


def _cost(timeline: Timeline) -> Html | None:
    """What is known of it, and of how many tasks nothing is."""
    if timeline.cost_usd is None:
        return None
    unknown = sum(task.attempts > 0 and task.cost_usd is None for task in timeline.tasks)
    without = f" without {words.plural(unknown, 'task')} that told none" if unknown else ""
    return _figure(words.money(timeline.cost_usd), without)


def _tokens(timeline: Timeline) -> Html | None:
    if timeline.input_tokens is None or timeline.output_tokens is None:
        return None
    written = f" in, {words.count(timeline.output_tokens)} out"
    return _figure(words.count(timeline.input_tokens), written)


def _verdict(timeline: Timeline) -> list[Html]:
    """How it stands, in one sentence behind a shape."""
    counted = words.tally(timeline)
    total, completed = len(timeline.tasks), counted.get("completed", 0)
    done = f"{completed} of {words.plural(total, 'task')} completed"
    code = "" if timeline.exit_code is None else f" (exit code {timeline.exit_code})"
    at = words.duration(timeline.wall_seconds)
    match timeline.state:
        case _ if timeline.damage is not None:
            shape = "broken_off"
            sentence = (
                f"Its journal is damaged, and tells of the first {at} alone: {done} by then. "
                "What was at work then is shown as broken off, and may have gone on."
            )
        case "running":
            shape, sentence = "in_progress", f"Running for {at}: {done} so far."
        case "crashed":
            shape, sentence = "broken_off", f"Its process died, last heard of after {at}: {done}."
        case "interrupted":
            shape, sentence = "broken_off", f"Interrupted after {at}: {done}{code}."
        case _ if timeline.error is not None:
            shape, sentence = "failed", f"It broke after {at}: {timeline.error}{code}."
        case _ if completed == total:
            shape = "completed"
            all_of_them = "The task" if total == 1 else f"All {words.plural(total, 'task')}"
            sentence = f"{all_of_them} completed in {at}."
        case _:
            shape, sentence = "failed", f"{done} in {at}{code}."
    return [words.shape(shape), element("span", sentence)]


def _failures(timeline: Timeline) -> Html | None:
    failed = [task for task in timeline.tasks if task.status in {"failed", "broken_off"}]
    if not failed:
        return None
    rows = [_failure(task) for task in failed[:_SHOWN_FAILURES]]
    if (more := len(failed) - _SHOWN_FAILURES) > 0:
        rows.append(element("li", link_to("outcomes", f"{more} more in the table")))
    return element("ul", *rows, class_="failures", aria_label="What failed")


def _failure(task: TaskTimeline) -> Html:
    why = words.error(task) or words.STATUS[task.status]
    return element(
        "li",
        link_to(f"agent-{task.agent}", words.agent(task.agent)),
        element("bdi", task.title),
        element("span", why, class_="why", dir="auto"),
    )


def link_to(place: str, *children: object) -> Html:
    """A link within the page."""
    return element("a", *children, href=f"#{place}")
