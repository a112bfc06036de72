"""What the page of an orchestration says: read as text, so that it needs no browser."""

import re
from datetime import timedelta

import pytest
from made_up import BEGAN, Run, many, row

from orchestration.page import render
from orchestration.page.axis import Axis
from orchestration.timeline import Timeline


def test_a_task_tells_its_stages_and_when_they_began():
    run = many(2)
    run(9400, "agent_progress", agent=2, stage="Once more", percent=9)
    over_time = Timeline.from_events(run)
    stages = re.findall(r"%</span><bdi>([^<]+)</bdi><span[^>]*>([^<]+)", render(over_time, {}))
    assert stages[6] == ("Writing shelf 1.py", "at 14s")
    (gap,) = over_time.gaps
    at = 9400 - (gap.to - gap.from_)
    assert stages[-1] == ("Once more", f"at {at // 60:.0f}m {at % 60:02.0f}s")


def test_gaps_are_as_wide_however_long_they_were():
    over_time = Timeline.from_events(many(2))
    (gap,) = over_time.gaps
    axis = Axis(over_time)
    assert axis.x(gap.to) - axis.x(gap.from_) == pytest.approx(3)
    assert (axis.x(0), axis.x(over_time.seconds)) == (0, pytest.approx(100))
    places = [place for place, _ in axis.ticks()]
    assert places == sorted(places)
    assert 3 <= len(places) <= 7


@pytest.mark.parametrize(
    ("seconds", "exit_code", "says"),
    [
        (30, None, "Running for 30s: 1 of 2 tasks completed so far."),
        (None, None, "Its process died, last heard of after 9s: 1 of 2 tasks completed."),
        (None, 130, "Interrupted after 12s: 1 of 2 tasks completed (exit code 130)."),
        (None, 1, "1 of 2 tasks completed in 12s (exit code 1)."),
    ],
    ids=["runs", "crashed", "interrupted", "failed"],
)
def test_the_first_sentence_says_how_it_stands(seconds, exit_code, says):
    run = Run("Add a", "Add b")
    run.begin(1, 0)
    run.end(1, 8)
    run.settle(1, 9, 9)
    if exit_code is not None:
        run.finish(12, exit_code, row(1), row(2, status="failed"))
    now = None if seconds is None else BEGAN + timedelta(seconds=seconds)
    page = render(Timeline.from_events(run, now=now), {})
    assert f"<span>{says}</span>" in page


@pytest.mark.parametrize(
    ("outcomes", "named"),
    [
        (["refused"], "refused by the provider"),
        (["cancelled"], "broken off"),
        (["refused", "broken_off"], "broken off or refused by the provider"),
    ],
)
def test_the_key_names_what_cut_attempts_short(outcomes, named):
    run = Run("Add a", "Add b")
    for agent, outcome in enumerate(outcomes, 1):
        run.begin(agent, agent)
        run.end(agent, agent + 9, outcome)
    page = render(Timeline.from_events(run, now=BEGAN), {})
    assert f"Attempt that was {named}</li>" in page
    counts = "Attempt 1 was refused by the provider after 8s, which does not count"
    assert (counts in page) == ("refused" in outcomes)


def test_every_part_of_the_page_is_in_its_contents():
    run = many(3)
    run.finish(9300, 1, row(1), row(3), merge_order=[501, 503])
    page = render(Timeline.from_events(run), {})
    parts = re.findall(r'<h2 id="(\w+)">([^<]+)</h2>', page)
    (contents,) = re.findall(r'<nav aria-label="On this page">(.*?)</nav>', page)
    links = re.findall(r'<a href="#(\w+)">([^<]+)</a>', contents)
    assert parts[2:3] + parts[-1:] == [("merging", "Merge order"), ("warnings", "Warnings")]
    assert links == [*parts[:-1], ("warnings", "Warnings (1)")]
    assert "Merge order" not in render(Timeline.from_events(many(1)), {})


def test_no_limit_is_told_that_was_raised_on_the_way():
    run = Run("Add a", "Add b", workers=1)
    run(5, "orchestration_resumed", retry=False, successful=0, total=2, tasks=[])
    run.begin(1, 6)
    run.begin(2, 7)
    page = render(Timeline.from_events(run), {})
    assert 'aria-label="Agents at once: 2 at most"' in page
    assert "of at most" not in page
    assert 'class="limit"' not in page


def two_at_work():
    run = Run("Add a", "Add b")
    run.begin(1, 0)
    run.begin(2, 0)
    return run


def test_nothing_is_gained_before_a_task_has_completed():
    over_time = Timeline.from_events(two_at_work(), now=BEGAN + timedelta(seconds=60))
    page = render(over_time, {})
    assert over_time.speed_up > 1.9
    assert "nothing was gained" in page
    assert "times as fast" not in page


def test_what_is_gained_is_told_once_it_can_be_told():
    run = two_at_work()
    for agent, seconds in ((1, 100), (2, 60)):
        run.end(agent, seconds - 1)
        run.settle(agent, seconds, seconds)
    now = BEGAN + timedelta(seconds=100)
    assert "1.6 times as fast so far, 1m 00s saved." in render(
        Timeline.from_events(run, now=now), {}
    )
    run.finish(100, 0, row(1), row(2))
    assert "1.6 times as fast, 1m 00s saved." in render(Timeline.from_events(run), {})

    alone = Run("Add a", "Add b", workers=1)
    alone.begin(1, 0)
    alone.settle(1, 100, 100)
    alone.settle(2, 101, 4)
    alone.finish(101, 0, row(1), row(2))
    page = render(Timeline.from_events(alone), {})
    assert "hardly faster" in page
    assert "times as fast" not in page


def test_a_pause_that_lasts_is_told_from_one_that_is_over():
    run = two_at_work()
    run(20, "pool_paused", reason="a limit", until="")
    now = BEGAN + timedelta(seconds=50)
    assert "Paused at 20s for 30s so far: a limit" in render(Timeline.from_events(run, now=now), {})
    run(40, "pool_resumed")
    assert "Paused at 20s for 20s: a limit" in render(Timeline.from_events(run, now=now), {})


@pytest.mark.parametrize(
    ("retry", "says"),
    [
        (True, "Nobody worked on it at 20s for 3m 00s; then what had failed was tried again"),
        (False, "Nothing was heard of it at 20s for 3m 00s; then it was gone on with"),
    ],
)
def test_a_gap_is_called_idle_only_where_it_was(retry, says):
    run = two_at_work()
    run.end(1, 20)
    run(200, "orchestration_resumed", retry=retry, successful=0, total=2, tasks=[])
    page = render(Timeline.from_events(run), {})
    assert f"<li>{says}</li>" in page
    assert f"</svg> {says.partition(' at ')[0]}</li>" in page


def test_one_task_is_told_of_as_one():
    run = Run("Add a")
    run.begin(1, 0)
    run.settle(1, 10, 10)
    run.finish(10, 0, row(1))
    page = render(Timeline.from_events(run), {})
    assert "The task completed in 10s." in page
    assert "One task has nothing beside it." in page


def test_a_cost_that_is_known_of_some_says_so():
    run = two_at_work()
    run.use(1, 5, 1000, 10, 0.25)
    page = render(Timeline.from_events(run), {})
    assert "<b>$0.25</b><small> without 1 task that told none</small>" in page
    run.use(2, 6, 1000, 10, 0.25)
    assert "told none" not in render(Timeline.from_events(run), {})


def test_a_page_of_a_run_that_goes_on_says_of_when_it_is():
    now = BEGAN + timedelta(seconds=90)
    page = render(Timeline.from_events(two_at_work(), now=now), {})
    assert ">2026-03-01 09:01:30 UTC</time>." in page.partition("<footer>")[2]


def test_a_failure_is_named_as_the_lines_of_the_run_name_it():
    run = Run("Add a")
    run.begin(1, 0)
    run.finish(9, 2, row(1, status="failed", error="API_ERROR: overloaded: try later"))
    page = render(Timeline.from_events(run), {})
    assert "API error: overloaded: try later" in page
    assert "Api error" not in page
