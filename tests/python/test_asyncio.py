"""The coroutines: results as in the blocking forms, and cancellation that waits for the end."""

import asyncio
import time

import pytest
from support import STUBBORN, Fake, alive, descriptors, pids, wait_for

from orchestration import (
    run_batched_async,
    run_parallel_async,
    run_sequential_async,
    run_with_fallback_async,
)


def test_parallel_returns_results_in_completion_order(agent, make):
    agent('sleep "$3"; echo "$3"')
    processes = [make(delay, delay) for delay in ("0.2", "0.01", "0.1")]
    results = asyncio.run(run_parallel_async(processes))
    assert [r.output for r in results] == ["0.01\n", "0.1\n", "0.2\n"]


def test_the_loop_goes_on_meanwhile(agent, make):
    agent("sleep 0.2")

    async def main():
        task = asyncio.create_task(run_parallel_async([make()]))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        return turns

    assert asyncio.run(main()) > 5


def test_many_runs_share_one_loop(agent, make):
    agent('echo "$3"')

    async def main():
        runs = [run_parallel_async([make(f"{i}", f"p{i}")]) for i in range(20)]
        return await asyncio.gather(*runs)

    assert [r.output for [r] in asyncio.run(main())] == [f"{i}\n" for i in range(20)]


def test_foreign_objects_run_in_threads(agent, make):
    agent("echo ours")
    results = asyncio.run(
        run_parallel_async([Fake("a", 1), make(), Fake("b", RuntimeError("no"))], max_workers=1)
    )
    assert results[0] == 1
    assert results[1].output == "ours\n"
    assert results[2].stderr == "Parallel execution exception: no"


def test_sequential_fallback_and_batched_do_what_their_twins_do(agent, make):
    agent('printf "%s" "$3"; case "$3" in *bad) exit 1; esac')

    async def main():
        sequence = await run_sequential_async([make("a"), make("b")], pass_output=True)
        fallback = await run_with_fallback_async([make("bad"), make("good")], timeout=5)
        batched = await run_batched_async([make("c"), make("d")], 1, pass_output=True)
        return sequence[1].output, fallback.output, batched[1].output

    assert asyncio.run(main()) == (
        "\n\n--- Previous output ---\na\n\n--- New task ---\nb",
        "good",
        "\n\n--- Previous batch output ---\nc\n\n--- New task ---\nd",
    )


def test_exceptions_pass_through_a_sequence():
    with pytest.raises(RuntimeError, match="no luck"):
        asyncio.run(run_sequential_async([Fake("a", RuntimeError("no luck"))]))


def test_wrong_limits_are_value_errors(make):
    with pytest.raises(ValueError, match="max_workers"):
        asyncio.run(run_parallel_async([make()], max_workers=0))
    assert asyncio.run(run_parallel_async([], max_workers=0)) == []


@pytest.mark.parametrize("helper", [run_parallel_async, run_sequential_async])
def test_cancelling_the_task_ends_the_agents_before_it_is_over(agent, make, tmp_path, helper):
    agent(STUBBORN)

    async def main():
        task = asyncio.create_task(helper([make(stream_output=False)]))
        found = await asyncio.to_thread(pids, tmp_path / "work")
        begin = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - begin < 2
        assert not any(alive(pid) for pid in found)

    asyncio.run(main())


def test_cancelling_twice_takes_away_the_grace(agent, make, tmp_path):
    agent(STUBBORN)

    async def main():
        task = asyncio.create_task(run_parallel_async([make(stream_output=False)]))
        found = await asyncio.to_thread(pids, tmp_path / "work")
        begin = time.monotonic()
        task.cancel()
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - begin < 0.45
        assert not any(alive(pid) for pid in found)

    asyncio.run(main())


def test_a_time_limit_of_the_loop_ends_the_agents(agent, make):
    agent("exec sleep 60")

    async def main():
        await asyncio.wait_for(run_parallel_async([make()]), 0.2)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(main())


def test_nothing_is_left_open(agent, make):
    agent("exit 0")
    asyncio.run(run_parallel_async([make()]))
    before = descriptors()
    for _ in range(5):
        asyncio.run(run_parallel_async([make()]))
    # The engine lets go of a pool on its own thread.
    wait_for(lambda: len(descriptors()) <= len(before), "the last descriptors to be closed")
