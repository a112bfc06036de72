"""The verb ``watch``."""

from __future__ import annotations

from typing import Literal

import click

from .completion import issues, repo_option

EPILOG = """\b
Examples:
  parallel-orchestrate watch                   the one that runs, to its end
  parallel-orchestrate watch local#3 --for 90  what is new, and what comes within 90 seconds
  parallel-orchestrate watch 1234 --all --output json

\b
Exit codes:
    that of the orchestration, once it has ended
    0  it goes on after --for     9  its process died, or its journal is damaged
                                 64  there is no such orchestration
"""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.argument("issue", required=False, shell_complete=issues)
@click.option("--for", "seconds", type=float, metavar="SECONDS", help="Return after that time.")
@click.option("--all", "everything", is_flag=True, help="From the beginning, seen or not.")
@repo_option
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one event a line on standard output.",
)
def command(
    *,
    issue: str | None,
    seconds: float | None,
    everything: bool,
    repo: str,
    output: Literal["text", "json"],
) -> int:
    """Show what an orchestration has printed since your last look, and what comes.

    ISSUE is an issue (local#3, 1234), of which the latest orchestration is meant, or the id of an
    orchestration. By default it is the latest that runs, else the latest of all. Watching touches
    nothing: to stop it stops only the watching.
    """
    if seconds is not None and not seconds >= 0:
        message = f"--for is {seconds:g}, but must be a number of seconds"
        raise click.UsageError(message)
    from .look import look  # noqa: PLC0415 - the help needs no engine

    return look(issue, repo=repo, seconds=seconds, everything=everything, output=output)
