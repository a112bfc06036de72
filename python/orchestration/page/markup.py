"""HTML that is built from elements. What is not :class:`Html` is text, and becomes harmless here.

Pure. No other module of the page writes a ``<``, or leaves an attribute unquoted.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

Value: TypeAlias = "str | float | bool | None"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


_VOID = {"br", "col", "input", "rect", "path", "line", "circle", "use"}

# Control characters, bidirectional ones and halves of characters: they have no place in HTML, or
# show a text in another order than it has.
_TREACHEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def text(value: object) -> Html:
    """Text as HTML, in an element or in a quoted attribute."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(_TREACHEROUS.sub("\ufffd", str(value))))


def element(name: str, *children: object, **attributes: Value) -> Html:
    """An element.

    Args:
        name: Its name.
        children: Elements, and text; ``None`` is left out.
        attributes: ``class_`` is ``class``, ``aria_label`` is ``aria-label``. ``True`` is an
            attribute without a value, ``None`` and ``False`` are none.
    """
    opening = name + "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{_plain(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID and not children:
        return Html(f"<{opening}/>")
    return Html(f"<{opening}>{join(children)}</{name}>")


def join(children: Iterable[object], between: str = "") -> Html:
    """Elements and texts one after another."""
    return Html(between.join(text(child) for child in children if child is not None))


def link(url: str, *children: object, root: str = "", **attributes: Value) -> Html:
    """A link to an address of the web or to a file of the repository; else only what it says.

    Args:
        url: ``https://…``, or a path in the repository.
        children: What it says.
        root: What leads from the page to the repository.
        attributes: Those of the link.
    """
    target = address(url, root)
    if target is None:
        return element("span", *children, **attributes)
    return element("a", *children, href=target, rel="noopener noreferrer", **attributes)


def address(url: str, root: str) -> str | None:
    """Where a link may lead; ``None`` for schemes that run something."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme in {"http", "https"} and parts.netloc:
        return url
    if not url or parts.scheme or parts.netloc or url.startswith(("/", "\\", "#")):
        return None
    return root + quote(url, errors="replace")


def _plain(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return text(value)
