"""All kinds of descendants that an agent may leave behind, and how a test finds them again.

As a program (``python -IS descendants.py FOLDER``) it is the agent: it starts one process of each
of `KINDS`, none of which listens to a polite signal. Each writes its process id and its start time
to FOLDER, and ends by itself after `DEADLINE` seconds whatever happens. With a name after FOLDER it
is a single process of that name; one that is none of `KINDS` listens to all signals.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

DEADLINE = 30
GENERATIONS = 20
ESCAPED = "escaped"
"""Has no mark, no ancestor and a session of its own: only a control group holds it."""
KINDS = ("agent", "child", "grandchild", "session", "daemon", "scrubbed", ESCAPED, "forking-0")
MAY_FORK = "may fork"
"""Once this file is there, the one that forks while it is being killed begins to."""

# --- the program ---------------------------------------------------------------------------------


def note(folder: Path, kind: str) -> None:
    """Write who this is, whole or not at all."""
    draft = folder / f"{kind}.{os.getpid()}"
    draft.write_text(f"{os.getpid()} {start_of(os.getpid())}")
    draft.rename(folder / f"{kind}.process")


def stay(folder: Path, kind: str) -> None:
    """Do nothing until a signal or the deadline ends it."""
    signal.alarm(DEADLINE)
    note(folder, kind)
    while True:
        signal.pause()


def live(folder: Path, kind: str) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    stay(folder, kind)


def fork(body, *arguments) -> None:
    """Run `body` in a child, which never returns from it."""
    if os.fork() == 0:
        try:
            signal.alarm(DEADLINE)
            body(*arguments)
        finally:
            os._exit(0)


def child(folder: Path) -> None:
    fork(live, folder, "grandchild")
    live(folder, "child")


def session(folder: Path) -> None:
    os.setsid()
    live(folder, "session")


def daemon(folder: Path) -> None:
    os.setsid()
    fork(live, folder, "daemon")


def scrubbed(folder: Path, kind: str = "scrubbed") -> None:
    """Lose the environment, and with it the mark, in a session of its own."""
    os.setsid()
    os.execve(sys.executable, [sys.executable, "-IS", __file__, str(folder), kind], {})


def escaped(folder: Path) -> None:
    """Do the same as a daemon."""
    fork(scrubbed, folder, ESCAPED)


def forking(folder: Path, generation: int) -> None:
    """Be one of a row of processes that each start the next, in its own session, and end."""
    os.setsid()
    if generation == GENERATIONS:
        live(folder, f"forking-{generation}")
    note(folder, f"forking-{generation}")
    while not (folder / MAY_FORK).exists():
        time.sleep(0.002)
    time.sleep(0.005)
    fork(forking, folder, generation + 1)


def main(folder: Path, *kinds: str) -> None:
    for kind in kinds:
        (live if kind in KINDS else stay)(folder, kind)
    for body in (child, session, daemon, scrubbed, escaped):
        fork(body, folder)
    fork(forking, folder, 0)
    live(folder, "agent")


# --- what a test asks ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """A process, not to be mistaken for one that is given its number later."""

    kind: str
    pid: int
    start: int

    @property
    def lives(self) -> bool:
        return start_of(self.pid) == self.start


def start_of(pid: int) -> int | None:
    """When a process began, in the kernel's ticks; `None` for one that is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def noted(folder: Path) -> list[Process]:
    """All that ever wrote down who they are."""
    return [
        Process(path.stem, *map(int, path.read_text().split()))
        for path in sorted(folder.glob("*.process"))
    ]


def all_there(folder: Path) -> bool:
    return {process.kind for process in noted(folder)} >= set(KINDS)


def related(marker: str) -> list[Process]:
    """All living processes that have `marker` in their environment or their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        try:
            texts = [(folder / name).read_bytes() for name in ("cmdline", "environ")]
        except OSError:
            continue
        start = start_of(pid)
        if start is not None and pid != os.getpid() and any(marker.encode() in t for t in texts):
            words = texts[0].replace(b"\0", b" ").decode(errors="replace")
            found.append(Process(words[:80], pid, start))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
