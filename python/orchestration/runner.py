"""Runs an orchestration and waits for it: the blocking half of the Python API.

:class:`Run` is the one place that drives the native engine; :func:`orchestrate`, the asynchronous
stream and the command stand on it. It decides nothing: it forwards options, hands out events and
sees to it that whatever was started is reaped before control goes back.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from dataclasses import dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from . import _core, _logging
from ._ctrl_c import CtrlC
from .events import Event, PlannedTask, PlanParsed, Validated
from .report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

POLL_SECONDS = 0.1
"""How long one native wait may last, so that signals and Ctrl-C are seen in between."""

_BEYOND = 1e18
"""Numbers from here on are no options: a 64-bit integer has no room for them."""

INTERRUPTED = 130
"""The exit code of a run that was ended by a person or by the program around it."""


@dataclass(frozen=True)
class Prepared:
    """What is known before anything was created."""

    text: str
    """The native layer's JSON, which it also renders."""
    source: str
    is_issue: bool
    """The source is an issue on GitHub, which the slash command takes."""
    plan: dict[str, Any]
    validation: dict[str, Any]
    warnings: tuple[str, ...]
    needs_confirmation: bool
    """There are warnings that nobody has accepted yet."""
    notice: tuple[str, ...]
    """Lines for standard error: what the user should know beforehand."""


class Run:
    """One orchestration in the native engine."""

    def __init__(self, source: str, options: dict[str, Any], text: str | None = None) -> None:
        """Takes the options as they are; those that are missing have their defaults.

        Raises:
            UsageError: the engine could not even be told of a value.
        """
        for name, value in {"source": source, **options}.items():
            _refuse_unspeakable(name, value)
        self._native = _core.Orchestration(source, json.dumps(options), text)
        self._is_started = False
        self._cancels: deque[int] = deque()
        self._repo = os.path.abspath(options.get("repo", "."))  # noqa: PTH100 - a text as it came
        self.ctrl_c: CtrlC | None = None
        """Where the run looks for Ctrl-C by itself, since it is not read in the main thread."""
        self.dry_run = bool(options.get("dry_run"))
        self.repo: str = options.get("repo", ".")

    def prepare(self) -> Prepared:
        """Parses, validates and checks everything. Creates nothing.

        Raises:
            OrchestrationError: the run is refused; see the subclasses.
        """
        text = self._native.prepare()
        data = json.loads(text)
        return Prepared(
            text=text,
            source=data["source"],
            is_issue=data["is_issue"],
            plan=data["plan"],
            validation=data["validation"],
            warnings=tuple(data["warnings"]),
            needs_confirmation=data["needs_confirmation"],
            notice=tuple(data["notice"]),
        )

    def start(self) -> None:
        """Files the issues and starts the agents, in the background.

        Raises:
            OrchestrationError: the run is refused after all.
        """
        self._is_started = True  # said first: Ctrl-C may come with the return
        try:
            self._native.start()
        except _core.OrchestrationError:
            self._is_started = False
            raise

    def deliver(
        self, on_line: Callable[[str], object], on_wait: Callable[[], object] | None = None
    ) -> Report:
        """Starts, calls back with each event as a line of JSON, and returns the outcome.

        ``on_wait`` is called some ten times a second while there is none. An exception out of a
        callback, Ctrl-C included, stops all agents, waits until they are reaped, and is raised
        again.

        Raises:
            OrchestrationError: the engine or the forge broke on the way.
        """
        try:
            self.start()
            for line in self.lines(on_wait):
                if (logger := _logging.logger()) is not None:
                    _logging.tell(logger, Event.from_json(line))
                on_line(line)
        except BaseException:
            if self._is_started:
                self.cancel()
                self.drain()
            raise
        return self.report()

    def lines(self, on_wait: Callable[[], object] | None = None) -> Iterator[str]:
        """The events as JSON, one line each, until the last. Waits for the next one."""
        while True:
            if (logger := _logging.logger()) is not None:
                _logging.pass_on(logger)
            if self.ctrl_c is not None:
                self.ctrl_c.check()
            while self._cancels:
                self._native.cancel(self._cancels.popleft())
            try:
                line = self._native.next(POLL_SECONDS)
            except StopIteration:
                return
            if line is not None:
                yield line
            elif on_wait is not None:
                on_wait()

    def cancel(self, exit_code: int = INTERRUPTED) -> None:
        """Asks all agents to stop; a second call kills them.

        It may come from any thread and from a signal handler, and returns at once: whoever reads
        the events passes it on to the engine.
        """
        self._cancels.append(exit_code)
        self._native.interrupt()

    def drain(self) -> None:
        """Waits until the run is over and reaped. Ctrl-C while waiting kills what is left."""
        while True:
            try:
                for _ in self.lines():
                    pass
            except KeyboardInterrupt:
                self.cancel()
            else:
                return

    def report(self) -> Report:
        """The outcome, after the last event.

        Raises:
            OrchestrationError: the engine or the forge broke on the way.
        """
        report = Report.from_dict(json.loads(self._native.result()))
        return report._ran_in(self._repo)  # noqa: SLF001 - the one place that knows


def orchestrate(
    source: str | PathLike[str],
    *,
    repo: str | PathLike[str] = ".",
    max_workers: int | None = None,
    timeout: float | None = None,
    batch_size: int | None = None,
    yes: bool = False,
    base: str | None = None,
    agent: str | None = None,
    model: str | None = None,
    verify: str | None = None,
    setup: str | None = None,
    permission_mode: str | None = None,
    budget_usd: float | None = None,
    agent_budget_usd: float | None = None,
    keep_worktrees: bool = False,
    draft: bool = False,
    dry_run: bool = False,
    retry: bool = False,
    new: bool = False,
    pass_env: Sequence[str] = (),
    forge: str | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Report:
    """Runs every task of a plan with an agent of its own, side by side, and waits for all.

    The options are those of the ``parallel-orchestrate`` command, with its defaults and its
    environment variables. Tasks that fail raise nothing: see :attr:`Report.exit_code`. Events are
    also records of the logger ``orchestration``, where :mod:`logging` is configured.

    Args:
        source: A GitHub issue (``1234``, ``OWNER/REPO#1234``, its URL), the path of a Markdown
            plan, or ``-`` for a plan on standard input.
        repo: Any folder of the git repository.
        max_workers: Agents at once; 5 by default.
        timeout: Seconds per agent and attempt; 1800 by default, 0 for none.
        batch_size: A batch of this many ends before the next begins; unlimited by default.
        yes: Go on despite warnings.
        base: The branch that agents start from: the remote's default branch by default, for a
            plan in the local forge the current one.
        agent: ``claude``, ``copilot``, ``amplifier``, or a command line that reads its prompt on
            standard input.
        model: Passed to agents that know models.
        verify: A shell command that must pass in a worktree before its change request.
        setup: A shell command that runs in each fresh worktree before its agent.
        permission_mode: Passed to agents that know it; ``bypassPermissions`` by default.
        budget_usd: No agent starts once all together have cost so many US dollars; those at
            work end well.
        agent_budget_usd: US dollars that one attempt of an agent may cost, for agents that know
            budgets.
        keep_worktrees: Keep the worktrees of successful tasks.
        draft: Open change requests as drafts.
        dry_run: Parse and validate only. The report then has no tasks; its exit code is 4 where
            tasks depend on each other.
        retry: Run again what failed in the latest orchestration of the source, or was broken off;
            the source may be its master issue or one of its sub-issues.
        new: Begin anew although an earlier orchestration of the plan exists.
        pass_env: Names of withheld variables that agents get all the same.
        forge: Where issues and change requests are filed: ``github``, or ``local``, as files in
            the repository. By default an issue's own forge, and ``local`` for a plan.
        on_event: Called with each event on this thread, in the order of ``seq``. Its exception
            stops all agents, waits until they are reaped, and is raised again; Ctrl-C likewise.

    Raises:
        PlanError: The source has no tasks to run.
        ValidationError: Tasks depend on each other, or there are warnings without ``yes``.
        ForgeError: Issues or change requests could not be written.
        EngineError: The machine, the repository or the engine.
        UsageError: An option or variable is out of range, or the plan does not exist.
    """
    run = open_run(
        source,
        repo=repo,
        max_workers=max_workers,
        timeout=timeout,
        batch_size=batch_size,
        yes=yes,
        base=base,
        agent=agent,
        model=model,
        verify=verify,
        setup=setup,
        permission_mode=permission_mode,
        budget_usd=budget_usd,
        agent_budget_usd=agent_budget_usd,
        keep_worktrees=keep_worktrees,
        draft=draft,
        dry_run=dry_run,
        retry=retry,
        new=new,
        pass_env=pass_env,
        forge=forge,
    )
    run.ctrl_c = CtrlC()
    prepared = run.prepare()
    if run.dry_run:
        return _report_dry_run(prepared, on_event)
    refuse_unless_accepted(prepared)

    def tell(line: str) -> None:
        if on_event is not None:
            on_event(Event.from_json(line))

    return run.deliver(tell)


def open_run(source: str | PathLike[str], **options: Any) -> Run:
    """A run with the options that were given; the others keep their defaults.

    Raises:
        UsageError: standard input, asked for as ``-``, is not UTF-8.
    """
    given = {
        name: fspath(value) if isinstance(value, PathLike) else value
        for name, value in options.items()
        if value is not None and value is not False and value != ()
    }
    if "pass_env" in given:
        names = given["pass_env"]
        given["pass_env"] = [names] if isinstance(names, str) else list(names)
    source = fspath(source)
    return Run(source, given, _read_standard_input() if source == "-" else None)


def refuse_unless_accepted(prepared: Prepared) -> None:
    """Raises where there are warnings and nobody to ask.

    Raises:
        ValidationError: with the warnings in its message.
    """
    if prepared.needs_confirmation:
        warnings = "; ".join(prepared.warnings)
        message = f"there are warnings, and they were not accepted: {warnings}"
        error = _core.ValidationError(message)
        error.hint = "look at them with --dry-run, and go on with --yes"
        raise error


def dry_run_events(prepared: Prepared, time: str = "") -> tuple[PlanParsed, Validated]:
    """The events of a run that ends before anything is created."""
    plan, validation = prepared.plan, prepared.validation
    tasks = tuple(
        PlannedTask(agent=number, title=task["title"])
        for number, task in enumerate(plan["tasks"], start=1)
    )
    head = {"time": time, "orchestration": ""}
    return (
        PlanParsed(seq=1, source=prepared.source, title=plan["title"] or "", tasks=tasks, **head),
        Validated(seq=2, verdict=validation["verdict"], warnings=prepared.warnings, **head),
    )


def dry_run_report(prepared: Prepared) -> Report:
    """The report of a run in which nothing was to be done."""
    return Report(
        master_issue=0,
        total_sub_tasks=len(prepared.plan["tasks"]),
        successful=0,
        failed=0,
        prs_created=(),
        follow_up_issues=(),
        duration_seconds=0,
        lines_of_code=0,
        orchestration_id="",
        exit_code=_core.ValidationError.exit_code if is_aborted(prepared) else 0,
        success_rate=0.0,
        tasks=(),
    )


def is_aborted(prepared: Prepared) -> bool:
    """Whether tasks depend on each other."""
    return bool(prepared.validation["verdict"] == "abort")


def _report_dry_run(prepared: Prepared, on_event: Callable[[Event], object] | None) -> Report:
    if on_event is not None:
        for event in dry_run_events(prepared):
            on_event(event)
    return dry_run_report(prepared)


def _refuse_unspeakable(name: str, value: object) -> None:
    """Refuses what JSON has no form for: NaN, vast numbers, bytes that are no text."""
    option = "SOURCE" if name == "source" else f"--{name.replace('_', '-')}"
    if isinstance(value, int | float) and not abs(value) < _BEYOND:
        message = f"{option} is {value}, but must be a number below 1e18"
    elif any("\ud800" <= mark <= "\udfff" for text in _texts(value) for mark in text):
        message = f"{option} is {value!a}, but must be UTF-8 text"
    else:
        return
    error = _core.UsageError(message)
    error.hint = f"change or leave out {option}"
    raise error


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, list) else ()


def _read_standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except (AttributeError, UnicodeDecodeError):
        error = _core.UsageError("cannot read the plan on standard input as UTF-8 text")
        error.hint = "the plan must be readable UTF-8 text"
        raise error from None
