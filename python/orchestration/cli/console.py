"""Where the command writes: lines or events on standard output, the rest on standard error.

Standard output is for the specification's lines, or for one JSON event a line. Errors, warnings,
hints and questions go to standard error, so that a pipe reads nothing but what it asked for. On a
terminal a table may stand below the lines for as long as an orchestration is followed; it takes
nothing from them, and is gone at the end.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO, AnyStr, Literal, TextIO

    from orchestration._core import OrchestrationError
    from orchestration.events import Event

    from .live import Live

_DEADLY = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
"""Signals that would end or stop us in the middle of a table."""

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
        self._live: Live | None = None
        self._said: list[str] = []
        """What a signal handler had to say, and may not write itself."""
        self._is_to_stop = False
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
        if self._live is None:
            for line in lines:
                self._put(f"{line}\n")
        elif text := "".join(f"{line}\n" for line in lines):
            self._put(self._live.above(text))
            self.refresh()

    def bytes(self, data: bytes) -> None:
        """Writes bytes to standard output, as they are.

        Raises:
            BrokenPipeError: as :meth:`lines` does.
            EngineError: as :meth:`lines` does.
        """
        if not self.closed:
            self._write(sys.stdout.buffer, data)

    def event(self, event: Event, line: str | None = None) -> None:
        """Writes an event to standard output, as it came where ``line`` is given.

        Raises:
            BrokenPipeError: as :meth:`lines` does.
            EngineError: as :meth:`lines` does.
        """
        self._has_ended = event.type in {"orchestration_finished", "error"}
        self._put(f"{event.to_json() if line is None else line}\n")

    def note(self, line: str) -> None:
        """Writes a line to standard error. A standard error that nobody reads is no problem."""
        if self._live is not None and sys.stderr is not None and sys.stderr.isatty():
            self._put(self._live.leave())
        _write_line(sys.stderr, escaped(line))
        self.refresh()

    @contextmanager
    def live(self) -> Iterator[None]:
        """Follows an orchestration: on a terminal with a table below the lines.

        Tell it of every event (:meth:`show`), and call :meth:`refresh` ten times a second.
        """
        from .live import Live, is_possible  # noqa: PLC0415 - the help needs no table

        if self.json or not is_possible():
            yield
            return
        self._live = Live()
        deadly = [sign for sign in _DEADLY if signal.getsignal(sign) is signal.SIG_DFL]
        for sign in deadly:
            signal.signal(sign, self._stop if sign == signal.SIGTSTP else self._die)
        try:
            yield
        finally:
            self._leave()
            for sign in deadly:
                signal.signal(sign, signal.SIG_DFL)

    @property
    def is_live(self) -> bool:
        """Whether there is a table."""
        return self._live is not None

    def show(self, event: Event) -> None:
        """Takes an event in for the table, where there is one."""
        if self._live is not None:
            self._live.apply(event)

    def refresh(self) -> None:
        """Brings the table up to date, where there is one and it is time.

        Raises:
            BrokenPipeError: as :meth:`lines` does.
            EngineError: as :meth:`lines` does.
        """
        if self._live is None:
            return
        while self._said:
            self.note(self._said.pop(0))
        if self._is_to_stop:
            self._is_to_stop = False
            self._put(self._live.leave())
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)  # it goes on from here
            signal.signal(signal.SIGTSTP, self._stop)
        self._put(self._live.news())

    def say(self, line: str) -> None:
        """Writes a note out of a signal handler, which may have interrupted a write."""
        if self._live is not None:
            self._said.append(line)
            return
        try:
            os.write(2, f"{line}\n".encode())
        except OSError:
            pass

    def _stop(self, *_: object) -> None:
        """Ctrl-Z. It waits for the end of a write that it may have interrupted."""
        self._is_to_stop = True

    def _die(self, number: int, _frame: object) -> None:
        """Dies of a signal as it would have, with the terminal as it was."""
        if self._live is not None:
            os.write(1, self._live.leave().encode())
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _leave(self) -> None:
        """Gives the terminal back, and says what is still to be said."""
        if self._live is None:
            return
        try:
            self._put(self._live.leave())
        except (BrokenPipeError, engine_error()):
            self.abandon()
        self._live = None
        while self._said:
            self.note(self._said.pop(0))

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
        # A line each, whatever is in the name of a file.
        self.note("error: " + message.replace("\n", "\\n"))
        if hint:
            self.note("hint: " + hint.replace("\n", "\\n"))
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
            except (BrokenPipeError, engine_error()):
                self.abandon()
        return exit_code

    def _put(self, text: str) -> None:
        self._write(sys.stdout, text)

    def _write(self, stream: IO[AnyStr], data: AnyStr) -> None:
        if self.closed or not data:
            return
        try:
            stream.write(data)
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError as problem:
            self.abandon()
            raise _cannot_write(problem) from problem


def now() -> str:
    """The time as events carry it."""
    stamp = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def engine_error() -> type[OrchestrationError]:
    """What :class:`Console` raises, for an ``except`` that loads no engine before it is needed."""
    from orchestration._core import EngineError  # noqa: PLC0415 - the help needs no engine

    return EngineError


def _cannot_write(problem: OSError) -> OrchestrationError:
    error = engine_error()(f"cannot write to standard output: {problem.strerror}")
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


def escaped(text: str) -> str:
    """A text that draws nothing on a terminal: what could is shown as its code."""
    return _MARKS.sub(_escape, text)


def printable(text: str) -> str:
    """The same for one cell of a table, in one line: what could is left out."""
    return " ".join(_MARKS.sub("", text).split())


def _escape(mark: re.Match[str]) -> str:
    return mark.group().encode("unicode_escape").decode()


def _write_line(stream: TextIO | None, line: str) -> None:
    if stream is not None:
        try:
            stream.write(f"{line}\n")
            stream.flush()
        except OSError:
            pass
