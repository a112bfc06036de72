"""The verb ``status``."""

from __future__ import annotations

import click

from .completion import issues, repo_option

EPILOG = """\b
Examples:
  parallel-orchestrate status                  the one that runs, else the latest
  parallel-orchestrate status local#3
  parallel-orchestrate status 1234 --json

\b
Exit codes:
    0  shown     9  its journal is damaged     64  there is no such orchestration
"""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.argument("issue", required=False, shell_complete=issues)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@repo_option
def command(*, issue: str | None, as_json: bool, repo: str) -> int:
    """Show how an orchestration stands: what each task is at, and what to do next.

    ISSUE is an issue (local#3, 1234), of which the latest orchestration is meant, or the id of an
    orchestration. By default it is the latest that runs, else the latest of all. It is running,
    finished, interrupted (by a person or the system), crashed (its process died, and it has no end)
    or damaged: its journal tells only of a part. One that broke has finished too, with exit code 5
    or 9.
    """
    from orchestration import _core  # noqa: PLC0415 - the help needs no engine
    from orchestration.watching import find  # noqa: PLC0415

    from .console import Console  # noqa: PLC0415

    console = Console("text")  # an error is told on standard error alone
    try:
        orchestration = find(_core.main_worktree(repo), issue)
        overview, lines, hint, damage = _core.overview(
            orchestration.journal, orchestration.holder()
        )
        console.lines([overview] if as_json else lines)
    except BrokenPipeError:  # whoever read it has seen enough
        console.abandon()
        return 0
    except _core.OrchestrationError as error:
        return console.refuse(error)
    if damage is not None:
        return console.refuse(damage)
    if hint is not None and not as_json:
        console.note(f"hint: {hint}")
    return 0
