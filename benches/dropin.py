"""What the drop-in costs, against a plain Python version of the same job and against the floor.

    python benches/dropin.py [--quick] [CASE …]

Every figure is a ratio within one run: each side runs in a fresh process, the sides take turns,
and medians are compared. The plain version below does the whole job of amplihack's class (thread
pool, ``subprocess.Popen``, a pseudo-terminal fed with newlines, two readers, header and log
lines). The floor is ``xargs -P`` and a loop in C of ``posix_spawn`` with two pipes and a log file
each (``dropin.c``, compiled here). Log files are kept in memory where the system has a folder for
that: a disk may take longer for a file than any side for its agent. Exit code 1 where a ratio
misses its target.
"""

import argparse
import json
import os
import platform
import pty
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MEMORY = Path("/dev/shm")
Figures = dict[str, float]

# --- the plain Python version -------------------------------------------------------------------


@dataclass
class PlainResult:
    """What a plain agent came to."""

    exit_code: int
    output: str
    stderr: str
    duration: float
    process_id: str


class PlainAgent:
    """The job of amplihack's class, done the obvious way: three threads for each child."""

    def __init__(self, prompt: str, name: str, folder: Path, *, stream: bool) -> None:
        self.prompt, self.name, self.folder, self.stream = prompt, name, folder, stream
        self.log_file = folder / f"{name}.log"
        folder.mkdir(parents=True, exist_ok=True)

    def note(self, text: str) -> None:
        line = f"[{time.strftime('%H:%M:%S')}] [INFO] [{self.name}] {text}"
        print(line)
        with self.log_file.open("a") as log:
            log.write(line + "\n")

    def run(self) -> PlainResult:
        begin = time.time()
        self.note("Starting process with timeout=Nones")
        command = ["claude", "--dangerously-skip-permissions", "-p", self.prompt]
        self.note(f'Command: {" ".join(command[:2])} -p "..."')
        with self.log_file.open("w") as log:
            log.write(f"Process: {self.name}\n")
            log.write(f"Started: {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
            log.write(f"Prompt: {self.prompt[:100]}...\n")
            log.write("-" * 80 + "\n")
        terminal, slave = pty.openpty()
        try:
            child = subprocess.Popen(
                command,
                stdin=slave,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=self.folder,
                env=dict(os.environ),
            )
            os.close(slave)
            pieces: tuple[list[str], list[str]] = ([], [])
            readers = [
                threading.Thread(target=self.read, args=args)
                for args in (
                    (child.stdout, pieces[0], sys.stdout),
                    (child.stderr, pieces[1], sys.stderr),
                )
            ]
            for thread in readers:
                thread.start()
            over = threading.Event()
            feeder = threading.Thread(target=feed, args=(child, terminal, over))
            feeder.start()
            code = child.wait()
            over.set()
            for thread in (*readers, feeder):
                thread.join()
        finally:
            os.close(terminal)
        duration = time.time() - begin
        self.note(f"Completed with exit_code={code} in {duration:.1f}s")
        return PlainResult(code, "".join(pieces[0]), "".join(pieces[1]), duration, self.name)

    def read(self, pipe: Any, pieces: list[str], mirror: Any) -> None:
        for line in iter(pipe.readline, ""):
            pieces.append(line)
            if self.stream:
                mirror.write(line)
                mirror.flush()


def feed(child: "subprocess.Popen[str]", terminal: int, over: threading.Event) -> None:
    """Answer any question of the child with an empty line, ten times a second."""
    while not over.wait(0.1) and child.poll() is None:
        os.write(terminal, b"\n")


def plain_parallel(agents: list[PlainAgent], workers: int | None) -> list[PlainResult]:
    with ThreadPoolExecutor(max_workers=workers) as pool:
        return [future.result() for future in as_completed([pool.submit(a.run) for a in agents])]


# --- one side of one case, in a process of its own ----------------------------------------------


def agents_of(side: str, count: int, folder: Path, *, stream: bool) -> list[Any]:
    if side == "plain":
        return [PlainAgent("Do it", f"agent-{i}", folder, stream=stream) for i in range(count)]
    from orchestration import ClaudeProcess

    return [
        ClaudeProcess("Do it", f"agent-{i}", folder, folder, stream_output=stream)
        for i in range(count)
    ]


def parallel_of(side: str) -> Callable[[list[Any], int | None], list[Any]]:
    if side == "plain":
        return plain_parallel
    from orchestration import run_parallel

    return run_parallel


def own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory(field: str) -> int:
    """A figure of this process in bytes: `Pss` as shared out, `VmHWM` for the high water."""
    file = "smaps_rollup" if field == "Pss" else "status"
    for line in Path(f"/proc/self/{file}").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def children() -> list[int]:
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


def warm_up(side: str, folder: Path) -> None:
    """Pay once for imports, the engine and its watcher; they are no part of a rate."""
    before, os.environ["AGENT"] = os.environ["AGENT"], "quick"
    parallel_of(side)(agents_of(side, 2, folder, stream=True), 2)
    os.environ["AGENT"] = before


def side_run(side: str, folder: Path, count: int, workers: int, stream: int) -> Figures:
    """Run `count` agents; report wall time, own CPU time and growth of the memory's high water."""
    warm_up(side, folder)
    agents, parallel = agents_of(side, count, folder, stream=bool(stream)), parallel_of(side)
    high, cpu, begin = memory("VmHWM"), own_cpu(), time.monotonic()
    results = parallel(agents, workers or None)
    figures = {
        "wall": time.monotonic() - begin,
        "cpu": own_cpu() - cpu,
        "growth": float(memory("VmHWM") - high),
    }
    if len(results) != count or any(result.exit_code for result in results):
        sys.exit(f"{side}: {[r for r in results if r.exit_code][:1]}")
    return figures


def side_idle(side: str, folder: Path, count: int, seconds: float) -> Figures:
    """Let `count` silent agents live; report what that costs once all of them run."""
    warm_up(side, folder)
    agents, parallel = agents_of(side, count, folder, stream=True), parallel_of(side)
    others, before = set(children()), memory("Pss")
    runner = threading.Thread(target=parallel, args=(agents, None if side == "ours" else count))
    runner.start()
    while len(set(children()) - others) < count:
        time.sleep(0.05)
    time.sleep(1)
    cpu = own_cpu()
    time.sleep(seconds)
    figures = {
        "cpu": own_cpu() - cpu,
        "each": (memory("Pss") - before) / count,
        "threads": float(len(list(Path("/proc/self/task").iterdir()))),
    }
    for pid in set(children()) - others:
        os.kill(pid, 9)
    runner.join()
    return figures


def side_latency(side: str, folder: Path, count: int) -> Figures:
    """From the moment just before a child exits to the return of `run()`, in seconds."""
    warm_up(side, folder)
    delays = []
    for agent in agents_of(side, count, folder, stream=False):
        result = agent.run()
        delays.append(time.monotonic_ns() - int(result.output))
    return {"delay": statistics.median(delays) / 1e9}


def side_main(arguments: list[str]) -> None:
    case, side, folder, *numbers = arguments
    report = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    run: dict[str, Callable[..., Figures]] = {
        "run": side_run,
        "idle": side_idle,
        "latency": side_latency,
    }
    figures = run[case](side, Path(folder), *map(int, numbers))
    os.write(report, json.dumps(figures).encode())


# --- the whole, with the sides taking turns -----------------------------------------------------


class Bench:
    """Starts sides, keeps their figures and compares medians."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder, self.quick = folder, quick
        self.logs = MEMORY if os.access(MEMORY, os.W_OK) else folder
        self.missed = 0
        self.agent = self.compile(folder / "any" / "claude")
        shutil.copy(self.agent, folder / "floor")
        try:
            bare = ("-DBARE", "-nostdlib", "-static", "-ffreestanding")
            self.quick_agent = self.compile(folder / "quick" / "claude", *bare)
        except subprocess.CalledProcessError:
            self.quick_agent = self.agent
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self.env = kept | {
            "AMPLIHACK_DELEGATE": "amplihack claude",
        }

    def compile(self, target: Path, *options: str) -> Path:
        target.parent.mkdir()
        compiler = os.environ.get("CC", "cc")
        words = [compiler, "-O2", *options, "-o", target, HERE / "dropin.c"]
        subprocess.run(words, check=True)
        return target

    def side(self, agent: str, case: str, side: str, *numbers: int) -> Figures:
        with tempfile.TemporaryDirectory(dir=self.logs) as logs:
            command = [sys.executable, __file__, "--side", case, side, logs, *map(str, numbers)]
            folder = (self.quick_agent if agent == "quick" else self.agent).parent
            env = self.env | {"AGENT": agent, "PATH": f"{folder}:{os.environ['PATH']}"}
            done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE)
        figures: Figures = json.loads(done.stdout)
        return figures

    def floor(self, count: int, workers: int, agent: str = "") -> Figures:
        program = self.agent if agent else self.quick_agent
        env = self.env | {"AGENT": agent}
        with tempfile.TemporaryDirectory(dir=self.logs) as logs:
            words = [self.folder / "floor", str(count), str(workers), logs, program]
            done = subprocess.run(words, env=env, check=True, stdout=subprocess.PIPE)
        wall, cpu, delay = map(float, done.stdout.split())
        return {"wall": wall, "cpu": cpu, "delay": delay / 1e9}

    def xargs(self, count: int, workers: int) -> Figures:
        words = ["xargs", "-P", str(workers), "-I", "{}", str(self.quick_agent), "{}"]
        begin = time.monotonic()
        child = subprocess.Popen(words, stdin=subprocess.PIPE, env=self.env)
        assert child.stdin
        child.stdin.write("".join(f"{i}\n" for i in range(count)).encode())
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        wall = time.monotonic() - begin
        # A dead process that is not waited for still tells its own time, without its children's.
        fields = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        child.wait()
        return {"wall": wall, "cpu": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")}

    def medians(self, rounds: int, **sides: Callable[[], Figures]) -> dict[str, Figures]:
        taken: dict[str, list[Figures]] = {name: [] for name in sides}
        for _ in range(1 if self.quick else rounds):
            for name, run in sides.items():
                taken[name].append(run())
        return {
            name: {key: statistics.median(f[key] for f in runs) for key in runs[0]}
            for name, runs in taken.items()
        }

    def line(self, what: str, value: float, target: float | None = None, unit: str = "") -> None:
        verdict = ""
        if target is not None:
            missed = value > target
            self.missed += missed
            verdict = f"   target {target:g}{unit}   {'MISSED' if missed else 'ok'}"
        print(f"  {what:<44}{value:>9.3f}{unit}{verdict}")

    def storm(self) -> None:
        count, workers = (100 if self.quick else 500), 16
        print(f"\nstorm: {count} agents that exit at once, {workers} workers")
        m = self.medians(
            7,
            ours=lambda: self.side("quick", "run", "ours", count, workers, 1),
            plain=lambda: self.side("quick", "run", "plain", count, workers, 1),
            xargs=lambda: self.xargs(count, workers),
            floor=lambda: self.floor(count, workers),
        )
        for name, figures in m.items():
            self.line(f"{name}: own CPU an agent", figures["cpu"] / count * 1e6, unit=" us")
            self.line(f"{name}: wall time an agent", figures["wall"] / count * 1e6, unit=" us")
        self.line("own CPU, ours / plain", m["ours"]["cpu"] / m["plain"]["cpu"], 0.25)
        self.line("wall time, ours / plain", m["ours"]["wall"] / m["plain"]["wall"], 0.4)
        self.line("own CPU, ours / floor in C", m["ours"]["cpu"] / m["floor"]["cpu"])
        self.line("wall time, ours / floor in C", m["ours"]["wall"] / m["floor"]["wall"])
        self.line("wall time, ours / xargs", m["ours"]["wall"] / m["xargs"]["wall"])

    def idle(self) -> None:
        count, seconds = (60, 3) if self.quick else (300, 10)
        print(f"\nidle: {count} silent agents for {seconds} s")
        m = self.medians(
            3,
            ours=lambda: self.side("quiet:600", "idle", "ours", count, seconds),
            plain=lambda: self.side("quiet:600", "idle", "plain", count, seconds),
        )
        for name, figures in m.items():
            self.line(f"{name}: CPU", figures["cpu"] * 1e3, unit=" ms")
        self.line("CPU, ours / plain", m["ours"]["cpu"] / m["plain"]["cpu"], 0.05)
        self.line("memory an agent, plain", m["plain"]["each"] / 1024, unit=" KB")
        self.line("memory an agent, ours", m["ours"]["each"] / 1024, 32, " KB")
        self.line("threads, plain", m["plain"]["threads"])
        self.line("threads, ours", m["ours"]["threads"], 10)

    def flood(self) -> None:
        size = (20 if self.quick else 200) * 2**20
        for stream in (0, 1):
            for count, limit in ((1, 16), (16, 32)):
                each = size // (10 if count > 1 else 1)
                way = "mirrored" if stream else "captured"
                print(f"\nflood: {each // 2**20} MB from each of {count}, {way}")
                m = self.medians(
                    3,
                    ours=partial(self.side, f"flood:{each}", "run", "ours", count, count, stream),
                    plain=partial(self.side, f"flood:{each}", "run", "plain", count, count, stream),
                )
                self.line("growth of memory, plain", m["plain"]["growth"] / 2**20, unit=" MB")
                self.line("growth of memory, ours", m["ours"]["growth"] / 2**20, limit, " MB")
                self.line("CPU, ours / plain", m["ours"]["cpu"] / m["plain"]["cpu"], 0.5)
                self.line("wall time, ours / plain", m["ours"]["wall"] / m["plain"]["wall"], 0.5)

    def latency(self) -> None:
        count = 50 if self.quick else 300
        print(f"\nlatency: from a child's exit to the return of run(), {count} runs")
        m = self.medians(
            5,
            ours=lambda: self.side("stamp", "latency", "ours", count),
            plain=lambda: self.side("stamp", "latency", "plain", count),
            floor=lambda: self.floor(count, 1, "stamp"),
        )
        for name, figures in m.items():
            self.line(f"{name}: median", figures["delay"] * 1e6, unit=" us")
        self.line("ours / plain", m["ours"]["delay"] / m["plain"]["delay"], 0.6)
        self.line("floor in C / plain", m["floor"]["delay"] / m["plain"]["delay"])

    def imports(self) -> None:
        print("\nimport: a fresh interpreter with and without it, and the command")

        def start(*words: str) -> Figures:
            begin = time.monotonic()
            command = [sys.executable, *words]
            subprocess.run(command, env=self.env, check=True, stdout=subprocess.DEVNULL)
            return {"wall": time.monotonic() - begin}

        names = "OrchestratorSession, run_parallel"
        m = self.medians(
            21,
            bare=lambda: start("-c", "pass"),
            package=lambda: start("-c", "import orchestration"),
            names=lambda: start("-c", f"from orchestration import {names}"),
            help=lambda: start("-m", "orchestration", "--help"),
        )
        bare = m["bare"]["wall"]
        self.line("import orchestration", (m["package"]["wall"] - bare) * 1e3, 20, " ms")
        self.line(
            f"from orchestration import {names}", (m["names"]["wall"] - bare) * 1e3, unit=" ms"
        )
        self.line("parallel-orchestrate --help", m["help"]["wall"] * 1e3, 200, " ms")


def machine() -> Iterator[str]:
    yield f"{os.cpu_count()} cores"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            yield line.split(":", 1)[1].strip()
            break
    yield f"{platform.system()} {platform.release()}"
    yield f"Python {platform.python_version()}"


def main() -> int:
    cases = ("storm", "idle", "flood", "latency", "imports")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of smaller numbers")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of: {', '.join(cases)}")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(cases):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    print(", ".join(machine()))
    with tempfile.TemporaryDirectory(prefix="dropin-") as folder:
        bench = Bench(Path(folder), quick=options.quick)
        for case in options.cases or cases:
            getattr(bench, case)()
    return 1 if bench.missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        side_main(sys.argv[2:])
    else:
        sys.exit(main())
