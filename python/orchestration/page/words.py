"""Numbers and states in words for people.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.events import label_of

from .markup import Html, element, join

if TYPE_CHECKING:
    from orchestration.timeline import Span, Status, TaskTimeline, Timeline

    from .markup import Value

MINUTE, HOUR, DAY = 60, 3600, 86400
_TEN_SECONDS = 10
_CENT = 0.01
_FASTER = 1.05
"""What is less is told as 1.0 times as fast, which is none."""

STATUS: dict[Status, str] = {
    "completed": "Completed",
    "failed": "Failed",
    "in_progress": "In progress",
    "pending": "Not begun",
    "broken_off": "Broken off",
}
"""In the order in which they are listed."""

KINDS = {"setup": "Set-up", "verify": "Verify command", "publish": "Checks and publishing"}

OUTCOMES = {
    "success": "ended well",
    "failed": "failed",
    "signalled": "was killed by a signal",
    "timed_out": "ran into its time limit",
    "leaked": "left processes behind",
    "spawn_error": "could not be started",
    "refused": "was refused by the provider",
    "cancelled": "was cancelled",
    "broken_off": "was broken off",
    "in_progress": "goes on",
}


def duration(seconds: float) -> str:
    """``0.4s``, ``42s``, ``18m 03s``, ``2h 05m``, ``3d 4h``."""
    if seconds < _TEN_SECONDS:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole}s"
    if whole < HOUR:
        return f"{whole // MINUTE}m {whole % MINUTE:02}s"
    if whole < DAY:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE:02}m"
    return f"{whole // DAY}d {whole % DAY // HOUR}h"


def money(dollars: float) -> str:
    """``$0.25``; a fraction of a cent is told as such."""
    if 0 < dollars < _CENT:
        return "< $0.01"
    return f"${dollars:,.2f}"


def count(number: int) -> str:
    """``987``, ``12.3k``, ``4.5M``: a number to compare."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + unit
    return str(number)


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 task``, ``5 tasks``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(time: str) -> Html:
    """A time of an event, in UTC, without its milliseconds."""
    shown = time[:19].replace("T", " ")
    return element("time", f"{shown} UTC", datetime=time)


def agent(number: int) -> str:
    """``Agent-3``, as everywhere else."""
    return f"Agent-{number}"


def shape(status: str, **attributes: Value) -> Html:
    """The shape of a status: what a colour tells, told twice."""
    return element(
        "svg",
        element("use", href=f"#shape-{status}"),
        class_=f"shape {status}",
        viewBox="0 0 16 16",
        aria_hidden="true",
        **attributes,
    )


def status(task: TaskTimeline) -> Html:
    """The status as a shape and a word."""
    word = STATUS[task.status]
    if task.timed_out and task.status == "failed":
        word = "Timed out"
    return element("span", shape(task.status), " ", word, class_=f"status {task.status}")


def span(one: Span) -> str:
    """What a span is called: ``Attempt 2``, ``Verify command``."""
    return f"Attempt {one.attempt}" if one.kind == "agent" else KINDS[one.kind]


def telling(task: TaskTimeline) -> list[Span]:
    """The spans that are told in words: of what only goes with the work, what failed."""
    return [
        span for span in task.spans if span.kind in {"agent", "verify"} or span.outcome == "failed"
    ]


def error(task: TaskTimeline) -> str | None:
    """``TEST_FAILURE: …`` as ``Test failure: …``."""
    if task.error is None:
        return None
    kind, colon, message = task.error.partition(": ")
    return label_of(kind) + colon + message if kind.isupper() else task.error


def limit(timeline: Timeline) -> int | None:
    """How many agents were allowed at once; ``None`` where that was raised on the way."""
    most = timeline.max_workers
    return None if most is None or most < timeline.peak else most


def speed_up(timeline: Timeline) -> str | None:
    """``2.5``: how many times as fast it was; ``None`` where it was not."""
    faster = timeline.speed_up or 0
    done = any(task.status == "completed" for task in timeline.tasks)
    return f"{faster:.1f}" if done and faster >= _FASTER else None


def tally(timeline: Timeline) -> dict[Status, int]:
    """How many tasks have each status; those that none has are left out."""
    counted = {status: sum(task.status == status for task in timeline.tasks) for status in STATUS}
    return {status: number for status, number in counted.items() if number}


def definitions(*pairs: tuple[str, object], **attributes: Value) -> Html:
    """A list of terms and what they are; what is ``None`` is left out."""
    rows = (
        element("div", element("dt", term), element("dd", value))
        for term, value in pairs
        if value is not None
    )
    return element("dl", join(rows), **attributes)
