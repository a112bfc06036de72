"""What a live table knows of an orchestration: a fold over its events.

Pure: no clock, no terminal. The times in it are those of the events, in seconds since 1970.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from orchestration.events import (
    AgentFinished,
    AgentProgress,
    AgentStarted,
    AgentUsage,
    BatchStarted,
    Error,
    ForgeAllowance,
    IssueCreated,
    OrchestrationFinished,
    OrchestrationResumed,
    PlanParsed,
    PoolPaused,
    PoolResumed,
    PullCreated,
    Pushed,
    TaskFinished,
    VerifyFinished,
    WorktreeCreated,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestration.events import Event


_STAGES: Mapping[type[Event], str] = {
    WorktreeCreated: "Preparing",
    AgentStarted: "Starting",
    AgentFinished: "Checking its work",
    VerifyFinished: "Verified",
    Pushed: "Filing its change request",
    PullCreated: "Filing its change request",
}
"""What a task is at, in words, where its agent does not say it."""


class Standing(enum.Enum):
    """Where a task stands."""

    WAITING = "waiting"
    AT_WORK = "at work"
    DONE = "done"
    FAILED = "failed"


@dataclass
class TaskView:
    """One task."""

    agent: int
    title: str
    standing: Standing = Standing.WAITING
    stage: str = ""
    """What it is at, in words; at its end what came of it."""
    percent: int = 0
    attempt: int = 0
    began: float | None = None
    seconds: float | None = None
    """How long it took, once it is over."""
    heard: float | None = None
    """When something was last heard of it."""
    tokens: int = 0
    cost: float | None = None
    _before: tuple[int, float | None] = (0, None)
    """Tokens and cost of the attempts before this one."""

    def begin(self, time: float, stage: str) -> None:
        """It holds one of the pool's places from here on."""
        self.standing, self.stage = Standing.AT_WORK, stage
        self.seconds = None
        if self.began is None:
            self.began = time

    def wait(self) -> None:
        """It is in the queue, for the first time or again."""
        self.standing, self.stage, self.percent = Standing.WAITING, "", 0
        self.began = self.seconds = None

    def attempts(self, number: int) -> None:
        """Another attempt begins; what the last one has used stays used."""
        self.attempt, self.percent = number, 0
        self._before = (self.tokens, self.cost)

    def uses(self, tokens: int, cost: float | None) -> None:
        """What this attempt has used so far."""
        self.tokens = self._before[0] + tokens
        if cost is not None:
            self.cost = (self._before[1] or 0.0) + cost


@dataclass
class View:
    """One orchestration."""

    tasks: dict[int, TaskView] = field(default_factory=dict)
    """By agent, in the order of their numbers."""
    began: float | None = None
    batch: int = 0
    batches: int = 0
    max_workers: int = 0
    pause: tuple[str, float] | None = None
    """Why no agent starts, and until when."""
    allowance: tuple[int, float] | None = None
    """Requests that the forge still takes, and when its limit is reset."""
    has_ended: bool = False

    def count(self, standing: Standing) -> int:
        """How many tasks stand so."""
        return sum(task.standing is standing for task in self.tasks.values())

    @property
    def tokens(self) -> int:
        """All that all agents have read and written."""
        return sum(task.tokens for task in self.tasks.values())

    @property
    def cost(self) -> float | None:
        """What all agents have cost in US dollars, as far as they say so."""
        costs = [task.cost for task in self.tasks.values() if task.cost is not None]
        return sum(costs) if costs else None

    def apply(self, event: Event) -> None:
        """Takes in the next event."""
        time = seconds_of(event.time)
        match event:
            case PlanParsed(tasks=tasks):
                self.began = time
                for planned in tasks:
                    self._task(planned.agent).title = planned.title
            case IssueCreated(agent=int(agent), title=title):
                task = self._task(agent)
                task.title = task.title or title
            case OrchestrationResumed(tasks=again):
                self.max_workers = event.max_workers or self.max_workers
                self._resume(time, {rerun.agent for rerun in again})
            case BatchStarted():
                self.batch, self.batches = event.batch, event.batches
                self.max_workers = event.max_workers
                for agent in event.agents:
                    self._task(agent)
            case PoolPaused() | PoolResumed() | ForgeAllowance():
                self._note_limit(event)
            case OrchestrationFinished() | Error():
                self.has_ended, self.pause = True, None
            case _:
                self._follow(event, time)

    def _note_limit(self, event: PoolPaused | PoolResumed | ForgeAllowance) -> None:
        """What the model's provider and the forge still give."""
        match event:
            case PoolPaused(reason=reason, until=until):
                self.pause = (reason, seconds_of(until))
            case PoolResumed():
                self.pause = None
            case ForgeAllowance(remaining=remaining, reset=reset):
                self.allowance = (remaining, seconds_of(reset))

    def _follow(self, event: Event, time: float) -> None:
        """What concerns one task."""
        agent = getattr(event, "agent", None)
        if not isinstance(agent, int):
            return
        task = self._task(agent)
        task.heard = time
        if type(event) in _STAGES:
            task.begin(time, _STAGES[type(event)])
        match event:
            case AgentStarted(attempt=attempt):
                task.attempts(attempt)
            case AgentProgress(stage=stage, percent=percent):
                task.stage, task.percent = stage, percent
            case AgentUsage():
                task.uses(event.input_tokens + event.output_tokens, event.cost_usd)
            case AgentFinished(outcome=outcome) if outcome != "success":
                task.wait()  # it fails, or goes on after a pause: the next event tells
            case TaskFinished():
                self._settle(task, event)

    @staticmethod
    def _settle(task: TaskView, event: TaskFinished) -> None:
        task.seconds = event.duration_seconds
        task.standing = Standing.DONE if event.success else Standing.FAILED
        if event.success:
            task.percent = 100
            task.stage = "" if event.pr_number is None else f"PR #{event.pr_number}"
        elif event.failure is not None:
            task.stage = event.failure.label

    def _resume(self, time: float, again: set[int]) -> None:
        """What a dead program was doing is under way no more."""
        self.began, self.has_ended, self.pause = time, False, None
        for agent in again:
            self._task(agent).wait()
        for task in self.tasks.values():
            if task.standing is Standing.AT_WORK:
                task.wait()

    def _task(self, agent: int) -> TaskView:
        if agent not in self.tasks:
            last = next(reversed(self.tasks), 0)
            self.tasks[agent] = TaskView(agent, "")
            if agent < last:  # rarely: sources number their tasks in order
                self.tasks = dict(sorted(self.tasks.items()))
        return self.tasks[agent]


def seconds_of(stamp: str) -> float:
    """The time of an event in seconds since 1970; 0 where it is none."""
    try:
        return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
