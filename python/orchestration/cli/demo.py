"""The verb ``demo``."""

from __future__ import annotations

import click

EPILOG = """\b
Example:
  parallel-orchestrate demo --clean
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.option("--clean", is_flag=True, help="Remove everything again at the end.")
def command(*, clean: bool) -> int:
    """Watch five agents work on a plan, side by side, in a throw-away repository.

    The agents are small scripts, not a model: no account and no network are needed. One of them
    leaves a bug on purpose, so that you see what becomes of a failure.
    """
    from orchestration.demo import show  # noqa: PLC0415 - the help needs no engine

    return show(clean=clean)
