"""Where the command writes: lines or events on standard output, the rest on standard error.

Standard output is for the specification's lines, or for one JSON event a line. Errors, warnings,
hints and questions go to standard error, so that a pipe reads nothing but what it asked for.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal, TextIO

    from orchestration._core import OrchestrationError
    from orchestration.events import Event

USAGE = 64
"""The exit code for a command that was called wrongly (``EX_USAGE``)."""


class Console:
    """Standard output and standard error of one command."""

    def __init__(self, output: Literal["text", "json"]) -> None:
        """Text or JSON; both are UTF-8 whatever the locale says, and nothing is unprintable."""
        self.json = output == "json"
        self.closed = sys.stdout is None
        """Nobody reads standard output any more."""
        self._has_ended = False
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                encoding = None if stream.isatty() else "utf-8"
                stream.reconfigure(encoding=encoding, errors="backslashreplace")

    def lines(self, lines: Iterable[str]) -> None:
        """Writes text lines to standard output.

        Raises:
            BrokenPipeError: the reader went away; said once, and everything later is dropped.
            EngineError: it could not be written, for another reason; likewise.
        """
        for line in lines:
            self._write(line)

    def event(self, event: Event, line: str | None = None) -> None:
        """Writes an event to standard output, as it came where ``line`` is given.

        Raises:
            BrokenPipeError: as :meth:`lines` does.
            EngineError: as :meth:`lines` does.
        """
        self._has_ended = event.type in {"orchestration_finished", "error"}
        self._write(event.to_json() if line is None else line)

    def note(self, line: str) -> None:
        """Writes a line to standard error. A standard error that nobody reads is no problem."""
        _write_line(sys.stderr, _MARKS.sub(_escape, line))

    def ask(self, question: str) -> bool:
        """Asks on standard error. Only a clear yes is one."""
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    @property
    def can_ask(self) -> bool:
        """Whether a person sits in front of it."""
        return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))

    def refuse(self, error: OrchestrationError) -> int:
        """Reports an error of the library. Returns its exit code."""
        kind = type(error).__name__.removesuffix("Error").lower()
        return self._refuse(kind, str(error), error.hint, error.exit_code)

    def refuse_usage(self, message: str, hint: str) -> int:
        """Reports a command that was called wrongly. Returns the exit code."""
        return self._refuse("usage", message, hint, USAGE)

    def interrupt(self, exit_code: int) -> int:
        """Reports a signal before anything was created. Returns the exit code."""
        return self._refuse("engine", "interrupted before anything was created", "", exit_code)

    def abandon(self) -> None:
        """Drops everything from here on: the reader of standard output went away."""
        self.closed = True
        discard_output()

    def _refuse(self, kind: str, message: str, hint: str, exit_code: int) -> int:
        self.note(f"error: {message}")
        if hint:
            self.note(f"hint: {hint}")
        if self.json and not self._has_ended:
            from orchestration.events import Error  # noqa: PLC0415 - the help needs no events

            event = Error(
                seq=0,
                time=now(),
                orchestration="",
                kind=kind,  # type: ignore[arg-type]  # the names of our own exceptions
                message=message,
                hint=hint,
                exit_code=exit_code,
            )
            try:
                self.event(event)
            except (BrokenPipeError, _engine_error()):
                self.abandon()
        return exit_code

    def _write(self, line: str) -> None:
        if self.closed:
            return
        try:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as problem:
            self.abandon()
            raise _cannot_write(problem) from problem


def now() -> str:
    """The time as events carry it."""
    stamp = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def _engine_error() -> type[OrchestrationError]:
    from orchestration._core import EngineError  # noqa: PLC0415 - the help needs no engine

    return EngineError


def _cannot_write(problem: OSError) -> OrchestrationError:
    error = _engine_error()(f"cannot write to standard output: {problem.strerror}")
    error.hint = "check the free space of its disk"
    return error


def discard_output() -> None:
    """Points standard output nowhere.

    What is still buffered would fail again when the interpreter flushes it at its end.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def close_gaps() -> None:
    """Opens the standard descriptors that are closed.

    The next file that is opened would take their place, and get our lines.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


# Control and bidirectional characters: with those, the text of a plan could draw on the terminal.
_MARKS = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")


def _escape(mark: re.Match[str]) -> str:
    return mark.group().encode("unicode_escape").decode()


def _write_line(stream: TextIO | None, line: str) -> None:
    if stream is not None:
        try:
            stream.write(f"{line}\n")
            stream.flush()
        except OSError:
            pass
