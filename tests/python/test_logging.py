"""Programs that configure `logging` see what happens in a run, under the logger `orchestration`."""

import json
import logging
import re
import subprocess
import sys

import pytest
from command import WORKS

from orchestration import _core, _logging, orchestrate
from orchestration.events import EVENT_TYPES, AgentProgress, Event, TaskFinished

HEAD = {"v": 1, "seq": 1, "time": "2026-01-01T12:00:00.000Z", "orchestration": "orch-1"}

PROGRAM = """
import sys
{before}
from orchestration import orchestrate
orchestrate("plan.md", agent={agent!r})
print("logging" in sys.modules)
"""


@pytest.fixture
def two(place, monkeypatch):
    """A plan with two tasks, of which an agent does the first."""
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(place.root)
    return place.plan("Add a", "Add b"), place.agent(f"[ $AGENT_ID = agent-1 ] || exit 3; {WORKS}")


def test_each_event_of_a_run_is_a_record_that_carries_it(two, caplog):
    plan, agent = two
    caplog.set_level(logging.DEBUG, logger="orchestration")
    events = []
    orchestrate(plan, agent=agent, on_event=events.append)
    records = [record for record in caplog.records if record.name == "orchestration"]
    assert [record.event for record in records if hasattr(record, "event")] == events
    assert {record.event.type for record in records} >= {"agent_started", "task_finished"}
    (failed,) = [record for record in records if record.levelname == "WARNING"]
    assert isinstance(failed.event, TaskFinished)
    assert failed.getMessage().startswith("task_finished agent=2 success=False ")
    assert failed.event.failure.message in failed.getMessage()


def test_the_engines_own_messages_are_records_too(place, two, caplog):
    plan, _ = two
    agent = place.agent(f"echo hello; {WORKS}")

    def take_the_logs_place(event):
        if event.type == "worktree_created":
            (folder,) = place.runtime.glob("logs/*")
            (folder / f"agent-{event.agent}.log").mkdir()

    report = orchestrate(plan, agent=agent, on_event=take_the_logs_place)
    assert report.exit_code == 0
    told = [record for record in caplog.records if "cannot write a log" in record.getMessage()]
    assert told
    assert {(record.name, record.levelname) for record in told} == {("orchestration", "WARNING")}
    assert re.search(r"cannot write a log path=.*/agent-[12]\.log error=", told[0].getMessage())
    assert _core.messages() == []


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("", ""),
        ("import logging", ""),
        ("import logging; logging.basicConfig()", "WARNING:orchestration:task_finished agent=2"),
    ],
)
def test_standard_error_is_the_programs(place, two, before, says):
    code = PROGRAM.format(agent=two[1], before=before)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place.root,
        env=place.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.startswith(says)
    assert len(done.stderr.splitlines()) == bool(says)
    assert done.stdout.strip() == str("logging" in before)


@pytest.mark.parametrize(
    ("level", "event"),
    [
        (logging.DEBUG, {"type": "agent_progress", "agent": 1, "stage": "x", "percent": 1}),
        (logging.INFO, {"type": "pool_resumed"}),
        (logging.INFO, {"type": "validated", "verdict": "proceed", "warnings": []}),
        (logging.WARNING, {"type": "validated", "verdict": "warn", "warnings": ["w"]}),
        (logging.WARNING, {"type": "warning", "agent": None, "message": "m"}),
        (logging.WARNING, {"type": "pool_paused", "reason": "r", "until": "u"}),
        (
            logging.ERROR,
            {"type": "error", "kind": "engine", "message": "m", "hint": "h", "exit_code": 9},
        ),
    ],
)
def test_what_matters_more_has_a_higher_level(level, event, caplog):
    assert event["type"] in EVENT_TYPES
    caplog.set_level(logging.DEBUG, logger="orchestration")
    _logging.tell(
        logging.getLogger("orchestration"), Event.from_json(json.dumps({**HEAD, **event}))
    )
    assert [record.levelno for record in caplog.records] == [level]


def test_a_record_stays_one_line_whatever_an_agent_says(caplog):
    caplog.set_level(logging.DEBUG, logger="orchestration")
    stage = "a\nERROR:root:forged \x1b[31m"
    event = AgentProgress(seq=1, time="", orchestration="", agent=1, stage=stage, percent=5)
    _logging.tell(logging.getLogger("orchestration"), event)
    (record,) = caplog.records
    assert record.getMessage() == (
        r"agent_progress agent=1 stage='a\nERROR:root:forged \x1b[31m' percent=5"
    )
