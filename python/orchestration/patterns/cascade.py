"""The cascade: the best way first, and a plainer one each time that it fails or takes too long."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.claude_process import ProcessResult, check_timeout
from orchestration.session import OrchestratorSession

from ._agents import excerpt, labels

_LEVELS = ("primary", "secondary", "tertiary")

TIMEOUT_STRATEGIES = {
    "aggressive": {"primary": 5, "secondary": 2, "tertiary": 1},
    "balanced": {"primary": 30, "secondary": 10, "tertiary": 5},
    "patient": {"primary": 120, "secondary": 30, "tertiary": 10},
}
"""Seconds for each level."""

FALLBACK_TEMPLATES = {
    "quality": {
        "primary": "a thorough answer that leaves nothing out",
        "secondary": "a sound answer to the main points",
        "tertiary": "the few essentials, briefly",
    },
    "service": {
        "primary": "the service or interface that suits the task best",
        "secondary": "another service, or an answer of it that was kept",
        "tertiary": "what is on this machine, without any service",
    },
    "freshness": {
        "primary": "data as it is at this moment",
        "secondary": "data that is at most an hour old",
        "tertiary": "data of any age, or the usual values",
    },
    "completeness": {
        "primary": "all of the data",
        "secondary": "a fair sample, a tenth to a fifth of the data",
        "tertiary": "figures that were summed up before",
    },
    "accuracy": {
        "primary": "exact results",
        "secondary": "close estimates",
        "tertiary": "the right order of magnitude",
    },
}
"""What each level aims for."""


@dataclass(frozen=True)
class _Level:
    name: str
    timeout: float
    constraint: str
    model: str | None

    def __post_init__(self) -> None:
        """A wrong limit is refused before the first level runs, not when its own turn comes."""
        check_timeout(self.timeout)


def run_cascade(
    task_prompt: str,
    fallback_strategy: str = "quality",
    timeout_strategy: str = "balanced",
    models: list[str] | None = None,
    working_dir: Path | None = None,
    notification_level: str = "warning",
    custom_timeouts: dict[str, int] | None = None,
    custom_constraints: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Try a task at three levels, ``primary``, ``secondary`` and ``tertiary``, until one succeeds.

    Args:
        task_prompt: The task.
        fallback_strategy: What is given up from level to level; a key of
            :data:`FALLBACK_TEMPLATES`.
        timeout_strategy: How long the levels may take; a key of :data:`TIMEOUT_STRATEGIES`.
        models: The models of the three levels, in their order. Levels for which there is none
            take the first.
        working_dir: Where the agents work. Default: the current folder.
        notification_level: What the session's log says of a degradation: ``silent`` nothing,
            ``warning`` a line, ``explicit`` the way down as well.
        custom_timeouts: Seconds for levels, instead of the strategy's.
        custom_constraints: Aims for levels, instead of the strategy's.

    Returns:
        A dictionary with these keys.

        - ``result``: the ``ProcessResult`` of the level that succeeded, else of the last one.
        - ``cascade_level``: the name of that level, ``failed`` where none succeeded.
        - ``degradation``: what was given up, in a sentence; ``None`` at the first level.
        - ``attempts``: the results of all levels that were tried, in this order.
        - ``session_id``: the session, whose folder holds the logs.
        - ``success``: whether a level succeeded.

    Raises:
        ValueError: an unknown strategy, or a time limit that is negative or not finite.
    """
    constraints = _strategy("fallback_strategy", fallback_strategy, FALLBACK_TEMPLATES)
    timeouts = _strategy("timeout_strategy", timeout_strategy, TIMEOUT_STRATEGIES)
    constraints = {**constraints, **(custom_constraints or {})}
    timeouts = {**timeouts, **(custom_timeouts or {})}
    levels = [
        _Level(name, timeouts[name], constraints[name], model)
        for name, model in zip(_LEVELS, [*(models or []), None, None, None], strict=False)
    ]
    session = OrchestratorSession(
        pattern_name="cascade", working_dir=working_dir, model=levels[0].model
    )
    session.log(f"A cascade of {fallback_strategy}, with {timeout_strategy} time limits")
    return _descend(session, task_prompt, levels, notification_level)


def create_custom_cascade(
    task_prompt: str,
    levels: list[dict[str, Any]],
    working_dir: Path | None = None,
    notification_level: str = "warning",
) -> dict[str, Any]:
    """Try a task at levels of one's own until one succeeds.

    Args:
        task_prompt: The task.
        levels: The levels in their order, each with a ``name``, a ``timeout`` in seconds, a
            ``constraint`` (what it aims for) and, where it is not the first level's, a ``model``.
        working_dir: Where the agents work. Default: the current folder.
        notification_level: As in :func:`run_cascade`.

    Returns:
        What :func:`run_cascade` returns, with the names of these levels.

    Raises:
        ValueError: there are no levels, or a time limit is negative or not finite.
        KeyError: a level without name, time limit or constraint.
    """
    if not levels:
        message = "a cascade needs at least one level"
        raise ValueError(message)
    own = [
        _Level(level["name"], level["timeout"], level["constraint"], level.get("model"))
        for level in levels
    ]
    session = OrchestratorSession(
        pattern_name="cascade-custom", working_dir=working_dir, model=own[0].model or None
    )
    session.log(f"A cascade of {len(own)} levels: {', '.join(level.name for level in own)}")
    return _descend(session, task_prompt, own, notification_level)


def _strategy(parameter: str, name: str, strategies: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if name not in strategies:
        message = f"Unknown {parameter} {name!r}: take one of {[*strategies]}"
        raise ValueError(message)
    return strategies[name]


def _descend(
    session: OrchestratorSession, task: str, levels: Sequence[_Level], notification_level: str
) -> dict[str, Any]:
    attempts: list[ProcessResult] = []
    for place, (level, label) in enumerate(
        zip(levels, labels(level.name for level in levels), strict=True)
    ):
        session.log(f"{level.name}: {level.constraint}, in {level.timeout} s")
        process = session.create_process(
            prompt=_prompt(task, level, place, len(levels)),
            process_id=f"cascade_{label}",
            model=level.model,
            timeout=level.timeout,
        )
        attempts.append(process.run())
        if attempts[-1].exit_code == 0:
            degradation = _degradation(levels[: place + 1])
            _notify(session, task, levels, attempts, degradation, notification_level)
            return _outcome(session, level.name, degradation, attempts)
        session.log(f"{level.name} failed: {_how(attempts[-1], level)}", level="WARNING")
    session.log("No level succeeded", level="ERROR")
    return _outcome(session, "failed", "No level of the cascade succeeded", attempts)


def _outcome(
    session: OrchestratorSession,
    level: str,
    degradation: str | None,
    attempts: list[ProcessResult],
) -> dict[str, Any]:
    return {
        "result": attempts[-1],
        "cascade_level": level,
        "degradation": degradation,
        "attempts": attempts,
        "session_id": session.session_id,
        "success": attempts[-1].exit_code == 0,
    }


def _degradation(tried: Sequence[_Level]) -> str | None:
    if len(tried) == 1:
        return None
    first, last = tried[0], tried[-1]
    return f"Fell back from {first.name} to {last.name}: {last.constraint}"


def _notify(
    session: OrchestratorSession,
    task: str,
    levels: Sequence[_Level],
    attempts: Sequence[ProcessResult],
    degradation: str | None,
    notification_level: str,
) -> None:
    if degradation is None or notification_level == "silent":
        return
    session.log(degradation, level="WARNING")
    if notification_level != "explicit":
        return
    way = [
        f"  {level.name}: {_how(attempt, level)}"
        for level, attempt in zip(levels, attempts, strict=False)
    ]
    session.log(
        "\n".join(
            [
                "This is less than was asked for.",
                f"  task: {excerpt(task, 200)}",
                *way,
                f"  asked for: {levels[0].constraint}",
                f"  what you get: {levels[len(attempts) - 1].constraint}",
            ]
        )
    )


def _how(result: ProcessResult, level: _Level) -> str:
    if result.exit_code == 0:
        return "succeeded"
    if result.exit_code == -1 and level.timeout and result.duration >= level.timeout:
        return f"no end within {level.timeout} s"
    return f"exit code {result.exit_code}"


def _prompt(task: str, level: _Level, place: int, count: int) -> str:
    if place + 1 < count:
        after = "If you cannot do it in that time, a plainer attempt follows yours."
    else:
        after = "No attempt follows yours: bring something usable to an end."
    return f"""\
{task}

This is attempt {place + 1} of {count} at this task, the {level.name} one. Aim for this:
{level.constraint}.

{f"You have {level.timeout} seconds. " if level.timeout else ""}{after}
"""
