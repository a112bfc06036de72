"""How many processes are left after the command was killed, and how soon the last one is gone.

    python benches/orphans.py [--trials N] [--seed SEED]

Each trial starts the real command on a short plan whose agents have all kinds of descendants
(`tests/support/descendants.py`), kills it with -9 at a random moment of the run, alone or with its
process group, and looks for survivors for five seconds: whatever carries the trial's folder in its
environment or its command line, git and the watcher included. Exit code 1 where there are any. One
that has scrubbed its environment is counted by itself: it is promised only with a cgroup, and can
escape elsewhere where it is forked while its parent is being killed.

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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support import descendants  # noqa: E402 - the program need not be in a package
from tests.support.descendants import Process, noted, related  # noqa: E402

LIMIT = 5.0
TASKS = 2
LONGEST = 1.2
"""From the start to the last kill, in seconds: by then the agents have been at work for a while."""


@dataclass(frozen=True)
class Trial:
    """What one kill came to."""

    phase: str
    took: float
    survivors: list[Process]


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, env=environment(folder.parent))


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"HOME": str(home), "TRIAL": str(home)}


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


def agent(home: Path) -> str:
    """An agent's command: a folder of its own for its descendants, then all kinds of them."""
    script = home / "agent.sh"
    words = shlex.join([sys.executable, "-IS", descendants.__file__])
    script.write_text(
        f'mkdir -p "{home}/$AGENT_ID"; exec {words} "{home}/$AGENT_ID"\n', encoding="utf-8"
    )
    return shlex.join(["sh", str(script)])


def begin_to_fork(home: Path) -> str:
    """Lets those fork that can, and says how far the run is."""
    folders = list(home.glob("agent-*"))
    for folder in folders:
        (folder / descendants.MAY_FORK).touch()
    if folders:
        return "agents" if all(map(descendants.all_there, folders)) else "agents begin"
    begun = list(home.glob("shop/.claude/runtime/parallel/*/*.jsonl"))
    return "worktrees" if begun else "start"


def try_once(chance: random.Random) -> Trial:
    with tempfile.TemporaryDirectory(prefix="orphans-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        words = [sys.executable, "-m", "orchestration", "plan.md", "--yes", "--agent", agent(home)]
        command = subprocess.Popen(
            words,
            cwd=repository(home),
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
        chance.choice([os.kill, os.killpg])(command.pid, signal.SIGKILL)
        command.wait()
        return clear(home, phase)


def clear(home: Path, phase: str) -> Trial:
    """Waits until nobody is left, or the limit is over; then ends whoever is."""
    killed = time.monotonic()
    while (left := survivors(home)) and time.monotonic() < killed + LIMIT:
        time.sleep(0.01)
    took = time.monotonic() - killed
    for process in left:
        if process.lives:
            os.kill(process.pid, signal.SIGKILL)
    return Trial(phase, took, left)


def survivors(home: Path) -> list[Process]:
    folders = home.glob("agent-*")
    written = {process for folder in folders for process in noted(folder) if process.lives}
    found = {process.pid: process for process in [*related(str(home)), *written]}
    return list(found.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    trials = [try_once(chance) for _ in range(options.trials)]
    for number, trial in enumerate(trials, 1):
        for process in trial.survivors:
            print(f"trial {number}, {trial.phase}: {process} survived", file=sys.stderr)
    left = Counter(p.kind == "scrubbed" for trial in trials for p in trial.survivors)
    phases = Counter(trial.phase for trial in trials)
    print(
        f"{len(trials)} kills ({', '.join(f'{count} {name}' for name, count in phases.items())}):"
        f" {left[False]} orphans after {LIMIT:g} s, and {left[True]} without the mark;"
        f" the last one gone after {max((trial.took for trial in trials), default=0):.2f} s"
    )
    return 1 if left[False] else 0


if __name__ == "__main__":
    sys.exit(main())
