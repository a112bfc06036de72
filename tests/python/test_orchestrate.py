"""How the Python API drives the engine: order, exceptions, cancellation, back-pressure.

The engine is a stand-in here, so that each of its moves can be provoked. What the real one does is
in test_cli.py.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import orchestration._core as core
from orchestration import events
from orchestration.runner import orchestrate
from orchestration.streaming import CAPACITY, stream

SUMMARY = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "summary.json").read_text(encoding="utf-8")
)

HEAD = {"v": 1, "time": "2026-01-01T12:00:00.000Z", "orchestration": "orch-local-1-20260101-1200"}

PREPARED = {
    "source": "plan.md",
    "is_issue": False,
    "plan": {"title": "Plan", "tasks": [{"index": 1, "title": "Add login"}]},
    "validation": {"verdict": "proceed", "dependencies": []},
    "warnings": [],
    "needs_confirmation": False,
    "notice": [],
}


def progress(seq: int) -> dict[str, Any]:
    return {**HEAD, "seq": seq, "type": "agent_progress", "agent": 1, "stage": "x", "percent": 1}


def resumed(seq: int) -> dict[str, Any]:
    return {**HEAD, "seq": seq, "type": "pool_resumed"}


FINISHED = {
    **HEAD,
    "seq": 9_999,
    "type": "orchestration_finished",
    "exit_code": 0,
    "summary": SUMMARY,
}


class Engine:
    """Plays `_core.Orchestration`: hands out the given events, and waits for ever where told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = [resumed(1), resumed(2), FINISHED]
        self.prepared: dict[str, Any] = PREPARED
        self.refusal: Exception | None = None
        self.endless = False
        """Only a cancellation ends it."""
        self.options: dict[str, Any] = {}
        self.started = 0
        self.cancels: list[int] = []
        self.kills_needed = 1
        self.reaped = threading.Event()
        self._given = 0

    def __call__(self, source: str, options: str, text: str | None) -> "Engine":
        self.source, self.options, self.text = source, json.loads(options), text
        return self

    def prepare(self) -> str:
        if self.refusal is not None:
            raise self.refusal
        return json.dumps(self.prepared)

    def start(self) -> None:
        self.started += 1

    def next(self, timeout: float) -> str | None:
        if self._given < len(self.events):
            self._given += 1
            return json.dumps(self.events[self._given - 1])
        if self.endless and len(self.cancels) < self.kills_needed:
            threading.Event().wait(min(timeout, 0.01))
            return None
        self.reaped.set()
        raise StopIteration

    def interrupt(self) -> None:
        """It has begun by then."""

    def cancel(self, exit_code: int) -> None:
        self.cancels.append(exit_code)

    def result(self) -> str:
        assert self.reaped.is_set(), "asked for a result before the end"
        return json.dumps(SUMMARY)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr(core, "Orchestration", engine, raising=False)
    return engine


@pytest.mark.usefixtures("engine")
class TestOrchestrate:
    def test_the_callback_gets_every_event_in_order_on_the_callers_thread(self) -> None:
        seen: list[tuple[int, int]] = []
        report = orchestrate(
            "plan.md", on_event=lambda event: seen.append((event.seq, threading.get_ident()))
        )
        assert seen == [(seq, threading.get_ident()) for seq in (1, 2, 9_999)]
        assert (report.exit_code, report.prs_created) == (0, (3,))

    def test_only_options_that_were_given_are_passed_on(self, engine: Engine) -> None:
        orchestrate("plan.md", timeout=2.5, pass_env=["A", "B"], draft=True)
        assert engine.options == {
            "repo": ".",
            "timeout": 2.5,
            "pass_env": ["A", "B"],
            "draft": True,
        }

    def test_a_lone_name_of_a_variable_is_no_list_of_letters(self, engine: Engine) -> None:
        orchestrate("plan.md", pass_env="HOME")
        assert engine.options["pass_env"] == ["HOME"]

    @pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
    def test_an_exception_of_the_callback_reaps_and_is_raised_again(
        self, engine: Engine, error: BaseException
    ) -> None:
        engine.endless = True

        def fail(_: events.Event) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            orchestrate("plan.md", on_event=fail)
        assert caught.value is error
        assert engine.cancels == [130]
        assert engine.reaped.is_set()

    def test_warnings_that_nobody_accepted_start_nothing(self, engine: Engine) -> None:
        engine.prepared = {
            **PREPARED,
            "warnings": ["tasks 1-2 may share user.py"],
            "needs_confirmation": True,
        }
        with pytest.raises(core.ValidationError, match=r"share user\.py") as caught:
            orchestrate("plan.md")
        assert caught.value.exit_code == 4
        assert "--yes" in caught.value.hint
        assert engine.started == 0

    def test_a_dry_run_starts_nothing_and_shows_the_plan(self, engine: Engine) -> None:
        seen: list[events.Event] = []
        report = orchestrate("plan.md", dry_run=True, on_event=seen.append)
        assert (report.exit_code, report.total_sub_tasks, report.tasks) == (0, 1, ())
        assert [event.type for event in seen] == ["plan_parsed", "validated"]
        assert engine.started == 0

    def test_a_dry_run_of_dependent_tasks_has_exit_code_4(self, engine: Engine) -> None:
        engine.prepared = {**PREPARED, "validation": {"verdict": "abort", "dependencies": []}}
        assert orchestrate("plan.md", dry_run=True).exit_code == 4

    @pytest.mark.parametrize("timeout", [float("nan"), float("inf")])
    def test_numbers_are_finite(self, timeout: float) -> None:
        with pytest.raises(core.UsageError, match="timeout") as caught:
            orchestrate("plan.md", timeout=timeout)
        assert caught.value.exit_code == 64


async def collect(items: Iterable[Any]) -> list[events.Event]:
    return [event async for event in items]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("engine")
class TestStream:
    def test_every_event_arrives_and_then_there_is_a_report(self) -> None:
        async def use() -> None:
            streamed = stream("plan.md")
            with pytest.raises(RuntimeError, match="not over"):
                _ = streamed.report
            assert [event.seq async for event in streamed] == [1, 2, 9_999]
            assert streamed.report.exit_code == 0
            assert streamed.dropped == 0

        asyncio.run(use())

    def test_nothing_starts_before_it_is_read(self, engine: Engine) -> None:
        async def use() -> None:
            await stream("plan.md").aclose()

        asyncio.run(use())
        assert engine.started == 0

    def test_a_refusal_is_raised_where_the_events_are_read(self, engine: Engine) -> None:
        engine.refusal = core.PlanError("no tasks found in plan.md")

        async def use() -> None:
            async for _ in stream("plan.md"):
                pytest.fail("there is no event")

        with pytest.raises(core.PlanError, match="no tasks"):
            asyncio.run(use())

    def test_leaving_the_loop_cancels_and_reaps(self, engine: Engine) -> None:
        engine.endless, engine.events = True, [resumed(1)]

        async def use() -> None:
            async for _ in stream("plan.md"):
                break

        asyncio.run(use())
        assert engine.cancels == [130]
        assert engine.reaped.is_set()

    def test_closing_waits_until_everything_is_reaped(self, engine: Engine) -> None:
        engine.endless, engine.events = True, [resumed(1)]

        async def use() -> None:
            async with stream("plan.md") as streamed:
                async for _ in streamed:
                    await streamed.aclose()
                    assert engine.reaped.is_set()
            await streamed.aclose()

        asyncio.run(use())
        assert engine.cancels == [130]

    def test_cancelling_the_task_reaps_before_it_ends(self, engine: Engine) -> None:
        engine.endless, engine.events = True, [resumed(1)]

        async def use() -> None:
            reading = asyncio.Event()

            async def read() -> None:
                async for _ in stream("plan.md"):
                    reading.set()

            task = asyncio.create_task(read())
            await reading.wait()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert task.cancelled()
            assert engine.reaped.is_set()

        asyncio.run(use())
        assert engine.cancels == [130]

    def test_a_second_cancellation_kills_and_still_reaps(self, engine: Engine) -> None:
        engine.endless, engine.events, engine.kills_needed = True, [resumed(1)], 2

        async def use() -> None:
            reading = asyncio.Event()

            async def read() -> None:
                async for _ in stream("plan.md"):
                    reading.set()

            task = asyncio.create_task(read())
            await reading.wait()
            task.cancel()
            await wait_until(lambda: bool(engine.cancels))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert engine.reaped.is_set()

        asyncio.run(use())
        assert engine.cancels == [130, 130]

    def test_a_slow_reader_loses_claims_of_progress_and_nothing_else(self, engine: Engine) -> None:
        facts = [resumed(seq) for seq in range(0, 3 * CAPACITY, 3)]
        claims = [progress(seq) for seq in range(1, 3 * CAPACITY, 3)]
        engine.events = sorted([*facts, *claims], key=lambda event: event["seq"])

        async def use() -> tuple[list[events.Event], int]:
            streamed = stream("plan.md")
            seen: list[events.Event] = []
            async for event in streamed:
                if not seen:
                    await wait_until(lambda: streamed.dropped > 0)
                seen.append(event)
            return seen, streamed.dropped

        seen, dropped = asyncio.run(use())
        assert dropped > 0
        assert len(seen) + dropped == len(engine.events)
        assert [event.seq for event in seen] == sorted(event.seq for event in seen)
        kept = [event.seq for event in seen if isinstance(event, events.PoolResumed)]
        assert kept == [fact["seq"] for fact in facts]

    def test_the_loop_goes_on_while_the_engine_is_silent(self, engine: Engine) -> None:
        engine.endless, engine.events = True, []

        async def use() -> int:
            beats = 0
            reader = asyncio.create_task(collect(stream("plan.md")))
            for _ in range(5):
                await asyncio.sleep(0.01)
                beats += 1
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader
            return beats

        assert asyncio.run(use()) == 5

    def test_it_can_be_read_once(self) -> None:
        async def use() -> None:
            streamed = stream("plan.md")
            await collect(streamed)
            with pytest.raises(RuntimeError, match="once"):
                await collect(streamed)

        asyncio.run(use())


async def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the other side is a thread
        await asyncio.sleep(0.001)
