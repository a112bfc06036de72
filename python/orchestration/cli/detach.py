"""``--detach``: the run goes on in a session of its own, and the command returns once it has begun.

The command forks before anything else of it has started. Its child keeps the standard streams until
the run has begun, so that the child itself reads a plan from standard input, asks a person about
warnings and says why a run is refused, in the words and with the exit code of any other run. Then
it lets go of the streams, and tells the waiting parent through a pipe.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from orchestration import _core

from .console import Console, now
from .signals import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

SYSTEM_ERROR = 9

_PASSED_ON = (signal.SIGINT, signal.SIGTERM)

LOG = "detached.log"
"""What the run prints from then on, in the folder of its logs."""


class Detachment:
    """The side of the run."""

    def __init__(self, pipe: int) -> None:
        """Takes the end of the pipe that the waiting parent reads."""
        self._pipe = pipe

    def begin(self, repo: str, orchestration: str) -> None:
        """Lets go of the standard streams, and says that the run has begun.

        A log that cannot be written stops nothing: what it would hold is in the journal too.
        """
        logs = _core.main_worktree(repo) / ".claude" / "runtime" / "logs" / orchestration
        _flush()
        nowhere = os.open(os.devnull, os.O_RDWR)
        try:
            logs.mkdir(parents=True, exist_ok=True)
            log = os.open(logs / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError:
            log = os.dup(nowhere)
        for standard, target in ((0, nowhere), (1, log), (2, log)):
            os.dup2(target, standard)
        os.close(nowhere)
        os.close(log)
        said = {"orchestration": orchestration, "log": str(logs / LOG)}
        try:
            os.write(self._pipe, json.dumps(said).encode())
        except BrokenPipeError:
            pass  # killed meanwhile; the run does not need it
        os.close(self._pipe)


def detach(work: Callable[[Detachment], int], *, output: Literal["text", "json"]) -> int:
    """Lets a process of its own do the work, and waits until that has begun.

    Ctrl-C meanwhile stops the run.

    Returns:
        0 where it has begun; its exit code where it ended before, having said why; in the child,
        what ``work`` returns.
    """
    _flush()
    reader, writer = os.pipe()
    # Nobody may be interrupted before it is settled who hands on what to whom.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the end of the terminal is not its end
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        return work(Detachment(writer))
    os.close(writer)
    said, stopped = _wait(child, reader)
    console = Console(output)
    if said is None:
        return _report_end(console, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    if stopped is not None:
        console.note(f"stopping {said['orchestration']}, which had just begun")
        return EXIT_CODES[stopped]
    _tell(console, child, said)
    return 0


def _wait(child: int, reader: int) -> tuple[dict[str, Any] | None, signal.Signals | None]:
    """What the child says when it has begun, if it does, and which signal was passed on to it.

    The child is in no group of the terminal's, so it hears of Ctrl-C only through us.
    """
    stopped: signal.Signals | None = None

    def pass_on(number: int, _frame: object) -> None:
        nonlocal stopped
        stopped = signal.Signals(number)
        try:
            os.kill(child, number)
        except ProcessLookupError:
            pass

    for number in _PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    return json.loads(said) if said else None, stopped


def _report_end(console: Console, exit_code: int) -> int:
    """The exit code of a child that ended before the run had begun, and has said why."""
    if exit_code >= 0:
        return exit_code
    console.note(f"error: the run died of signal {-exit_code} before it had begun")
    console.note("hint: run it again")
    return SYSTEM_ERROR


def _tell(console: Console, child: int, said: dict[str, Any]) -> None:
    orchestration, log = said["orchestration"], said["log"]
    try:
        if console.json:
            head = {"v": 1, "seq": 0, "time": now(), "orchestration": orchestration}
            event = {**head, "type": "detached", "pid": child, "log": log}
            console.lines([json.dumps(event)])
        else:
            console.lines([orchestration])
    except BrokenPipeError:
        console.abandon()
    console.note(f"it runs by itself, as process {child}")
    console.note(f"hint: follow it with: parallel-orchestrate watch {orchestration}")


def _flush() -> None:
    """Writes out what is buffered, so that it is written once, and to where it was meant for."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
