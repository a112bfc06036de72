"""The axis of time that all figures share: percent of the width, without the time nobody worked.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .words import DAY, HOUR, MINUTE, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestration.timeline import Timeline

_MOST_TICKS = 6
_GAP = 3.0
"""The width of a gap in percent, however long it was."""
_GAPS = 25.0
"""The most that all gaps take together."""
_STEPS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(MINUTE * step for step in (1, 2, 5, 10, 15, 30)),
    *(HOUR * step for step in (1, 2, 3, 6, 12)),
    *(DAY * step for step in (1, 2, 7, 30)),
)


class Axis:
    """From moments of a timeline to places on the page."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        gaps = timeline.gaps
        self._gap = min(_GAP, _GAPS / len(gaps)) if gaps else 0.0
        self._worked = max(timeline.wall_seconds, 0.001)
        self._scale = (100 - self._gap * len(gaps)) / self._worked

    def x(self, at: float) -> float:
        """Where a moment is, in percent of the width."""
        gaps = 0.0
        for gap in self._timeline.gaps:
            if at >= gap.to:
                gaps += 1
            elif at > gap.from_:
                gaps += (at - gap.from_) / (gap.to - gap.from_)
        place = self._timeline.worked(at) * self._scale + gaps * self._gap
        return min(max(place, 0.0), 100.0)

    def worked(self, at: float) -> float:
        """Seconds of work before a moment: what the axis counts."""
        return self._timeline.worked(at)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Round times of work, and where they are."""
        step = next((step for step in _STEPS if self._worked / step <= _MOST_TICKS), _STEPS[-1])
        ends = [self._timeline.worked(gap.from_) for gap in self._timeline.gaps]
        for number in range(int(self._worked / step) + 1):
            worked = number * step
            gaps = sum(end < worked for end in ends) * self._gap
            yield worked * self._scale + gaps, _short(worked)


def _short(seconds: float) -> str:
    """A duration without what is nought in it."""
    return duration(seconds).replace(" 00s", "").replace(" 00m", "").replace("d 0h", "d")
