"""Reads what an agent answered: sections, lists, scores, a number, a choice.

Pure. Agents are asked for headings and answer with bold labels, add their reasons behind the word
that was asked for, write 85% for 0.85, or quote somebody's headings in a code block. All of that
is read. What stays ambiguous is ``None`` or empty: nothing here guesses.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

_HEADING = re.compile(r" {0,3}(#{1,6})(?:\s+(\S.*))?$")
_LABEL = re.compile(r"\s*\*\*([^*]+)\*\*(.*)$")
_RANK_OF_LABELS = 7
"""A bold label ends where any heading or another label begins."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")
_BULLET = re.compile(r" {0,1}(?:[-*+•]|\d+[.)])\s+(.*)$")
_NOTHING = {"none", "none.", "n/a", "nothing"}

_SCORE = re.compile(
    r"(?:[-*+•]|\d+[.)])?[\s*_`]*(?P<name>[^\W\d][^:=|*`]{0,80}?)[\s*_`]*[:=][\s*_`]*(?P<value>.+)$"
)
_NUMBER = re.compile(
    r"(?<![\w.,])(?P<value>[-+]?(?:\d+(?:[.,]\d+)?|\.\d+))"
    r"(?:\s*(?P<percent>%|per\s?cent\b)|\s*(?:/|\bout of\b)\s*(?P<of>\d+(?:\.\d+)?))?(?!\w)",
    re.IGNORECASE,
)

_NEGATION = re.compile(
    r"(?:\b(?:not|no|never|cannot|without|rather than|instead of|over|than)|n['’]t)"  # noqa: RUF001 - agents write it
    r"\s+(?:\w+\s+){0,3}$",
    re.IGNORECASE,
)
_REACH = 60
"""Characters before a word in which its negation is looked for."""

_MARKUP = re.compile(r"[*`\"“”\[\]]|^[\s>#-]+")
_AFTER_A_VERDICT = re.compile(r"\s*(?:$|[.:;!(—–-])")  # noqa: RUF001 - agents write them


@dataclass(frozen=True)
class _Heading:
    line: int
    rank: int
    words: str


def section(text: str, title: str) -> str:
    """Return what stands below a heading, or behind a label; empty where there is none.

    A heading has any level, a number before it or a colon behind it; a label is ``**Vote:** yes``
    or ``Vote: yes``. Headings in code blocks are quotations. The last one counts, since agents
    think before they answer.
    """
    lines = _unwrapped(text)
    headings = _headings(lines)
    for place, heading in reversed(list(enumerate(headings))):
        rest = _behind(heading.words, title)
        if rest is None:
            continue
        end = next(
            (later.line for later in headings[place + 1 :] if later.rank <= heading.rank),
            len(lines),
        )
        return "\n".join([rest, *lines[heading.line + 1 : end]]).strip()
    plain = re.compile(rf"^\s*{re.escape(title)}\s*:\s*(.+)$", re.IGNORECASE)
    found = [match[1] for number in _outside(lines) if (match := plain.match(lines[number]))]
    return found[-1].strip() if found else ""


def list_items(text: str, title: str) -> list[str]:
    """Return the items of a section's list, each on one line; an item "none" is no item.

    A line that continues an item, or is indented below it, belongs to it.
    """
    items: list[str] = []
    for line in section(text, title).splitlines():
        if bullet := _BULLET.match(line):
            items.append(bullet[1].strip())
        elif items and line.startswith(" ") and line.strip():
            items[-1] += f" {line.strip()}"
    return [item for item in items if item.casefold() not in _NOTHING]


def scores(text: str, title: str) -> dict[str, float]:
    """Return the lines ``name: number`` of a section; others are passed over."""
    found = {}
    for line in section(text, title).splitlines():
        if match := _SCORE.match(line.strip()):
            value = number(match["value"])
            if value is not None:
                found[match["name"].strip()] = value
    return found


def number(text: str) -> float | None:
    """Return the first number of a text; ``85%``, ``85 percent`` and ``17/20`` are 0.85."""
    match = _NUMBER.search(text)
    if match is None:
        return None
    value = float(match["value"].replace(",", "."))
    if match["percent"]:
        value /= 100
    elif match["of"]:
        whole = float(match["of"])
        value = value / whole if whole else math.nan
    return value if math.isfinite(value) else None


def pick(text: str, choices: Mapping[str, str]) -> str | None:
    """Return the one choice that a text is for.

    Its first line decides where it names any; of several, the one that it begins with as a
    verdict (``Approve: I found nothing to reject``). Else the whole text has to name exactly one.
    What stands behind a negation is not named.

    Args:
        text: A section of an answer.
        choices: What may be chosen, each with the regular expression of its words.
    """
    plain = [_MARKUP.sub("", line).strip() for line in text.splitlines()]
    first = next(filter(None, plain), "")
    found = mentioned(first, choices)
    if not found:
        found = mentioned("\n".join(plain), choices)
    elif len(found) > 1:
        found = {choice for choice in found if _begins(first, choices[choice])}
    return found.pop() if len(found) == 1 else None


def mentioned(text: str, choices: Mapping[str, str]) -> set[str]:
    """Return the choices that a text names, leaving out those behind a negation."""
    return {
        choice
        for choice, words in choices.items()
        for match in _whole(words).finditer(text)
        if not _NEGATION.search(text[max(0, match.start() - _REACH) : match.start()])
    }


def _begins(line: str, words: str) -> bool:
    match = _whole(words).match(line)
    return match is not None and _AFTER_A_VERDICT.match(line, match.end()) is not None


def _whole(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words})(?![^\W_])", re.IGNORECASE)


def _unwrapped(text: str) -> list[str]:
    """The lines of an answer, out of the code block where all of it stands in one."""
    lines = text.strip().splitlines()
    if lines and _FENCE.match(lines[0]) and _FENCE.match(lines[-1]):
        inner = lines[1:-1]
        if _headings(inner) and not _headings(lines):
            return inner
    return lines


def _headings(lines: list[str]) -> list[_Heading]:
    found = []
    for place in _outside(lines):
        if match := _HEADING.match(lines[place]):
            found.append(_Heading(place, len(match[1]), (match[2] or "").rstrip(" \t#")))
        elif match := _LABEL.match(lines[place]):
            found.append(_Heading(place, _RANK_OF_LABELS, match[1] + match[2]))
    return found


def _outside(lines: list[str]) -> list[int]:
    """The numbers of the lines that stand outside code blocks."""
    found = []
    fence = ""
    for place, line in enumerate(lines):
        match = _FENCE.match(line)
        if match is None:
            if not fence:
                found.append(place)
        elif not fence:
            fence = match[1]
        elif match[1].startswith(fence) and not match[2].strip():
            fence = ""
    return found


def _behind(words: str, title: str) -> str | None:
    """What stands behind a title in its heading: empty as a rule, ``None`` if it is another's."""
    pattern = rf"(?:\d+[.)]\s*)?[*_`]*{re.escape(title)}[*_`]*\s*(?:[:—–]\s*(.*))?$"  # noqa: RUF001
    match = re.match(pattern, words.strip(), re.IGNORECASE)
    return None if match is None else (match[1] or "")
