"""Markdown out of docstrings and comments. Pure."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SECTIONS = ("Args", "Returns", "Raises", "Attributes", "Yields")
"""Headings of docstrings in Google's style."""

_BAR = re.compile(r"(`[^`]*`)|\|")
_ENTRY = re.compile(r"^(?P<name>[\w*.]+): (?P<text>.*)$")


def markdown(docstring: str) -> str:
    """A docstring as Markdown: roles as code, sections as lists."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.cleandoc(docstring))
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    text = re.sub(r"::$", ":", text, flags=re.MULTILINE)
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        if line.removesuffix(":") in SECTIONS and line.endswith(":"):
            section = line.removesuffix(":")
            lines += [f"**{section}**", ""]
        elif section and line and not line.startswith(" "):
            section = ""
            lines += ["", line]
        elif section:
            lines.append(_entry(line, named=section not in {"Returns", "Yields"}))
        else:
            lines.append(line)
    return "\n".join(lines).strip()


def _entry(line: str, *, named: bool) -> str:
    """A line of a section: an entry at four columns, or what continues it."""
    text = line.removeprefix("    ")
    found = _ENTRY.match(text) if named else None
    return f"- `{found['name']}`: {found['text']}" if found else text


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table. A bar in code ends no cell; one outside is taken for text."""

    def row(cells: Iterable[str]) -> str:
        safe = (_BAR.sub(lambda found: found[1] or r"\|", cell) for cell in cells)
        return "| " + " | ".join(" ".join(cell.split()) for cell in safe) + " |"

    head = list(head)
    return "\n".join([row(head), row("---" for _ in head), *(row(cells) for cells in rows)])
