"""From the events of an orchestration to its timeline: the state that is kept in between.

Pure. Events may be new to us, or out of order where the clock was set back; neither breaks it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from . import events as e
from .timeline import (
    Alive,
    Gap,
    Link,
    Merging,
    Note,
    Pause,
    Span,
    Stage,
    State,
    Status,
    TaskTimeline,
    Timeline,
    milliseconds,
)

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Literal

    from .report import Report, TaskReport

_Number = TypeVar("_Number", int, float)

_INTERRUPTED = (130, 143)


@dataclass
class _Use:
    """Tokens and dollars; ``None`` where nobody told."""

    cost: float | None = None
    read: int | None = None
    written: int | None = None

    def __add__(self, other: _Use) -> _Use:
        return _Use(
            _sum([self.cost, other.cost]),
            _sum([self.read, other.read]),
            _sum([self.written, other.written]),
        )


@dataclass
class _Task:
    agent: int
    title: str
    status: Status = "pending"
    error: str | None = None
    timed_out: bool = False
    branch: str | None = None
    worktree: str | None = None
    attempt: int = 0
    began: float | None = None
    """When its worktree was there, in the attempt under way."""
    seconds: float = 0.0
    used: _Use = field(default_factory=_Use)
    """By the agents before this one."""
    using: _Use = field(default_factory=_Use)
    lines: int | None = None
    links: dict[tuple[str, int], Link] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    stage: str | None = None
    """What the agent of the attempt under way, or of the last one, said last."""
    open: tuple[Literal["setup", "agent", "publish"], float] | None = None
    """What it is at, and since when."""

    def begin(self, kind: Literal["setup", "agent", "publish"], at: float) -> None:
        self.open = (kind, at)

    def close(self, at: float, outcome: str) -> None:
        """Ends what it is at."""
        if self.open is not None:
            kind, since = self.open
            self.open = None
            # An attempt has its number from its agent on, which a set-up precedes.
            attempt = self.attempt + 1 if kind == "setup" else max(self.attempt, 1)
            self.spans.append(Span(kind, attempt, since, at, outcome))

    def verify(self, event: e.VerifyFinished, at: float) -> None:
        """The event alone tells of the verify command, at its end."""
        since = self.spans[-1].to if self.spans else 0.0
        self.open = None
        outcome = "success" if event.passed else "failed"
        since = min(max(since, _round(at - event.duration_seconds)), at)
        self.spans.append(Span("verify", max(self.attempt, 1), since, at, outcome))
        if event.passed:
            self.begin("publish", at)

    def finish(self, event: e.TaskFinished, at: float) -> None:
        """The task has its outcome."""
        if event.success and self.open is None and self.spans:
            self.begin("publish", self.spans[-1].to)  # an agent that failed, with evidence
        self.close(at, "success" if event.success else "failed")
        self.status = "completed" if event.success else "failed"
        self.seconds = event.duration_seconds
        if event.failure is not None:
            self.error = f"{event.failure.error}: {event.failure.message}"
            self.timed_out = event.failure.timed_out

    def stop(self, at: float, outcome: str) -> None:
        """The program is over: so is whatever it was at."""
        self.close(at, outcome)
        if self.status == "in_progress":
            self.status = "broken_off"
            self.seconds = self._so_far(at)

    def run_again(self) -> None:
        """What it came to counts no more; what it did and cost does."""
        self.status, self.seconds, self.stage = "pending", 0.0, None
        self.error, self.timed_out, self.lines = None, False, None

    def settle(self, row: TaskReport) -> None:
        """What the summary knows and no other event tells."""
        self.lines, self.worktree = row.lines_of_code, row.worktree
        self.error, self.timed_out = row.error, row.timed_out
        if row.cost_usd is not None:
            self.used.cost, self.using.cost = row.cost_usd, None

    def link(self, kind: Literal["sub_issue", "pull", "diagnostic"], number: int, url: str) -> None:
        self.links[kind, number] = Link(kind, number, url)

    def timeline(self, now: float) -> TaskTimeline:
        used = self.used + self.using
        return TaskTimeline(
            agent=self.agent,
            title=self.title,
            status=self.status,
            error=self.error,
            timed_out=self.timed_out,
            stage=self.stage,
            branch=self.branch,
            worktree=self.worktree,
            attempts=self.attempt,
            seconds=self._so_far(now) if self.status == "in_progress" else self.seconds,
            cost_usd=used.cost,
            input_tokens=used.read,
            output_tokens=used.written,
            lines_of_code=self.lines,
            links=tuple(self.links.values()),
            spans=tuple(self.spans),
            stages=tuple(self.stages),
        )

    def _so_far(self, at: float) -> float:
        return 0.0 if self.began is None else _round(at - self.began)


class Trace:
    """The fold of the events so far."""

    def __init__(self) -> None:
        self._began: int | None = None
        self._started = ""
        self._at = 0.0
        """The latest moment that was told of."""
        self._head = {"orchestration": "", "title": "", "source": ""}
        self._issue: tuple[int, str] | None = None
        self._max_workers: int | None = None
        self._tasks: dict[int, _Task] = {}
        self._pauses: list[Pause] = []
        self._paused: tuple[float, str] | None = None
        self._gaps: list[Gap] = []
        self._concurrency: list[Alive] = [Alive(0.0, 0)]
        self._alive: set[int] = set()
        self._notes: list[Note] = []
        self._merging: Merging | None = None
        self._ended: str | None = None
        self._exit_code: int | None = None
        self._error: str | None = None

    def add(self, event: e.Event) -> None:
        """Takes the next event."""
        time = milliseconds(event.time)
        if self._began is None:
            self._began, self._started = time, event.time
        before, self._at = self._at, max(self._at, _round((time - self._began) / 1000))
        self._head["orchestration"] = event.orchestration or self._head["orchestration"]
        if isinstance(event, e.OrchestrationResumed):
            self._resume(event, before)
        elif isinstance(event, (e.OrchestrationFinished, e.Error)):
            self._end(event)
        else:
            self._add_to_run(event)
            if (agent := getattr(event, "agent", None)) is not None:
                self._add_to_task(self._task(agent), event)
                self._add_to_agent(self._task(agent), event)

    def _add_to_run(self, event: e.Event) -> None:
        match event:
            case e.PlanParsed():
                self._head |= {"title": event.title, "source": event.source}
                for planned in event.tasks:
                    self._task(planned.agent).title = planned.title
            case e.IssueCreated(role="master"):
                self._issue = (event.number, event.url)
                self._head["title"] = event.title
            case e.BatchStarted():
                self._max_workers = event.max_workers
            case e.PoolPaused() if self._paused is None:
                self._paused = (self._at, event.reason)
            case e.PoolResumed():
                self._unpause(self._at)
            case e.Warning():
                self._notes.append(Note(self._at, event.agent, event.message))

    def _add_to_task(self, task: _Task, event: e.Event) -> None:
        at = self._at
        match event:
            case e.IssueCreated():
                task.link("sub_issue", event.number, event.url)
            case e.WorktreeCreated():
                task.close(at, "success")
                task.status, task.began = "in_progress", at
                task.branch, task.worktree = event.branch, event.path
                task.begin("setup", at)
            case e.VerifyFinished():
                task.verify(event, at)
            case e.PullCreated():
                task.link("pull", event.number, event.url)
            case e.DiagnosticCreated():
                task.link("diagnostic", event.number, event.url)
            case e.DiagnosticClosed():
                task.links.pop(("diagnostic", event.number), None)
            case e.TaskFinished():
                task.finish(event, at)

    def _add_to_agent(self, task: _Task, event: e.Event) -> None:
        at = self._at
        match event:
            case e.AgentStarted():
                task.close(at, "success")
                task.status, task.attempt, task.stage = "in_progress", event.attempt, None
                task.used, task.using = task.used + task.using, _Use()
                task.begin("agent", at)
                self._count(event.agent, alive=True)
            case e.AgentProgress():
                task.stage = event.stage
                task.stages.append(Stage(at, event.stage, event.percent))
            case e.AgentUsage():
                task.using = _Use(event.cost_usd, event.input_tokens, event.output_tokens)
            case e.AgentFinished():
                task.close(at, event.outcome)
                self._count(event.agent, alive=False)
                if event.outcome == "success":
                    task.begin("publish", at)

    def _resume(self, event: e.OrchestrationResumed, before: float) -> None:
        """Another program goes on: what the one before was at had ended with it."""
        self._stop(before, "broken_off")
        self._gaps.append(Gap(before, self._at, event.retry))
        self._ended = self._exit_code = self._error = self._merging = None
        self._max_workers = event.max_workers or self._max_workers
        for rerun in event.tasks:
            self._task(rerun.agent).run_again()

    def _end(self, event: e.OrchestrationFinished | e.Error) -> None:
        self._ended, self._exit_code = event.time, event.exit_code
        if isinstance(event, e.Error):
            self._error = event.message
            self._stop(self._at, "broken_off")
            return
        self._stop(self._at, "cancelled")
        self._merging = _merging(event.summary)
        for row in event.summary.tasks:
            self._task(int(row.agent_id.rpartition("-")[2])).settle(row)

    def _stop(self, at: float, outcome: str) -> None:
        """The program is over: so is whatever it was at."""
        self._unpause(at)
        for task in self._tasks.values():
            task.stop(at, outcome)
        if self._alive:
            self._alive.clear()
            self._concurrency.append(Alive(at, 0))

    def _unpause(self, at: float) -> None:
        if self._paused is not None:
            since, reason = self._paused
            self._pauses.append(Pause(since, at, reason))
            self._paused = None

    def _count(self, agent: int, *, alive: bool) -> None:
        (self._alive.add if alive else self._alive.discard)(agent)
        if self._concurrency[-1].at == self._at:
            self._concurrency.pop()
        self._concurrency.append(Alive(self._at, len(self._alive)))

    def _task(self, agent: int) -> _Task:
        return self._tasks.setdefault(agent, _Task(agent, f"Agent-{agent}"))

    def timeline(self, now: datetime | None) -> Timeline:
        """What came of it; nothing can be added afterwards.

        Raises:
            ValueError: there was no event.
        """
        if self._began is None:
            message = "there are no events"
            raise ValueError(message)
        state = self._state(runs=now is not None)
        if state == "running" and now is not None:
            self._at = max(self._at, _round((milliseconds(now) - self._began) / 1000))
            self._unpause(self._at)
            for task in self._tasks.values():
                task.close(self._at, "in_progress")
        elif state == "crashed":
            self._stop(self._at, "broken_off")
        if self._concurrency[-1].at < self._at:
            self._concurrency.append(Alive(self._at, self._concurrency[-1].agents))
        return self._drawn(state)

    def _state(self, *, runs: bool) -> State:
        if self._ended is not None:
            return "interrupted" if self._exit_code in _INTERRUPTED else "finished"
        return "running" if runs else "crashed"

    def _drawn(self, state: State) -> Timeline:
        tasks = tuple(self._tasks[agent].timeline(self._at) for agent in sorted(self._tasks))
        wall = _round(self._at - sum(gap.to - gap.from_ for gap in self._gaps))
        sequential = _round(sum(task.seconds for task in tasks))
        number, url = self._issue or (None, None)
        return Timeline(
            **self._head,
            issue=number,
            issue_url=url,
            state=state,
            started=self._started,
            ended=self._ended,
            exit_code=self._exit_code,
            error=self._error,
            max_workers=self._max_workers,
            seconds=self._at,
            wall_seconds=wall,
            sequential_seconds=sequential,
            speed_up=round(sequential / wall, 2) if wall > 0 and sequential > 0 else None,
            peak=max(alive.agents for alive in self._concurrency),
            cost_usd=_sum([task.cost_usd for task in tasks]),
            input_tokens=_sum([task.input_tokens for task in tasks]),
            output_tokens=_sum([task.output_tokens for task in tasks]),
            tasks=tasks,
            pauses=tuple(self._pauses),
            gaps=tuple(self._gaps),
            concurrency=tuple(self._concurrency),
            notes=tuple(self._notes),
            merging=self._merging,
        )


def _merging(report: Report) -> Merging | None:
    if not report.merge_order or report.context is None:
        return None
    context = report.context
    order, conflicts = report.merge_order, report.merge_conflicts
    return Merging(context.base, order, conflicts, context.merge_problem)


def _sum(numbers: list[_Number | None]) -> _Number | None:
    """The sum of what is known; ``None`` where nothing is."""
    known = [number for number in numbers if number is not None]
    return sum(known[1:], known[0]) if known else None


def _round(seconds: float) -> float:
    """To the milliseconds that events carry."""
    return round(seconds, 3)
