"""The real command in a throw-away repository, for the tests that start it as a person would."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestration.events import AgentStarted, Event

COMMAND = [sys.executable, "-m", "orchestration"]

WORKS = "cat >/dev/null; echo done >$AGENT_ID.txt"
"""An agent that does something and leaves the commit to the engine."""

HANGS = "cat >/dev/null; echo $$ >$AGENT_ID.pid; trap '' TERM; sleep 600 & wait; sleep 600"
"""An agent that neither ends nor listens."""


@dataclass
class Place:
    """A repository, and the command in it."""

    root: Path
    environment: dict[str, str]
    agents: int = 0
    running: list[subprocess.Popen[str]] = field(default_factory=list)
    detached: bool = False
    """Whether something was started that is nobody's child."""

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.root,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def plan(self, *titles: str, name: str = "plan.md", heading: str = "# Spring\n\n") -> str:
        text = heading + "".join(f"- [ ] {title}\n" for title in titles)
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return name

    def agent(self, script: str) -> str:
        """An agent's command line for a shell script."""
        self.agents += 1
        path = self.root.parent / f"agent {self.agents}.sh"
        path.write_text(script, encoding="utf-8")
        return f"sh '{path}'"

    def start(
        self,
        *arguments: str,
        cwd: Path | None = None,
        before: Callable[[], object] | None = None,
        **pipes: int,
    ) -> subprocess.Popen[str]:
        pipes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | pipes
        self.detached |= "--detach" in arguments
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=cwd or self.root,
            env=self.environment,
            encoding="utf-8",
            preexec_fn=before,  # noqa: PLW1509 - the tests have one thread
            **pipes,  # type: ignore[call-overload]
        )
        self.running.append(process)
        return process

    def run(self, *arguments: str, text: str = "", cwd: Path | None = None) -> "Outcome":
        process = self.start(*arguments, cwd=cwd, stdin=subprocess.PIPE)
        out, err = process.communicate(text, timeout=30)
        return Outcome(process.returncode, out, err)

    @property
    def runtime(self) -> Path:
        return self.root / ".claude" / "runtime"

    def summary(self) -> dict[str, object]:
        (path,) = self.runtime.glob("parallel/*/summary.json")
        return dict(json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> str:
        """Standard output with every duration and every time of day made equal."""
        text = re.sub(r"\(\d[\dhms ]*\)", "(0s)", self.out)
        text = re.sub(r"(duration:|after) \d[\dhms ]*\d*[hms]", r"\1 0s", text)
        return re.sub(r"\[\d\d:\d\d\]", "[12:00]", text)

    @property
    def events(self) -> list[Event]:
        return [Event.from_json(line) for line in self.out.splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    root = tmp_path / "shop"
    root.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    environment = {
        "PATH": path,
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "TMPDIR": str(tmp_path),
    }
    place = Place(root, environment)
    place.git("init", "--quiet", "--initial-branch=main")
    place.git("config", "user.name", "Tester")
    place.git("config", "user.email", "tester@example.invalid")
    (root / "README.md").write_text("# Shop\n", encoding="utf-8")
    place.git("add", "--all")
    place.git("commit", "--quiet", "--message=Begin")
    yield place
    for process in place.running:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    if place.detached:
        for pid in at_home(place):
            os.kill(pid, signal.SIGKILL)


def at_home(place: Place) -> Iterator[int]:
    """The processes that live in the home of this test."""
    home = f"\0HOME={place.environment['HOME']}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # It ended, or is somebody else's.
            if home in b"\0" + (process / "environ").read_bytes():
                yield int(process.name)


def preloaded(folder: Path, source: Path) -> Path:
    """A library for LD_PRELOAD, built from a source in C."""
    built = folder / f"{source.stem}.so"
    build = ["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", built, source]
    subprocess.run(build, check=True, env={"PATH": os.defpath, "TMPDIR": folder})
    return built


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()[:1] not in {"", "Z"}


def marked_processes(place: Place) -> dict[int, str]:
    """What runs of all that the command started in this test."""
    found = {}
    for pid in at_home(place):
        process = Path("/proc", str(pid))
        with suppress(OSError):
            if b"\0ORCHESTRATION_MARK=" in b"\0" + (process / "environ").read_bytes():
                found[pid] = (process / "cmdline").read_bytes().decode()
    return found


def refused(done: Outcome, code: int, *words: str) -> None:
    """One line that names the thing, one with the way out, nothing on standard output."""
    error, hint, *rest = [
        line for line in done.err.splitlines() if line.startswith(("error:", "hint:"))
    ]
    assert error.startswith("error: "), done.err
    assert hint.startswith("hint: "), done.err
    assert not rest
    assert "Traceback" not in done.err
    for word in words:
        assert word in error, done.err
    assert done.out == ""
    assert done.code == code


def read_starts(command: subprocess.Popen[str], count: int) -> Sequence[AgentStarted]:
    """Reads events until so many agents run."""
    assert command.stdout is not None
    started: list[AgentStarted] = []
    while len(started) < count:
        line = command.stdout.readline()
        assert line, command.communicate()[1]
        event = Event.from_json(line)
        if isinstance(event, AgentStarted):
            started.append(event)
    return started
