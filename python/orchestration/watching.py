"""Looks at orchestrations from outside, through the files that they keep.

Reads journals and asks after locks. Never writes to what belongs to a run, never signals it, and
holds nothing that it could wait for.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    from pathlib import Path

    from .timeline import Timeline

_ID = re.compile(r"orch-(local-)?(\d+)-")
_LOCAL = re.compile(r"local[#-](\d+)")
_NUMBER = re.compile(r"(?:#|[^/\s]+/[^/\s#]+#|https?://\S+/issues/)?(\d+)")


@dataclass(frozen=True)
class Orchestration:
    """One orchestration, by its journal."""

    journal: Path

    @property
    def id(self) -> str:
        """``orch-local-1-20260101-1200``."""
        return self.journal.stem

    @cached_property
    def began(self) -> int:
        """When it began, in milliseconds since 1970; 0 where the journal does not tell."""
        try:
            with self.journal.open("rb") as file:
                return int(json.loads(file.readline())["time"])
        except (OSError, ValueError, TypeError, KeyError):
            return 0

    def log(self, agent: int) -> Path:
        """Where the log of an agent is, if it has one."""
        return self.journal.parents[2] / "logs" / self.id / f"agent-{agent}.log"

    def timeline(self) -> Timeline:
        """What each agent did, from when to when, as far as the journal tells.

        Where that is damaged, :attr:`Timeline.damage` says so.

        Raises:
            EngineError: the journal tells of no orchestration.
        """
        from .events import Event  # noqa: PLC0415 - asking who runs needs no events
        from .timeline import Timeline  # noqa: PLC0415

        runs = self.holder() is not None  # before it is read: what has ended meanwhile has its end
        journal = _core.Journal(self.journal)
        lines, damage = journal.news(), None
        if not lines:
            error = _core.EngineError(f"{self.journal} has not begun")
            error.hint = "look again in a moment"
            raise error
        try:
            lines += journal.news()
        except _core.EngineError as error:  # told once there is nothing more before it
            damage = str(error)
        events = [Event.from_json(line) for line in lines]
        now = datetime.now(timezone.utc) if runs else None
        return replace(Timeline.from_events(events, now=now), damage=damage)

    def state(self) -> str:
        """How it stands: ``running``, ``finished``, ``interrupted``, ``crashed`` or ``damaged``.

        Raises:
            EngineError: its journal cannot be read.
        """
        return str(json.loads(_core.overview(self.journal, self.holder())[0])["state"])

    def holder(self) -> int | None:
        """The process that works on it, where there is one; 0 where it is not known by number.

        The lock is that of its issue. So an orchestration that is not the issue's latest has
        nobody, whoever holds it.
        """
        lock = self.journal.with_name("run.lock")
        latest = max(_all(self.journal.parent), key=lambda other: other.began)
        return _core.lock_holder(lock) if latest.id == self.id else None


def find(root: Path, name: str | None) -> Orchestration:
    """The orchestration that is meant.

    Args:
        root: The main worktree.
        name: Its id, or an issue (``local#3``, ``3``, ``1234``, an address), of which the latest
            is meant. Without a name: the latest that runs, else the latest of all.

    Raises:
        UsageError: there is none.
    """
    ones = sorted(known(root), key=lambda one: one.began, reverse=True)
    if name is None:
        meant = sorted(ones, key=lambda one: one.holder() is None)
    else:
        folders = _folders(name)
        meant = [one for one in ones if name == one.id or one.journal.parent.name in folders[:1]]
        meant = meant or [one for one in ones if one.journal.parent.name in folders]
    if meant:
        return meant[0]
    error = _core.UsageError(f"no orchestration{f' of {name}' if name else ''} in {root}")
    names = ", ".join(one.id for one in ones[:5])
    error.hint = (
        f"the latest are {names}" if names else "run one with: parallel-orchestrate plan.md"
    )
    raise error


def issue_of(orchestration: str, source: str) -> str:
    """What names an orchestration's issue to the command, in any folder of its repository.

    That is no plan's path: it was true where the plan was run, and while there was such a file.

    Args:
        orchestration: Its id.
        source: What it was started with.
    """
    label = _ID.match(orchestration)
    if label is None or (label[1] is None and _NUMBER.fullmatch(source)):
        return source
    return f"{'local#' if label[1] else ''}{label[2]}"


def latest(root: Path) -> set[str]:
    """The ids of those that are their issue's latest, by the main worktree: no others go on."""
    ones = sorted(known(root), key=lambda one: one.began)
    return {one.id for one in {one.journal.parent: one for one in ones}.values()}


def known(root: Path) -> list[Orchestration]:
    """All that there are, by the main worktree."""
    return _all(*(root / ".claude" / "runtime" / "parallel").glob("*"))


def running(root: Path) -> list[Orchestration]:
    """Those that somebody works on, by the main worktree; the latest first.

    Whose end is journalled is not among them, though its process may not be through yet.
    """
    held = sorted(
        (one for one in known(root) if one.holder() is not None), key=lambda one: -one.began
    )
    return [one for one in held if one.state() == "running"]


def issues(root: Path, name: str | None) -> list[Path]:
    """The folders of the issues that are meant: that of a name, or all.

    Args:
        root: The main worktree.
        name: As for :func:`find`.

    Raises:
        UsageError: there is none of that name.
    """
    if name is not None:
        return [find(root, name).journal.parent]
    return sorted({one.journal.parent for one in known(root)})


def _folders(name: str) -> list[str]:
    """The folders that an issue may have. A bare number is GitHub's, before it is a plan's."""
    if found := _LOCAL.fullmatch(name):
        return [f"local-{found[1]}"]
    if found := _NUMBER.fullmatch(name):
        return [found[1], f"local-{found[1]}"]
    return []


def _all(*folders: Path) -> list[Orchestration]:
    return [Orchestration(path) for folder in folders for path in folder.glob("orch-*.jsonl")]
