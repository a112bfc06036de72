"""Plans: from Markdown to tasks, and whether they can run side by side.

Pure, but for :func:`validate` with a repository, whose list of files it reads.

    >>> from orchestration import parse_plan, validate
    >>> plan = parse_plan("- [ ] Add login in auth/\\n- [ ] Add payment in pay/\\n")
    >>> validate(plan).verdict
    'proceed'
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import fspath
from typing import TYPE_CHECKING, ClassVar, Literal

from . import _core
from ._records import Record

if TYPE_CHECKING:
    from os import PathLike


@dataclass(frozen=True)
class IssueRef(Record):
    """An issue that a plan names."""

    repository: str | None
    """``owner/name`` where another repository is named; ``None`` is the plan's own."""
    number: int


@dataclass(frozen=True)
class Dependency(Record):
    """One task waits for another one, or for an issue."""

    NESTED: ClassVar = {"to": IssueRef}

    from_: int
    """The task that waits (``from`` in JSON)."""
    to: int | IssueRef
    """What it waits for: a task of the plan by its index, or an issue outside of it."""
    reason: str
    """The words of the plan that say so."""


@dataclass(frozen=True)
class Task(Record):
    """One task of a plan."""

    NESTED: ClassVar = {"adopts": IssueRef, "depends_on": Dependency}

    index: int
    """Its number, from 1."""
    title: str
    description: str = ""
    """What the plan says besides title and acceptance criteria, as Markdown."""
    acceptance: tuple[str, ...] = ()
    adopts: IssueRef | None = None
    """The issue that stands for this task already."""
    paths: tuple[str, ...] = ()
    """Files and folders named in its text, as written there."""
    depends_on: tuple[Dependency, ...] = ()
    occurrence: int = 0
    """How many tasks before it have the same title."""


@dataclass(frozen=True)
class Shared(Record):
    """Tasks of which the plan itself says that they share code."""

    tasks: tuple[int, ...]
    what: str
    words: str = ""
    """The line that says so, in lower case."""


@dataclass(frozen=True)
class Plan(Record):
    """What a plan says."""

    NESTED: ClassVar = {"tasks": Task, "shared": Shared}

    title: str | None
    """Its first heading, else the name of its source."""
    tasks: tuple[Task, ...]
    """What is to be run."""
    opening: str = ""
    """The prose before the tasks, as Markdown."""
    done: int = 0
    """How many finished items were skipped."""
    shared: tuple[Shared, ...] = ()


@dataclass(frozen=True)
class Overlap(Record):
    """Two tasks that touch the same file or folder."""

    a: int
    """The task with the lower index."""
    b: int
    path: str
    reason: str
    score: float
    """How likely they collide, from 0 to 1."""


@dataclass(frozen=True)
class Quote(Record):
    """Words of a plan."""

    words: str
    task: int | None = None
    """The task that they are in; ``None`` where they are about several."""


@dataclass(frozen=True)
class Reason(Record):
    """A warning, and whose words led to it."""

    NESTED: ClassVar = {"quotes": Quote}

    warning: str
    quotes: tuple[Quote, ...]


@dataclass(frozen=True)
class Past(Record):
    """What tasks took that succeeded in the same repository before, in seconds."""

    tasks: int
    """How many they were."""
    median_seconds: int
    usual_seconds: tuple[int, int]
    """What the middle half of them took, from and to."""


@dataclass(frozen=True)
class Estimate(Record):
    """What a plan costs, roughly."""

    NESTED: ClassVar = {"past": Past}

    parallel_minutes: tuple[int, int]
    """The least and the most minutes until the last agent is done."""
    pull_requests: int
    past: Past | None = None
    """What it is reckoned from; ``None`` is a rule of thumb."""


@dataclass(frozen=True)
class Validation(Record):
    """The judgement on a plan."""

    NESTED: ClassVar = {
        "dependencies": Dependency,
        "overlaps": Overlap,
        "estimate": Estimate,
        "reasons": Reason,
    }

    verdict: Literal["proceed", "warn", "abort"]
    """``abort`` where a task waits for another, ``warn`` where tasks may collide."""
    dependencies: tuple[Dependency, ...]
    overlaps: tuple[Overlap, ...]
    warnings: tuple[str, ...]
    """What people should know before they go on, one line each."""
    waves: tuple[tuple[int, ...], ...]
    """The tasks in groups: each group can run when all before it are done."""
    order: tuple[int, ...]
    """The tasks in an order in which they can run one after another."""
    estimate: Estimate
    complexity: tuple[Literal["low", "medium", "high"], ...]
    """How much work each task is, in the order of the tasks."""
    cycle: tuple[int, ...] | None = None
    """Tasks that wait for each other in a circle."""
    reasons: tuple[Reason, ...] = ()
    """Whose words led to a warning, for those that come from the plan."""
    resources: tuple[str, ...] = ()
    """What the machine may lack: memory, disk, quota; one line each."""


def parse_plan(text: str, *, source: str | None = None) -> Plan:
    """Reads the tasks out of a Markdown plan.

    Args:
        text: The plan: a checklist, a numbered list, or a "Sub-Tasks" section with one heading a
            task.
        source: What the plan is called in messages, and its title where it has no heading.

    Raises:
        PlanError: there are no tasks, or all of them are done.
    """
    return Plan.from_dict(json.loads(_core.parse_plan(text, source)))


def validate(plan: Plan, *, repo: str | PathLike[str] | None = None) -> Validation:
    """Judges whether the tasks of a plan can run side by side.

    Args:
        plan: The plan.
        repo: Any folder of the repository that it is about. Without one the text alone decides
            which files a task touches.

    Raises:
        EngineError: ``repo`` is in no git repository.
    """
    found = _core.validate(plan.to_json(), None if repo is None else fspath(repo))
    return Validation.from_dict(json.loads(found))
