"""An orchestration over time: what each agent did, from when to when, read from its events.

What the page of ``parallel-orchestrate report`` draws. An orchestration may have been worked on by
several programs, one after another (it crashed and was gone on with, its failures were tried
again); the time in between is a :class:`Gap` and counts for nothing.

Pure. Nothing here looks at the clock or reads a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from ._records import Record
from .report import MergeConflict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .events import Event

State: TypeAlias = Literal["running", "finished", "interrupted", "crashed"]
Status: TypeAlias = Literal["pending", "in_progress", "completed", "failed", "broken_off"]


@dataclass(frozen=True)
class Link(Record):
    """An issue or a change request of a task."""

    kind: Literal["sub_issue", "pull", "diagnostic"]
    number: int
    url: str
    """An address, or a path in the repository."""


@dataclass(frozen=True)
class Span(Record):
    """What a task was at, from one moment to another."""

    kind: Literal["setup", "agent", "verify", "publish"]
    """``publish`` is everything from the last check to the task's outcome: push, change request."""
    attempt: int
    """Counts from 1. An attempt that the provider refused is repeated under its number."""
    from_: float
    """Seconds since the beginning of the orchestration, as all moments here."""
    to: float
    outcome: str
    """That of :class:`~orchestration.events.AgentFinished` for an agent, ``success`` or ``failed``
    for anything else; ``broken_off`` where its program died, ``in_progress`` where it goes on."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.to - self.from_


@dataclass(frozen=True)
class Stage(Record):
    """What an agent said it did: a claim, not evidence."""

    at: float
    stage: str
    percent: int


@dataclass(frozen=True)
class Pause(Record):
    """No agent was started."""

    from_: float
    to: float
    reason: str


@dataclass(frozen=True)
class Gap(Record):
    """Nobody worked on the orchestration, or nothing was heard of it before its program died."""

    from_: float
    to: float
    retry: bool
    """It ended with somebody asking for failed tasks to run again; else it was gone on with."""


@dataclass(frozen=True)
class Alive(Record):
    """How many agents were alive from a moment on."""

    at: float
    agents: int


@dataclass(frozen=True)
class Note(Record):
    """A warning."""

    at: float
    agent: int | None
    message: str


@dataclass(frozen=True)
class Merging(Record):
    """What came of merging the change requests in memory."""

    NESTED: ClassVar = {"conflicts": MergeConflict}

    base: str
    order: tuple[int, ...]
    """The change requests in the order in which they are best merged."""
    conflicts: tuple[MergeConflict, ...]
    """Those that do not merge by themselves."""
    problem: str | None
    """Why not everything was tried."""


@dataclass(frozen=True)
class TaskTimeline(Record):
    """One task over time."""

    NESTED: ClassVar = {"links": Link, "spans": Span, "stages": Stage}

    agent: int
    """The agent's number, from 1."""
    title: str
    status: Status
    """``broken_off`` where the program died while the task was at work."""
    error: str | None
    """``TEST_TIMEOUT: message``, for a failure."""
    timed_out: bool
    """Whether a time limit ended it."""
    stage: str | None
    """What the agent of the last attempt last said it did."""
    branch: str | None
    worktree: str | None
    """Where it works; once the orchestration is over, where it was kept."""
    attempts: int
    """How often an agent was started, without attempts that the provider refused."""
    seconds: float
    """The last attempt, from worktree to outcome; while it is at work, so far."""
    cost_usd: float | None
    """What the agent said that all attempts cost."""
    input_tokens: int | None
    output_tokens: int | None
    lines_of_code: int | None
    """Inserted lines, once the orchestration is over."""
    links: tuple[Link, ...]
    spans: tuple[Span, ...]
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Timeline(Record):
    """One orchestration over time.

    Moments are seconds since :attr:`started`.
    """

    NESTED: ClassVar = {
        "tasks": TaskTimeline,
        "pauses": Pause,
        "gaps": Gap,
        "concurrency": Alive,
        "notes": Note,
        "merging": Merging,
    }

    orchestration: str
    """Its id."""
    issue: int | None
    """The number of its master issue."""
    issue_url: str | None
    title: str
    source: str
    """What names the master to the command."""
    state: State
    started: str
    """RFC 3339 in UTC."""
    ended: str | None
    """RFC 3339 in UTC, where it has come to its end."""
    exit_code: int | None
    error: str | None
    """Why it broke, where it did."""
    max_workers: int | None
    """The limit on tasks at once."""
    seconds: float
    """From its beginning to its end or to the last that is known of it, gaps included."""
    wall_seconds: float
    """The same without gaps."""
    sequential_seconds: float
    """The sum of the last attempts: what one agent after another would have taken."""
    speed_up: float | None
    """How much faster it was side by side."""
    peak: int
    """The most agents that were alive at once."""
    cost_usd: float | None
    """What all agents said they cost."""
    input_tokens: int | None
    output_tokens: int | None
    tasks: tuple[TaskTimeline, ...]
    pauses: tuple[Pause, ...]
    gaps: tuple[Gap, ...]
    concurrency: tuple[Alive, ...]
    notes: tuple[Note, ...]
    merging: Merging | None
    """How to merge what came of it, once it is over."""
    damage: str | None = None
    """What is damaged in its journal: nothing behind that is known."""

    @classmethod
    def from_events(cls, events: Iterable[Event], *, now: datetime | None = None) -> Timeline:
        """Reads the events of one orchestration, in their order.

        Args:
            events: All from the first on.
            now: The time (with its zone), where somebody still works on it. An orchestration
                without an end that nobody works on has crashed.

        Raises:
            ValueError: there are no events.
        """
        from ._tracing import Trace  # noqa: PLC0415 - it needs the classes above

        trace = Trace()
        for event in events:
            trace.add(event)
        return trace.timeline(now)

    def worked(self, at: float) -> float:
        """Seconds of work before a moment, gaps left out."""
        return at - sum(max(min(at, gap.to) - gap.from_, 0.0) for gap in self.gaps)

    def _repr_html_(self) -> str:
        """For notebooks."""
        from .page import notebook  # noqa: PLC0415 - for notebooks alone

        return notebook.timeline(self)


def milliseconds(time: str | datetime) -> int:
    """A time (RFC 3339, in UTC where it ends with Z) as milliseconds since 1970."""
    if isinstance(time, str):
        time = datetime.fromisoformat(time.replace("Z", "+00:00"))
    return round(time.timestamp() * 1000)
