"""The native half of the package: the engine that starts, feeds, reads and ends agents.

Programs use :mod:`orchestration`; only the exceptions below are theirs to name. Everything else
here serves the modules of the package and may change with them. The Rust side of each class is
the file of its name in ``src/python``.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeAlias, final

__version__: Final[str]

class OrchestrationError(Exception):
    """Why an orchestration did not start, or could not go on.

    Attributes:
        exit_code: What the command exits with for this error.
        hint: The way out, as one line; empty where there is none.
    """

    exit_code: int
    hint: str

class PlanError(OrchestrationError):
    """The source holds nothing that can be run. Exit code 3."""

class ValidationError(OrchestrationError):
    """The tasks cannot run side by side, or warnings were not accepted. Exit code 4."""

class ForgeError(OrchestrationError):
    """The forge (GitHub, or the local one) refused or could not be reached. Exit code 5."""

class EngineError(OrchestrationError):
    """This machine, the repository or the engine itself failed. Exit code 9."""

class UsageError(OrchestrationError):
    """The library or the command was called wrongly. Exit code 64."""

@final
class Ended:
    """A process that has ended. It holds its output, in memory or mapped, until it is dropped."""

    @property
    def exit_code(self) -> int:
        """The exit code as ``subprocess`` counts; -1 for a timeout and for what never started."""

    @property
    def timed_out(self) -> bool:
        """Whether it ran into its time limit."""

    @property
    def killed(self) -> bool:
        """Whether it was asked to end and had to be killed."""

    @property
    def error(self) -> str | None:
        """Why it never started; ``None`` where it did."""

    def output(self) -> str:
        """Decode standard output: UTF-8 with replacement, ``\\n`` at the ends of lines."""

    def stderr(self) -> str:
        """Decode standard error, in the same way."""

    def stderr_head(self, count: int) -> str:
        """Decode the first ``count`` characters of standard error."""

# The process's number in its pool; 0 and its Ended, or 1 or 2 and text of that stream.
News: TypeAlias = tuple[int, int, Any]

@final
class SigintWatch:
    """Counts what comes of SIGINT from here on, until it is dropped; from any thread.

    The program's own handler is called as before. Where the signal is ignored, or has no handler,
    nothing is counted.
    """

    def __new__(cls) -> SigintWatch: ...
    def came(self) -> bool:
        """Whether it has come since the last look, or since the beginning."""

@final
class Pool:
    """Processes that one call started. It limits nothing: the caller holds the slots.

    Methods may be called from any thread; in a process that was forked meanwhile they do nothing.
    Dropping a pool ends what it still has.
    """

    def __new__(cls, *, grace: float) -> Pool:
        """Start the engine where needed; ``grace`` is the time from TERM to KILL in seconds.

        Raises:
            EngineError: The system refuses a thread or a descriptor.
        """

    def start(
        self,
        command: list[bytes],
        env: dict[bytes, bytes],
        working_dir: bytes | None,
        stdin: bytes | None,
        timeout: float | None,
        mirror: bool,
    ) -> int:
        """Start a process and return its number in this pool.

        What goes wrong with it (a missing executable) is reported as its end.

        Args:
            command: The executable, looked up in the PATH of ``env``, and its arguments.
            env: The whole environment.
            working_dir: Where it works; ``None`` for the program's own folder.
            stdin: What it reads, before the end of the file. ``None`` for a terminal that answers
                every question with an empty line.
            timeout: Its limit in seconds; ``None`` and 0 mean none.
            mirror: Whether its lines are news.

        Raises:
            EngineError: The pool belongs to the process from which this one was forked.
        """

    def wait(self, timeout: float, *, signals: bool) -> list[News]:
        """Wait for news and return what :meth:`poll` would, the interpreter being free meanwhile.

        Returns nothing after :meth:`wake` or at the timeout (in seconds). With ``signals``, in the
        main thread, an exception of a signal handler is raised from here.
        """

    def poll(self) -> list[News]:
        """Return news without waiting: all there is or, where that is much text, a part of it."""

    def unfinished(self) -> int:
        """Return how many of its processes are not over."""

    def fileno(self) -> int:
        """Return a descriptor that is readable while there are news; it belongs to the pool."""

    def wake(self) -> None:
        """End a wait, from any thread."""

    def terminate(self, unit: int) -> None:
        """End one process: TERM, and KILL after the grace."""

    def cancel(self, *, kill: bool = False) -> None:
        """End all processes in the same way, or at once, and start no more."""

def _watch(arguments: list[str]) -> int:
    """Be the containment watcher of another process, to its end and that of its children."""

@final
class Orchestration:
    """One orchestration from its source to its summary.

    Options, plans, events and summaries cross this border as JSON; `orchestration.runner` turns
    them into dataclasses.
    """

    def __new__(cls, source: str, options: str, text: str | None = None) -> Orchestration:
        """Reads the options, under their names with underscores; absent ones have their default.

        Args:
            source: The path of a plan, or `-`.
            options: A JSON object.
            text: The plan itself, for the source `-`.
        """

    def prepare(self) -> str:
        """Parses, validates and checks. Creates nothing.

        Returns:
            `{"source", "is_issue", "plan", "validation", "warnings", "needs_confirmation",
            "notice"}`.

        Raises:
            OrchestrationError: The run is refused.
        """

    def start(self) -> None:
        """Files the issues and starts the agents on a thread of its own."""

    def next(self, timeout: float) -> str | None:
        """The next event as a line of JSON, or None after so many seconds.

        Raises:
            StopIteration: The last event was handed out before.
        """

    def interrupt(self) -> None:
        """Ends `prepare` or `start` early: they fail. Later it does nothing."""

    def cancel(self, exit_code: int) -> None:
        """Asks all agents to stop; a second call kills them. Returns at once."""

    def result(self) -> str:
        """The summary, after the last event.

        Raises:
            OrchestrationError: The engine or the forge broke on the way.
        """

@final
class Lines:
    """Turns the events of one orchestration into the lines that people read."""

    def __new__(cls) -> Lines:
        """Begins with the first event."""

    def render(self, event: str) -> list[str]:
        """The lines of an event on standard output, often none."""

    def notes(self, event: str) -> list[str]:
        """Its lines on standard error: what stops nothing and is worth knowing."""

    def dry_run(self, prepared: str, to_run: str) -> str:
        """What a dry run shows of what `Orchestration.prepare` returned."""

def contain() -> tuple[str, str]:
    """A variable and its value, for children that the program starts itself.

    What carries it is ended when the program dies, like everything that the engine starts.

    Raises:
        EngineError: The engine cannot be started.
    """

def containment() -> str:
    """Who is held when this program dies; starts the watcher, if there is none yet.

    `"cgroup"`: everything that it started, in a control group that nobody can leave. `"marks"`:
    everything but a process that has cleared its environment, leads a session of its own and has no
    ancestor left. `"none"`: nobody.

    Raises:
        EngineError: The engine cannot be started.
    """

def examine(options: str) -> str:
    """How machine, repository, agent and forge are, for `doctor`. Creates nothing.

    Args:
        options: A JSON object, as for `Orchestration`; `repo`, `agent` and `max_workers` count.

    Returns:
        A JSON object of facts, of which those that may fail are `{"Ok": …}` or `{"Err": {"message",
        "hint", "exit_code"}}`; `orchestration.diagnosis` reads it.

    Raises:
        UsageError: The options cannot be read.
    """

def messages() -> list[tuple[int, str]]:
    """The engine's own messages since the last call: a level of `logging`, and the text.

    They tell of what goes on without: no watcher, a log that cannot be written. The last 256 are
    held.
    """

def parse_plan(text: str, source: str | None) -> str:
    """The plan as JSON.

    Raises:
        PlanError: There are no tasks, or all of them are done.
    """

def validate(plan: str, repo: str | None) -> str:
    """The judgement on a plan, both as JSON.

    Raises:
        EngineError: `repo` is in no git repository.
    """

def main_worktree(path: str | PathLike[str]) -> Path:
    """The main worktree of the repository that `path` lies in, linked worktrees included.

    Raises:
        EngineError: `path` is in no git repository, or in one without a work tree or commits.
    """

def lock_holder(path: str | PathLike[str]) -> int | None:
    """The process that holds the lock of a run; 0 where it is not known by number.

    Asking is in nobody's way: a run that is about to take the lock gets it.
    """

def overview(
    journal: str | PathLike[str], holder: int | None
) -> tuple[str, list[str], str | None, EngineError | None]:
    """An orchestration as it stands, also where the program that ran it is dead.

    Args:
        journal: Its journal.
        holder: The process that works on it, where there is one.

    Returns:
        What `status --json` shows, the same as lines for people, what to do next, and the error
        for a damaged line of the journal: then the rest is from what stands before it.

    Raises:
        EngineError: The journal cannot be read, or tells of no orchestration.
    """

def ask_to_end(journal: str | PathLike[str], kill: bool) -> None:
    """Asks the run that writes a journal to end, as Ctrl-C would, in whatever process it is.

    Args:
        journal: Its journal.
        kill: Its agents get no time to end by themselves.

    Raises:
        EngineError: The journal cannot be read, or the request cannot be written.
    """

def clean(
    repo: str | PathLike[str], folders: Sequence[str | PathLike[str]], dry_run: bool
) -> list[str]:
    """Removes the worktrees and branches of tasks that are over, where nothing is lost by it.

    Args:
        repo: Any folder of the repository.
        folders: Those of the master issues that are meant, with the journals.
        dry_run: Only say what would be removed.

    Returns:
        What was removed and what was kept, each with why, as lines.

    Raises:
        EngineError: There is no git, or a lock cannot be taken.
    """

@final
class Journal:
    """The journal of an orchestration, read while it grows, by this program or another."""

    def __new__(cls, path: str | PathLike[str]) -> Journal:
        """Begin with the first event. The file is opened by each call, and held by none."""

    def news(self) -> list[str]:
        """The events since the last call, one JSON object each, as the run published them.

        A line that is not written to its end yet is left for the next call.

        Raises:
            EngineError: The journal cannot be read, or a line in its middle is damaged; the message
                names it by its number.
        """
