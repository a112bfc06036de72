"""What an orchestration came to: the content of ``summary.json`` as dataclasses.

What notebooks and data frames need is loaded when they ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ._records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from .timeline import Timeline


@dataclass(frozen=True)
class TaskReport(Record):
    """How one task ended."""

    agent_id: str
    """``agent-3``."""
    sub_issue: int | None
    """The number of its sub-issue, once filed."""
    title: str
    status: Literal["completed", "failed"]
    """``completed`` only with evidence: commits, a passing verify command, a change request."""
    pr_number: int | None
    """The number of its change request."""
    branch: str | None
    duration_seconds: float
    """The last attempt, from worktree to change request."""
    lines_of_code: int
    """Inserted lines, outside the orchestrator's own files."""
    attempts: int
    """How often an agent was started."""
    cost_usd: float | None
    """What the agent said it cost."""
    tests_passing: bool | None
    """Whether the verify command passed; ``None`` where none is set or it did not run."""
    error: str | None
    """``TEST_TIMEOUT: message``, for a failure."""
    failure_stage: Literal["parsing", "implementation", "testing", "pr"] | None
    timed_out: bool
    follow_up_issue: int | None
    """The number of its diagnostic issue."""
    sub_issue_url: str | None = None
    pr_url: str | None = None
    error_label: str | None = None
    """The failure in words for people: ``Test timeout``."""
    follow_up_url: str | None = None
    worktree: str | None = None
    """The worktree that was kept, for a failure."""

    def __rich_repr__(self) -> Iterator[tuple[str, object] | tuple[str, object, object]]:
        """For ``rich``: what is not known is left out."""
        yield "agent_id", self.agent_id
        yield "title", self.title
        yield "status", self.status
        yield "pr_number", self.pr_number, None
        yield "error", self.error, None
        yield "duration_seconds", self.duration_seconds
        yield "attempts", self.attempts, 1
        yield "lines_of_code", self.lines_of_code
        yield "cost_usd", self.cost_usd, None


@dataclass(frozen=True)
class MergeConflict(Record):
    """Two change requests that do not merge by themselves, or one and the base."""

    pr: int
    """The number of the one."""
    other_pr: int | None
    """The number of the other; ``None`` is the base."""
    files: tuple[str, ...]
    """The files in which they collide, the first twenty of them."""


@dataclass(frozen=True)
class ReportContext(Record):
    """What people want to know beside the outcome."""

    title: str
    """The title of the master issue."""
    source: str
    """What names the master to the command: ``1234``, or the path of the plan."""
    logs: str
    """The folder of the logs, relative to the repository."""
    summary_path: str
    """The whole summary in Markdown, relative to the repository."""
    wall_seconds: float
    sequential_seconds: float
    """The sum of the last attempts: what one agent after another would have taken."""
    peak_concurrency: int
    """The most agents that were alive at once."""
    threshold: int
    """The percentage that separates exit code 1 from 2."""
    local: bool
    """Whether issues and change requests are files in the repository."""
    interrupted: bool
    """Whether a person or a signal ended it before it was through."""
    base: str = ""
    """The branch that the change requests are for."""
    merge_problem: str | None = None
    """Why not every pair of branches was merged in a trial."""


@dataclass(frozen=True)
class Report(Record):
    """The outcome of a whole orchestration.

    Failed tasks are an outcome, not an exception: look at :attr:`exit_code`.
    """

    NESTED: ClassVar = {
        "tasks": TaskReport,
        "context": ReportContext,
        "merge_conflicts": MergeConflict,
    }

    master_issue: int
    total_sub_tasks: int
    successful: int
    failed: int
    prs_created: tuple[int, ...]
    """The change requests, in the order of their agents."""
    follow_up_issues: tuple[int, ...]
    """The diagnostic issues, in the order of their agents."""
    duration_seconds: int
    """Wall time."""
    lines_of_code: int
    """Inserted lines of the successful tasks."""
    orchestration_id: str
    """``orch-local-1-20260101-1200``; empty for a dry run, which creates nothing."""
    exit_code: int
    """0 all succeeded, 1 partial, 2 below the threshold, 130 or 143 ended early."""
    success_rate: float
    """Percent, 0 to 100."""
    tasks: tuple[TaskReport, ...]
    """One a task, in the order of their agents."""
    context: ReportContext | None = None
    merge_order: tuple[int, ...] = ()
    """The change requests in the order in which they are best merged."""
    merge_conflicts: tuple[MergeConflict, ...] = ()
    """Those that do not merge by themselves; each pair was merged in memory."""

    _repo: ClassVar[str | PathLike[str] | None] = None
    """The repository that it ran in, for reports of this program; no part of the content."""

    def to_dataframe(self) -> Any:
        """The tasks as a ``pandas.DataFrame``: a row a task, a column a field.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: ICN001, PLC0415 - optional
        except ImportError as error:
            message = "a data frame needs pandas, which is not installed: pip install pandas"
            raise ImportError(message) from error
        columns = [field.name for field in fields(TaskReport)]
        rows = [[getattr(task, column) for column in columns] for task in self.tasks]
        return pandas.DataFrame(rows, columns=columns)

    def timeline(self, repo: str | PathLike[str] | None = None) -> Timeline:
        """What each agent did, from when to when, from the journal in the repository.

        Args:
            repo: Any folder of the repository; by default that of the run, or the current folder.

        Raises:
            UsageError: it has no such orchestration, and a dry run has none anywhere.
            EngineError: the journal cannot be read, or there is no repository.
        """
        from . import _core, watching  # noqa: PLC0415 - reports are read without an engine, too

        repo = repo or self._repo or "."
        if not self.orchestration_id:
            error = _core.UsageError("a dry run has no timeline")
            error.hint = "run the plan without dry_run"
            raise error
        return watching.find(_core.main_worktree(repo), self.orchestration_id).timeline()

    def _ran_in(self, repo: str | PathLike[str]) -> Report:
        """Remembers where it ran, which its content does not tell."""
        object.__setattr__(self, "_repo", repo)
        return self

    def _repr_html_(self) -> str:
        """For notebooks: the agents over time or, where no journal is, how long each task took."""
        from .page import notebook  # noqa: PLC0415 - for notebooks alone

        return notebook.report(self, self._own_timeline())

    def _own_timeline(self) -> Timeline | None:
        from ._core import OrchestrationError  # noqa: PLC0415 - as in `timeline`

        try:
            return None if self._repo is None else self.timeline()
        except (OrchestrationError, OSError):
            return None

    def __rich_repr__(self) -> Iterator[tuple[str, object] | tuple[str, object, object]]:
        """For ``rich``: what it came to first, then one line a task."""
        yield "orchestration_id", self.orchestration_id
        yield "exit_code", self.exit_code
        yield "successful", self.successful
        yield "failed", self.failed
        yield "duration_seconds", self.duration_seconds
        yield "prs_created", list(self.prs_created)
        yield "follow_up_issues", list(self.follow_up_issues)
        yield "merge_order", list(self.merge_order), []
        yield "merge_conflicts", list(self.merge_conflicts), []
        yield "tasks", list(self.tasks)
