"""The programs in examples/ run as they are."""

import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import COMMAND

EXAMPLES = Path(__file__).parents[2] / "examples"
IDENTITY = {"GIT_AUTHOR_NAME": "T", "GIT_AUTHOR_EMAIL": "t@example.invalid"} | {
    "GIT_COMMITTER_NAME": "T",
    "GIT_COMMITTER_EMAIL": "t@example.invalid",
}


USES_TOKENS = r"""
cat >/dev/null
usage='"usage":{"input_tokens":300,"output_tokens":100}'
for part in 1 2 3; do
  echo '{"type":"assistant","message":{"id":"m'$part'","content":[],'"$usage"'}}'
done
sleep 30
"""
"""A Claude Code that says what it has used, and does not end by itself."""

VOTES = """
case "$*" in
*"Your field is tests"*) vote=REJECT ;;
*) vote=APPROVE ;;
esac
printf '## Vote\\n%s\\n## Confidence\\n0.9\\n## Weaknesses\\n- Nobody tests it.\\n' $vote
"""


@dataclass
class Place:
    """A repository with a plan, and a `claude` on the PATH."""

    root: Path
    env: dict[str, str]
    works: str
    """The command line of an agent that works on the first task, and fails at the second."""

    def run(self, *command, text=None):
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.env,
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    def claude(self, script):
        path = self.root.parent / "agents" / "claude"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@pytest.fixture
def place(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    agents = tmp_path / "agents"
    agents.mkdir()
    works = tmp_path / "works.sh"
    works.write_text("cat >/dev/null; test $AGENT_ID = agent-1 && echo x > x.txt\n")
    env = {
        "PATH": f"{agents}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AMPLIHACK_DELEGATE": "amplihack claude",
        "IS_SANDBOX": "1",  # root may run the tests
        **IDENTITY,
    }
    place = Place(root, env, f"sh {works}")
    place.claude("echo an answer")
    place.run("git", "init", "-q", "-b", "main")
    place.run("git", "commit", "-q", "--allow-empty", "-m", "Begin")
    (root / "plan.md").write_text("- [ ] Add the cart\n- [ ] Add the till\n")
    return place


@pytest.mark.parametrize(
    "name", ["run_a_plan.py", "stop_at_the_first_failure.py", "keep_a_budget.py"]
)
def test_what_needs_a_plan_says_so(name):
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"python examples/{name} plan.md" in done.stderr
    assert "Traceback" not in done.stderr


def test_side_by_side_prints_every_answer(place):
    done = place.run(sys.executable, EXAMPLES / "side_by_side.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("an answer") == 3


def test_run_a_plan_tells_what_came_of_every_task(place):
    done = place.run(sys.executable, EXAMPLES / "run_a_plan.py", "plan.md", place.works)
    assert done.returncode == 2, done.stderr
    assert "agent 1: .claude/runtime/forge/pulls/" in done.stdout
    assert "agent 2 failed: " in done.stdout
    assert done.stdout.endswith("1 of 2 tasks succeeded\n")


def test_stop_at_the_first_failure_ends_the_run(place):
    example = EXAMPLES / "stop_at_the_first_failure.py"
    done = place.run(sys.executable, example, "plan.md", place.works)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("agent 2: failed\n")


def test_keep_a_budget_ends_everything_once_it_is_spent(place):
    place.claude(USES_TOKENS)
    example = EXAMPLES / "keep_a_budget.py"
    done = place.run(sys.executable, example, "plan.md", "1500")
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(r"ended: (1600|2000|2400) tokens are used, of 1500\n", done.stdout)
    status = json.loads(place.run(*COMMAND, "status", "--json").stdout)
    assert (status["state"], status["exit_code"]) == ("interrupted", 130)


def test_panel_of_experts_counts_their_votes(place):
    place.claude(VOTES)
    example = EXAMPLES / "panel_of_experts.py"
    done = place.run(sys.executable, example, text="+ return 1")
    assert done.returncode == 0, done.stderr
    assert "security: approve (90%)\n" in done.stdout
    assert "tests: reject (90%)\n  - Nobody tests it.\n" in done.stdout
    assert done.stdout.endswith("the panel says: approve\n")


def test_two_at_once_serves_two_clients_side_by_side(place):
    waits = place.root.parent / "waits.sh"
    # Each waits until both are there, so that one after the other would never end.
    waits.write_text(
        "cat >/dev/null; touch $HOME/$MASTER_ISSUE.there; echo x >x.txt\n"
        "for i in $(seq 200); do\n"
        "  [ $(ls $HOME/*.there | wc -l) = 2 ] && exit 0; sleep 0.05\n"
        "done; exit 1\n"
    )
    for name in ("a.md", "b.md"):
        (place.root / name).write_text(f"- [ ] Add the cart of {name}\n")
    server = subprocess.Popen(
        [sys.executable, EXAMPLES / "two_at_once.py", f"sh {waits}"],
        cwd=place.root,
        env=place.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(server.stdout.readline().split()[-1])
        clients = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(3)]
        for client, name in zip(clients, ("a.md", "b.md", "missing.md"), strict=True):
            client.sendall(f"{name}\n".encode())
        told = []
        for client in clients:
            with client, client.makefile() as answer:
                told.append([json.loads(line) for line in answer])
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    assert [lines[-1]["exit_code"] for lines in told] == [0, 0, 64]
    assert told[0][-1]["type"] == told[1][-1]["type"] == "orchestration_finished"
    assert told[2] == [
        {
            "error": "plan file not found: missing.md",
            "hint": "check the path, or pass - to read the plan from standard input",
            "exit_code": 64,
        }
    ]


def test_every_example_is_run_here():
    source = Path(__file__).read_text()
    names = [path.name for path in EXAMPLES.glob("*.py")]
    assert len(names) == 6
    assert all(name in source for name in names)
