"""The verb ``report``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .completion import issues, repo_option

if TYPE_CHECKING:
    from orchestration.timeline import Timeline
    from orchestration.watching import Orchestration

    from .console import Console

EPILOG = """\b
Examples:
  parallel-orchestrate report                  the one that runs, else the latest
  parallel-orchestrate report local#3 --open
  parallel-orchestrate report 1234 --output shop.html
  parallel-orchestrate report --json           the same for programs

\b
Exit codes:
    0  written     9  its journal is damaged: the page shows what stands before that;
                      or the page cannot be written
                  64  there is no such orchestration
"""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.argument("issue", required=False, shell_complete=issues)
@click.option("--open", "show", is_flag=True, help="Open the page in your browser.")
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write it (report.html, in the folder of the issue).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a page.")
@repo_option
def command(*, issue: str | None, show: bool, output: Path | None, as_json: bool, repo: str) -> int:
    """Write an orchestration as one page of HTML, and print its path.

    The page shows every agent over time, how each task ended, what it cost, and the ends of the
    logs. It needs no network and may be sent around; titles and logs are in it. ISSUE is an issue
    (local#3, 1234), of which the latest orchestration is meant, or the id of an orchestration. By
    default it is the latest that runs, else the latest of all.
    """
    from orchestration import _core  # noqa: PLC0415 - the help needs no engine
    from orchestration.watching import find  # noqa: PLC0415

    from .console import Console  # noqa: PLC0415

    if as_json and (show or output is not None):
        message = "--json goes to standard output, without --open and --output"
        raise click.UsageError(message)
    console = Console("text")  # an error is told on standard error alone
    try:
        root = _core.main_worktree(repo)
        orchestration = find(root, issue)
        timeline = orchestration.timeline()
        path = (output or orchestration.journal.with_name("report.html")).absolute()
        if as_json:
            console.lines([timeline.to_json()])
        else:
            _write(path, _page(orchestration, timeline, root, path))
            console.lines([str(path)])
    except BrokenPipeError:  # whoever read it has seen enough
        console.abandon()
        return 0
    except _core.OrchestrationError as error:
        return console.refuse(error)
    if show:
        _open(path, console)
    if timeline.damage is not None:
        damage = _core.EngineError(timeline.damage)
        damage.hint = "what stands before the damage is shown; see also: status, logs AGENT"
        return console.refuse(damage)
    return 0


def _page(orchestration: Orchestration, timeline: Timeline, root: Path, path: Path) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - as above

    from orchestration import excerpts, page  # noqa: PLC0415 - as above

    way = os.path.relpath(root, path.parent.resolve())
    return page.render(timeline, excerpts.of(orchestration, timeline), root=f"{quote(way)}/")


def _write(path: Path, page: str) -> None:
    """Puts the page in its place, whole or not at all.

    Raises:
        EngineError: it cannot be written there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(page, encoding="utf-8")
        draft.replace(path)
    except OSError as problem:
        from orchestration._core import EngineError  # noqa: PLC0415 - as above

        with suppress(OSError):  # what cannot be made there cannot be removed either
            draft.unlink()
        error = EngineError(f"cannot write {path}: {problem.strerror}")
        error.hint = "name another place with --output"
        raise error from problem


def _open(path: Path, console: Console) -> None:
    import webbrowser  # noqa: PLC0415 - needed with --open alone

    if not webbrowser.open(path.as_uri()):
        console.note("warning: no browser was found; open the page yourself")
