"""What an orchestration costs, by the real command on real repositories.

    python benches/runs.py [--quick] [CASE …]

``worktrees``: ten worktrees of a 20,000-file repository, in memory and on disk, against ``git
worktree add`` one after another; git's own trace tells what overlapped. ``table``: three, five and
ten tasks of the specification's length, a minute lasting a tenth of a second, against the best that
their agents' times allow. ``overhead``: what a task costs beyond its agent's own time, against the
same git commands in a plain loop.

Sides take turns in one run, and medians are quoted. Times are wall times: what is measured is
mostly git, and waiting.
"""

import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

# Notes when it began, works for its share of seconds, commits one file, notes when it ended.
AGENT = """
import os, sys, time
began = time.time()
notes, seconds = sys.argv[1:]
agent = os.environ["AGENT_ID"]
sys.stdin.read()
seconds = seconds.split(",")
time.sleep(float(seconds[(int(agent.split("-")[1]) - 1) % len(seconds)]))
with open(agent + ".txt", "w") as work:
    work.write(str(began))
for words in (["add", agent + ".txt"], ["commit", "--quiet", "--message", "Note the time"]):
    os.waitpid(os.posix_spawnp("git", ["git", *words], os.environ), 0)
with open(os.path.join(notes, agent), "w") as note:
    note.write("%r %r" % (began, time.time()))
"""

# How long the agents of the specification's first example took, in minutes.
MINUTES = (12.75, 15.37, 18.05, 14.28, 16.85)
SECONDS_PER_MINUTE = 0.1
SPECIFIED = {3: 3.0, 5: 3.75, 10: 4.3}
WORKERS = 5


@dataclass
class Span:
    """From when to when something went on, in seconds of the system's clock."""

    begin: float
    end: float = 0.0


@dataclass
class Run:
    """One orchestration: what it said, and what its agents and its git noted."""

    wall: float
    events: list[dict[str, Any]]
    agents: dict[str, Span]
    git: dict[str, list[Span]] = field(default_factory=dict)

    def times(self, kind: str) -> list[float]:
        return [moment(event) for event in self.events if event["type"] == kind]

    @property
    def own_time(self) -> float:
        return sum(span.end - span.begin for span in self.agents.values())


def moment(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


def most_at_once(spans: list[Span]) -> int:
    steps = sorted([(span.begin, 1) for span in spans] + [(span.end, -1) for span in spans])
    now = most = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def list_schedule(durations: list[float], workers: int) -> float:
    """When the last task ends if each starts, in order, as soon as a worker is free."""
    free = [0.0] * workers
    for duration in durations:
        at = free.index(min(free))
        free[at] += duration
    return max(free)


class Repository:
    """A git repository that is thrown away, and the orchestrations in it."""

    def __init__(self, folder: Path, files: int) -> None:
        self.path, self.folder, self.runs = folder / "repository", folder, 0
        self.path.mkdir(parents=True)
        (folder / "agent.py").write_text(AGENT)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Bench")
        self.git("config", "user.email", "bench@localhost.invalid")
        for number in range(files):
            file = self.path / f"folder-{number // 100}" / f"file-{number}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"line of file {number}\n" * 40)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Begin")

    def git(self, *words: str, at: Path | None = None) -> None:
        subprocess.run(["git", *words], cwd=at or self.path, env=ENVIRONMENT, check=True)

    def orchestrate(
        self, tasks: int, workers: int, seconds: list[float], *, trace: bool = False, keep: bool
    ) -> Run:
        self.runs += 1
        plan, notes = self.folder / f"plan-{self.runs}.md", self.folder / f"notes-{self.runs}"
        lines = "".join(f"- [ ] Add a note of number {n}\n" for n in range(1, tasks + 1))
        plan.write_text(f"# Notes {self.runs}\n\n{lines}")
        notes.mkdir()
        agent = [sys.executable, "-I", "-S", str(self.folder / "agent.py"), str(notes)]
        agent.append(",".join(map(str, seconds)))
        command = [str(Path(sys.executable).parent / "parallel-orchestrate"), str(plan)]
        command += ["--agent", shlex.join(agent), "--max-workers", str(workers), "--yes"]
        command += ["--output", "json", *(["--keep-worktrees"] if keep else [])]
        env = ENVIRONMENT
        traces = self.folder / f"trace-{self.runs}"
        if trace:
            traces.mkdir()
            env = env | {"GIT_TRACE2_EVENT": str(traces)}
        begin = time.monotonic()
        done = subprocess.run(command, cwd=self.path, env=env, stdout=subprocess.PIPE, check=False)
        wall = time.monotonic() - begin
        if done.returncode:
            sys.exit(f"the orchestration ended with {done.returncode}:\n{done.stdout.decode()}")
        agents = {}
        for note in notes.iterdir():
            agents[note.name] = Span(*map(float, note.read_text().split()))
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return Run(wall, events, agents, traced(traces) if trace else {})

    def one_after_another(self, tasks: int) -> float:
        worktrees = self.folder / "one-after-another"
        begin = time.monotonic()
        for number in range(tasks):
            name = f"reference-{number}"
            self.git("worktree", "add", "--quiet", "-b", name, str(worktrees / name))
        return time.monotonic() - begin

    def by_hand(self, tasks: int) -> float:
        """The git commands of a task, its agent's aside, in a plain loop."""
        begin = time.monotonic()
        for number in range(tasks):
            name = f"by-hand-{number}"
            worktree = self.folder / name
            self.git("worktree", "add", "--quiet", "-b", name, str(worktree))
            self.git("status", "--porcelain", at=worktree)
            self.git("worktree", "remove", str(worktree))
        return time.monotonic() - begin

    def tidy(self) -> None:
        """Takes all worktrees away, and lets the disk come to rest."""
        for left in (self.folder / "one-after-another", self.folder / "repository.worktrees"):
            shutil.rmtree(left, ignore_errors=True)
        self.git("worktree", "prune")
        branches = self.folder / "repository" / ".git" / "refs" / "heads"
        for branch in [*branches.glob("reference-*"), *branches.glob("by-hand-*")]:
            branch.unlink()
        os.sync()


def traced(folder: Path) -> dict[str, list[Span]]:
    """When git commands ran, by their name, from git's own trace."""
    spans: dict[str, list[Span]] = {}
    for file in folder.iterdir():
        if "_" in file.name or "/" in file.name:
            continue
        events = [json.loads(line) for line in file.read_text().splitlines()]
        start = next((event for event in events if event["event"] == "start"), None)
        name = next((event["name"] for event in events if event["event"] == "cmd_name"), "")
        if start and "/" not in start["sid"]:
            span = Span(moment(start), moment(events[-1]))
            spans.setdefault(name, []).append(span)
    return spans


class Bench:
    """Runs the cases and prints their figures."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.missed = 0

    def rounds(self, count: int) -> range:
        return range(1 if self.quick else count)

    def line(self, what: str, *figures: str) -> None:
        print(f"  {what:<52}{''.join(f'{figure:>11}' for figure in figures)}")

    def aim(self, what: str, figure: float, holds: bool) -> None:  # noqa: FBT001 - a verdict
        self.missed += not holds
        self.line(what, f"{figure:.0f}", "ok" if holds else "MISSED")

    def worktrees(self) -> None:
        files, tasks = (2_000 if self.quick else 20_000), 10
        print(f"\nworktrees: {tasks} of a repository of {files:,} files, {tasks} workers")
        # Linux keeps the first in memory. On a disk one round writes and removes 400,000 files.
        for name, place, rounds in (("memory", "/dev/shm", 3), ("disk", "/var/tmp", 1)):
            if not Path(place).is_dir():
                continue
            print(f"\n{name}: {place}")
            with tempfile.TemporaryDirectory(prefix="orchestration-", dir=place) as folder:
                self.worktrees_in(Repository(Path(folder), files), tasks, rounds)

    def worktrees_in(self, repository: Repository, tasks: int, rounds: int) -> None:
        figures: list[dict[str, float]] = []
        for _ in self.rounds(rounds):
            reference = repository.one_after_another(tasks)
            repository.tidy()
            run = repository.orchestrate(tasks, tasks, [0], trace=True, keep=True)
            repository.tidy()
            figures.append(self.worktree_figures(run, reference))
        m = {name: statistics.median(one[name] for one in figures) for name in figures[0]}
        self.line("git worktree add, one after another, s", f"{m['reference']:.2f}")
        self.line("until the last worktree stands, s", f"{m['standing']:.2f}")
        self.line("  ratio", f"{m['standing'] / m['reference']:.2f}")
        self.line("registrations (under the lock): each, ms", f"{1e3 * m['registration']:.1f}")
        self.aim("  at once, at most", m["registrations"], m["registrations"] <= 1)
        self.line("check-outs: each, ms", f"{1e3 * m['checkout']:.0f}")
        self.aim("  at once, at most", m["checkouts"], m["checkouts"] > 1)
        self.line("from its worktree to its agent: median, ms", f"{1e3 * m['lag']:.0f}")
        self.aim(f"agents of {tasks} that began before the last stood", m["early"], m["early"] > 0)

    def worktree_figures(self, run: Run, reference: float) -> dict[str, float]:
        created = {
            f"agent-{event['agent']}": moment(event)
            for event in run.events
            if event["type"] == "worktree_created"
        }
        last = max(created.values())
        registrations, checkouts = run.git["worktree"], run.git["checkout"]
        registrations = [span for span in registrations if span.begin < last]
        return {
            "reference": reference,
            "standing": last - run.times("batch_started")[0],
            "registration": statistics.median(s.end - s.begin for s in registrations),
            "registrations": most_at_once(registrations),
            "checkout": statistics.median(s.end - s.begin for s in checkouts),
            "checkouts": most_at_once(checkouts),
            "lag": statistics.median(run.agents[name].begin - at for name, at in created.items()),
            "early": sum(span.begin < last for span in run.agents.values()),
        }

    def table(self) -> None:
        seconds = [minutes * SECONDS_PER_MINUTE for minutes in MINUTES]
        print(f"\ntable: a minute lasts {SECONDS_PER_MINUTE:g} s, {WORKERS} workers")
        self.line("tasks", "agents, s", "wall, s", "speed-up", "specified", "efficiency")
        with tempfile.TemporaryDirectory(prefix="orchestration-") as folder:
            repository = Repository(Path(folder), 100)
            for tasks, specified in SPECIFIED.items():
                runs = [
                    repository.orchestrate(tasks, WORKERS, seconds, keep=False)
                    for _ in self.rounds(3)
                ]
                run = sorted(runs, key=lambda run: run.wall)[len(runs) // 2]
                names = sorted(run.agents, key=lambda name: int(name.split("-")[1]))
                own = [run.agents[name].end - run.agents[name].begin for name in names]
                ideal = list_schedule(own, WORKERS)
                self.line(
                    str(tasks),
                    f"{sum(own):.2f}",
                    f"{run.wall:.2f}",
                    f"{sum(own) / run.wall:.2f}",
                    f"{specified:.2f}",
                    f"{ideal / run.wall:.3f}",
                )

    def overhead(self) -> None:
        tasks = 10 if self.quick else 40
        print(f"\noverhead: {tasks} tasks one after another, 100 files")
        ours, plain, alone = [], [], []
        with tempfile.TemporaryDirectory(prefix="orchestration-") as folder:
            repository = Repository(Path(folder), 100)
            for _ in self.rounds(5):
                run = repository.orchestrate(tasks, 1, [0], keep=False)
                ours.append((run.wall - run.own_time) / tasks)
                plain.append(repository.by_hand(tasks) / tasks)
                repository.tidy()
                run = repository.orchestrate(1, 1, [0], keep=False)
                alone.append(run.wall - run.own_time)
        mine, bare = statistics.median(ours), statistics.median(plain)
        self.line("a task beyond its agent's own time, ms", f"{1e3 * mine:.1f}")
        self.line("the same by git alone in a plain loop, ms", f"{1e3 * bare:.1f}")
        self.line("  ratio", f"{mine / bare:.2f}")
        self.line(
            "a plan of one task, start of the command included, ms",
            f"{1e3 * statistics.median(alone):.0f}",
        )


def machine() -> Iterator[str]:
    yield f"{os.cpu_count()} cores"
    yield f"{platform.system()} {platform.release()}"
    yield f"Python {platform.python_version()}"
    yield (
        subprocess.run(["git", "--version"], stdout=subprocess.PIPE, check=True)
        .stdout.decode()
        .strip()
    )


def main() -> int:
    cases = ("worktrees", "table", "overhead")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of smaller numbers")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of: {', '.join(cases)}")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(cases):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    print(", ".join(machine()))
    bench = Bench(quick=options.quick)
    for case in options.cases or cases:
        getattr(bench, case)()
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
