"""MkDocs's way to the generated pages: `hooks` in mkdocs.yml names this file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parents[1]))
from _generate import ELSEWHERE, REFERENCE, ROOT

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

_FOREIGN = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=.?(?:https?:)?//[^>]*>")

SHOWN = {name: page for page, name in ELSEWHERE.items()}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages that are no files in `docs`."""
    for path, write in REFERENCE.items():
        files.append(File.generated(config, path, content=write()))
    for path, name in ELSEWHERE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, path, content=_links_from_the_top(text)))
    return files


def on_post_page(output: str, *, page: Page, **_: object) -> str:
    """Refuses a page that would ask the network for something.

    Raises:
        PluginError: it would.
    """
    if found := _FOREIGN.search(output):
        message = f"{page.file.src_uri} loads from elsewhere: {found[0]}"
        raise PluginError(message)
    return output


def on_page_markdown(markdown: str, **_: object) -> str:
    """Leads links to files at the top of the repository to their pages."""
    for name, page in SHOWN.items():
        markdown = markdown.replace(f"](../{name}", f"]({page}")
    return markdown


def _links_from_the_top(text: str) -> str:
    """As `on_page_markdown`, for pages that lie at the top of the repository themselves."""
    text = re.sub(r"\]\(docs/", "](", text)
    return re.sub(r"\]\((\w+\.md)", lambda found: f"]({SHOWN.get(found[1], found[1])}", text)
