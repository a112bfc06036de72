"""A terminal for the tests: a real pseudo-terminal, and a screen of what was written to it."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

UNKNOWN = "\ufe0f"
"""What asks for an emoji's picture; the emulator drops the rest of the text after it."""


class Screen(pyte.HistoryScreen):
    """A window with everything that has scrolled out of it."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines, history=100_000, ratio=0.5)
        self.stream = pyte.Stream(self)
        self.titles: list[str] = []

    def set_title(self, param: str) -> None:
        self.titles.append(param)

    def feed(self, text: str) -> None:
        self.stream.feed(text.replace(UNKNOWN, ""))

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """As xterm does: rows below the cursor go first, then those above, into the history."""
        lines = lines or self.lines
        while self.cursor.y >= lines:
            self.history.top.append(self.buffer[0].copy())
            for row in range(self.lines - 1):
                self.buffer[row] = self.buffer[row + 1]
            self.buffer.pop(self.lines - 1, None)
            self.cursor.y -= 1
        for row in range(lines, self.lines):
            self.buffer.pop(row, None)
        self.lines = lines
        super().resize(lines, columns)

    @property
    def rows(self) -> list[str]:
        """What stands in the window."""
        return [row.rstrip() for row in self.display]

    @property
    def shown(self) -> str:
        """The same as one text, without empty rows at its end."""
        return "\n".join(self.rows).rstrip("\n")

    @property
    def everything(self) -> str:
        """Every character since the beginning, without spaces and line ends."""
        above = ["".join(row[x].data for x in sorted(row)) for row in self.history.top]
        return "".join("".join([*above, *self.display]).split())

    @property
    def is_sane(self) -> bool:
        """Whether the cursor is seen, and long lines wrap."""
        return not self.cursor.hidden and pyte.modes.DECAWM in self.mode

    def holds(self, lines: Sequence[str]) -> bool:
        """Whether these lines were all written, in their order, and still stand there."""
        place, text = 0, self.everything
        for line in lines:
            words = "".join(line.replace(UNKNOWN, "").split())
            place = text.find(words, place)
            if place < 0:
                return False
            place += len(words)
        return True


class Terminal:
    """A process on a pseudo-terminal of its own."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        size: tuple[int, int] = (80, 24),
        **pipes: int,
    ) -> None:
        self.screen = Screen(*size)
        self.written = ""
        self._master, slave = pty.openpty()
        self._decoder = pyte.ByteStream().utf8_decoder
        self._set_size(*size)
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={"TERM": "xterm-256color", **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),  # noqa: PLW1509
            **({"stdin": slave, "stdout": slave, "stderr": slave} | pipes),
        )
        os.close(slave)

    def until(self, condition: Callable[[Screen], object], what: str, seconds: float = 20) -> None:
        """Reads until the screen is as it should be."""
        deadline = time.monotonic() + seconds
        while not condition(self.screen):
            assert time.monotonic() < deadline, f"{what}\n{self.screen.shown}"
            assert self._read(0.05), f"the end instead of {what}\n{self.screen.shown}"

    def end(self, seconds: float = 20) -> int:
        """Reads to the end. Returns the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(0.05):
            assert time.monotonic() < deadline, self.screen.shown
        return self.process.wait(timeout=5)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def resize(self, columns: int, lines: int) -> None:
        """What is still to be read was written for the old size, as in a real one."""
        while self._read(0):
            if not select.select([self._master], [], [], 0)[0]:
                break
        self.screen.resize(lines, columns)
        self._set_size(columns, lines)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self, seconds: float) -> bool:
        """Reads what comes. False where nothing ever will."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            return False
        text = self._decoder.decode(data)
        self.written += text
        self.screen.feed(text)
        return bool(data)
