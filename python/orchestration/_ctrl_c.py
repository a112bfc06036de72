"""Ctrl-C for calls that wait outside the main thread, where Python raises nothing.

The main thread gets its ``KeyboardInterrupt`` from Python. A call in another one
(``asyncio.to_thread``, a thread pool) has to look for itself, or the program would wait for its
agents all the same. Whether SIGINT means the end is the program's decision: it does with Python's
own handler and with asyncio's, and not with one that the program has set.
"""

import threading

from . import _core


class CtrlC:
    """Looks for Ctrl-C on behalf of one waiting call, for as long as the object lives."""

    __slots__ = ("_watch",)

    def __init__(self) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        self._watch = None if is_main else _core.SigintWatch()

    @property
    def is_looked_for(self) -> bool:
        """Whether somebody has to call :meth:`check`: not in the main thread."""
        return self._watch is not None

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` where Ctrl-C was pressed since the last look.

        In the main thread this does nothing, since Python does it.
        """
        if self._watch is not None and self._watch.came() and _means_the_end():
            raise KeyboardInterrupt

    def close(self) -> None:
        """Look no more."""
        self._watch = None


def _means_the_end() -> bool:
    import signal  # noqa: PLC0415 - it would be a tenth of the time to import the package

    handler: object = signal.getsignal(signal.SIGINT)
    return handler is signal.default_int_handler or _is_asyncios(handler)


def _is_asyncios(handler: object) -> bool:
    """Whether ``asyncio.run`` has set it, which cancels the main task."""
    function = getattr(handler, "func", handler)
    return getattr(function, "__module__", None) == "asyncio.runners"
