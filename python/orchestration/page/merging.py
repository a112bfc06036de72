"""In which order to merge, and what does not merge by itself.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .markup import Html, element, join, link

if TYPE_CHECKING:
    from orchestration.report import MergeConflict
    from orchestration.timeline import Timeline

_FILES = 5
"""How many files of a collision are named."""

_UNFOLDED = 20
"""How many collisions are shown at once; of more, all are a click away."""


def merging(timeline: Timeline, root: str) -> Html | None:
    """The section; none where there is nothing to merge."""
    advice = timeline.merging
    if advice is None:
        return None
    urls = {
        one.number: one.url for task in timeline.tasks for one in task.links if one.kind == "pull"
    }
    pulls = {
        number: link(urls.get(number, ""), f"PR #{number}", root=root) for number in advice.order
    }
    order = element("ol", *(element("li", pull) for pull in pulls.values()), class_="order")
    base = element("code", advice.base)
    lines = [_line(conflict, pulls, base) for conflict in advice.conflicts]
    if advice.problem is not None:
        lines.insert(0, join(["Not everything was tried: ", advice.problem]))
    alone = len(pulls) == 1
    clean = "It merges cleanly with " if alone else "They merge cleanly, with each other and with "
    said = element("ul", *(element("li", line) for line in lines), class_="conflicts")
    if not lines:
        said = element("p", clean, base, ".")
    elif len(lines) > _UNFOLDED:
        said = element("details", element("summary", f"{len(lines)} collisions"), said)
    return element(
        "section",
        element("h2", "Merge order", id="merging"),
        order,
        said,
        aria_labelledby="merging",
    )


def _line(conflict: MergeConflict, pulls: dict[int, Html], base: Html) -> Html:
    names = [element("code", file) for file in conflict.files[:_FILES]]
    more = len(conflict.files) - len(names)
    files = join([join(names, ", "), f" and {more} more" if more > 0 else None])
    one = pulls.get(conflict.pr, f"PR #{conflict.pr}")
    if conflict.other_pr is None:
        return join([one, " collides with ", base, " in ", files, ": bring it up to date first."])
    other = pulls.get(conflict.other_pr, f"PR #{conflict.other_pr}")
    return join(
        [
            one,
            " and ",
            other,
            " collide in ",
            files,
            ": merge one, then bring the other up to date.",
        ]
    )
