"""The tables: how each task ended, and what it cost.

Pure. On a narrow screen the cells stand below each other, each with the name of its column, so
rows and cells say by their roles what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import words
from .headline import link_to
from .markup import Html, element, join, link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestration.timeline import TaskTimeline, Timeline

_LINKS = {"sub_issue": "Issue", "pull": "PR", "diagnostic": "Diagnosis"}
_NOTHING = "–"  # noqa: RUF001 - a dash between nothing and nothing
_DEAREST = 20
"""How many tasks the table of costs shows before the rest is folded away."""


def outcomes(timeline: Timeline, root: str) -> Html:
    """One row a task."""
    columns = ("Agent", "Task", "Outcome", "Attempts", "Time", "Lines", "Links")
    return _table(
        "How each task ended",
        columns,
        [_outcome(task, root, columns) for task in timeline.tasks],
        id="outcomes-table",
    )


def costs(timeline: Timeline) -> Html:
    """What each task cost, the dearest first."""
    spent = [task for task in timeline.tasks if task.cost_usd or task.input_tokens]
    if not spent:
        return element("p", "No agent told what it used.", class_="none")
    spent.sort(key=lambda task: (-(task.cost_usd or 0), -(task.input_tokens or 0), task.agent))
    most = (
        max(task.cost_usd or 0 for task in spent),
        max((task.input_tokens or 0) + (task.output_tokens or 0) for task in spent),
    )
    columns = ("Agent", "Cost", "Tokens", "Read", "Written")
    rows = [_cost(task, most, columns) for task in spent]
    shown, rest = rows[:_DEAREST], rows[_DEAREST:]
    more = rest and element(
        "details",
        element("summary", f"The other {words.plural(len(rest), 'task')}"),
        _table("What the other tasks cost", columns, rest, class_="costs"),
    )
    dearest = _table("What each task cost", columns, shown, class_="costs")
    return join([_key(), dearest, more or None])


def _key() -> Html:
    """What the parts of a bar of tokens are."""
    kinds = [("read", "Tokens read, cached ones included"), ("written", "Tokens written")]
    keys = [
        element(
            "li",
            element(
                "svg",
                element("rect", width=22, height=10, y=2, rx=2, class_=kind),
                width=22,
                height=14,
                aria_hidden="true",
                class_="key",
            ),
            name,
        )
        for kind, name in kinds
    ]
    return element("ul", *keys, class_="legend", aria_label="Key to the tokens")


def _table(caption: str, columns: Sequence[str], rows: Sequence[Html], **attributes: str) -> Html:
    head = [
        element("th", column, scope="col", role="columnheader", class_=_class(column))
        for column in columns
    ]
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head, role="row"), role="rowgroup"),
        element("tbody", *rows, role="rowgroup"),
        role="table",
        **attributes,
    )


def _row(columns: Sequence[str], values: Sequence[object], task: TaskTimeline) -> Html:
    first = element(
        "th",
        values[0],
        scope="row",
        role="rowheader",
        data_label=columns[0],
        class_=_class(columns[0]),
    )
    rest = (
        element("td", value, role="cell", data_label=column, class_=_class(column, value))
        for column, value in zip(columns[1:], values[1:], strict=True)
    )
    return element("tr", first, *rest, role="row", data_agent=task.agent, data_status=task.status)


def _class(column: str, value: object = None) -> str | None:
    """Numbers stand to the right; on a narrow screen what is wide has a line of its own."""
    nothing = " nothing" if value == _NOTHING else ""
    if column in {"Attempts", "Time", "Lines", "Read", "Written"}:
        return f"number{nothing}"
    if column in {"Cost", "Tokens"}:
        return f"wide{nothing}"
    return column.lower() + nothing if column in {"Task", "Outcome", "Links"} else None


def _outcome(task: TaskTimeline, root: str, columns: Sequence[str]) -> Html:
    why = task.error and element("span", words.error(task), class_="why", dir="auto")
    at = task.stage and element("span", task.stage, class_="why", dir="auto")
    more = why if task.status != "in_progress" else at
    links = [
        element("span", link(one.url, f"{_LINKS[one.kind]} #{one.number}", root=root))
        for one in task.links
    ]
    values = (
        link_to(f"agent-{task.agent}", words.agent(task.agent)),
        element("bdi", task.title),
        join([words.status(task), more or None]),
        task.attempts or _NOTHING,
        words.duration(task.seconds) if task.spans else _NOTHING,
        _NOTHING if task.lines_of_code is None else f"{task.lines_of_code:,}",
        join(links, " ") if links else _NOTHING,
    )
    return _row(columns, values, task)


def _cost(task: TaskTimeline, most: tuple[float, int], columns: Sequence[str]) -> Html:
    read, written = task.input_tokens or 0, task.output_tokens or 0
    dollars = _NOTHING if task.cost_usd is None else words.money(task.cost_usd)
    cost = _bar([("dollars", (task.cost_usd or 0) / most[0])]) if most[0] else None
    tokens = (
        _bar([("read", read / most[1]), ("written", written / most[1])]) if most[1] else _NOTHING
    )
    values = (
        link_to(f"agent-{task.agent}", words.agent(task.agent)),
        element("div", element("span", dollars, class_="amount"), cost, class_="cost"),
        tokens,
        f"{read:,}",
        f"{written:,}",
    )
    return _row(columns, values, task)


def _bar(parts: Sequence[tuple[str, float]]) -> Html:
    begun, rectangles = 0.0, []
    for kind, share in parts:
        rectangles.append(
            element(
                "rect",
                x=f"{100 * begun:.2f}%",
                width=f"{100 * share:.2f}%",
                height="100%",
                class_=kind,
            )
        )
        begun += share
    return element("svg", *rectangles, class_="bar", aria_hidden="true")
