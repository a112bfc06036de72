"""How many processes are left after a program was killed, and how soon the last one is gone.

    python benches/orphans.py [--trials N] [--seed SEED] [--marks]

Each trial starts a program whose agents have all kinds of descendants
(`tests/support/descendants.py`), kills it with -9 at a random moment, alone or with its process
group, and looks for survivors for five seconds: whatever carries the trial's folder in its
environment or its command line, git and the watcher included. Exit code 1 where there are any.

The programs: the real command on a short plan; a Python program in `run_parallel`; one that has
forked a worker, which has agents of its own. (Killed alone, such a program's worker lives on
rightly, so it is killed as well, as another program would be.)

`--marks` does without control groups, as where none can be made. Then one that has cleared its
environment is counted by itself: it is found only through an ancestor that still lives.

Everything that a trial starts ends by itself: nothing forks more than twenty times, and nothing
lives for more than half a minute.
"""

import argparse
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support import descendants  # noqa: E402 - the program need not be in a package
from tests.support.descendants import ESCAPED, Process, noted, related  # noqa: E402

LIMIT = 5.0
CLEAN_LOOKS = 2
"""How many in a row: one may miss a process that executes a program just then."""
TASKS = 2
LONGEST = 1.2
"""From the start to the last kill, in seconds: by then the agents have been at work for a while."""


RUN = """
import os, signal
signal.alarm({deadline})
from orchestration import ClaudeProcess, run_parallel

def run(*names):
    run_parallel([ClaudeProcess(f"{home}/agent-{{n}}", n, "{home}", "{home}") for n in names])
"""

FORK = """
worker = os.fork()
if worker == 0:
    signal.alarm({deadline})
    run("of-the-worker")
    os._exit(0)
with open("{home}/worker", "w") as file:
    file.write(str(worker))
"""


@dataclass(frozen=True)
class Trial:
    """What one kill came to."""

    program: str
    target: str
    phase: str
    took: float
    survivors: list[Process]


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, env=environment(folder.parent))


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    path = os.pathsep.join([str(home / "bin"), kept["PATH"]])
    return kept | {"HOME": str(home), "TRIAL": str(home), "PATH": path}


def repository(home: Path) -> Path:
    """A repository with a plan."""
    folder = home / "shop"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "config", "user.name", "Tester")
    git(folder, "config", "user.email", "tester@example.invalid")
    tasks = "".join(f"- [ ] Add part {number}\n" for number in range(TASKS))
    (folder / "plan.md").write_text(f"# Shop\n\n{tasks}", encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Begin")
    return folder


def script(path: Path, folder: str) -> Path:
    """An agent: a folder of its own for its descendants, then all kinds of them."""
    words = shlex.join([sys.executable, "-IS", descendants.__file__])
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\nmkdir -p "{folder}"; exec {words} "{folder}"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def command(home: Path) -> list[str]:
    agent = script(home / "agent.sh", f"{home}/$AGENT_ID")
    repository(home)
    words = ["-m", "orchestration", "shop/plan.md", "--repo", "shop", "--yes"]
    return [*words, "--agent", str(agent)]


def run_parallel(home: Path, before: str = "") -> list[str]:
    script(home / "bin" / "claude", "$3")
    program = home / "program.py"
    code = (RUN + before).format(home=home, deadline=descendants.DEADLINE)
    program.write_text(f'{code}\nrun("first", "second")\n', encoding="utf-8")
    return [str(program)]


PROGRAMS: dict[str, Callable[[Path], list[str]]] = {
    "the command": command,
    "`run_parallel`": run_parallel,
    "with a forked worker": lambda home: run_parallel(home, FORK),
}
TARGETS = ("alone", "group")


def begin_to_fork(home: Path) -> str:
    """Lets those fork that can, and says how far the run is."""
    folders = list(home.glob("agent-*"))
    for folder in folders:
        (folder / descendants.MAY_FORK).touch()
    if folders:
        return "agents" if all(map(descendants.all_there, folders)) else "agents begin"
    begun = list(home.glob("shop/.claude/runtime/parallel/*/*.jsonl"))
    return "worktrees" if begun else "start"


def try_once(program: str, target: str, held_by: str, chance: random.Random) -> Trial:
    with tempfile.TemporaryDirectory(prefix="orphans-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        running = subprocess.Popen(
            [sys.executable, *PROGRAMS[program](home)],
            cwd=home,
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(chance.uniform(0, LONGEST))
        phase = begin_to_fork(home)
        # Somewhere in the row of forks, which takes about a tenth of a second.
        time.sleep(chance.uniform(0, 0.1))
        kill(running, target, home / "worker")
        running.wait()
        took, left = clear(home, held_by)
        return Trial(program, target, phase, took, left)


def kill(running: subprocess.Popen[bytes], target: str, worker: Path) -> None:
    if target == "group":
        os.killpg(running.pid, signal.SIGKILL)
        return
    os.kill(running.pid, signal.SIGKILL)
    # One that is told of nowhere was killed before it was forked, or has yet to start an agent.
    for pid in [int(worker.read_text() or 0)] if worker.exists() else []:
        if pid and os.getpgid(pid) == running.pid:
            os.kill(pid, signal.SIGKILL)


def clear(home: Path, held_by: str) -> tuple[float, list[Process]]:
    """Waits until all are gone of whom that is promised, or the limit is over; then ends the rest.

    Returns how long it took, and whoever was left.
    """
    killed = time.monotonic()
    clean_looks = 0
    while clean_looks < CLEAN_LOOKS:
        left = survivors(home)
        is_over = not any(is_promised(process, held_by) for process in left)
        clean_looks = clean_looks + 1 if is_over else 0
        if time.monotonic() > killed + LIMIT:
            break
        time.sleep(0.01)
    took = time.monotonic() - killed
    for process in left:
        if process.lives:
            os.kill(process.pid, signal.SIGKILL)
    return took, left


def survivors(home: Path) -> list[Process]:
    folders = home.glob("agent-*")
    written = {process for folder in folders for process in noted(folder) if process.lives}
    found = {process.pid: process for process in [*related(str(home)), *written]}
    return list(found.values())


def reach() -> str:
    """How far containment reaches in the programs."""
    words = [sys.executable, "-c", "from orchestration import _core; print(_core.containment())"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def is_promised(process: Process, held_by: str) -> bool:
    return held_by == "cgroup" or process.kind not in ("scrubbed", ESCAPED)


def report(trials: list[Trial], held_by: str) -> None:
    """The table for `docs/reliability.md`."""
    phases = Counter(trial.phase for trial in trials)
    print(f"Held by: {held_by}. Killed in: {dict(phases)}.\n")
    print("| program | killed | kills | orphans | not promised | the last one gone after |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for program in PROGRAMS:
        for target in TARGETS:
            row = [t for t in trials if (t.program, t.target) == (program, target)]
            left = Counter(is_promised(p, held_by) for trial in row for p in trial.survivors)
            last = f"{max(trial.took for trial in row):.2f} s" if row else ""
            print(f"| {program} | {target} | {len(row)} | {left[True]} | {left[False]} | {last} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--marks", action="store_true", help="do without control groups")
    options = parser.parse_args()
    if options.marks:
        os.environ["ORCHESTRATION_CONTAINMENT"] = "marks"
    held_by = reach()
    chance = random.Random(options.seed)
    kinds = [(program, target) for program in PROGRAMS for target in TARGETS]
    trials = [try_once(*kinds[n % len(kinds)], held_by, chance) for n in range(options.trials)]
    orphans = 0
    for number, trial in enumerate(trials, 1):
        for process in trial.survivors:
            if is_promised(process, held_by):
                orphans += 1
                print(f"trial {number}, {trial}: {process} survived", file=sys.stderr)
    report(trials, held_by)
    return 1 if orphans else 0


if __name__ == "__main__":
    sys.exit(main())
