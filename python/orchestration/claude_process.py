"""One agent: its command, its attributes, its log and its result.

A :class:`ClaudeProcess` is plain data until :meth:`ClaudeProcess.run` is called. The child then
belongs to the native engine, which ``_driver`` feeds; this module decides what is run and what is
logged. Where a program overrides one of the inner steps (``_spawn_process`` and its neighbors),
the same steps are walked through in Python instead, so that the override counts.

Programs also import this file flat, with the package's folder on ``sys.path``. It therefore
reaches its neighbors through :func:`_neighbor` only, and must not import them by name.
"""

import math
import os
import sys
import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from io import FileIO
from numbers import Number
from pathlib import Path
from types import ModuleType

TYPE_CHECKING = False

if TYPE_CHECKING:
    import subprocess
    import threading
    from typing import Any, Final

    from ._core import Ended

# What AMPLIHACK_DELEGATE may name, and the command that stands for it.
DELEGATE_COMMANDS: dict[str, list[str]] = {
    "amplihack claude": ["claude"],
    "amplihack copilot": ["amplihack", "copilot"],
    "amplihack amplifier": ["amplihack", "amplifier"],
}

_COPILOT: "Final" = "amplihack copilot"


class _Fields:
    """Carries the instance dictionary of :class:`ProcessResult` below its property."""


_raw_fields = _Fields.__dict__["__dict__"].__get__


@dataclass
class ProcessResult(_Fields):
    """How a process ended, and what it wrote.

    A dataclass like any other. Results of the engine decode ``output`` and ``stderr`` when they
    are first asked for; until then what the process wrote costs no memory here.

    Attributes:
        exit_code: The exit code; ``-N`` for death by signal N, ``-1`` for a timeout or for a
            process that never started.
        output: Its standard output, as text with ``\\n`` at the ends of lines.
        stderr: Its standard error, or why it never started.
        duration: Seconds from the start to the result.
        process_id: The name of the process.
    """

    exit_code: int
    output: str
    stderr: str
    duration: float
    process_id: str

    # How the late fields work: `_captured` stands in the instance's dictionary for those of
    # them that are missing, and everything that could notice the difference fills them in first.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            if name in _LATE and "_captured" in _raw_fields(self):
                _fill(self, name)
                return _raw_fields(self)[name]
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=self)

        def __delattr__(self, name: str) -> None:
            _fill(self, *_LATE)
            super().__delattr__(name)

        @property
        def __dict__(self) -> dict[str, object]:
            _fill(self, *_LATE)
            return _raw_fields(self)

        @__dict__.setter
        def __dict__(self, fields: dict[str, object]) -> None:
            _Fields.__dict__["__dict__"].__set__(self, fields)

        def __getstate__(self) -> dict[str, object]:
            # Copying and pickling would look below the property.
            return self.__dict__


_LATE: "Final" = ("output", "stderr")
_ORDER: "Final" = ("exit_code", "output", "stderr", "duration", "process_id")


def _fill(result: ProcessResult, *names: str) -> None:
    """Decode the named late fields unless they are there, and forget the capture after the last."""
    fields: dict[str, Any] = _raw_fields(result)
    captured = fields.get("_captured")
    if captured is None:
        return
    for name in names:
        if name not in fields:
            fields.setdefault(name, getattr(captured, name)())
    if all(name in fields for name in _LATE):
        # The order of a dataclass's dictionary is that of its fields.
        ordered: dict[str, Any] = {name: fields.pop(name) for name in _ORDER if name in fields}
        rest = {name: value for name, value in fields.items() if name != "_captured"}
        fields.clear()
        fields.update(ordered, **rest)


def late_result(
    exit_code: int, captured: "Ended", duration: float, process_id: str
) -> ProcessResult:
    """Return a result whose ``output`` and ``stderr`` are decoded when they are asked for."""
    result = ProcessResult.__new__(ProcessResult)
    _raw_fields(result).update(
        exit_code=exit_code, duration=duration, process_id=process_id, _captured=captured
    )
    return result


class ClaudeProcess:
    """An agent that is to be run: ``claude`` by default, else what AMPLIHACK_DELEGATE names.

    Every attribute may be assigned until the process is run. ``PATH``, the environment and the
    attributes are read at that moment.

    Attributes:
        prompt: What the agent is asked to do.
        process_id: Its name in logs and results.
        working_dir: Where it works.
        log_dir: The folder of its log, ``{process_id}.log``.
        model: The model it is told to use, if any.
        stream_output: Whether its output is also written to ``sys.stdout`` and ``sys.stderr``.
        timeout: Its limit in seconds; ``None`` and ``0`` mean none.
    """

    def __init__(
        self,
        prompt: str,
        process_id: str,
        working_dir: Path,
        log_dir: Path,
        model: str | None = None,
        stream_output: bool = True,  # noqa: FBT001, FBT002 - amplihack's signature
        timeout: float | None = None,
    ) -> None:
        """Take the attributes as they are, and create the folder of the log.

        Raises:
            ValueError: ``timeout`` is negative or not finite.
        """
        self.prompt = prompt
        self.process_id = process_id
        self.working_dir = working_dir
        self.log_dir = log_dir
        self.model = model
        self.stream_output = stream_output
        self.timeout = timeout

        self._process: subprocess.Popen[str] | None = None
        self._master_fd: int | None = None
        self._start_time: float = 0
        self._stdout_lines: list[str] = []
        self._stderr_lines: list[str] = []

        check_timeout(timeout)
        os.makedirs(log_dir, exist_ok=True)  # noqa: PTH103 - a plain string will do as well

    def log(self, msg: object, level: str = "INFO") -> None:
        """Print a line about this process and append it to its log."""
        line = log_line(self, msg, level)
        say(line)
        append_text(log_path(self), line + "\n")

    def run(self) -> ProcessResult:
        """Run the agent to its end and return what came of it.

        What fails on the way (a missing executable, a prompt with a NUL) is a result with exit
        code -1 and the reason in ``stderr``. The interpreter is free for other threads meanwhile.
        An exception of a signal handler, Ctrl-C among them, ends the agent and everything that
        it has started before it is raised.

        Raises:
            ValueError: ``timeout`` is negative or not finite.
            OSError: The log cannot be written.
        """
        check_timeout(self.timeout)
        driver = _neighbor("_driver")
        if overridden(self, _STEPS):
            return _neighbor("_by_hand").run(self)  # type: ignore[no-any-return]
        return driver.run_one(self)  # type: ignore[no-any-return]

    def terminate(self) -> None:
        """End the running agent and its children: TERM first, KILL half a second later.

        Does nothing where the agent does not run.
        """
        if self._process is not None:
            _neighbor("_by_hand").terminate(self)
        else:
            _neighbor("_driver").terminate(self)

    def _build_command(self) -> list[str]:
        """Return the agent's command line, prompt included.

        Warns and takes ``claude`` where AMPLIHACK_DELEGATE is unset or unknown; an empty value
        is unknown.
        """
        delegate = os.environ.get("AMPLIHACK_DELEGATE")
        prefix = DELEGATE_COMMANDS.get(delegate) if delegate is not None else None
        if prefix is None:
            prefix = ["claude"]
            if delegate is None:
                problem = (
                    "AMPLIHACK_DELEGATE not set — defaulting to 'claude'. "
                    "Set AMPLIHACK_DELEGATE (e.g. 'amplihack claude') to select the agent."
                )
            else:
                problem = (
                    f"Unrecognised AMPLIHACK_DELEGATE={delegate!r}. "
                    f"Known delegates: {list(DELEGATE_COMMANDS)}. Falling back to 'claude'."
                )
            warnings.warn(problem, stacklevel=2)
        model = ["--model", self.model] if self.model else []
        if delegate == _COPILOT:
            # `amplihack copilot` knows none of these options itself; behind `--` it hands them on.
            return [*prefix, "--", "--allow-all-tools", "-p", self.prompt, *model]
        return [*prefix, "--dangerously-skip-permissions", "-p", self.prompt, *model]

    # What run() goes through, step by step, where one of the steps below is overridden.

    def _spawn_process(self, cmd: list[str], slave_fd: int) -> "subprocess.Popen[str]":
        """Start ``cmd`` as leader of a session of its own, with ``slave_fd`` as standard input."""
        return _neighbor("_by_hand").spawn(self, cmd, slave_fd)  # type: ignore[no-any-return]

    def _start_threads(self) -> "list[threading.Thread]":
        """Start the threads that read both streams, then the one that feeds the terminal."""
        return _neighbor("_by_hand").start_threads(self)  # type: ignore[no-any-return]

    def _read_stream(self, stream: "Any", output_list: list[str], mirror_stream: "Any") -> None:
        """Collect the lines of ``stream``, and mirror them where that is wanted."""
        _neighbor("_by_hand").read_stream(self, stream, output_list, mirror_stream)

    def _feed_pty_stdin(self) -> None:
        """Answer whatever the child asks with empty lines, for as long as it lives."""
        _neighbor("_by_hand").feed_terminal(self)

    def _wait_for_completion(self) -> int:
        """Wait for the child under the time limit, and return its exit code or -1."""
        return _neighbor("_by_hand").wait(self)  # type: ignore[no-any-return]

    def _setup_logging(self) -> None:
        """Begin the log anew with its header."""
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        header = (
            f"Process: {self.process_id}\nStarted: {started}\n"
            f"Prompt: {self.prompt[:100]}...\n{'-' * 80}\n"
        )
        append_text(log_path(self), header, truncate=True)

    def _cleanup(self) -> None:
        """Close our end of the child's terminal."""
        _neighbor("_by_hand").cleanup(self)


# Methods whose override means that the engine cannot do the work alone.
_STEPS: "Final" = (
    "terminate",
    "_spawn_process",
    "_start_threads",
    "_read_stream",
    "_feed_pty_stdin",
    "_wait_for_completion",
    "_setup_logging",
    "_cleanup",
)
SEAMS: "Final" = (
    "run",
    "log",
    "__getattribute__",
    "_build_command",
    *_STEPS,
)
_OWN: "Final" = {name: getattr(ClaudeProcess, name) for name in SEAMS}


def overridden(process: ClaudeProcess, names: tuple[str, ...] = SEAMS) -> bool:
    """Whether one of these methods is not ours: in a subclass, on the class or on the instance."""
    kind = type(process)
    return any(getattr(kind, name) is not _OWN[name] for name in names) or not (
        process.__dict__.keys().isdisjoint(names)
    )


def command_of(process: ClaudeProcess) -> list[str]:
    """Build the command of a process that is being run.

    Called from here, so that its warnings name this module: programs filter them by that name.
    """
    return process._build_command()  # noqa: SLF001


def log_line(process: ClaudeProcess, msg: object, level: str) -> str:
    """Return a line of a process as it is printed and logged, without its end."""
    return f"[{time.strftime('%H:%M:%S')}] [{level}] [{process.process_id}] {msg}"


def log_path(process: ClaudeProcess) -> str:
    """Return the path of a process's log; its folder may be a plain string."""
    return os.path.join(process.log_dir, f"{process.process_id}.log")  # noqa: PTH118


def check_timeout(timeout: float | None) -> None:
    """Raise ValueError for a time limit that no clock can keep."""
    if isinstance(timeout, Number) and not 0 <= timeout < math.inf:
        message = f"timeout must be a finite number of seconds, 0 or None, not {timeout!r}"
        raise ValueError(message)


def say(line: str) -> None:
    """Print a line to today's ``sys.stdout``; a stream that is closed or gone loses it."""
    try:
        print(line)  # noqa: T201 - the package we replace prints, and programs capture it
    except UnicodeEncodeError:
        encoding = getattr(sys.stdout, "encoding", None) or "ascii"
        print(line.encode(encoding, "backslashreplace").decode(encoding))  # noqa: T201
    except (OSError, ValueError):
        pass


def append_text(path: str | Path, text: str, *, truncate: bool = False) -> None:
    """Append to a file in one write, so that lines of several writers never mix."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "backslashreplace")
    # An object rather than a number, which a signal handler's exception could lose.
    with FileIO(path, "ab") as file:
        if truncate:
            file.truncate(0)
        while data:
            data = data[file.write(data) :]


def _flat_package() -> str:
    """Make the folder of this file a package under a private name, with this module in it."""
    package = ModuleType("_orchestration_flat")
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]  # noqa: PTH100, PTH120
    sys.modules[package.__name__] = package
    sys.modules[f"{package.__name__}.claude_process"] = sys.modules[__name__]
    return package.__name__


_PACKAGE = __package__ or _flat_package()


def _neighbor(name: str) -> ModuleType:
    """Import a module of this folder, whichever way this file itself was imported."""
    return import_module(f"{_PACKAGE}.{name}")
