"""One orchestration on the console, from the options to the exit code."""

from __future__ import annotations

import re
import shlex
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestration import _core
from orchestration.events import Error, Event, OrchestrationFinished, OrchestrationResumed
from orchestration.runner import (
    INTERRUPTED,
    Prepared,
    Run,
    dry_run_events,
    dry_run_report,
    is_aborted,
    open_run,
    refuse_unless_accepted,
)
from orchestration.watching import find

from .console import Console, now
from .signals import EXIT_CODES, Signals, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestration.report import Report

PROGRAM = "parallel-orchestrate"
SLASH_COMMAND = "/amplihack:parallel-orchestrate"

_RAN_BEFORE = re.compile(r"note: (orch-\S+) has run this before")
"""How a dry run is told of an earlier orchestration; nothing else of it names that."""


@dataclass(frozen=True)
class Ended:
    """How it ended."""

    exit_code: int
    report: Report | None = None
    """Where it came to an end."""


def execute(
    source: str,
    options: dict[str, Any],
    *,
    output: str = "text",
    args: Sequence[str] = (),
    on_begin: Callable[[str], object] | None = None,
) -> Ended:
    """Runs an orchestration on standard output and standard error.

    Args:
        source: What to orchestrate.
        options: As :func:`orchestration.orchestrate` takes them.
        output: ``text`` or ``json``.
        args: The command line, for the hint how to resume.
        on_begin: Called with the orchestration's id once its journal exists, before anything of
            the run is written to standard output.
    """
    console = Console("json" if output == "json" else "text")
    try:
        with Signals() as signals:
            run = open_run(source, **options)
            prepared = run.prepare()
            for line in prepared.notice:
                console.note(line)
            if run.dry_run:
                return _show_dry_run(console, prepared, source, options)
            _accept(console, prepared)
            # Whoever wants to know when it has begun takes the terminal away then.
            with console.live() if on_begin is None else nullcontext():
                ended = _follow(console, signals, run, on_begin)
    except Stopped as stop:
        return Ended(console.interrupt(stop.exit_code))
    except _core.OrchestrationError as error:
        return Ended(console.refuse(error))
    if ended.exit_code in EXIT_CODES.values():
        again = [argument for argument in args if argument != "--new"] or [source]
        console.note(f"hint: resume with: {shlex.join([PROGRAM, *again])}")
    return ended


def _accept(console: Console, prepared: Prepared) -> None:
    """Shows warnings, and asks a person whether to go on."""
    if prepared.needs_confirmation and not console.can_ask:
        refuse_unless_accepted(prepared)
    for warning in prepared.warnings:
        console.note(f"warning: {warning}")
    if prepared.needs_confirmation and not console.ask("Go on?"):
        refuse_unless_accepted(prepared)


def _follow(
    console: Console, signals: Signals, run: Run, on_begin: Callable[[str], object] | None
) -> Ended:
    """Starts the run and shows its events until the last."""
    text = _core.Lines()
    has_run = False

    def show(line: str) -> None:
        nonlocal has_run
        event = Event.from_json(line)
        is_last = isinstance(event, (OrchestrationFinished, Error))
        if on_begin is not None and not (has_run or is_last):
            on_begin(event.orchestration)
        has_run = has_run or not is_last
        if isinstance(event, OrchestrationResumed) and console.is_live:
            _recall(console, run, event)
        try:
            _tell(console, text, event, line)
        except BrokenPipeError:
            # As for any program in a pipe, the end of its reader is the end of its work; but the
            # agents are asked and reaped, and what they did is kept.
            console.abandon()
            if not is_last:
                run.cancel(INTERRUPTED)

    signals.attach(run, console.say)
    try:
        report = run.deliver(show, console.refresh)
    except _core.OrchestrationError:
        if signals.exit_code is not None and not has_run:
            raise Stopped(signals.exit_code) from None
        raise
    if not has_run:
        console.note(
            f"hint: every task was run before, in {report.orchestration_id};"
            " run them again with --new"
        )
    return Ended(report.exit_code, report)


def _tell(console: Console, text: _core.Lines, event: Event, line: str) -> None:
    console.show(event)
    if console.json:
        console.event(event, line)
        return
    console.lines(text.render(line))
    for note in text.notes(line):
        console.note(note)
    console.refresh()


def _recall(console: Console, run: Run, resumed: OrchestrationResumed) -> None:
    """Tells the table what an orchestration that is taken up again was before."""
    journal = find(_core.main_worktree(run.repo), resumed.orchestration).journal
    for line in _core.Journal(journal).news():
        event = Event.from_json(line)
        if event.seq < resumed.seq:
            console.show(event)


def _show_dry_run(
    console: Console, prepared: Prepared, source: str, options: dict[str, Any]
) -> Ended:
    report = dry_run_report(prepared)
    try:
        if console.json:
            _write_dry_run_events(console, prepared, report)
        else:
            program = SLASH_COMMAND if prepared.is_issue else PROGRAM
            to_run = shlex.join([program, source, *_again(prepared, options)])
            console.lines(_core.Lines().dry_run(prepared.text, to_run).splitlines())
    except BrokenPipeError:
        console.abandon()
    return Ended(report.exit_code, report)


def _again(prepared: Prepared, options: dict[str, Any]) -> list[str]:
    """The option without which there would be nothing to do, where all was done before."""
    if options.get("new"):
        return ["--new"]
    told = [found[1] for line in prepared.notice if (found := _RAN_BEFORE.match(line))]
    if not told:
        return []
    before = find(_core.main_worktree(options.get("repo") or "."), told[0])
    if before.state() != "finished":  # it goes on by itself
        return []
    tasks = before.timeline().tasks
    if {task["title"] for task in prepared.plan["tasks"]} - {task.title for task in tasks}:
        return []
    has_failed = any(task.status == "failed" for task in tasks)
    return ["--retry" if has_failed else "--new"]


def _write_dry_run_events(console: Console, prepared: Prepared, report: Report) -> None:
    time = now()
    for event in dry_run_events(prepared, time):
        console.event(event)
    if is_aborted(prepared):
        found = prepared.validation
        reasons = "; ".join(dependency["reason"] for dependency in found["dependencies"])
        order = ", ".join(str(task) for task in found["order"])
        hint = f"run them one after another, in the order {order}"
        if found["cycle"]:
            circle = " → ".join(str(task) for task in found["cycle"])
            hint = f"tasks {circle} wait for each other"
        console.event(
            Error(
                seq=3,
                time=time,
                orchestration="",
                kind="validation",
                message=f"the tasks depend on each other: {reasons}",
                hint=hint,
                exit_code=report.exit_code,
            )
        )
    else:
        console.event(
            OrchestrationFinished(
                seq=3, time=time, orchestration="", exit_code=report.exit_code, summary=report
            )
        )
