"""A log for people: the JSON that Claude Code prints becomes the lines of a conversation.

What an agent prints is no contract of ours. A line that is no JSON, or of a kind that nobody knows,
stays as it is.

Pure.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_RESULT_LINES = 6
"""How much of what a tool answered is shown."""
_TELLING = ("description", "command", "file_path", "notebook_path", "pattern", "query", "url")
"""Arguments of tools that say what a call is about, the best first."""


def for_people(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a log as people read them, without colours and the like."""
    for line in lines:
        plain = _ESCAPES.sub("", line.rpartition("\r")[2] if "\r" in line.rstrip("\r") else line)
        plain = plain.rstrip()
        if plain.startswith("{") and (event := _event(plain)) is not None:
            yield from _lines(event)
        else:
            yield plain


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = {"system", "assistant", "user", "result", "rate_limit_event"}
    return event if isinstance(event, dict) and event.get("type") in known else None


def _lines(event: dict[str, Any]) -> Iterator[str]:
    kind = event["type"]
    if kind == "result":
        yield from _result(event)
    elif kind == "system" and event.get("subtype") == "init":
        yield f"· Claude Code {_text(event, 'claude_code_version')}, {_text(event, 'model')}"
    elif kind in {"assistant", "user"}:
        message = event.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for block in blocks:
            if isinstance(block, dict):
                yield from _block(block)


def _block(block: dict[str, Any]) -> Iterator[str]:
    match block.get("type"):
        case "text":
            yield from _text(block, "text").splitlines()
        case "tool_use":
            yield f"▸ {_call(block)}"
        case "tool_result":
            mark = "✗" if block.get("is_error") is True else "│"
            lines = _answer(block.get("content")).splitlines()
            yield from (f"  {mark} {line}" for line in lines[:_RESULT_LINES])
            if len(lines) > _RESULT_LINES:
                yield f"  {mark} … {len(lines) - _RESULT_LINES} more lines"


def _call(block: dict[str, Any]) -> str:
    given = block.get("input")
    arguments = given if isinstance(given, dict) else {}
    about = next((found for name in _TELLING if (found := _text(arguments, name))), "")
    return f"{_text(block, 'name')} {' '.join(about.split())}".strip()


def _answer(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(_text(part, "text") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _result(event: dict[str, Any]) -> Iterator[str]:
    facts = [_text(event, "subtype").replace("_", " ") or "end"]
    if isinstance(turns := event.get("num_turns"), int):
        facts.append(f"{turns} turns")
    if isinstance(cost := event.get("total_cost_usd"), (int, float)):
        facts.append(f"${cost:.2f}")
    yield f"■ {', '.join(facts)}"
    yield from _text(event, "result").splitlines()
    errors = event.get("errors")
    yield from (str(error) for error in errors) if isinstance(errors, list) else ()


def _text(of: dict[str, Any], name: str) -> str:
    value = of.get(name)
    return value if isinstance(value, str) else ""
