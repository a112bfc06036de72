"""An orchestration as one page of HTML that needs nothing else: no network, no script, no font.

:func:`render` is pure. Titles, errors and logs come from strangers and from agents: they reach the
page through :mod:`.markup` alone, which escapes whatever is not its own, and the page's policy
allows this style and this script, by their checksums, and nothing else.

The script only adds comfort (filter, theme, opening all). Without it everything is there.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from . import details, figures, headline, merging, tables
from .markup import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestration.timeline import Timeline

_HERE = Path(__file__).parent


def render(timeline: Timeline, logs: Mapping[int, Sequence[str]], *, root: str = "") -> str:
    """The whole page.

    Args:
        timeline: The orchestration.
        logs: The last lines of the logs, by the agents' numbers.
        root: Where the repository is, as seen from the page, with a slash at its end; links to
            the files of the local forge begin with it.
    """
    style, script = _asset("style.css"), _asset("script.js")
    return Template(_asset("template.html")).substitute(
        policy=text(_policy(style, script)),
        style=style,
        script=script,
        name=text(f"{timeline.title or timeline.orchestration} · {timeline.orchestration}"),
        symbols=figures.symbols(),
        header=headline.header(timeline, root),
        summary=headline.summary(timeline),
        contents=headline.contents(timeline),
        timeline=figures.timeline(timeline),
        outcomes=tables.outcomes(timeline, root),
        merging=merging.merging(timeline, root) or "",
        comparison=figures.comparison(timeline),
        costs=tables.costs(timeline),
        details=details.details(timeline, logs),
        notes=details.notes(timeline) or "",
        footer=headline.footer(timeline),
    )


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8").strip()


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
