"""What the tests with the real Claude Code share: its model, its place, what it does and leaves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from on_github import Shop
from tests.support.claude import environment
from tests.support.model import Answer, ModelServer, bash, commit, say

from orchestration.events import Event

E = TypeVar("E", bound=Event)


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def with_claude(shop: Shop, model: ModelServer, home: Path) -> Shop:
    """The shop, with Claude Code on its PATH and the model at its address."""
    shop.place.environment |= environment(home, model.url)
    return shop


def work(name: str) -> tuple[Answer, ...]:
    """What an agent does that does its task."""
    return bash(f"echo done > {name}.txt", f"Write {name}.txt"), commit("Do it"), say("Done.")


def of(kind: type[E], events: list[Event]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def journal(shop: Shop) -> list[dict[str, Any]]:
    """The records, in the order in which they were made."""
    (path,) = shop.place.runtime.glob("parallel/*/*.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def agent_log(shop: Shop, agent: int = 1) -> str:
    (path,) = shop.place.runtime.glob(f"logs/*/agent-{agent}.log")
    return path.read_text(encoding="utf-8")
