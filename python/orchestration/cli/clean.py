"""The verb ``clean``."""

from __future__ import annotations

import click

from .completion import issues, repo_option

EPILOG = """\b
Examples:
  parallel-orchestrate clean --dry-run         what would go, and what would stay
  parallel-orchestrate clean local#3
  parallel-orchestrate clean                   after all orchestrations of the repository

\b
Exit codes:
    0  done, whatever was kept     9  system error     64  there is no such orchestration
"""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.argument("issue", required=False, shell_complete=issues)
@click.option("--dry-run", is_flag=True, help="Only say what would go; remove nothing.")
@repo_option
def command(*, issue: str | None, dry_run: bool, repo: str) -> int:
    """Remove the worktrees and branches of tasks that are over, where nothing is lost by it.

    What is merged into its base, or pushed, goes. What is not, what has uncommitted files, what was
    broken off and what a run uses stays, and you are told why. Only what an orchestration made is
    looked at. It asks nothing.

    ISSUE is an issue (local#3, 1234) or the id of one of its orchestrations. By default it is all.
    """
    from orchestration import _core  # noqa: PLC0415 - the help needs no engine
    from orchestration.watching import issues  # noqa: PLC0415

    from .console import Console  # noqa: PLC0415

    console = Console("text")
    try:
        root = _core.main_worktree(repo)
        console.lines(_core.clean(root, issues(root, issue), dry_run))
    except BrokenPipeError:  # whoever read it has seen enough; it is done all the same
        console.abandon()
    except _core.OrchestrationError as error:
        return console.refuse(error)
    return 0
