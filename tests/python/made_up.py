"""Events of runs that never were, second by second, for tests of what is made of them."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from orchestration.events import Event

BEGAN = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)


class Run:
    """A run that is told: `run(seconds, type, …)` adds an event."""

    def __init__(self, *titles: str, workers: int = 5) -> None:
        self.events: list[Event] = []
        tasks = [{"agent": agent, "title": title} for agent, title in enumerate(titles, 1)]
        agents = [task["agent"] for task in tasks]
        self(0, "plan_parsed", source="plan.md", title="Spring", tasks=tasks)
        self(0, "issue_created", role="master", **filed(41, "Spring"))
        self(0, "batch_started", agents=agents, max_workers=workers, **BATCH)

    def __call__(self, seconds: float, kind: str, /, **body: Any) -> None:
        time = (BEGAN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
        head = {"v": 1, "seq": len(self.events) + 1, "time": time.replace("+00:00", "Z")}
        data = {**head, "orchestration": "orch-41-20260301-0900", "type": kind, **body}
        self.events.append(Event.from_json(json.dumps(data)))

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def begin(self, agent: int, at: float, *, attempt: int = 1) -> None:
        """A worktree, and a second later the agent."""
        path, branch = f"/srv/shop.worktrees/{agent}", f"feat/issue-{41 + agent}"
        self(at, "worktree_created", agent=agent, path=path, branch=branch)
        self(at + 1, "agent_started", agent=agent, attempt=attempt, pid=1, pgid=1)

    def end(self, agent: int, at: float, outcome: str = "success", *, attempt: int = 1) -> None:
        """The agent's process is over."""
        facts = {"exit_code": 0, "duration_seconds": 1.0}
        self(at, "agent_finished", agent=agent, attempt=attempt, outcome=outcome, **facts)

    def settle(self, agent: int, at: float, seconds: float, *, error: str | None = None) -> None:
        """The task has its outcome: a change request, or a failure."""
        if error is None:
            self(at, "pull_created", agent=agent, **filed(500 + agent, None))
        failure = error and {
            "stage": "implementation",
            "error": "TIMEOUT",
            "message": error,
            "timed_out": True,
        }
        outcome = {"success": error is None, "duration_seconds": seconds, "pr_number": None}
        self(at, "task_finished", agent=agent, failure=failure, **outcome)

    def use(self, agent: int, at: float, read: int, written: int, cost: float | None) -> None:
        """What the agent says it has used in this attempt."""
        usage = {"input_tokens": read, "output_tokens": written, "cost_usd": cost}
        self(at, "agent_usage", agent=agent, **usage)

    def finish(self, at: float, exit_code: int, *rows: dict[str, Any], **summed: Any) -> None:
        """The end, with a summary of which the rows and what is given matter here."""
        empty = dict.fromkeys(REPORT, 0) | {"prs_created": [], "follow_up_issues": []}
        head = {"orchestration_id": "", "exit_code": exit_code, "context": CONTEXT}
        summary = {**empty, **head, "tasks": rows, **summed}
        self(at, "orchestration_finished", exit_code=exit_code, summary=summary)


BATCH = {"batch": 1, "batches": 1, "batch_size": None, "interval": 30}

CONTEXT = {
    **dict.fromkeys(("title", "source", "logs", "summary_path"), ""),
    **dict.fromkeys(("wall_seconds", "sequential_seconds", "peak_concurrency", "threshold"), 0),
    "base": "main",
    "local": True,
    "interrupted": False,
}

REPORT = (
    *("master_issue", "total_sub_tasks", "successful", "failed", "duration_seconds"),
    *("lines_of_code", "success_rate"),
)


def filed(number: int, title: str | None) -> dict[str, Any]:
    """Something on the forge."""
    data = {"number": number, "url": f"https://example.org/shop/{number}", "existed": False}
    return data if title is None else {**data, "title": title, "agent": None}


def row(agent: int, **fields: Any) -> dict[str, Any]:
    """A task in a summary: one that completed, unless the fields say otherwise."""
    nothing = dict.fromkeys(
        (
            *("sub_issue", "pr_number", "branch", "cost_usd", "tests_passing", "error"),
            *("failure_stage", "follow_up_issue"),
        )
    )
    done = {"status": "completed", "duration_seconds": 1.0, "lines_of_code": 12, "attempts": 1}
    name = {"agent_id": f"agent-{agent}", "title": f"Task {agent}", "timed_out": False}
    return {**nothing, **name, **done, **fields}


def many(count: int, *, mark: str = "", workers: int = 8) -> Run:
    """A run of that many agents with all that can be drawn; `mark` is in every text of it."""
    titles = [f"{mark}Add the {number}th shelf" for number in range(1, count + 1)]
    run = Run(*titles, workers=workers)
    for agent in range(1, count + 1):
        at = 70.0 * ((agent - 1) // workers) + agent % workers
        run.begin(agent, at)
        for step in range(5):
            stage = f"{mark}Writing shelf {step}.py"
            run(at + 3 + 9 * step, "agent_progress", agent=agent, stage=stage, percent=18 * step)
        run.use(agent, at + 50, 20_000 * agent, 900 * agent, 0.11 * agent)
        fails = agent % 6 == 2
        run.end(agent, at + 55, "timed_out" if fails else "success")
        if not fails:
            passed = {"passed": True, "exit_code": 0, "duration_seconds": 6.0}
            run(at + 61, "verify_finished", agent=agent, **passed)
        run.settle(agent, at + 63, 63, error=f"{mark}it took too long" if fails else None)
    run.events.sort(key=lambda event: event.time)
    end = 70.0 * ((count - 1) // workers) + 80
    run(end, "pool_paused", reason=f"{mark}the usage limit is reached", until="")
    run(end + 30, "pool_resumed")
    run(end + 31, "warning", agent=2, message=f"{mark}the worktree was kept")
    again = [{"agent": 2, "failed": "Timeout"}]
    numbers = {"retry": True, "successful": count - 1, "total": count}
    run(end + 9000, "orchestration_resumed", tasks=again, **numbers)
    run.begin(2, end + 9001, attempt=2)
    run.end(2, end + 9030, "failed", attempt=2)
    run.settle(2, end + 9031, 30, error=f"{mark}it failed again")
    return run
