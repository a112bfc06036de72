"""The programs in examples/ run as they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
IDENTITY = {"GIT_AUTHOR_NAME": "T", "GIT_AUTHOR_EMAIL": "t@example.invalid"} | {
    "GIT_COMMITTER_NAME": "T",
    "GIT_COMMITTER_EMAIL": "t@example.invalid",
}


@pytest.fixture
def place(tmp_path):
    """A repository with a plan, and a ``claude`` in a folder of its own that answers or works."""
    repository = tmp_path / "repository"
    repository.mkdir()
    agents = tmp_path / "agents"
    agents.mkdir()
    script = agents / "claude"
    script.write_text("#!/bin/sh\necho an answer\n")
    script.chmod(0o755)
    env = {"PATH": f"{agents}:{os.environ['PATH']}", "HOME": str(tmp_path), **IDENTITY}

    def run(*command):
        return subprocess.run(
            command, cwd=repository, env=env, capture_output=True, text=True, check=False
        )

    run("git", "init", "-q", "-b", "main")
    run("git", "commit", "-q", "--allow-empty", "-m", "Begin")
    (repository / "plan.md").write_text("- [ ] Add the cart\n- [ ] Add the till\n")
    works = tmp_path / "works.sh"
    works.write_text("cat >/dev/null; test $AGENT_ID = agent-1 && echo x > x.txt\n")
    return run, f"sh {works}"


def test_side_by_side_prints_every_answer(place):
    run, _ = place
    done = run(sys.executable, EXAMPLES / "side_by_side.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("an answer") == 3


def test_run_a_plan_tells_what_came_of_every_task(place):
    run, agent = place
    done = run(sys.executable, EXAMPLES / "run_a_plan.py", "plan.md", agent)
    assert done.returncode == 2, done.stderr
    assert "agent 1: .claude/runtime/forge/pulls/" in done.stdout
    assert "agent 2 failed: " in done.stdout
    assert done.stdout.endswith("1 of 2 tasks succeeded\n")


def test_stop_at_the_first_failure_ends_the_run(place):
    run, agent = place
    done = run(sys.executable, EXAMPLES / "stop_at_the_first_failure.py", "plan.md", agent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("agent 2: failed\n")


def test_every_example_is_run_here():
    source = Path(__file__).read_text()
    names = [path.name for path in EXAMPLES.glob("*.py")]
    assert names
    assert all(name in source for name in names)
