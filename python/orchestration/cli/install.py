"""The verb ``install``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .completion import PROGRAM, folders
from .console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestration.installation import OwnFile

DIFFERS = 1
"""The exit code of ``--check`` where something differs."""

_HERE = ""
"""--amplihack without a path."""

EPILOG = """\b
Examples:
  parallel-orchestrate install            the slash command, in this repository
  parallel-orchestrate install --user     the same, for all repositories
  parallel-orchestrate install --check
  parallel-orchestrate install --plugin ~/plugins/amplihack
  parallel-orchestrate install --amplihack
  parallel-orchestrate install --amplihack --undo

\b
Exit codes:
    0  it stands as it should      9  a file cannot be written, or was changed
    1  --check found a difference  64  called wrongly; no such folder
"""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.option("--user", is_flag=True, help="Into the home folder (~/.claude).")
@click.option("--plugin", metavar="DIR", help="As a plugin of Claude Code, into this folder.")
@click.option(
    "--amplihack",
    is_flag=False,
    flag_value=_HERE,
    metavar="[PATH]",
    help="Make amplihack's own modules, in PATH or this repository, lead to this package.",
)
@click.option("--undo", is_flag=True, help="With --amplihack: bring back what was replaced.")
@click.option("--check", is_flag=True, help="Change nothing; show what differs.")
@click.option("--force", is_flag=True, help="Write over files that somebody changed.")
@click.option(
    "--repo", metavar="PATH", shell_complete=folders, help="Any folder of the repository (.)."
)
def command(**options: object) -> int:
    """Install the slash command /amplihack:parallel-orchestrate for Claude Code.

    Writes .claude/commands/amplihack/parallel-orchestrate.md and
    .claude/skills/parallel-task-orchestrator/SKILL.md. A file that somebody changed is never
    written over without --force; an older one of ours is brought up to date.
    """
    from orchestration import _core  # noqa: PLC0415 - the help needs no engine

    console = Console("text")
    try:
        return _install(console, **options)  # type: ignore[arg-type]  # click gives what is declared
    except _core.OrchestrationError as error:
        return console.refuse(error)


def _install(
    console: Console,
    *,
    user: bool,
    plugin: str | None,
    amplihack: str | None,
    undo: bool,
    check: bool,
    force: bool,
    repo: str | None,
) -> int:
    from orchestration import amplihack_folder, installation  # noqa: PLC0415 - as above

    _refuse_contradictions(user=user, plugin=plugin, amplihack=amplihack, undo=undo, check=check)
    if amplihack is not None:
        start = Path(amplihack)
        if amplihack == _HERE:
            start = Path.home() if user else _root(repo)
        folder = amplihack_folder.find(start)
        if check:
            again = ["--amplihack", *([amplihack] if amplihack else [])]
            return _check(console, amplihack_folder.files(folder), [*again, *_place(user, repo)])
        act = amplihack_folder.undo if undo else amplihack_folder.install
        return _tell(console, act(folder, force=force))
    if plugin is not None:
        files = installation.plugin_files(Path(plugin).expanduser().absolute())
    else:
        files = installation.command_files(Path.home() if user else _root(repo))
    if check:
        again = [] if plugin is None else ["--plugin", plugin]
        return _check(console, files, [*again, *_place(user, repo)])
    return _tell(console, installation.install(files, force=force))


def _refuse_contradictions(
    *, user: bool, plugin: str | None, amplihack: str | None, undo: bool, check: bool
) -> None:
    if plugin is not None and (user or amplihack is not None):
        message = "--plugin names its own folder, and goes with neither --user nor --amplihack"
    elif undo and amplihack is None:
        message = "--undo belongs to --amplihack"
    elif undo and check:
        message = "--undo and --check exclude each other"
    else:
        return
    raise click.UsageError(message)


def _root(repo: str | None) -> Path:
    """The root of the work tree around a folder; it needs no commit."""
    from orchestration.installation import fail  # noqa: PLC0415 - as above

    folder = Path(repo or ".").absolute()
    if not folder.is_dir():
        message = f"no such folder: {folder}"
        raise click.UsageError(message)
    around = (place for place in (folder, *folder.parents) if (place / ".git").exists())
    if (root := next(around, None)) is None:
        hint = "run it in a repository, or install for all of them with --user"
        fail(f"not a git repository: {folder}", hint)
    return root


def _place(user: bool, repo: str | None) -> list[str]:  # noqa: FBT001 - an option as it came
    """The options that say where, as they were given."""
    return [*(["--user"] if user else []), *(["--repo", repo] if repo else [])]


def _tell(console: Console, done: Sequence[tuple[str, Path]]) -> int:
    console.lines(f"{word}: {_shown(path)}" for word, path in done)
    return 0


def _check(console: Console, files: Sequence[OwnFile], again: Sequence[str]) -> int:
    """Shows how the files stand; ``again`` are the options that install them."""
    import difflib  # noqa: PLC0415 - as above

    from orchestration.installation import State, read  # noqa: PLC0415

    states = set()
    for file in files:
        state = file.look()
        states.add(state)
        console.lines([f"{state.value}: {_shown(file.path)}"])
        if state in {State.OLDER, State.CHANGED}:
            found = (read(file.path) or b"").decode(errors="replace")
            name = _shown(file.path)
            console.lines(
                difflib.unified_diff(
                    found.splitlines(),
                    file.text.splitlines(),
                    name,
                    f"{name} (as installed)",
                    lineterm="",
                )
            )
    if states <= {State.SAME}:
        return 0
    # amplihack's own modules are there to be replaced; elsewhere a change is somebody's.
    force = State.CHANGED in states and "--amplihack" not in again
    command = shlex.join([PROGRAM, "install", *again, *(["--force"] if force else [])])
    console.note(f"hint: bring them up to date with: {command}")
    return DIFFERS


def _shown(path: Path) -> str:
    """The path as people read it: from here, where it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
