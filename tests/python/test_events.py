"""The events in Python are the events in Rust: same types, same fields, same JSON."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from orchestration import events
from orchestration.events import (
    EVENT_TYPES,
    AgentProgress,
    Event,
    Failure,
    OrchestrationFinished,
    TaskFinished,
    UnknownEvent,
)
from orchestration.report import Report

RUST = Path(__file__).parents[2] / "src" / "run" / "event.rs"
SUMMARY = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "summary.json").read_text(encoding="utf-8")
)

HEAD: dict[str, Any] = {
    "v": 1,
    "seq": 7,
    "time": "2026-01-01T12:00:00.000Z",
    "orchestration": "orch-local-1-20260101-1200",
}

TASK_FINISHED: dict[str, Any] = {
    **HEAD,
    "type": "task_finished",
    "agent": 3,
    "success": False,
    "duration_seconds": 2.5,
    "pr_number": None,
    "failure": {
        "stage": "testing",
        "error": "TEST_FAILURE",
        "message": "the verify command failed",
        "timed_out": False,
    },
}


def rust_events() -> dict[str, list[str]]:
    """The variants of `EventKind` with the names of their fields, read out of the source."""
    body = RUST.read_text(encoding="utf-8").split("pub enum EventKind {")[1].split("\n}")[0]
    body = re.sub(r"///.*", "", body)
    found = re.findall(r"^    (\w+)(?: \{(.*?)\n    \})?,$", body, re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): re.findall(
            r"^ {8}(\w+):", inner, re.MULTILINE
        )
        for name, inner in found
    }


def test_every_event_of_the_engine_has_a_dataclass_with_the_same_fields() -> None:
    engine = rust_events()
    assert len(engine) > 15, "the enumeration was not found in the source"
    assert {"agent_started", "pool_resumed", "error"} <= engine.keys()
    common = {field.name for field in fields(Event)}
    here = {
        name: [field.name for field in fields(event) if field.name not in common]
        for name, event in EVENT_TYPES.items()
    }
    assert here == engine


def test_every_event_type_is_public() -> None:
    assert {event.__name__ for event in EVENT_TYPES.values()} <= vars(events).keys()


@pytest.mark.parametrize(
    "data",
    [
        TASK_FINISHED,
        {**HEAD, "type": "pool_resumed"},
        {**HEAD, "type": "agent_progress", "agent": 1, "stage": "Running tests", "percent": 75},
        {
            **HEAD,
            "type": "plan_parsed",
            "source": "p.md",
            "title": "P",
            "tasks": [{"agent": 1, "title": "Add"}],
        },
        {**HEAD, "type": "orchestration_finished", "exit_code": 0, "summary": SUMMARY},
        {**HEAD, "type": "tea_time", "cups": [1, {"sugar": None}]},
        {**HEAD, "v": 2, "type": "pool_resumed", "since": 5},
    ],
    ids=lambda data: f"{data['type']}-v{data['v']}",
)
def test_json_is_read_and_written_unchanged(data: dict[str, Any]) -> None:
    event = Event.from_json(json.dumps(data))
    assert event.to_dict() == data
    assert json.loads(event.to_json()) == data
    assert event == Event.from_json(event.to_json())
    assert event.type == data["type"]


def test_events_are_made_for_match() -> None:
    match Event.from_json(json.dumps(TASK_FINISHED)):
        case TaskFinished(agent=agent, success=False, failure=Failure(error=error)):
            assert (agent, error) == (3, "TEST_FAILURE")
        case other:
            pytest.fail(f"matched nothing: {other}")


def test_the_last_event_carries_the_report() -> None:
    line = json.dumps(
        {**HEAD, "type": "orchestration_finished", "exit_code": 0, "summary": SUMMARY}
    )
    event = Event.from_json(line)
    assert isinstance(event, OrchestrationFinished)
    assert isinstance(event.summary, Report)
    assert event.summary.tasks[0].tests_passing is True
    assert event.summary.to_dict() == SUMMARY
    assert json.loads(event.summary.to_json(indent=2)) == SUMMARY


def test_what_a_newer_engine_says_is_no_error() -> None:
    grown = Event.from_json(json.dumps({**HEAD, "type": "pool_resumed", "since": 5}))
    assert isinstance(grown, events.PoolResumed)
    unknown = Event.from_json(json.dumps({**HEAD, "type": "tea_time"}))
    assert isinstance(unknown, UnknownEvent)
    assert (unknown.seq, unknown.orchestration) == (HEAD["seq"], HEAD["orchestration"])


@pytest.mark.parametrize(
    "line", ["[]", "{}", '{"type": 5}', "nonsense", json.dumps({**HEAD, "type": "pushed"})]
)
def test_what_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"event|Expecting"):
        Event.from_json(line)


def test_events_are_frozen_and_hashable() -> None:
    event = AgentProgress(seq=1, time="", orchestration="", agent=1, stage="Running", percent=5)
    assert len({event, event}) == 1
    with pytest.raises(AttributeError):
        event.percent = 100  # type: ignore[misc]
