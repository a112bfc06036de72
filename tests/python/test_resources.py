"""A machine with little to give: fewer agents at once, and none of them fails for it."""

import resource
import subprocess
import sys

from command import WORKS, Place

from orchestration.events import Event, Validated

FEW = 64
"""What `ulimit -n` gives, soft and hard."""

MANY = 50


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))


def many_tasks(place: Place) -> str:
    return place.plan(*(f"Add part {number}" for number in range(1, MANY + 1)))


def test_fifty_agents_share_few_descriptors(place: Place):
    command = place.start(
        many_tasks(place), "--agent", place.agent(WORKS), "--max-workers", str(MANY),
        "--keep-worktrees", before=few_descriptors,
    )  # fmt: skip
    out, err = command.communicate(timeout=60)
    assert command.returncode == 0, out + err
    assert "All agents succeeded" in out
    (said,) = [line for line in err.splitlines() if "at once instead of" in line]
    assert said.startswith("warning: ")
    assert f"agents at once instead of {MANY}: " in said
    assert "ulimit -n" in said
    assert not [line for line in err.splitlines() if "Too many open files" in line]
    assert place.summary()["successful"] == MANY
    logs = place.runtime.glob("logs/*/agent-*.log")
    assert sorted(len(log.read_text().splitlines()) for log in logs) == [1] * MANY


def test_an_event_tells_how_many_are_let_in(place: Place):
    command = place.start(
        many_tasks(place), "--agent", place.agent(WORKS), "--agents", "12",
        "--output", "json", "--dry-run", before=few_descriptors,
    )  # fmt: skip
    out, err = command.communicate(timeout=60)
    assert command.returncode == 0, out + err
    events = [Event.from_json(line) for line in out.splitlines()]
    (validated,) = [event for event in events if isinstance(event, Validated)]
    (said,) = validated.warnings
    assert " at once instead of 12: " in said


PROGRAM = """
import resource
from orchestration import ClaudeProcess, run_parallel

resource.setrlimit(resource.RLIMIT_NOFILE, (%d, %d))
processes = [ClaudeProcess("do it", f"p{n}", ".", "logs") for n in range(%d)]
results = run_parallel(processes)
print({result.exit_code for result in results}, len(results))
print({result.output for result in results})
"""


def test_run_parallel_needs_no_more_descriptors_than_there_are(agent, tmp_path):
    agent("sleep 0.1; ulimit -n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % (FEW, FEW, MANY)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[-2:] == [f"{{0}} {MANY}", f"{{'{FEW}\\n'}}"]
    logs = (tmp_path / "logs").glob("p*.log")
    assert sum("Completed" in log.read_text() for log in logs) == MANY
