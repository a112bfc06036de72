"""What the site does not have as files: the reference, and the pages that lie elsewhere.

Everything in the reference is read where it is defined: options from click, events and reports
from their dataclasses, signatures and docstrings from the package, errors from the Rust sources.
`hook` hands the pages to MkDocs, `tests/python/test_reference.py` looks at them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import command, errors, python

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[2]

REFERENCE: Mapping[str, Callable[[], str]] = {
    "reference/command.md": command.page,
    "reference/python.md": python.page,
    "reference/events.md": python.events_page,
    "reference/errors.md": errors.page,
}
"""Page -> what writes it."""

ELSEWHERE: Mapping[str, str] = {
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
"""Page -> the file at the top of the repository that it shows."""
