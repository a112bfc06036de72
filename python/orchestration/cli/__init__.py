"""The command ``parallel-orchestrate``.

It reads options, prints lines and maps outcomes to exit codes; everything else is the library's.
Modules that the help does not need are imported only when they are used: ``--help`` is typed more
often than anything else.
"""

from __future__ import annotations

import itertools
import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from . import (
    cancel,
    clean,
    completion,
    demo,
    doctor,
    install,
    logs,
    orchestrate,
    report,
    status,
    watch,
)
from .console import Console, close_gaps, discard_output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM = "parallel-orchestrate"

SYSTEM_ERROR = 9
"""The exit code for what nobody foresaw."""

VERBS: Mapping[str, click.Command] = {
    "cancel": cancel.command,
    "clean": clean.command,
    "completion": completion.command,
    "demo": demo.command,
    "doctor": doctor.command,
    "install": install.command,
    "logs": logs.command,
    "report": report.command,
    "status": status.command,
    "watch": watch.command,
}
"""What may stand in the place of SOURCE. A plan of such a name is reached as ``./demo``."""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        args: What follows the program's name; by default that of the process.

    Returns:
        The exit code (see ``parallel-orchestrate --help``). Nothing is raised.
    """
    close_gaps()
    args = list(sys.argv[1:] if args is None else args)
    if asked := os.environ.get(completion.VARIABLE):
        return completion.complete(asked, orchestrate.command, VERBS)
    command, name, rest = orchestrate.command, PROGRAM, args
    if args and args[0] in VERBS:
        command, name, rest = VERBS[args[0]], f"{PROGRAM} {args[0]}", args[1:]
    try:
        _refuse_a_slip(args)
        return int(command.main(rest, prog_name=name, standalone_mode=False, obj=args) or 0)
    except click.UsageError as error:
        console = Console("json" if _asks_for_json(args) else "text")
        return console.refuse_usage(_as_fragment(error), f"see {name} --help")
    except (click.Abort, KeyboardInterrupt):
        return 130
    except SystemExit:  # click's answer to a help that nobody reads to its end
        discard_output()
        return 0
    except Exception:  # noqa: BLE001 - Python's own exit code means a partial success here
        traceback.print_exc()
        return SYSTEM_ERROR


def _refuse_a_slip(args: Sequence[str]) -> None:
    """A bare word that names no file and is almost a verb is no plan that is missing."""
    word = args[0] if args else ""
    if word in VERBS or not word.isalpha() or os.path.lexists(word):
        return
    from difflib import get_close_matches  # noqa: PLC0415 - the help needs it as little

    for meant in get_close_matches(word, VERBS, n=1, cutoff=0.75):
        message = f"{word} is neither a verb nor a plan. (Did you mean {meant!r}?)"
        raise click.UsageError(message)


def _asks_for_json(args: Sequence[str]) -> bool:
    return "--output=json" in args or ("--output", "json") in itertools.pairwise(args)


def _as_fragment(error: click.UsageError) -> str:
    """Click's sentence in the form of our own messages: lower case, no full stop."""
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{error.param.human_readable_name} is missing"
    message = error.format_message()
    return message[:1].lower() + message[1:].rstrip(".")
