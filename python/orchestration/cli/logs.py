"""The verb ``logs``."""

from __future__ import annotations

import click

from .completion import agents, issues, repo_option

EPILOG = """\b
Examples:
  parallel-orchestrate logs 3                  of the orchestration that runs, else of the latest
  parallel-orchestrate logs agent-3 -f         until its task has ended
  parallel-orchestrate logs 3 --issue local#1 --raw | jq .

\b
Exit codes:
    0  shown     9  the log cannot be read     64  there is no such orchestration or agent
"""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.argument("agent", shell_complete=agents)
@click.option("--follow", "-f", is_flag=True, help="Go on until the agent's task has ended.")
@click.option(
    "--issue",
    metavar="ISSUE",
    shell_complete=issues,
    help="Of this issue's latest orchestration, or of the one with this id.",
)
@click.option("--raw", is_flag=True, help="Every byte as it is, also on a terminal.")
@repo_option
def command(*, agent: str, follow: bool, issue: str | None, raw: bool, repo: str) -> int:
    """Show what an agent has printed.

    AGENT is its number, or agent-3. Where it is Claude Code, its stream is shown for people: what
    it says and which tools it calls. On a terminal, control characters are shown as their codes.
    """
    from .tail import tail  # noqa: PLC0415 - the help needs no engine

    return tail(agent, issue=issue, repo=repo, follow=follow, raw=raw)
