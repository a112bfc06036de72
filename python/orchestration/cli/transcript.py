"""Claude Code's stream-json as lines for people: what it says, what it calls, what went wrong.

Pure. What is no line of that stream is shown as it is, so that any agent's log can be read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_CALL = 160
"""The longest argument of a tool call that is shown, in characters."""

_TYPES = ("assistant", "user", "system", "result", "rate_limit_event", "stream_event")
"""What the stream's lines are."""

_ARGUMENTS = (
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "url",
    "query",
    "description",
    "skill",
    "subject",
)
"""What tells most of a tool call; the first that is there is shown."""


def transcribe(line: str) -> list[str]:
    """The lines that a line of a log gives; none where it tells nothing to people."""
    try:
        event = json.loads(line)
    except ValueError:
        return [line]
    is_of_stream = isinstance(event, dict) and event.get("type") in _TYPES
    return list(_told(event)) if is_of_stream else [line]


def _told(event: dict[str, Any]) -> Iterator[str]:
    match event:
        case {"type": "assistant" | "user" as role, "message": {"content": [*blocks]}}:
            indent = "  " if event.get("parent_tool_use_id") else ""
            for block in blocks:
                yield from (f"{indent}{said}" for said in _block(role, block))
        case {"type": "system"}:
            yield from _system(event)
        case {"type": "result"}:
            yield _result(event)
        case {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected"}}:
            yield "! usage limit reached"


def _block(role: str, block: Any) -> Iterator[str]:
    match block:
        case {"type": "text", "text": str(text)} if role == "assistant":
            yield _inline(text)
        case {"type": "tool_use", "name": str(name)}:
            yield f"→ {name}{_argument(block.get('input'))}"
        case {"type": "tool_result", "is_error": True}:
            yield f"! {_cut(_text(block.get('content')))}"


def _argument(given: Any) -> str:
    if not isinstance(given, dict) or not given:
        return ""
    words = next((given[name] for name in _ARGUMENTS if isinstance(given.get(name), str)), None)
    return f": {_cut(json.dumps(given, ensure_ascii=False) if words is None else words)}"


def _system(event: dict[str, Any]) -> Iterator[str]:
    match event:
        case {"subtype": "init"}:
            yield f"— begins, with {event.get('model', 'a model')}"
        case {"subtype": "api_retry"}:
            why = str(event.get("error", "no answer")).replace("_", " ")
            yield f"! asks the model again ({why})"
        case {"subtype": "permission_denied", "tool_name": str(tool)}:
            yield f"! may not use {tool}"


def _result(event: dict[str, Any]) -> str:
    words = str(event.get("subtype", "success")).replace("_", " ")
    if event.get("is_error") and words == "success":
        words = f"error: {_cut(str(event.get('result', '')))}"
    cost = event.get("total_cost_usd")
    bill = f", ${cost:.2f}" if isinstance(cost, int | float) else ""
    turns = event.get("num_turns")
    after = f" after {turns} turns" if isinstance(turns, int) else ""
    return f"— ends{after}{bill}: {words}"


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return " ".join(str(block["text"]) for block in blocks if _has_text(block))


def _has_text(block: Any) -> bool:
    return isinstance(block, dict) and "text" in block


def _inline(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str) -> str:
    line = _inline(text)
    return line if len(line) <= LONGEST_CALL else f"{line[: LONGEST_CALL - 1]}…"
