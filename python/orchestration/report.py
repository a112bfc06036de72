"""What an orchestration came to: the content of ``summary.json`` as dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ._records import Record


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
