"""Runs an orchestration beside an asyncio program: the events as an asynchronous iterator.

A thread waits for the native engine and fills a small buffer; the event loop empties it. The
thread waits where the reader is slow, except that claims of progress are dropped first: they are
the only events whose loss changes nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from .events import AgentProgress, Event
from .runner import (
    Run,
    dry_run_events,
    dry_run_report,
    open_run,
    refuse_unless_accepted,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
    from os import PathLike

    from typing_extensions import Self

    from .report import Report

CAPACITY = 1024
"""Events held for a slow reader."""


def stream(
    source: str | PathLike[str],
    *,
    repo: str | PathLike[str] = ".",
    max_workers: int | None = None,
    timeout: float | None = None,
    batch_size: int | None = None,
    yes: bool = False,
    base: str | None = None,
    agent: str | None = None,
    model: str | None = None,
    verify: str | None = None,
    setup: str | None = None,
    permission_mode: str | None = None,
    budget_usd: float | None = None,
    agent_budget_usd: float | None = None,
    keep_worktrees: bool = False,
    draft: bool = False,
    dry_run: bool = False,
    retry: bool = False,
    new: bool = False,
    pass_env: Sequence[str] = (),
    forge: str | None = None,
) -> EventStream:
    """Runs every task of a plan like :func:`orchestrate`, and yields what happens.

    Nothing starts before the first event is asked for; what :func:`orchestrate` raises is raised
    there. Leaving the loop early, :meth:`EventStream.aclose` and cancelling the task stop all
    agents and wait until they are reaped::

        events = stream("plan.md")
        async for event in events:
            print(event)
        print(events.report.exit_code)
    """
    return EventStream(
        source,
        {
            "repo": repo,
            "max_workers": max_workers,
            "timeout": timeout,
            "batch_size": batch_size,
            "yes": yes,
            "base": base,
            "agent": agent,
            "model": model,
            "verify": verify,
            "setup": setup,
            "permission_mode": permission_mode,
            "budget_usd": budget_usd,
            "agent_budget_usd": agent_budget_usd,
            "keep_worktrees": keep_worktrees,
            "draft": draft,
            "dry_run": dry_run,
            "retry": retry,
            "new": new,
            "pass_env": pass_env,
            "forge": forge,
        },
    )


class EventStream:
    """The events of one orchestration. It can be read once."""

    def __init__(self, source: str | PathLike[str], options: dict[str, Any]) -> None:
        """Use :func:`stream`."""
        self._pump = _Pump(source, options)

    @property
    def dropped(self) -> int:
        """How many claims of progress were left out because the reader was slow."""
        return self._pump.buffer.dropped

    @property
    def report(self) -> Report:
        """The outcome, once the last event was read.

        Raises:
            OrchestrationError: the engine or the forge broke on the way.
            RuntimeError: it is not over yet.
        """
        return self._pump.report()

    def __aiter__(self) -> AsyncIterator[Event]:
        """Starts the run with the first event.

        The iterator does not belong to this object, so that leaving the loop lets go of it, and
        asyncio closes it.
        """
        return self._pump.read()

    async def aclose(self) -> None:
        """Stops all agents and waits until they are reaped. Closing twice does no harm."""
        await self._pump.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Buffer:
    """A bounded queue from one thread to one event loop."""

    def __init__(self) -> None:
        self.dropped = 0
        self._events: deque[Event] = deque()
        self._room = threading.Condition()
        self._closed = False

    def put(self, event: Event) -> None:
        """Adds an event.

        Where there is no room, the oldest claim of progress makes way, or else it waits.
        """
        with self._room:
            if len(self._events) >= CAPACITY:
                claims = (
                    held for held in (*self._events, event) if isinstance(held, AgentProgress)
                )
                if (oldest := next(claims, None)) is not None:
                    self.dropped += 1
                    if oldest is event:
                        return
                    self._events.remove(oldest)
                self._room.wait_for(lambda: len(self._events) < CAPACITY or self._closed)
            if not self._closed:
                self._events.append(event)

    def take(self) -> Event | None:
        """The oldest event, or none where there is none yet."""
        with self._room:
            event = self._events.popleft() if self._events else None
            self._room.notify()
            return event

    def close(self) -> None:
        """Nobody reads any more: what is held is let go, and nothing waits for room."""
        with self._room:
            self._closed = True
            self._events.clear()
            self._room.notify()


class _Pump:
    """The run, its thread and its buffer, shared by a stream and its iterator."""

    def __init__(self, source: str | PathLike[str], options: dict[str, Any]) -> None:
        self.buffer = _Buffer()
        self._source = source
        self._options = options
        self._run: Run | None = None
        self._report: Report | None = None
        self._failure: BaseException | None = None
        self._opened = False
        self._stopping = threading.Event()
        self._over: asyncio.Event | None = None
        self._news: asyncio.Event | None = None

    async def read(self) -> AsyncGenerator[Event, None]:
        if self._opened:
            message = "the events of an orchestration can be read once"
            raise RuntimeError(message)
        self._opened = True
        loop = asyncio.get_running_loop()
        self._over = over = asyncio.Event()
        self._news = news = asyncio.Event()
        threading.Thread(
            target=self._work,
            args=(loop, news, over),
            name="orchestration-events",
            daemon=True,
        ).start()
        try:
            while True:
                news.clear()
                while (event := self.buffer.take()) is not None:
                    yield event
                if over.is_set():
                    break
                await news.wait()
            while (event := self.buffer.take()) is not None:
                yield event
            if self._failure is not None:
                raise self._failure
        finally:
            await self.stop()

    async def stop(self) -> None:
        over, self._opened = self._over, True
        if over is None or over.is_set():
            return
        self._stopping.set()
        self.buffer.close()
        if self._run is not None:
            self._run.cancel()
        cancelled = None
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError as error:
                # Asked once more: no grace, but still no return before everything is reaped.
                cancelled = error
                if self._run is not None:
                    self._run.cancel()
        if cancelled is not None:
            raise cancelled

    def report(self) -> Report:
        if self._report is not None:
            return self._report
        if self._failure is not None:
            raise self._failure
        message = "the orchestration is not over yet"
        raise RuntimeError(message)

    def _work(
        self, loop: asyncio.AbstractEventLoop, news: asyncio.Event, over: asyncio.Event
    ) -> None:
        def tell(event: asyncio.Event) -> None:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # the loop was closed under us: stop, nobody listens
                self._stopping.set()
                if self._run is not None:
                    self._run.cancel()

        try:
            self._orchestrate(lambda: tell(news))
        except BaseException as error:  # noqa: BLE001 - raised again where the events are read
            self._failure = error
        tell(over)
        tell(news)

    def _orchestrate(self, tell: Callable[[], None]) -> None:
        run = open_run(self._source, **self._options)
        prepared = run.prepare()
        if run.dry_run:
            for event in dry_run_events(prepared):
                self.buffer.put(event)
            self._report = dry_run_report(prepared)
            return
        refuse_unless_accepted(prepared)
        if self._stopping.is_set():
            return
        self._run = run

        def hand_over(line: str) -> None:
            self.buffer.put(Event.from_json(line))
            tell()

        self._report = run.deliver(hand_over)
