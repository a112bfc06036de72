"""Signals of the command: the first asks all agents to stop, the second kills them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any

    from typing_extensions import Self

    from orchestration.runner import Run

EXIT_CODES = {
    signal.SIGINT: 130,
    signal.SIGTERM: 143,
    signal.SIGHUP: 143,  # the terminal is gone: somebody ended us, nobody interrupted
}


class Stopped(Exception):  # noqa: N818 - nothing is wrong: somebody asked for it
    """A signal arrived before anything was created."""

    def __init__(self, exit_code: int) -> None:
        """Carries the exit code of the command."""
        super().__init__(exit_code)
        self.exit_code = exit_code


class Signals:
    """Handles the signals while it is entered.

    A signal that the parent had ignored (``nohup``, a background job) stays ignored.
    """

    def __init__(self) -> None:
        """Installs nothing yet."""
        self._attached: tuple[Run, Callable[[str], object]] | None = None
        self.exit_code: int | None = None
        """What the first signal to a run leads to, once it came."""
        self._has_come = False
        self._before: dict[signal.Signals, Any] = {}

    def attach(self, run: Run, say: Callable[[str], object]) -> None:
        """From here on a signal cancels this run, rather than raising :class:`Stopped`.

        ``say`` tells people so; it is called in the handler, which may have interrupted a write.
        """
        self._attached = (run, say)

    def __enter__(self) -> Self:
        for number in EXIT_CODES:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What has been told to end is on its way out: one signal more has nothing left to end, and
        # would only take its exit code from it.
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._has_come else handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        exit_code = EXIT_CODES[signal.Signals(number)]
        if self._attached is None:
            if self._has_come:
                return
            self._has_come = True
            raise Stopped(exit_code)
        run, say = self._attached
        self._has_come = True
        if self.exit_code is not None:
            say("killing the agents")
        else:
            say("stopping the agents; once more to kill them")
            self.exit_code = exit_code
        run.cancel(exit_code)
