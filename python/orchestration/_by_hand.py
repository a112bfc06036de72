"""Walks a process through its steps in Python, so that overridden steps take part.

The engine starts, feeds, reads and ends agents in one go and cannot ask a method in between. A
process whose ``_spawn_process``, ``terminate`` or the like is overridden therefore takes this way:
:class:`subprocess.Popen`, a pseudo-terminal, two reading threads and one that feeds. It costs a
hundred times as much, and keeps the same promises as far as Python can.
"""

import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager

from . import _core, _driver
from .claude_process import ClaudeProcess, ProcessResult, command_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, Protocol, TextIO

    class Mirror(Protocol):
        """All that is known of a stream that output is mirrored to."""

        def write(self, text: str, /) -> object:
            """Take a line."""

        def flush(self) -> object:
            """Pass it on."""


# From TERM to KILL, and between two empty lines.
_GRACE = 0.5
_TICK = 0.1
# How long whatever the child has left behind may keep its pipes open.
_LEAK = 0.5
# PIDFD_SIGNAL_PROCESS_GROUP
_WHOLE_GROUP = 1 << 2


def run(process: ClaudeProcess) -> ProcessResult:
    """Run a process step by step, each step being the method of that name."""
    process._start_time = time.time()  # noqa: SLF001
    process._stdout_lines = []  # noqa: SLF001
    process._stderr_lines = []  # noqa: SLF001
    process.log(f"Starting process with timeout={process.timeout}s")
    try:
        with _driver.nested(_Killer(process)):
            return _steps(process)
    except Exception as error:  # noqa: BLE001 - a failed result, as in the package we replace
        process.log(f"Fatal error: {error}", level="ERROR")
        return _result(process, -1, "", str(error))
    except BaseException:
        kill_group(process)
        raise
    finally:
        process._cleanup()  # noqa: SLF001


def _steps(process: ClaudeProcess) -> ProcessResult:
    command = command_of(process)
    process.log(f'Command: {" ".join(command[:2])} -p "..."')
    process._setup_logging()  # noqa: SLF001
    process._master_fd, slave = pty.openpty()  # noqa: SLF001
    try:
        process._process = process._spawn_process(command, slave)  # noqa: SLF001
    finally:
        os.close(slave)
    with _group(process._process):  # noqa: SLF001
        threads = process._start_threads()  # noqa: SLF001
        exit_code = process._wait_for_completion()  # noqa: SLF001
        deadline = time.monotonic() + _LEAK
        for thread in threads[:2]:
            thread.join(max(0.0, deadline - time.monotonic()))
    stderr = "".join(process._stderr_lines)  # noqa: SLF001
    if stderr:
        process.log(f"stderr: {stderr[:200]}...", level="WARNING")
    result = _result(process, exit_code, "".join(process._stdout_lines), stderr)  # noqa: SLF001
    process.log(f"Completed with exit_code={exit_code} in {result.duration:.1f}s")
    return result


def _result(process: ClaudeProcess, exit_code: int, output: str, stderr: str) -> ProcessResult:
    return ProcessResult(
        exit_code=exit_code,
        output=output,
        stderr=stderr,
        duration=time.time() - process._start_time,  # noqa: SLF001
        process_id=process.process_id,
    )


def spawn(process: ClaudeProcess, cmd: list[str], slave_fd: int) -> "subprocess.Popen[str]":
    """Start a command on a terminal, in a session of its own.

    What is too long for an argument stands in a file instead of the terminal.
    """
    mark, value = _core.contain()
    cmd, prompt = _driver.fitted(cmd, process.prompt)
    with _file(prompt) as file:
        return subprocess.Popen(  # noqa: S603 - a list, never a shell
            cmd,
            stdin=file or slave_fd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=process.working_dir,
            env={**os.environ, mark: value},
            start_new_session=True,
        )


@contextmanager
def _file(content: bytes | None) -> "Iterator[BinaryIO | None]":
    """Open a file without a name that holds this; none for nothing."""
    if content is None:
        yield None
        return
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


def start_threads(process: ClaudeProcess) -> list[threading.Thread]:
    """Start the readers of both streams and the feeder of the terminal, in this order."""
    child = _child(process)
    threads = [
        threading.Thread(target=process._read_stream, args=args, daemon=True)  # noqa: SLF001
        for args in (
            (child.stdout, process._stdout_lines, sys.stdout),  # noqa: SLF001
            (child.stderr, process._stderr_lines, sys.stderr),  # noqa: SLF001
        )
    ]
    threads.append(threading.Thread(target=process._feed_pty_stdin, daemon=True))  # noqa: SLF001
    for thread in threads:
        thread.start()
    return threads


def read_stream(
    process: ClaudeProcess, stream: "TextIO", lines: list[str], mirror: "Mirror | None"
) -> None:
    """Collect lines to the end of the stream; a mirror that fails is left alone from then on.

    Of the stream, which may be a stand-in from a test, only ``readline`` is assumed.
    """
    if not process.stream_output:
        mirror = None
    try:
        for line in iter(stream.readline, ""):
            lines.append(line)
            if mirror is None:
                continue
            try:
                mirror.write(line)
                mirror.flush()
            except Exception as error:  # noqa: BLE001 - any stream, any error
                mirror = None
                process.log(f"Error reading stream: {error}", level="ERROR")
    except Exception as error:  # noqa: BLE001 - any stream, any error
        process.log(f"Error reading stream: {error}", level="ERROR")
    if close := getattr(stream, "close", None):
        close()


def feed_terminal(process: ClaudeProcess) -> None:
    """Write a newline ten times a second for as long as the child lives."""
    child = _child(process)
    while True:
        try:
            child.wait(_TICK)
        except subprocess.TimeoutExpired:
            try:
                os.write(process._master_fd, b"\n")  # type: ignore[arg-type]  # noqa: SLF001
            except (OSError, TypeError):
                return
        else:
            return


def wait(process: ClaudeProcess) -> int:
    """Wait for the child; at its time limit end it and return -1."""
    try:
        return _child(process).wait(process.timeout or None)
    except subprocess.TimeoutExpired:
        process.log(f"Timeout ({process.timeout}s) expired, terminating", level="WARNING")
        process.terminate()
        return -1


def terminate(process: ClaudeProcess) -> None:
    """Ask the child's group to end, and kill it where it does not."""
    process.log("Terminating process", level="WARNING")
    child = _child(process)
    _signal_group(child, signal.SIGTERM)
    try:
        child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.log("Process did not terminate, killing", level="WARNING")
    kill_group(process)


def kill_group(process: ClaudeProcess) -> None:
    """Kill what is left of the child's group, and reap the child."""
    child = process._process  # noqa: SLF001
    if child is None:
        return
    _signal_group(child, signal.SIGKILL)
    try:
        child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.log("Error during termination: the process cannot be killed", level="ERROR")


def cleanup(process: ClaudeProcess) -> None:
    """Close our end of the terminal; the readers close the pipes."""
    master, process._master_fd = process._master_fd, None  # noqa: SLF001
    if master is not None:
        try:
            os.close(master)
        except OSError:
            pass


def _child(process: ClaudeProcess) -> "subprocess.Popen[str]":
    child = process._process  # noqa: SLF001
    if child is None:
        message = "the process has not been started"
        raise RuntimeError(message)
    return child


def _signal_group(child: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Signal the child, and the group that it leads. A reaped child's number may be another's."""
    if child.poll() is not None:
        return
    try:
        if os.getpgid(child.pid) == child.pid:
            os.killpg(child.pid, number)
            return
    except (OSError, TypeError):
        pass
    child.send_signal(number)


@contextmanager
def _group(child: "subprocess.Popen[str]") -> "Iterator[None]":
    """Kill what is left of the group that a child leads, though the child itself was reaped.

    The descriptor keeps that group apart from a later one of the same number. Where the system
    has no such thing (before Linux 6.9), the others of the group live on.
    """
    try:
        descriptor = os.pidfd_open(child.pid)
    except (AttributeError, OSError, TypeError):
        yield
        return
    try:
        yield
    finally:
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL, None, _WHOLE_GROUP)
        except OSError:
            pass
        os.close(descriptor)


class _Killer:
    """Ends a process from the thread of the run around it."""

    def __init__(self, process: ClaudeProcess) -> None:
        self._process = process

    def cancel(self) -> None:
        kill_group(self._process)
