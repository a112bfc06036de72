"""What is folded away: each task with its attempts, its stages and the end of its log.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import words
from .markup import Html, element, join

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestration.timeline import Span, TaskTimeline, Timeline

_OPEN = 3
"""How many failures are open from the start."""
_STAGES = 12
"""How many of the last stages are listed."""


def details(timeline: Timeline, logs: Mapping[int, Sequence[str]]) -> Html:
    """One disclosure a task; the first failures are open."""
    failed = [task.agent for task in timeline.tasks if task.status in {"failed", "broken_off"}]
    opened = set(failed[:_OPEN])
    return join(
        _task(task, logs.get(task.agent, ()), timeline.worked, opened=task.agent in opened)
        for task in timeline.tasks
    )


def notes(timeline: Timeline) -> Html | None:
    """The warnings."""
    if not timeline.notes:
        return None
    lines = (
        element(
            "li",
            None if note.agent is None else f"{words.agent(note.agent)}: ",
            element("bdi", note.message),
        )
        for note in timeline.notes
    )
    return element(
        "section",
        element("h2", "Warnings", id="warnings"),
        element("ul", *lines),
        aria_labelledby="warnings",
    )


def _task(
    task: TaskTimeline, log: Sequence[str], worked: Callable[[float], float], *, opened: bool
) -> Html:
    name = words.agent(task.agent)
    facts = words.definitions(
        ("Error", task.error and element("bdi", words.error(task))),
        ("Branch", task.branch and element("code", task.branch)),
        ("Worktree", task.worktree and element("code", task.worktree)),
        ("Last stage", task.stage and element("bdi", task.stage)),
        class_="facts",
    )
    return element(
        "details",
        element(
            "summary",
            words.shape(task.status),
            element("span", name, class_="number"),
            element("bdi", task.title),
            element("span", _outcome(task), class_="outcome"),
        ),
        element(
            "div", facts, _attempts(task), _stages(task, worked), _log(name, log), class_="inside"
        ),
        id=f"agent-{task.agent}",
        class_="task",
        open=opened,
        data_agent=task.agent,
        data_status=task.status,
    )


def _outcome(task: TaskTimeline) -> str:
    said = words.STATUS[task.status].lower()
    return f"{said}, {words.duration(task.seconds)}" if task.spans else said


def _attempts(task: TaskTimeline) -> Html | None:
    spans = words.telling(task)
    if not spans:
        return None
    return join(
        [element("h3", "Attempts"), element("ul", *(element("li", _span(span)) for span in spans))]
    )


def _span(span: Span) -> str:
    outcome = words.OUTCOMES.get(span.outcome, span.outcome)
    more = ", which does not count" if span.outcome == "refused" else ""
    return f"{words.span(span)} {outcome} after {words.duration(span.seconds)}{more}"


def _stages(task: TaskTimeline, worked: Callable[[float], float]) -> Html | None:
    """What the agent said it came to, how far it said it was, and when, on the axis of time."""
    if not task.stages:
        return None
    rows = [
        element(
            "li",
            element("span", f"{stage.percent}%", class_="percent"),
            element("bdi", stage.stage),
            element("span", f"at {words.duration(worked(stage.at))}", class_="at"),
        )
        for stage in task.stages[-_STAGES:]
    ]
    title = f"The last {_STAGES} stages" if len(task.stages) > _STAGES else "Stages"
    return join([element("h3", title), element("ol", *rows, class_="stages")])


def _log(name: str, log: Sequence[str]) -> Html:
    if not log:
        return element("p", "There is no log.", class_="none")
    return join(
        [
            element("h3", "End of the log"),
            element(
                "pre",
                "\n".join(log),
                tabindex="0",
                role="region",
                aria_label=f"End of the log of {name}",
            ),
        ]
    )
