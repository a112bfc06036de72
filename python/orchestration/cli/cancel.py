"""The verb ``cancel``."""

from __future__ import annotations

import click

from .completion import issues, repo_option

EPILOG = """\b
Examples:
  parallel-orchestrate cancel                  the one that runs
  parallel-orchestrate cancel local#3 --now    give its agents no time to end
  parallel-orchestrate cancel 1234 --no-wait   return once it has heard

\b
Exit codes:
    0  it has ended, or nothing ran       9  it could not be asked
                                         64  there is no such orchestration, or several run
"""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.argument("issue", required=False, shell_complete=issues)
@click.option("--now", is_flag=True, help="Kill its agents, as a second Ctrl-C would.")
@click.option(
    "--wait/--no-wait", default=True, help="Wait until it has ended (yes), or only until it knows."
)
@repo_option
def command(*, issue: str | None, now: bool, wait: bool, repo: str) -> int:
    """Stop a running orchestration, as Ctrl-C in its terminal would; once more kills its agents.

    It works for any run: in another terminal, with --detach, in a Python program. What was done is
    kept, and the same source goes on with it. The run itself ends with exit code 130.

    ISSUE is an issue (local#3, 1234) or the id of an orchestration. By default it is the one that
    runs.
    """
    from .stop import stop  # noqa: PLC0415 - the help needs no engine

    return stop(issue, repo=repo, kill=now, wait=wait)
