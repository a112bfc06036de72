"""What happens in an orchestration, as frozen dataclasses made for ``match``.

The callback of :func:`orchestration.orchestrate`, the iterator of :func:`orchestration.stream` and
each line of ``parallel-orchestrate --output json`` carry the same events::

    match event:
        case TaskFinished(agent=agent, success=False, failure=Failure(message=why)):
            print(f"agent {agent} failed: {why}")
        case OrchestrationFinished(exit_code=code):
            print("over:", code)

The last event is always :class:`OrchestrationFinished` or :class:`Error`.

Pure. Nothing here reads or writes anything.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ._records import Record
from .report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_VERSION = 1
"""The version of the events that this package reads and writes."""


@dataclass(frozen=True)
class Event(Record):
    """Anything that happened. ``match`` on its subclasses."""

    seq: int
    """Grows within one orchestration, not always by one."""
    time: str
    """RFC 3339 in UTC, with milliseconds."""
    orchestration: str
    """The orchestration's id; empty before it has one."""

    @property
    def type(self) -> str:
        """Its name in JSON: ``agent_started``."""
        return _type_name(self.__class__)

    @staticmethod
    def from_json(line: str) -> Event:
        """Reads one line of ``--output json``.

        What this version does not know becomes an :class:`UnknownEvent`, so that a reader outlives
        the writer's next version.

        Raises:
            ValueError: the line is not an event.
        """
        data = json.loads(line)
        if not isinstance(data, dict) or not isinstance(data.get("type"), str):
            message = f"not an event: {line[:80]}"
            raise ValueError(message)  # noqa: TRY004 - the line is wrong, not its type
        known = EVENT_TYPES.get(data["type"]) if data.get("v") == SCHEMA_VERSION else None
        try:
            return (known or UnknownEvent).from_dict(data)
        except KeyError as error:
            message = f"the event {data['type']} has no {error}"
            raise ValueError(message) from None

    def to_dict(self) -> dict[str, Any]:
        """The event as ``--output json`` writes it."""
        body = super().to_dict()
        head = {key: body.pop(key) for key in ("seq", "time", "orchestration")}
        return {"v": SCHEMA_VERSION, **head, "type": self.type, **body}


@dataclass(frozen=True)
class UnknownEvent(Event):
    """An event of a type or version that this package does not know."""

    data: Mapping[str, Any]
    """The whole JSON object."""

    @property
    def type(self) -> str:
        """Its name in JSON."""
        return str(self.data["type"])

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UnknownEvent:
        """Keeps the JSON object as it is."""
        return cls(
            seq=data.get("seq", 0),
            time=data.get("time", ""),
            orchestration=data.get("orchestration", ""),
            data=dict(data),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON object as it was read."""
        return dict(self.data)


@dataclass(frozen=True)
class PlannedTask(Record):
    """A task as :class:`PlanParsed` shows it."""

    agent: int
    """The agent's number, from 1."""
    title: str


@dataclass(frozen=True)
class Failure(Record):
    """Why a task failed."""

    stage: Literal["parsing", "implementation", "testing", "pr"]
    error: str
    """The type: ``TEST_TIMEOUT``."""
    message: str
    """One line: what happened, to what."""
    timed_out: bool
    """Whether a time limit ended it."""

    @property
    def label(self) -> str:
        """The type in words, as lines and tables have it: ``Test timeout``."""
        return label_of(self.error)


def label_of(error: str) -> str:
    """A type of failure in words: ``TEST_TIMEOUT`` as ``Test timeout``."""
    words = {"API_ERROR": "API error", "UNKNOWN": "Unknown error"}
    return words.get(error, error.replace("_", " ").capitalize())


@dataclass(frozen=True)
class PlanParsed(Event):
    """The source was read."""

    NESTED: ClassVar = {"tasks": PlannedTask}

    source: str
    title: str
    tasks: tuple[PlannedTask, ...]
    """What will run."""


@dataclass(frozen=True)
class Validated(Event):
    """The tasks were checked against each other."""

    verdict: Literal["proceed", "warn", "abort"]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class IssueCreated(Event):
    """An issue was filed, adopted or found again."""

    role: Literal["master", "sub_issue"]
    agent: int | None
    """The agent whose task it is."""
    number: int
    title: str
    url: str
    existed: bool
    """It was there before."""


@dataclass(frozen=True)
class Rerun(Record):
    """A task that runs again."""

    agent: int
    failed: str | None
    """The words for why it failed, such as ``Test timeout``; ``None`` where it was broken off."""


@dataclass(frozen=True)
class OrchestrationResumed(Event):
    """An orchestration is taken up again, under its own id."""

    NESTED: ClassVar = {"tasks": Rerun}

    retry: bool
    """A person asked for its failed tasks to run again; else only what was broken off does."""
    successful: int
    total: int
    tasks: tuple[Rerun, ...]
    max_workers: int | None = None
    """The limit on agents at once from here on."""


@dataclass(frozen=True)
class BatchStarted(Event):
    """The agents of a batch may start. Without a batch size there is one batch."""

    batch: int
    """Counts from 1."""
    batches: int
    agents: tuple[int, ...]
    max_workers: int
    batch_size: int | None
    interval: int
    """Seconds between two heartbeats."""


@dataclass(frozen=True)
class WorktreeCreated(Event):
    """A task has its own folder and branch."""

    agent: int
    path: str
    branch: str


@dataclass(frozen=True)
class AgentStarted(Event):
    """An agent runs."""

    agent: int
    attempt: int
    """Counts from 1."""
    pid: int
    pgid: int


@dataclass(frozen=True)
class AgentProgress(Event):
    """An agent says how far it is: a claim, not evidence."""

    agent: int
    stage: str
    percent: int


@dataclass(frozen=True)
class AgentUsage(Event):
    """What an agent has used so far in this attempt, as it says."""

    agent: int
    input_tokens: int
    """Tokens that it read, cached ones included."""
    output_tokens: int
    cost_usd: float | None
    """US dollars, once it says so."""


@dataclass(frozen=True)
class AgentFinished(Event):
    """An agent's process ended."""

    agent: int
    attempt: int
    outcome: str
    """``success``, ``failed``, ``signalled``, ``timed_out``, ``leaked``, ``spawn_error``,
    ``cancelled``, or ``refused``: the provider did not let it work (a usage limit, no room, a
    session that is gone), so the attempt does not count and is repeated."""
    exit_code: int | None
    """Where it ended by itself."""
    duration_seconds: float


@dataclass(frozen=True)
class VerifyFinished(Event):
    """The verify command ended."""

    agent: int
    passed: bool
    exit_code: int | None
    """Where it ended by itself."""
    duration_seconds: float


@dataclass(frozen=True)
class Pushed(Event):
    """The branch is on the remote."""

    agent: int
    branch: str


@dataclass(frozen=True)
class PullCreated(Event):
    """A change request was opened or found again."""

    agent: int
    number: int
    url: str
    existed: bool
    """It was there before."""


@dataclass(frozen=True)
class TaskFinished(Event):
    """A task has its outcome."""

    NESTED: ClassVar = {"failure": Failure}

    agent: int
    success: bool
    duration_seconds: float
    """From worktree to outcome."""
    pr_number: int | None
    failure: Failure | None


@dataclass(frozen=True)
class DiagnosticCreated(Event):
    """A diagnostic issue was filed for a failed task, or that of an earlier failure rewritten."""

    agent: int
    number: int
    title: str
    url: str
    existed: bool = False
    """It was there before."""


@dataclass(frozen=True)
class DiagnosticClosed(Event):
    """A diagnostic issue was closed: its task has succeeded since."""

    agent: int
    number: int


@dataclass(frozen=True)
class PoolPaused(Event):
    """No agent starts for now."""

    reason: str
    until: str
    """RFC 3339 in UTC."""


@dataclass(frozen=True)
class PoolResumed(Event):
    """Agents start again."""


@dataclass(frozen=True)
class ForgeAllowance(Event):
    """How many requests the forge takes until its limit is reset; told once in a heartbeat."""

    remaining: int
    reset: str
    """RFC 3339 in UTC."""


@dataclass(frozen=True)
class CommentPosted(Event):
    """The summary stands on the master issue."""

    issue: int
    url: str


@dataclass(frozen=True)
class Warning(Event):  # noqa: A001 - the name in the schema; import the module to keep both
    """Something worth a line that stops nothing."""

    agent: int | None
    """The agent it is about."""
    message: str


@dataclass(frozen=True)
class OrchestrationFinished(Event):
    """The last event of an orchestration that came to an end."""

    NESTED: ClassVar = {"summary": Report}

    exit_code: int
    summary: Report


@dataclass(frozen=True)
class Error(Event):
    """The last event of one that did not."""

    kind: Literal["usage", "plan", "validation", "forge", "engine"]
    message: str
    """What happened, to what."""
    hint: str
    """What to do."""
    exit_code: int


def _type_name(event: type[Event]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()


EVENT_TYPES: Mapping[str, type[Event]] = {
    _type_name(event): event
    for event in (
        PlanParsed,
        Validated,
        IssueCreated,
        OrchestrationResumed,
        BatchStarted,
        WorktreeCreated,
        AgentStarted,
        AgentProgress,
        AgentUsage,
        AgentFinished,
        VerifyFinished,
        Pushed,
        PullCreated,
        TaskFinished,
        DiagnosticCreated,
        DiagnosticClosed,
        PoolPaused,
        PoolResumed,
        ForgeAllowance,
        CommentPosted,
        Warning,
        OrchestrationFinished,
        Error,
    )
}
"""Every known type by its name in JSON."""
