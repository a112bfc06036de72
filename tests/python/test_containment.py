"""After a `kill -9` nothing that the program started is left, and nobody else was touched.

Containment works through Linux's `/proc`; on other systems see `doctor`. Where the program may make
a control group, not even a daemon gets away that has cleared its environment.
"""

import functools
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from command import Place
from support import wait_for
from tests.support import descendants
from tests.support.descendants import ESCAPED, MAY_FORK, Process, all_there, noted, related

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")

AGENT_WORDS = [sys.executable, "-IS", descendants.__file__]

LIMIT = 5.0
"""How long after the kill, in seconds, the last one may live."""

USES_RUN_PARALLEL = """
from orchestration import ClaudeProcess, run_parallel

def run(*names):
    run_parallel([ClaudeProcess(f"{ROOT}/{name}", name, ROOT, ROOT) for name in names])
"""

PROGRAMS = {
    "run_parallel": "run('first', 'second')",
    "subclass": """
class Patient(ClaudeProcess):
    def run(self):
        return super().run()

run_parallel([Patient(f"{ROOT}/{name}", name, ROOT, ROOT) for name in ("first", "second")])
""",
}

FORKS = {
    "os.fork": """
import os
def fork(body, *arguments):
    if os.fork() == 0:
        body(*arguments)
        os._exit(0)
""",
    "multiprocessing": """
import multiprocessing
def fork(body, *arguments):
    multiprocessing.get_context("fork").Process(target=body, args=arguments).start()
""",
}

HAS_WORKERS = """
import signal, subprocess, sys, threading, warnings
sys.path.insert(0, SUPPORT)
from pathlib import Path
import descendants
warnings.simplefilter("ignore")  # forks beside threads are just what is tried

OWN = Path(ROOT) / "own"

def idle(name):
    descendants.stay(OWN, name)

def work():
    signal.alarm(descendants.DEADLINE)
    descendants.note(OWN, "worker")
    run("of the worker")

def wait(condition):
    while not condition():
        signal.sigtimedwait([], 0.01)

signal.alarm(descendants.DEADLINE)
words = [sys.executable, "-IS", descendants.__file__, str(OWN), "bystander"]
subprocess.Popen(words, start_new_session=True)
fork(idle, "early")
thread = threading.Thread(target=run, args=["first", "second"])
thread.start()
wait(lambda: all(descendants.all_there(Path(ROOT) / name) for name in ("first", "second")))
fork(idle, "late")
fork(work)
thread.join()
"""
"""A program with agents, with workers of its own from before and after, one of them with agents."""


@dataclass
class Trial:
    """A folder for what runs, and those who are to be left alone."""

    folder: Path
    others: list[Process] = field(default_factory=list)
    spares_escaped: bool = False
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def agent(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def own(self) -> dict[str, Process]:
        """What no agent started."""
        return {process.kind: process for process in noted(self.folder / "own")}

    def start(
        self, code: str, before: Callable[[], None] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Starts a Python program in a process group of its own."""
        program = self.folder / "program.py"
        names = f"ROOT = {str(self.folder)!r}\nSUPPORT = {str(Path(descendants.__file__).parent)!r}"
        program.write_text(f"{names}\n{code}", encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, str(program)],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=before,  # noqa: PLW1509 - nothing of ours runs in this program
        )
        self.started.append(process)
        return process

    def survivors(self) -> list[Process]:
        spared = {process.pid for process in self.others}
        if self.spares_escaped:
            noted_ones = (noted(agent) for agent in self.folder.iterdir() if agent.is_dir())
            spared |= {p.pid for processes in noted_ones for p in processes if p.kind == ESCAPED}
        return [process for process in related(str(self.folder)) if process.pid not in spared]


@pytest.fixture
def trial(
    tmp_path: Path,
    agent: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Trial]:
    agent(f'exec {shlex.join(AGENT_WORDS)} "$3"')
    folder = tmp_path / "trial"
    (folder / "own").mkdir(parents=True)
    monkeypatch.setenv("TRIAL", str(folder))
    trial = Trial(folder)
    # A stranger with a name and an environment like those of the ones that are to die.
    stranger = subprocess.Popen(
        [*AGENT_WORDS, str(folder / "own"), "stranger"],
        env=os.environ | {"ORCHESTRATION_MARK": f"{os.getpid()}.1.{'0' * 32}.1"},
    )
    wait_for((folder / "own" / "stranger.process").exists, "the stranger")
    trial.others += trial.own().values()
    yield trial
    trial.spares_escaped = False
    # Only what is still the process that it was.
    for process in {*trial.others, *trial.survivors()}:
        if process.lives:
            os.kill(process.pid, signal.SIGKILL)
    stranger.wait()
    for program in trial.started:
        program.kill()
        program.wait()


def kill(program: "subprocess.Popen[Any]", target: str) -> float:
    """Returns when."""
    (os.killpg if target == "group" else os.kill)(program.pid, signal.SIGKILL)
    program.wait()
    return time.monotonic()


def gone(find: Callable[[], list[Process]], killed: float) -> None:
    while left := find():
        assert time.monotonic() < killed + LIMIT, left
        time.sleep(0.02)


def enter(group: Path) -> None:
    """Be in a control group, and lead a session."""
    (group / "cgroup.procs").write_text("0")
    if os.getpid() != os.getsid(0):
        os.setsid()


def removed(group: Path) -> None:
    """Wait until no program's group is left in there."""
    wait_for(lambda: not any(map(Path.is_dir, group.iterdir())), "the end of all groups")


def untouched(processes: Iterable[Process]) -> None:
    assert [process for process in processes if not process.lives] == []


def are_there(*folders: Path) -> None:
    wait_for(lambda: all(map(all_there, folders)), "all descendants")


def begin_to_fork(*folders: Path) -> None:
    """Begins a row of forks that goes on for longer than a look through `/proc` takes."""
    for folder in folders:
        (folder / MAY_FORK).touch()
    wait_for((folders[-1] / "forking-1.process").exists, "the first fork")


@functools.cache
def reach() -> str:
    """How far containment reaches in a program that is started here."""
    words = [sys.executable, "-c", "from orchestration import _core; print(_core.containment())"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def marks_alone(trial: Trial, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.spares_escaped = True
    monkeypatch.setenv("ORCHESTRATION_CONTAINMENT", "marks")
    place.environment["ORCHESTRATION_CONTAINMENT"] = "marks"


@pytest.fixture
def own_group(tmp_path: Path) -> Iterator[Path]:
    """A control group, where what joins it may make others, and nothing is left in the end."""
    if reach() != "cgroup":
        pytest.skip("CONTAINMENT IS NOT TESTED: no control group can be made here")
    own = Path("/proc/self/cgroup").read_text().rpartition("0::/")[2].splitlines()[0]
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    folders = [Path(where, own) for _, where, kind, *_ in mounts if kind == "cgroup2"]
    group = next(filter(Path.is_dir, folders)) / f"test-{os.getpid()}-{tmp_path.name}"
    group.mkdir()
    yield group
    events = group / "cgroup.events"
    wait_for(lambda: "populated 0" in events.read_text(), "the end of all in the group")
    group.rmdir()


@pytest.mark.parametrize("target", ["alone", "group"])
class TestKilledWithAGroup:
    def test_nothing_of_the_command_gets_away(
        self, trial: Trial, place: Place, own_group: Path, target: str
    ) -> None:
        folder = trial.agent("agent")
        place.environment["TRIAL"] = str(trial.folder)
        agent = shlex.join([*AGENT_WORDS, str(folder)])
        plan = place.plan("Add a")
        command = place.start(plan, "--agent", agent, "--yes", before=lambda: enter(own_group))
        are_there(folder)
        begin_to_fork(folder)
        gone(trial.survivors, kill(command, target))
        removed(own_group)
        untouched(trial.others)

    def test_nothing_of_a_program_and_its_worker_gets_away(
        self, trial: Trial, own_group: Path, target: str
    ) -> None:
        folders = [trial.agent(name) for name in ("first", "second", "of the worker")]
        code = USES_RUN_PARALLEL + FORKS["os.fork"] + HAS_WORKERS
        running = trial.start(code, before=lambda: enter(own_group))
        are_there(*folders)
        begin_to_fork(*folders)
        killed = kill(running, target)
        for process in trial.own().values():
            if process not in trial.others and process.lives:
                os.kill(process.pid, signal.SIGKILL)
        gone(trial.survivors, killed)
        removed(own_group)
        untouched(trial.others)


@pytest.mark.parametrize("target", ["alone", "group"])
@pytest.mark.usefixtures("marks_alone")
class TestKilled:
    def test_nothing_of_the_command_is_left(self, trial: Trial, place: Place, target: str) -> None:
        folder = trial.agent("agent")
        place.environment["TRIAL"] = str(trial.folder)
        agent = shlex.join([*AGENT_WORDS, str(folder)])
        command = place.start(place.plan("Add a"), "--agent", agent, "--yes", before=os.setsid)
        are_there(folder)
        begin_to_fork(folder)
        gone(trial.survivors, kill(command, target))
        untouched(trial.others)

    @pytest.mark.parametrize("program", PROGRAMS)
    def test_nothing_of_a_program_is_left(self, trial: Trial, program: str, target: str) -> None:
        folders = [trial.agent(name) for name in ("first", "second")]
        running = trial.start(USES_RUN_PARALLEL + PROGRAMS[program])
        are_there(*folders)
        begin_to_fork(*folders)
        gone(trial.survivors, kill(running, target))
        untouched(trial.others)

    @pytest.mark.parametrize("fork", FORKS)
    def test_a_programs_own_children_are_left_alone_and_keep_their_agents(
        self, trial: Trial, fork: str, target: str
    ) -> None:
        *mine, of_the_worker = [trial.agent(n) for n in ("first", "second", "of the worker")]
        running = trial.start(USES_RUN_PARALLEL + FORKS[fork] + HAS_WORKERS)
        are_there(*mine, of_the_worker)
        own = trial.own()
        trial.others.append(own["bystander"])
        begin_to_fork(*mine)
        killed = kill(running, target)
        if target == "alone":
            trial.others += [own["early"], own["late"]]
            held = [p for folder in mine for p in noted(folder) if p.kind != ESCAPED]
            gone(lambda: [process for process in held if process.lives], killed)
            untouched([*trial.others, own["worker"], *noted(of_the_worker)])
            os.kill(own["worker"].pid, signal.SIGKILL)
            killed = time.monotonic()
        gone(trial.survivors, killed)
        untouched(trial.others)
