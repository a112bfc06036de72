"""The command and its verbs, from click's own definitions."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import click

from orchestration.cli import PROGRAM, VERBS, orchestrate

from .text import table

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands() -> dict[str, click.Command]:
    """Each command under what is typed for it."""
    verbs = {f"{PROGRAM} {name}": verb for name, verb in sorted(VERBS.items())}
    return {PROGRAM: orchestrate.command, **verbs}


def page() -> str:
    """What `--help` says, verb by verb."""
    parts = [
        "# The command",
        (
            f"`{PROGRAM}` and `python -m orchestration` are the same. This page is made of what"
            " `--help` says; [exit codes](errors.md#exit-codes) have a page of their own."
        ),
    ]
    for name, command in commands().items():
        parts += [f"## {name} {{ #{name.replace(' ', '-')} }}", *_describe(name, command)]
    return "\n\n".join(parts) + "\n"


def _describe(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{name} {pieces}\n```"
    yield _paragraphs(command.help or "")
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    if options:
        yield table(
            ["option", "what it does"],
            [[_names(option), option.help or ""] for option in options if not option.hidden],
        )
    epilog = inspect.cleandoc(command.epilog or "").replace("\b", "").strip()
    for block in filter(None, re.split(r"\n\s*\n", epilog)):
        yield f"```text\n{block.strip(chr(10))}\n```"


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text))


def _names(option: click.Option) -> str:
    """`--max-workers N`, `--agents N`."""
    value = ""
    if not option.is_flag:
        if isinstance(option.type, click.Choice):
            value = " " + "|".join(map(str, option.type.choices))
        else:
            value = f" {option.metavar or option.type.name.upper()}"
    names = [*option.opts, *option.secondary_opts]
    return ", ".join(f"`{name}{value}`" for name in names)
