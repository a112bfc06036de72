"""The events of a run and the engine's own messages, as records of :mod:`logging`.

They stand under the logger ``orchestration``. Nothing is configured here, and where a program has
configured nothing, nothing is done: neither a line on standard error nor the import of
:mod:`logging`. The record of an event carries it as ``record.event``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import _core
from .events import (
    AgentProgress,
    AgentUsage,
    Error,
    Event,
    Failure,
    PoolPaused,
    TaskFinished,
    Validated,
    Warning,  # noqa: A004 - the event
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

LOGGER = "orchestration"

_HEAD = ("seq", "time", "orchestration")
"""What all events have; a record has a time of its own."""


def logger() -> logging.Logger | None:
    """The logger, where somebody listens."""
    module = sys.modules.get("logging")
    if module is None:
        return None
    found: logging.Logger = module.getLogger(LOGGER)
    return found if found.hasHandlers() else None


def tell(logger: logging.Logger, event: Event) -> None:
    """Makes a record of an event: ``agent_started agent=1 attempt=1 pid=4711 pgid=4711``."""
    level = _level(event)
    if logger.isEnabledFor(level):
        logger.log(level, " ".join([event.type, *_facts(event)]), extra={"event": event})


def pass_on(logger: logging.Logger) -> None:
    """Makes records of what the engine says of itself, such as a log that cannot be written."""
    for level, text in _core.messages():
        logger.log(level, "%s", text)


def _level(event: Event) -> int:
    """How much it matters, in the numbers of :mod:`logging`."""
    match event:
        case AgentProgress() | AgentUsage():
            return 10
        case Error():
            return 40
        case Warning() | PoolPaused() | TaskFinished(success=False):
            return 30
        case Validated(warnings=warnings) if warnings:
            return 30
        case _:
            return 20


def _facts(event: Event) -> Iterator[str]:
    """Its fields in one line; texts are quoted, so that they stay in it."""
    for name, value in vars(event).items():
        if name in _HEAD or value is None:
            continue
        if isinstance(value, Failure):
            yield f"failure={value.message!r}"
        elif isinstance(value, str | int | float) or (
            isinstance(value, tuple) and all(isinstance(part, str | int) for part in value)
        ):
            yield f"{name}={value!r}"
