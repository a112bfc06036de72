"""An orchestration over time: what is read from its events."""

import json
from datetime import timedelta

import pytest
from made_up import BEGAN, Run, many, row

from orchestration.events import Event
from orchestration.report import MergeConflict
from orchestration.timeline import Alive, Gap, Merging, Pause, Span, Timeline


def over_time(run, seconds=None):
    """The timeline; with seconds, of a run that somebody still works on."""
    now = None if seconds is None else BEGAN + timedelta(seconds=seconds)
    return Timeline.from_events(run, now=now)


def test_a_task_is_a_row_of_spans():
    run = Run("Add a")
    run.begin(1, 2)
    run(5, "agent_progress", agent=1, stage="Writing", percent=40)
    run.end(1, 30)
    run(40, "verify_finished", agent=1, passed=True, exit_code=0, duration_seconds=8.0)
    run.settle(1, 42, 40)
    run.finish(43, 0, row(1, lines_of_code=7))
    timeline = over_time(run)
    (task,) = timeline.tasks
    assert task.spans == (
        Span("setup", 1, 2.0, 3.0, "success"),
        Span("agent", 1, 3.0, 30.0, "success"),
        Span("verify", 1, 32.0, 40.0, "success"),
        Span("publish", 1, 40.0, 42.0, "success"),
    )
    assert (task.status, task.seconds, task.lines_of_code) == ("completed", 40, 7)
    assert (task.stage, [stage.at for stage in task.stages]) == ("Writing", [5.0])
    assert [(link.kind, link.number) for link in task.links] == [("pull", 501)]
    assert (timeline.state, timeline.exit_code, timeline.wall_seconds) == ("finished", 0, 43.0)
    assert timeline.started == "2026-03-01T09:00:00.000Z"
    assert timeline.ended == "2026-03-01T09:00:43.000Z"


def test_agents_at_once_are_counted():
    run = Run("Add a", "Add b", workers=3)
    run.begin(1, 0)
    run.begin(2, 4)
    run.end(1, 10)
    run.settle(1, 10, 10)
    run.end(2, 15)
    run.settle(2, 15, 10)
    run.finish(20, 0, row(1), row(2))
    timeline = over_time(run)
    steps = [(alive.at, alive.agents) for alive in timeline.concurrency]
    assert steps == [(0.0, 0), (1.0, 1), (5.0, 2), (10.0, 1), (15.0, 0), (20.0, 0)]
    assert (timeline.peak, timeline.max_workers) == (2, 3)
    assert (timeline.sequential_seconds, timeline.speed_up) == (20.0, 1.0)


def test_a_retry_is_a_gap_that_counts_for_nothing():
    run = Run("Add a")
    run.begin(1, 0)
    run.end(1, 10, "timed_out")
    run.settle(1, 10, 10, error="too slow")
    number = {"number": 9, "title": "", "url": "https://example.org/9"}
    run(11, "diagnostic_created", agent=1, **number)
    run.finish(12, 2, row(1, status="failed", error="TIMEOUT: too slow", timed_out=True))
    failed = over_time(run)
    assert (failed.tasks[0].status, failed.tasks[0].timed_out) == ("failed", True)
    again = [{"agent": 1, "failed": "Timeout"}]
    run(1000, "orchestration_resumed", retry=True, successful=0, total=1, tasks=again)
    waits = over_time(run, 1000)
    assert (waits.tasks[0].status, waits.tasks[0].error, waits.ended) == ("pending", None, None)
    run.begin(1, 1001, attempt=2)
    run.end(1, 1010, attempt=2)
    run.settle(1, 1011, 10)
    run(1012, "diagnostic_closed", agent=1, number=9)
    run.finish(1013, 0, row(1))
    timeline = over_time(run)
    assert timeline.gaps == (Gap(12.0, 1000.0, retry=True),)
    assert (timeline.seconds, timeline.wall_seconds) == (1013.0, 25.0)
    assert (timeline.worked(500), timeline.worked(1013)) == (12.0, 25.0)
    (task,) = timeline.tasks
    assert [span.attempt for span in task.spans] == [1, 1, 2, 2, 2]
    assert (task.status, task.attempts, task.error) == ("completed", 2, None)
    assert [link.kind for link in task.links] == ["pull"]


def test_an_attempt_does_not_show_what_the_one_before_said_and_left():
    run = Run("Add a")
    run.begin(1, 0)
    run(5, "agent_progress", agent=1, stage="Writing", percent=40)
    run.end(1, 8, "refused")
    assert over_time(run, 9).tasks[0].stage == "Writing"
    run(10, "agent_started", agent=1, attempt=1, pid=1, pgid=1)
    assert over_time(run, 11).tasks[0].stage is None
    run(12, "agent_progress", agent=1, stage="Testing", percent=80)
    run.finish(20, 2, row(1, status="failed", error="TIMEOUT: late", lines_of_code=3))
    (failed,) = over_time(run).tasks
    assert (failed.stage, failed.lines_of_code) == ("Testing", 3)
    again = [{"agent": 1, "failed": "Timeout"}]
    run(30, "orchestration_resumed", retry=True, successful=0, total=1, tasks=again)
    (waits,) = over_time(run, 31).tasks
    assert (waits.stage, waits.lines_of_code, len(waits.stages)) == (None, None, 2)


def test_what_was_at_work_when_the_program_died_was_broken_off():
    run = Run("Add a", "Add b")
    run.begin(1, 0)
    run(8, "agent_progress", agent=1, stage="Writing", percent=40)
    crashed = over_time(run)
    assert (crashed.state, crashed.ended, crashed.exit_code) == ("crashed", None, None)
    assert [task.status for task in crashed.tasks] == ["broken_off", "pending"]
    assert crashed.tasks[0].spans[-1] == Span("agent", 1, 1.0, 8.0, "broken_off")
    assert crashed.concurrency[-1] == Alive(8.0, 0)

    again = [{"agent": 1, "failed": None}]
    run(60, "orchestration_resumed", retry=False, successful=0, total=2, tasks=again)
    run.begin(1, 61, attempt=2)
    goes_on = over_time(run, 70)
    assert goes_on.gaps == (Gap(8.0, 60.0, retry=False),)
    assert goes_on.tasks[0].spans[1] == Span("agent", 1, 1.0, 8.0, "broken_off")
    assert goes_on.tasks[0].spans[-1] == Span("agent", 2, 62.0, 70.0, "in_progress")


def test_a_run_that_goes_on_is_told_as_of_now():
    run = Run("Add a")
    run.begin(1, 5)
    run(8, "pool_paused", reason="a limit", until="")
    timeline = over_time(run, 30)
    assert (timeline.state, timeline.ended, timeline.wall_seconds) == ("running", None, 30.0)
    assert (timeline.tasks[0].status, timeline.tasks[0].seconds) == ("in_progress", 25.0)
    assert timeline.pauses == (Pause(8.0, 30.0, "a limit"),)


def test_an_interrupted_run_keeps_what_had_not_begun():
    run = Run("Add a", "Add b")
    run.begin(1, 0)
    run.finish(9, 130, *(row(n, status="failed", error="CANCELLED: ended") for n in (1, 2)))
    timeline = over_time(run)
    assert (timeline.state, timeline.exit_code) == ("interrupted", 130)
    assert [task.status for task in timeline.tasks] == ["broken_off", "pending"]
    assert timeline.tasks[0].spans[-1].outcome == "cancelled"


def test_a_run_that_broke_says_why():
    run = Run("Add a")
    run.begin(1, 0)
    run(4, "error", kind="forge", message="no answer", hint="try again", exit_code=5)
    timeline = over_time(run)
    assert (timeline.state, timeline.exit_code, timeline.error) == ("finished", 5, "no answer")
    assert timeline.tasks[0].status == "broken_off"


def test_use_is_the_sum_of_the_attempts():
    run = Run("Add a", "Add b")
    run.begin(1, 0)
    run.use(1, 2, 1000, 10, None)
    run.use(1, 3, 5000, 50, 0.25)
    run.end(1, 4, "failed")
    run.begin(1, 5, attempt=2)
    run.use(1, 6, 2000, 20, 0.5)
    timeline = over_time(run)
    used = [(task.cost_usd, task.input_tokens, task.output_tokens) for task in timeline.tasks]
    assert used == [(0.75, 7000, 70), (None, None, None)]
    assert (timeline.cost_usd, timeline.input_tokens) == (0.75, 7000)


def test_an_agent_that_failed_with_evidence_is_published():
    run = Run("Add a")
    run.begin(1, 0)
    run.end(1, 10, "leaked")
    run.settle(1, 12, 12)
    assert over_time(run).tasks[0].spans[-1] == Span("publish", 1, 10.0, 12.0, "success")


def test_a_clock_that_was_set_back_and_unknown_events_break_nothing():
    run = Run("Add a")
    run.begin(1, 100)
    run(40, "agent_progress", agent=1, stage="Writing", percent=40)
    run(41, "comet_sighted", agent=1)
    run(50, "agent_progress", agent=7, stage="Who is that?", percent=1)
    timeline = over_time(run)
    assert timeline.seconds == 101.0
    assert [task.title for task in timeline.tasks] == ["Add a", "Agent-7"]
    assert all(span.from_ <= span.to for task in timeline.tasks for span in task.spans)


def test_a_retry_forgets_how_to_merge():
    run = Run("Add a", "Add b")
    conflict = {"pr": 501, "other_pr": 502, "files": ["shop.py"]}
    run.finish(9, 0, row(1), row(2), merge_order=[502, 501], merge_conflicts=[conflict])
    merging = over_time(run).merging
    assert merging == Merging("main", (502, 501), (MergeConflict(501, 502, ("shop.py",)),), None)
    run(20, "orchestration_resumed", retry=True, successful=1, total=2, tasks=[])
    assert over_time(run).merging is None


def test_a_timeline_is_read_back_from_its_json():
    timeline = over_time(many(7), 99999)
    assert Timeline.from_dict(json.loads(timeline.to_json())) == timeline


def test_without_events_there_is_no_timeline():
    with pytest.raises(ValueError, match="no events"):
        Timeline.from_events([])


def test_a_time_that_is_none_is_refused():
    event = Event.from_json(
        '{"v":1,"seq":1,"time":"noon","orchestration":"","type":"pool_resumed"}'
    )
    with pytest.raises(ValueError, match="noon"):
        Timeline.from_events([event])
