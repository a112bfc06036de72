"""The ways to run several processes: side by side, in turn, in batches, until one succeeds.

Each helper exists twice: blocking, and as a coroutine whose cancellation ends the agents. What
they share with each other (prompts that pass output on, the words of a failure) stands here once;
``_driver`` does the running.
"""

from collections.abc import Iterable, Iterator, Sequence

from . import _driver
from .claude_process import ClaudeProcess, ProcessResult, check_timeout

_WARNING = "WARNING"


def run_parallel(
    processes: Iterable[ClaudeProcess],
    max_workers: int | None = None,
) -> list[ProcessResult]:
    """Run processes side by side and return their results in the order in which they ended.

    Plain processes run natively. One whose methods are overridden or patched, and any other
    object with ``run`` and ``process_id``, gets a thread, under the same limit. An exception in
    one of them is a failed result (``Parallel execution exception: …``); ``SystemExit`` and
    ``KeyboardInterrupt`` are raised once the others have ended.

    Args:
        processes: What to run; any iterable.
        max_workers: How many may run at a time. Default: all of them, or as many as the system
            has descriptors and memory for; the others wait, and nothing is said.

    Raises:
        ValueError: ``max_workers`` is below 1, or a time limit is negative or not finite.
    """
    jobs = _jobs(processes, max_workers)
    return [_settle(job, end) for job, end in _driver.run_all(jobs, max_workers)]


async def run_parallel_async(
    processes: Iterable[ClaudeProcess],
    max_workers: int | None = None,
) -> list[ProcessResult]:
    """Do what :func:`run_parallel` does, without blocking the event loop.

    Cancelling the awaiting task ends every agent, and the cancellation arrives when all of them
    are gone.
    """
    jobs = _jobs(processes, max_workers)
    return [_settle(job, end) for job, end in await _driver.run_all_async(jobs, max_workers)]


def run_sequential(
    processes: Iterable[ClaudeProcess],
    pass_output: bool = False,  # noqa: FBT001, FBT002 - amplihack's signature
    stop_on_failure: bool = False,  # noqa: FBT001, FBT002 - amplihack's signature
) -> list[ProcessResult]:
    """Run processes one after another.

    Args:
        processes: What to run, in this order.
        pass_output: Put all earlier output, that of failures too, before each next prompt. This
            changes ``prompt`` for good.
        stop_on_failure: Return after the first result whose exit code is not 0.
    """
    chain = _Chain(pass_output=pass_output, stop_on_failure=stop_on_failure)
    for process in processes:
        chain.prepare(process)
        if chain.take(process, process.run()):
            break
    return chain.results


async def run_sequential_async(
    processes: Iterable[ClaudeProcess],
    pass_output: bool = False,  # noqa: FBT001, FBT002 - amplihack's signature
    stop_on_failure: bool = False,  # noqa: FBT001, FBT002 - amplihack's signature
) -> list[ProcessResult]:
    """Do what :func:`run_sequential` does, without blocking the event loop."""
    chain = _Chain(pass_output=pass_output, stop_on_failure=stop_on_failure)
    for process in processes:
        chain.prepare(process)
        if chain.take(process, await _driver.run_one_async(process)):
            break
    return chain.results


def run_with_fallback(
    processes: Iterable[ClaudeProcess],
    timeout: float | None = None,
) -> ProcessResult:
    """Run processes in turn until one succeeds; return that result, or the last failure.

    Args:
        processes: What to try, in this order.
        timeout: A limit in seconds that replaces each process's own, for good.

    Raises:
        ValueError: There are no processes, or the time limit is negative or not finite.
    """
    attempts = _Attempts(processes, timeout)
    for process in processes:
        attempts.prepare(process)
        if attempts.take(process, process.run()):
            break
    return attempts.outcome()


async def run_with_fallback_async(
    processes: Iterable[ClaudeProcess],
    timeout: float | None = None,
) -> ProcessResult:
    """Do what :func:`run_with_fallback` does, without blocking the event loop."""
    attempts = _Attempts(processes, timeout)
    for process in processes:
        attempts.prepare(process)
        if attempts.take(process, await _driver.run_one_async(process)):
            break
    return attempts.outcome()


def run_batched(
    processes: Sequence[ClaudeProcess],
    batch_size: int,
    pass_output: bool = False,  # noqa: FBT001, FBT002 - amplihack's signature
) -> list[ProcessResult]:
    """Run processes side by side in batches; a batch ends before the next begins.

    Args:
        processes: What to run.
        batch_size: How many form a batch.
        pass_output: Put the output of earlier batches, successes only, before each next prompt.
            This changes ``prompt`` for good.

    Raises:
        ValueError: ``batch_size`` is below 1.
    """
    batches = _Batches(processes, batch_size, pass_output=pass_output)
    for batch in batches:
        batches.take(run_parallel(batch))
    return batches.results


async def run_batched_async(
    processes: Sequence[ClaudeProcess],
    batch_size: int,
    pass_output: bool = False,  # noqa: FBT001, FBT002 - amplihack's signature
) -> list[ProcessResult]:
    """Do what :func:`run_batched` does, without blocking the event loop."""
    batches = _Batches(processes, batch_size, pass_output=pass_output)
    for batch in batches:
        batches.take(await run_parallel_async(batch))
    return batches.results


def _jobs(processes: Iterable[ClaudeProcess], max_workers: int | None) -> list[ClaudeProcess]:
    """Return what is to be run; an empty list is never wrong, whatever the limit."""
    if not processes:
        return []
    # Not the other way round: nothing is less than NaN.
    if max_workers is not None and not max_workers >= 1:
        message = f"max_workers must be greater than 0, not {max_workers!r}"
        raise ValueError(message)
    jobs = list(processes)
    for job in jobs:
        if _driver.is_plain(job):
            # Where the constructor of a subclass set none, its own run fails and no other.
            check_timeout(vars(job).get("timeout"))
    return jobs


def _settle(job: ClaudeProcess, end: ProcessResult | Exception) -> ProcessResult:
    """Turn an exception of one process into its failed result."""
    if not isinstance(end, Exception):
        return end
    return ProcessResult(
        exit_code=-1,
        output="",
        stderr=f"Parallel execution exception: {_words(end)}",
        duration=0.0,
        process_id=job.process_id,
    )


def _words(error: Exception) -> str:
    """Return what an exception says; one that cannot say anything has at least a name."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a foreign __str__; the batch must not be lost to it
        return type(error).__name__


class _Chain:
    """What a sequence remembers from one process to the next."""

    def __init__(self, *, pass_output: bool, stop_on_failure: bool) -> None:
        self.results: list[ProcessResult] = []
        self._pass_output = pass_output
        self._stop_on_failure = stop_on_failure
        self._earlier = ""

    def prepare(self, process: ClaudeProcess) -> None:
        if self._earlier:
            process.prompt = (
                f"\n\n--- Previous output ---\n{self._earlier}\n\n--- New task ---\n"
                + process.prompt
            )

    def take(self, process: ClaudeProcess, result: ProcessResult) -> bool:
        """Note a result; true ends the sequence."""
        self.results.append(result)
        if self._pass_output:
            self._earlier += result.output
        if not self._stop_on_failure or result.exit_code == 0:
            return False
        process.log(
            f"Stopping sequential execution due to failure (exit_code={result.exit_code})",
            level=_WARNING,
        )
        return True


class _Attempts:
    """What a series of fallbacks remembers from one process to the next."""

    def __init__(self, processes: Iterable[ClaudeProcess], timeout: float | None) -> None:
        if not processes:
            raise self._none()
        check_timeout(timeout)
        # A generator does not tell how many it has.
        self._count = 0
        self._timeout = timeout
        self._last: ProcessResult | None = None
        self._succeeded = False

    def prepare(self, process: ClaudeProcess) -> None:
        self._count += 1
        if self._timeout:
            process.timeout = self._timeout
        process.log("Attempting process (fallback strategy)")

    def take(self, process: ClaudeProcess, result: ProcessResult) -> bool:
        """Note a result; true ends the series."""
        self._last = result
        self._succeeded = result.exit_code == 0
        if self._succeeded:
            process.log("Process succeeded, skipping remaining fallbacks")
        else:
            process.log(
                f"Process failed (exit_code={result.exit_code}), trying next fallback",
                level=_WARNING,
            )
        return self._succeeded

    def outcome(self) -> ProcessResult:
        if self._last is None:
            raise self._none()
        if not self._succeeded:
            self._last.stderr = (
                f"All {self._count} fallback attempts failed. Last error: {self._last.stderr}"
            )
        return self._last

    @staticmethod
    def _none() -> ValueError:
        return ValueError("run_with_fallback requires at least one process")


class _Batches:
    """Cuts processes into batches and carries output from one to the next."""

    def __init__(
        self, processes: Sequence[ClaudeProcess], batch_size: int, *, pass_output: bool
    ) -> None:
        if processes and not batch_size >= 1:
            message = f"batch_size must be greater than 0, not {batch_size!r}"
            raise ValueError(message)
        self.results: list[ProcessResult] = []
        self._processes = processes
        self._size = batch_size
        self._pass_output = pass_output
        self._earlier = ""

    def __iter__(self) -> Iterator[Sequence[ClaudeProcess]]:
        for start in range(0, len(self._processes), self._size or 1):
            batch = self._processes[start : start + self._size]
            if self._earlier:
                for process in batch:
                    process.prompt = (
                        f"\n\n--- Previous batch output ---\n{self._earlier}"
                        f"\n\n--- New task ---\n{process.prompt}"
                    )
            yield batch

    def take(self, results: list[ProcessResult]) -> None:
        self.results += results
        if self._pass_output:
            self._earlier += "\n\n".join(r.output for r in results if r.exit_code == 0)
