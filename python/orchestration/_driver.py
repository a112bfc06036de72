"""Feeds the native engine: starts agents as slots become free, and takes in what they report.

A :class:`_Run` is one call of a helper. It holds the slots: plain agents go to the engine,
everything else gets a thread, and both count. It starts, absorbs events and decides nothing about
children; time limits, signals and reaping are the engine's. The blocking and the asyncio form
differ only in how they wait for the next events.

Whatever ends a run early (Ctrl-C, an exception of a signal handler, a cancelled task) ends its
agents first, those of runs nested in its threads included, and waits until they are reaped.
"""

import os
import sys
import threading
import time
from _thread import get_ident
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from . import _core
from ._ctrl_c import CtrlC
from .claude_process import (
    ClaudeProcess,
    ProcessResult,
    append_text,
    command_of,
    late_result,
    log_line,
    log_path,
    overridden,
    say,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Protocol, TextIO, TypeAlias

    # What a job came to: its result (of any type, where the job is not ours) or its exception.
    End: TypeAlias = Any

    class Cancellable(Protocol):
        """Something nested in a thread of ours that ends when the outer run does."""

        def cancel(self) -> None:
            """End it soon; called from another thread than its own."""


# From TERM to KILL, as in the package we replace.
_GRACE = 0.5
# How long an interrupted run waits for its children; the caller gets control within two seconds.
_FAREWELL = 1.6
# How long a thread sleeps at most before the interpreter may raise something in it.
_BREATH = 1.0
# The same outside the main thread, where we look for Ctrl-C ourselves.
_GLANCE = 0.25
# The kernel takes no argument of 128 KiB or more (MAX_ARG_STRLEN, its NUL included).
_LONGEST_ARGUMENT = 128 * 1024 - 1

_scope = threading.local()


def run_one(process: ClaudeProcess) -> ProcessResult:
    """Run one process natively, with its own ``log`` and ``_build_command``."""
    [(_, end)] = _run([(process, None)], 1)
    return _unwrap(end)


async def run_one_async(process: ClaudeProcess) -> ProcessResult:
    """Run one process whose exception is the caller's, without blocking the event loop."""
    [(_, end)] = await _run_async(_plan([process]), 1)
    return _unwrap(end)


def run_all(jobs: list[ClaudeProcess], limit: int | None) -> "list[tuple[ClaudeProcess, End]]":
    """Run jobs, at most ``limit`` at a time; return each with its end, in order of ending."""
    return _run(_plan(jobs), limit) if jobs else []


async def run_all_async(
    jobs: list[ClaudeProcess], limit: int | None
) -> "list[tuple[ClaudeProcess, End]]":
    """Do what :func:`run_all` does, without blocking the event loop."""
    return await _run_async(_plan(jobs), limit) if jobs else []


def is_plain(job: object) -> bool:
    """Whether the engine can run this job without asking any Python method of a program."""
    return issubclass(type(job), ClaudeProcess) and not overridden(job)  # type: ignore[arg-type]


def terminate(process: ClaudeProcess) -> None:
    """End a process that runs natively, from whichever thread."""
    if agent := _live.get(id(process)):
        process.log("Terminating process", level="WARNING")
        agent.terminate()


def _plan(jobs: Iterable[ClaudeProcess]) -> "list[tuple[ClaudeProcess, Callable[[], Any] | None]]":
    return [(job, None if is_plain(job) else job.run) for job in jobs]


def _unwrap(end: "End") -> ProcessResult:
    if isinstance(end, BaseException):
        raise end
    return end  # type: ignore[no-any-return]


def _run(
    jobs: "list[tuple[ClaudeProcess, Callable[[], Any] | None]]", limit: int | None
) -> "list[tuple[ClaudeProcess, End]]":
    run = _Run(jobs, limit)
    try:
        while run.start():
            run.absorb(run.wait(_BREATH))
    except BaseException:
        run.abandon()
        raise
    finally:
        run.close()
    return run.outcome()


async def _run_async(
    jobs: "list[tuple[ClaudeProcess, Callable[[], Any] | None]]", limit: int | None
) -> "list[tuple[ClaudeProcess, End]]":
    run = _Run(jobs, limit)
    try:
        while run.start():
            await _readable(run.pool.fileno())
            run.absorb(run.pool.poll())
    except GeneratorExit:
        # The loop is gone and nothing can be awaited any more.
        run.abandon()
        raise
    except BaseException:
        await run.abandon_async()
        raise
    finally:
        run.close()
    return run.outcome()


async def _readable(fd: int) -> None:
    """Wait until there is something to read, on a loop that may run other things meanwhile."""
    import asyncio  # noqa: PLC0415 - only programs that use it should load it

    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def set_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, set_ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


class _Run:
    """One call of a helper: what waits, what runs, and what has ended."""

    def __init__(
        self,
        jobs: "list[tuple[ClaudeProcess, Callable[[], Any] | None]]",
        limit: int | None,
    ) -> None:
        self.pool = _core.Pool(grace=_GRACE)
        self._waiting = deque(jobs)
        self._limit = len(jobs) if limit is None else limit
        self._agents: dict[int, _Agent] = {}
        self._threads = 0
        # Ends of jobs in threads, on their way to the thread that owns this run.
        self._posted: deque[tuple[ClaudeProcess, End]] = deque()
        self._ends: list[tuple[ClaudeProcess, End]] = []
        self._nested: set[Cancellable] = set()
        self._outer: _Run | None = getattr(_scope, "run", None)
        # A run in a run ends with that one, and leaves looking for Ctrl-C to it.
        self._ctrl_c = CtrlC() if self._outer is None else None
        if self._outer is not None:
            self._outer.adopt(self)

    def start(self) -> bool:
        """Fill the free slots; false once nothing runs and nothing waits."""
        while self._waiting and len(self._agents) + self._threads < self._limit:
            job, call = self._waiting.popleft()
            if call is not None:
                self._start_thread(job, call)
                continue
            agent = _Agent(job, self.pool)
            try:
                if agent.begin():
                    self._agents[agent.unit] = agent
                else:
                    self._ends.append((job, agent.result))
            except Exception as error:  # noqa: BLE001 - it is the end of this job
                self._ends.append((job, error))
        return bool(self._agents or self._threads)

    def wait(self, timeout: float) -> "list[_core.News]":
        """Wait for news; exceptions of signal handlers are raised meanwhile.

        Outside the main thread that is Ctrl-C alone.
        """
        if self._ctrl_c is None:
            return self.pool.wait(timeout, signals=False)
        if not self._ctrl_c.is_looked_for:
            return self.pool.wait(timeout, signals=True)
        self._ctrl_c.check()
        return self.pool.wait(min(timeout, _GLANCE), signals=False)

    def absorb(self, events: "list[_core.News]") -> None:
        """Take in what the engine and the threads have reported."""
        for unit, stream, payload in events:
            agent = self._agents[unit]
            if stream:
                agent.mirror(stream, payload)
                continue
            del self._agents[unit]
            try:
                self._ends.append((agent.process, agent.end(payload)))
            except Exception as error:  # noqa: BLE001 - it is the end of this job
                self._ends.append((agent.process, error))
        while self._posted:
            self._threads -= 1
            self._ends.append(self._posted.popleft())

    def outcome(self) -> "list[tuple[ClaudeProcess, End]]":
        """Return every job with its end; what is no ``Exception`` (SystemExit) is raised."""
        for _, end in self._ends:
            if isinstance(end, BaseException) and not isinstance(end, Exception):
                raise end
        return self._ends

    def abandon(self) -> None:
        """End everything that runs, and wait until it is reaped or the time is up."""
        deadline = self._condemn()
        while (left := deadline - time.monotonic()) > 0 and self._busy():
            try:
                self._drop(self.wait(left))
            except BaseException:  # noqa: BLE001 - asked again: the first exception is raised
                self.pool.cancel(kill=True)

    async def abandon_async(self) -> None:
        """Do the same on a running loop; another cancellation only takes away the grace."""
        import asyncio  # noqa: PLC0415 - see above

        deadline = self._condemn()
        while (left := deadline - time.monotonic()) > 0 and self._busy():
            try:
                await asyncio.wait_for(_readable(self.pool.fileno()), left)
            except asyncio.TimeoutError:
                break
            except BaseException:  # noqa: BLE001 - asked again: the first exception is raised
                self.pool.cancel(kill=True)
            self._drop(self.pool.poll())

    def cancel(self) -> None:
        """End this run from the thread of the run around it."""
        self._waiting.clear()
        self.pool.cancel()
        for nested in list(self._nested):
            nested.cancel()

    def adopt(self, nested: "Cancellable") -> None:
        """Let something end with this run."""
        self._nested.add(nested)

    def release(self, nested: "Cancellable") -> None:
        """Forget something that has ended by itself."""
        self._nested.discard(nested)

    def close(self) -> None:
        """Take leave of the run around this one, and of agents that outlived the farewell."""
        for agent in self._agents.values():
            agent.forget()
        if self._ctrl_c is not None:
            self._ctrl_c.close()
        if self._outer is not None:
            self._outer.release(self)

    def _condemn(self) -> float:
        """Ask everything to end; return by when it has to."""
        self.cancel()
        return time.monotonic() + _FAREWELL

    def _busy(self) -> bool:
        """Whether something still runs, also where the news of its end were lost on the way."""
        return self.pool.unfinished() > 0 or self._threads > 0

    def _drop(self, _news: "list[_core.News]") -> None:
        """Count what has ended; nobody will read what it came to."""
        while self._posted:
            self._threads -= 1
            self._posted.popleft()

    def _start_thread(self, job: ClaudeProcess, call: "Callable[[], Any]") -> None:
        def body() -> None:
            _scope.run = self
            end: End
            try:
                end = call()
            except BaseException as error:  # noqa: BLE001 - it is raised where the run was called
                end = error
            self._posted.append((job, end))
            self.pool.wake()

        # A daemon: a job of someone else's that cannot be ended must not hold the program.
        threading.Thread(target=body, daemon=True).start()
        self._threads += 1


def fitted(command: list[str], prompt: str) -> tuple[list[str], bytes | None]:
    """Take a prompt that is too long for an argument out of a command line, for standard input."""
    if len(prompt) * 4 <= _LONGEST_ARGUMENT:
        return command, None
    encoded = os.fsencode(prompt)
    if len(encoded) <= _LONGEST_ARGUMENT:
        return command, None
    if b"\0" in encoded:
        message = "embedded null byte"
        raise ValueError(message)
    at = next((at for at, word in enumerate(command) if word is prompt), len(command))
    # Copilot's -p wants a value, and is left out with it; Claude's is a flag.
    is_option = command[at - 1] == "-p" and "--allow-all-tools" in command
    return command[: at - 1 if is_option else at] + command[at + 1 :], encoded


class _Agent:
    """One process on the engine: what is logged before and after, and where output goes."""

    __slots__ = (
        "_ended",
        "_err",
        "_out",
        "_own_log",
        "_owner",
        "_pending",
        "_pool",
        "_timeout",
        "process",
        "result",
        "unit",
    )

    def __init__(self, process: ClaudeProcess, pool: "_core.Pool") -> None:
        self.process = process
        self.unit = -1
        self.result: ProcessResult | None = None
        self._pool = pool
        self._own_log = overridden(process, ("log",))
        # Lines that are printed but not in the file: its header would overwrite them.
        self._pending: list[str] = []
        self._out: TextIO | None = None
        self._err: TextIO | None = None
        self._owner = get_ident()
        self._ended: threading.Event | None = None

    def begin(self) -> bool:
        """Log, build the command and hand it to the engine; false where that failed."""
        process = self.process
        process._start_time = time.time()  # noqa: SLF001 - its other half
        self._timeout = process.timeout
        self._note(f"Starting process with timeout={self._timeout}s")
        try:
            command = command_of(process)
            self._note(f'Command: {" ".join(command[:2])} -p "..."')
            process._setup_logging()  # noqa: SLF001
            self._pending.clear()
            self._start(command)
        except Exception as error:  # noqa: BLE001 - a failed result, as in the package we replace
            self.result = self._fail(str(error))
            return False
        _live[id(process)] = self
        return True

    def mirror(self, stream: int, text: str) -> None:
        """Write lines to what was ``sys.stdout`` or ``sys.stderr`` at the start."""
        target = self._out if stream == 1 else self._err
        if target is None:
            return
        try:
            if type(target) is TextIOWrapper:
                target.write(text)
                target.flush()
                return
            for line in _lines(text):
                target.write(line)
                target.flush()
        except Exception as error:  # noqa: BLE001 - any stream, any error; the agent goes on
            if stream == 1:
                self._out = None
            else:
                self._err = None
            self._note(f"Error reading stream: {error}", "ERROR")

    def end(self, end: "_core.Ended") -> ProcessResult:
        """Log how it ended, and return the result."""
        self.forget()
        if end.error is not None:
            return self._fail(end.error)
        notes = []
        if end.timed_out:
            notes.append((f"Timeout ({self._timeout}s) expired, terminating", "WARNING"))
            notes.append(("Terminating process", "WARNING"))
        if end.killed:
            notes.append(("Process did not terminate, killing", "WARNING"))
        if head := end.stderr_head(200):
            notes.append((f"stderr: {head}...", "WARNING"))
        process = self.process
        duration = time.time() - process._start_time  # noqa: SLF001
        notes.append((f"Completed with exit_code={end.exit_code} in {duration:.1f}s", "INFO"))
        self._conclude(notes)
        return late_result(end.exit_code, end, duration, process.process_id)

    def forget(self) -> None:
        """Note that the engine no longer runs it."""
        _live.pop(id(self.process), None)
        if self._ended is not None:
            self._ended.set()

    def terminate(self) -> None:
        """Ask the engine to end it; wait for that unless the waiting thread is this one."""
        if self._owner == get_ident():
            self._pool.terminate(self.unit)
            return
        self._ended = threading.Event()
        self._pool.terminate(self.unit)
        self._ended.wait(_FAREWELL)

    def _start(self, command: list[str]) -> None:
        process = self.process
        command, prompt = fitted(command, process.prompt)
        if process.stream_output:
            self._out, self._err = sys.stdout, sys.stderr
        self.unit = self._pool.start(
            [os.fsencode(word) for word in command],
            _environment(),
            _folder(process.working_dir),
            prompt,
            float(self._timeout) if self._timeout else None,
            self._out is not None or self._err is not None,
        )

    def _note(self, message: str, level: str = "INFO") -> None:
        """Log before the header is written, or while output is read."""
        if self._own_log:
            _call_log(self.process, message, level)
            return
        line = log_line(self.process, message, level)
        say(line)
        self._pending.append(line)

    def _conclude(self, notes: list[tuple[str, str]]) -> None:
        """Log the last lines in one go. A folder that the agent deleted costs only the log."""
        if self._own_log:
            for message, level in notes:
                _call_log(self.process, message, level)
            return
        for message, level in notes:
            self._note(message, level)
        lines, self._pending = self._pending, []
        try:
            append_text(log_path(self.process), "\n".join(lines) + "\n")
        except OSError:
            if self.unit < 0:
                raise

    def _fail(self, reason: str) -> ProcessResult:
        process = self.process
        duration = time.time() - process._start_time  # noqa: SLF001
        self._conclude([(f"Fatal error: {reason}", "ERROR")])
        return ProcessResult(
            exit_code=-1,
            output="",
            stderr=reason,
            duration=duration,
            process_id=process.process_id,
        )


def _call_log(process: ClaudeProcess, message: str, level: str) -> None:
    # An override may know no level: it is named only where it is not the default.
    if level == "INFO":
        process.log(message)
    else:
        process.log(message, level=level)


def _folder(path: Path | None) -> bytes | None:
    """Encode a working folder; ``None`` is the program's own."""
    return None if path is None else os.fsencode(path)


def _environment() -> dict[bytes, bytes]:
    """Return today's environment, whose values need not be text."""
    data = getattr(os.environ, "_data", None)
    if type(data) is dict:
        return data
    return {os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()}


def _lines(text: str) -> list[str]:
    """Cut at line feeds alone; :meth:`str.splitlines` knows a dozen other ends of lines."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


# The processes that the engine runs right now, by identity: they are to stay picklable.
_live: dict[int, _Agent] = {}
# A forked child has none of them.
os.register_at_fork(after_in_child=_live.clear)


@contextmanager
def nested(inner: "Cancellable") -> "Iterator[None]":
    """Let ``inner`` end with the run in whose thread this is, if there is one."""
    outer: _Run | None = getattr(_scope, "run", None)
    if outer is None:
        yield
        return
    outer.adopt(inner)
    try:
        yield
    finally:
        outer.release(inner)
