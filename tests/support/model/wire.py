"""The Messages API's two forms of an answer: one object, or a stream of events."""

import json
import uuid


def message(answer, model: str) -> dict:
    """The whole answer as one object."""
    return {
        "id": f"msg_{uuid.uuid4().hex[:24]}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [_named(block) for block in answer.blocks],
        "stop_reason": answer.stop_reason,
        "stop_sequence": None,
        "usage": _usage(answer.input_tokens, answer.output_tokens),
    }


def events(answer, model: str):
    """The answer as server-sent events."""
    whole = message(answer, model)
    opening = {**whole, "content": [], "stop_reason": None}
    opening["usage"] = _usage(answer.input_tokens, 1)
    yield _event("message_start", message=opening)
    for index, block in enumerate(whole["content"]):
        yield from _block(index, block)
    delta = {"stop_reason": answer.stop_reason, "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage={"output_tokens": answer.output_tokens})
    yield _event("message_stop")


def _named(block: dict) -> dict:
    """The block, a tool call with an id of its own: a step may be played twice."""
    if block["type"] != "tool_use":
        return block
    return {**block, "id": f"toolu_{uuid.uuid4().hex[:24]}"}


def _block(index: int, block: dict):
    if block["type"] == "tool_use":
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        empty = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": block["text"]}
    yield _event("content_block_start", index=index, content_block=empty)
    yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _event(kind: str, **fields) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _usage(given: int, made: int) -> dict:
    cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {"input_tokens": given, "output_tokens": made, **cached}
