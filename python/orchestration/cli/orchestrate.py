"""The command itself: ``parallel-orchestrate SOURCE [options]``."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import click

from .completion import folders, programs, sources

EPILOG = """\b
Verbs:
  parallel-orchestrate cancel      stop an orchestration that runs elsewhere
  parallel-orchestrate clean       remove worktrees and branches that nobody needs
  parallel-orchestrate completion  what bash, zsh and fish need to complete it
  parallel-orchestrate demo        watch five scripted agents at work
  parallel-orchestrate doctor      whether everything is there that a run needs
  parallel-orchestrate install     the slash command for Claude Code
  parallel-orchestrate logs        what an agent has printed
  parallel-orchestrate report      an orchestration as one page of HTML
  parallel-orchestrate status      how an orchestration stands, also after a crash
  parallel-orchestrate watch       what an orchestration prints

\b
Examples:
  parallel-orchestrate 1234
  parallel-orchestrate plan.md
  parallel-orchestrate plan.md --dry-run
  parallel-orchestrate 1234 --retry
  parallel-orchestrate plan.md --max-workers 3 --verify "make test"
  parallel-orchestrate - --yes --output json < plan.md
  parallel-orchestrate plan.md --yes --detach

\b
Exit codes:
    0  all tasks succeeded           5  the forge refused
    1  partial, 80% or more          9  system error
    2  fewer succeeded              64  called wrongly
    3  no tasks found              130  interrupted
    4  tasks depend on each other, 143  terminated
       or warnings need --yes
"""


def _show_version(context: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value:
        from orchestration import __version__  # noqa: PLC0415 - it comes from the engine

        click.echo(f"{context.info_name} {__version__}")
        context.exit()


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.argument("source", shell_complete=sources)
@click.option("--dry-run", is_flag=True, help="Parse and validate; create nothing anywhere.")
@click.option(
    "--max-workers",
    "--agents",
    type=int,
    metavar="N",
    help="Agents at once (5). AMPLIHACK_MAX_PARALLEL_AGENTS overrides it.",
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help="Per agent and attempt, 0 for no limit (1800, or AMPLIHACK_AGENT_TIMEOUT).",
)
@click.option(
    "--batch-size", type=int, metavar="N", help="A batch ends before the next begins (unlimited)."
)
@click.option("--yes", "-y", is_flag=True, help="Go on despite warnings.")
@click.option(
    "--agent",
    metavar="NAME|COMMAND",
    shell_complete=programs,
    help="claude, copilot, amplifier, or a command line that reads its prompt on standard input.",
)
@click.option("--model", metavar="NAME", help="The model, for agents that know models.")
@click.option(
    "--permission-mode", metavar="MODE", help="For agents that know it (bypassPermissions)."
)
@click.option(
    "--budget-usd",
    type=float,
    metavar="USD",
    help="No agent starts once all together have cost so much.",
)
@click.option(
    "--agent-budget-usd",
    type=float,
    metavar="USD",
    help="What one attempt of an agent may cost, for agents that know budgets.",
)
@click.option(
    "--pass-env", multiple=True, metavar="NAME", help="Let agents see a withheld variable."
)
@click.option(
    "--setup", metavar="COMMAND", help="Runs in each fresh worktree, before its agent starts."
)
@click.option(
    "--verify", metavar="COMMAND", help="Must pass in a worktree before its change request."
)
@click.option(
    "--repo", metavar="PATH", shell_complete=folders, help="Any folder of the repository (.)."
)
@click.option(
    "--base",
    metavar="BRANCH",
    help="Where agents start from (the remote's default branch; for a plan the current one).",
)
@click.option(
    "--forge",
    type=click.Choice(["github", "local"]),
    help="Where issues and change requests are filed (by SOURCE: a plan's are files, local).",
)
@click.option(
    "--detach", is_flag=True, help="Return once it has begun; it goes on by itself (see watch)."
)
@click.option(
    "--retry",
    is_flag=True,
    help="Run again what failed; SOURCE may be the master issue or one of its sub-issues.",
)
@click.option("--new", is_flag=True, help="Begin anew although the plan was run before.")
@click.option("--draft", is_flag=True, help="Open change requests as drafts.")
@click.option("--keep-worktrees", is_flag=True, help="Keep the worktrees of successful tasks.")
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one event a line on standard output.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_obj
def command(
    args: list[str],
    /,
    source: str,
    output: Literal["text", "json"],
    *,
    detach: bool,
    **options: Any,
) -> int:
    """Run the tasks of an issue or a plan side by side, each with a coding agent of its own.

    SOURCE is a GitHub issue (1234, OWNER/REPO#1234 or its URL), the path of a Markdown plan, or -
    for a plan on standard input. A plan with the name of a verb is reached by its path: ./demo.
    """
    from .execution import execute  # noqa: PLC0415 - the help needs no engine

    if not detach:
        return execute(source, options, output=output, args=args).exit_code
    if options["dry_run"]:
        message = "--detach does not go with --dry-run, which ends at once"
        raise click.UsageError(message)
    return _detach(source, options, output, args)


def _detach(
    source: str, options: dict[str, Any], output: Literal["text", "json"], args: list[str]
) -> int:
    from .detach import Detachment, detach  # noqa: PLC0415 - the help needs none of it
    from .execution import execute  # noqa: PLC0415

    def work(detachment: Detachment) -> int:
        begin = partial(detachment.begin, options["repo"] or ".")
        return execute(source, options, output=output, args=args, on_begin=begin).exit_code

    return detach(work, output=output)
