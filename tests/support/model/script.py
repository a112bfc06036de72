"""What a scripted model does, step by step: each step answers one request."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """One request as the model got it."""

    path: str
    headers: dict[str, str]
    body: dict

    @property
    def tools(self) -> list[str]:
        """The names of the tools that are offered."""
        return [tool["name"] for tool in self.body.get("tools", [])]

    @property
    def text(self) -> str:
        """Everything that was said so far, in order, tool results included."""
        return "\n".join(_texts(self.body.get("messages", [])))

    @property
    def last_result(self) -> str:
        """What the latest tool calls gave; Claude Code may have put a word of its own after it."""
        messages = self.body.get("messages", [])
        given = [message for message in messages if _gives_a_result(message)]
        return "\n".join(_texts(given[-1:]))


def _gives_a_result(message):
    content = message["content"]
    return isinstance(content, list) and any(block["type"] == "tool_result" for block in content)


def _texts(messages):
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            if block["type"] == "text":
                yield block["text"]
            elif block["type"] == "tool_result":
                inner = block.get("content", "")
                yield from _texts([{"content": inner}])


@dataclass(frozen=True)
class Answer:
    """Content blocks, and what they cost."""

    blocks: tuple[dict, ...]
    input_tokens: int = 1000
    output_tokens: int = 50

    @property
    def stop_reason(self) -> str:
        return "tool_use" if any(b["type"] == "tool_use" for b in self.blocks) else "end_turn"


@dataclass(frozen=True)
class Fault:
    """An answer that is none: an HTTP error."""

    status: int
    kind: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        error = {"type": self.kind, "message": self.message}
        return json.dumps({"type": "error", "error": error}).encode()


@dataclass(frozen=True)
class Times:
    """A step that answers several requests: a number of them, or until a text was seen."""

    step: "Step"
    count: int | None = None
    until: str | None = None


@dataclass(frozen=True)
class Slow:
    """A step that comes late; without a number of seconds, never."""

    seconds: float | None
    step: "Step | None" = None


Step = Answer | Fault | Times | Slow | Callable[[Request], "Step"]


def say(text: str, **cost) -> Answer:
    """Say something; without a tool call beside it that ends the conversation."""
    return Answer(({"type": "text", "text": text},), **cost)


def call(tool: str, /, **arguments) -> Answer:
    """Call a tool."""
    return Answer(({"type": "tool_use", "name": tool, "input": arguments},))


def together(*answers: Answer, **cost) -> Answer:
    """Several texts and calls in one answer."""
    return Answer(tuple(block for answer in answers for block in answer.blocks), **cost)


def bash(command: str, description: str = "Run a command", **more) -> Answer:
    """Run a command."""
    return call("Bash", command=command, description=description, **more)


def write(path, content: str) -> Answer:
    """Write a whole file, by its absolute path."""
    return call("Write", file_path=str(path), content=content)


def commit(message: str) -> Answer:
    """Commit all that is in the folder."""
    return bash(f"git add -A && git commit -q -m '{message}'", "Commit the work")


def times(count: int, step: Step) -> Times:
    """Do the same for several requests."""
    return Times(step, count=count)


def until(text: str, step: Step) -> Times:
    """Do the same until a tool's result holds the text; at least once."""
    return Times(step, until=text)


def slow(seconds: float, step: Step) -> Slow:
    """Answer late."""
    return Slow(seconds, step)


def hang() -> Slow:
    """Take the request and never answer."""
    return Slow(None)


def overloaded() -> Fault:
    """The provider has too much to do."""
    return Fault(529, "overloaded_error", "Overloaded")


def broken(status: int = 500) -> Fault:
    """The provider has a fault of its own."""
    return Fault(status, "api_error", "Internal server error")


def usage_limit(seconds: float = 3600) -> Fault:
    """The user's usage limit is reached, and is lifted in so many seconds."""
    reset = int(time.time() + seconds)
    prefix = "anthropic-ratelimit-unified"
    headers = {
        "retry-after": str(int(seconds)),
        f"{prefix}-status": "rejected",
        f"{prefix}-reset": str(reset),
        f"{prefix}-representative-claim": "five_hour",
        f"{prefix}-5h-status": "rejected",
        f"{prefix}-5h-reset": str(reset),
        f"{prefix}-5h-utilization": "1.0",
        f"{prefix}-overage-status": "rejected",
        f"{prefix}-overage-disabled-reason": "org_level_disabled",
        "x-should-retry": "false",
    }
    return Fault(429, "rate_limit_error", "This request would exceed your usage limit.", headers)
