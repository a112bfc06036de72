"""What the patterns share on the side of the agents: their names, their results, their prompts.

Pure, and without any wording of its own: each pattern says what it asks.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from orchestration.claude_process import ClaudeProcess, ProcessResult

# What cannot stand in a file name, or would make a log hard to find.
_UNFIT = re.compile(r"[\x00-\x1f/]")
_LONGEST_NAME = 120
"""Bytes; a log's name may have 255, with the pattern's prefix and `.log`."""


def in_order(
    processes: Sequence[ClaudeProcess], results: Sequence[ProcessResult]
) -> list[ProcessResult]:
    """Return results in the order of the processes that gave them.

    ``run_parallel`` returns them in the order in which they ended, so a result is known by its
    ``process_id`` alone. Results that name no process, such as the stand-ins of a program's tests,
    are taken to be in order already.
    """
    by_id = {getattr(result, "process_id", None): result for result in results}
    wanted = [process.process_id for process in processes]
    if len(by_id) == len(wanted) and all(name in by_id for name in wanted):
        return [by_id[name] for name in wanted]
    return list(results)


def labels(names: Iterable[str]) -> list[str]:
    """Return names that are fit for files and differ from each other, ordinary ones unchanged.

    No two agents share a log then.
    """
    return distinct(
        _UNFIT.sub("-", name).encode(errors="replace")[:_LONGEST_NAME].decode(errors="ignore")
        for name in names
    )


def distinct(names: Iterable[str]) -> list[str]:
    """Return names of which one that comes again has ``_2``, ``_3`` and so on behind it."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        own = name
        while own in seen:
            seen[name] += 1
            own = f"{name}_{seen[name]}"
        seen[own] += 1
        found.append(own)
    return found


def fenced(text: str) -> str:
    """Return text between fences that it cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.strip()}\n{fence}"


def excerpt(text: str, limit: int) -> str:
    """Return text of at most ``limit`` characters and a note of what was left out.

    The end of an answer holds its conclusion, so the middle goes.
    """
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
