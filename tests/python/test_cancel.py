"""The verb `cancel`: stops a run from another process, whatever process it is in."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import HANGS, WORKS, Place, is_alive, read_starts, refused
from support import wait_for

from orchestration._core import ask_to_end
from orchestration.events import Event, OrchestrationFinished

LISTENS = "cat >/dev/null; trap 'echo told >told; exit 1' TERM; sleep 600 & wait"
"""An agent that ends when it is asked to, and says so."""

UNTIL_TOLD = "cat >/dev/null; while [ ! -e ../../go ]; do sleep 0.02; done; echo x >$AGENT_ID"
"""An agent that works once there is a file `go` beside the repository."""

IN_A_PROGRAM = """
from orchestration import orchestrate
from orchestration.events import AgentStarted

def show(event):
    if isinstance(event, AgentStarted):
        print("started", flush=True)

report = orchestrate("plan.md", agent={agent!r}, on_event=show)
print(report.exit_code, report.tasks[0].error)
"""


def begin(place: Place, script: str, *titles: str, plan: str = "plan.md") -> subprocess.Popen[str]:
    """A run whose agents are at work."""
    titles = titles or ("Add a",)
    place.plan(*titles, name=plan)
    run = place.start(plan, "--agent", place.agent(script), "--output", "json")
    read_starts(run, len(titles))
    return run


def end(run: subprocess.Popen[str]) -> OrchestrationFinished:
    assert run.stdout is not None
    lines = run.stdout.read().splitlines()
    run.wait(timeout=20)
    last = Event.from_json(lines[-1])
    assert isinstance(last, OrchestrationFinished)
    return last


def folder(place: Place) -> Path:
    return place.runtime / "parallel" / "local-1"


def request(place: Place) -> Path:
    return folder(place) / "run.cancel"


def worktree(place: Place) -> Path:
    return place.root.parent / "shop.worktrees" / "feat-local-2-agent-1"


class TestStopping:
    def test_it_ends_like_the_first_ctrl_c_and_is_waited_for(self, place: Place) -> None:
        run = begin(place, LISTENS)
        began = time.monotonic()
        done = place.run("cancel")
        assert done.code == 0, done.err
        assert time.monotonic() - began < 5
        assert "its agents are asked to end" in done.out
        assert "Stopped: interrupted (exit code 130), 0 of 1 tasks done" in done.out
        assert "hint: go on with: parallel-orchestrate 'local#1'" in done.err
        last = end(run)
        assert (run.returncode, last.exit_code) == (130, 130)
        assert last.summary.tasks[0].error.startswith("CANCELLED: ")  # type: ignore[union-attr]
        assert (worktree(place) / "told").exists(), "asked, not killed"
        assert run.stderr is not None
        assert "hint: resume with:" in run.stderr.read()
        assert not list(folder(place).glob("run.cancel*"))

    def test_the_run_hears_it_within_a_second(self, place: Place) -> None:
        run = begin(place, LISTENS)
        done = place.start("cancel")
        wait_for(lambda: request(place).exists() or run.poll() is not None, "it to be asked")
        asked = time.monotonic()
        wait_for((worktree(place) / "told").exists, "the agent to be told", seconds=1)
        assert time.monotonic() - asked < 1
        done.communicate(timeout=20)

    def test_once_more_kills_the_agents(self, place: Place) -> None:
        run = begin(place, HANGS)
        pid = worktree(place) / "agent-1.pid"
        wait_for(lambda: pid.exists() and pid.read_text(encoding="utf-8").strip(), "the agent")
        agent = int(pid.read_text(encoding="utf-8"))
        (journal,) = folder(place).glob("*.jsonl")
        ask_to_end(journal, kill=False)
        wait_for(lambda: b'"cancel_requested"' in journal.read_bytes(), "it to be heard")
        os.kill(run.pid, signal.SIGSTOP)  # its grace must not end before the second request
        assert is_alive(agent)
        shown = json.loads(place.run("status", "--json").out)
        assert (shown["state"], shown["stopping"]) == ("running", True)
        second = place.start("cancel")
        wait_for(request(place).exists, "it to be asked again")
        os.kill(run.pid, signal.SIGCONT)
        out, err = second.communicate(timeout=20)
        assert second.returncode == 0, err
        assert "killing its agents" in out
        assert end(run).exit_code == 130
        assert not is_alive(agent)

    def test_now_kills_at_once(self, place: Place) -> None:
        run = begin(place, LISTENS)
        assert place.run("cancel", "local#1", "--now").code == 0
        assert end(run).exit_code == 130
        assert not (worktree(place) / "told").exists(), "killed, not asked"

    def test_no_wait_returns_once_it_has_heard(self, place: Place) -> None:
        run = begin(place, HANGS)
        done = place.run("cancel", "--no-wait")
        assert done.code == 0
        assert not request(place).exists()
        (journal,) = folder(place).glob("*.jsonl")
        assert b'"cancel_requested"' in journal.read_bytes()
        assert end(run).exit_code == 130

    def test_a_run_that_does_not_answer_is_spoken_of(self, place: Place) -> None:
        run = begin(place, LISTENS)
        os.kill(run.pid, signal.SIGSTOP)
        done = place.run("cancel", "--no-wait")
        assert done.code == 0
        assert f"process {run.pid} has not answered yet" in done.err
        assert "hint: see what has become of it: parallel-orchestrate status orch-" in done.err
        os.kill(run.pid, signal.SIGCONT)
        assert end(run).exit_code == 130, "asked is asked"

    def test_a_detached_run(self, place: Place) -> None:
        plan, agent = place.plan("Add a"), place.agent(LISTENS)
        begun = place.run(plan, "--agent", agent, "--detach")
        assert begun.code == 0, begun.err
        wait_for(worktree(place).exists, "the agent to start")
        done = place.run("cancel", begun.out.strip())
        assert done.code == 0, done.err
        assert place.run("watch").code == 130

    def test_a_python_program_gets_its_report(self, place: Place) -> None:
        place.plan("Add a")
        program = IN_A_PROGRAM.format(agent=place.agent(LISTENS))
        host = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=place.root,
            env=place.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        place.running.append(host)
        assert host.stdout is not None
        assert host.stdout.readline() == "started\n"
        assert place.run("cancel").code == 0
        out, _ = host.communicate(timeout=20)
        assert host.returncode == 0, "the program itself goes on"
        assert out.startswith("130 CANCELLED: ")

    def test_what_was_stopped_goes_on_with_the_same_command(self, place: Place) -> None:
        run = begin(place, LISTENS)
        place.run("cancel")
        end(run)
        assert place.run("plan.md", "--agent", place.agent(WORKS)).code == 0


class TestNothing:
    def test_nothing_runs_is_said_and_no_error(self, place: Place) -> None:
        done = place.run("cancel")
        assert (done.code, done.err) == (0, "")
        assert "nothing runs in" in done.out
        place.run(place.plan("Add a"), "--agent", place.agent(WORKS))
        assert "nothing runs in" in place.run("cancel").out
        named = place.run("cancel", "local#1")
        assert named.code == 0
        assert "does not run: finished (exit code 0)" in named.out
        refused(place.run("cancel", "local#7"), 64, "no orchestration of local#7")
        assert not request(place).exists()

    def test_a_dead_run_has_nothing_to_stop(self, place: Place) -> None:
        run = begin(place, HANGS)
        run.kill()
        run.wait()
        done = place.run("cancel", "local#1")
        assert done.code == 0
        assert "does not run: crashed" in done.out
        assert not request(place).exists()

    def test_where_several_run_one_has_to_be_named(self, place: Place) -> None:
        runs = [begin(place, LISTENS), begin(place, LISTENS, "Add b", plan="other.md")]
        done = place.run("cancel")
        refused(done, 64, "2 orchestrations run")
        assert done.err.count("orch-local-") == 2
        assert place.run("cancel", "local#1").code == 0
        assert end(runs[0]).exit_code == 130
        assert runs[1].poll() is None
        assert place.run("cancel").code == 0
        assert end(runs[1]).exit_code == 130


class TestStale:
    def test_a_request_that_was_left_over_ends_no_later_run(self, place: Place) -> None:
        run = begin(place, HANGS)
        os.kill(run.pid, signal.SIGSTOP)
        asks = place.start("cancel")
        wait_for(request(place).exists, "it to be asked")
        left_over = request(place).read_bytes()
        run.kill()
        run.wait()
        asks.communicate(timeout=20)
        request(place).write_bytes(left_over)
        again = place.start("plan.md", "--agent", place.agent(UNTIL_TOLD), "--output", "json")
        read_starts(again, 1)
        assert not request(place).exists(), "thrown away when the run began"
        request(place).write_bytes(left_over)
        wait_for(lambda: not request(place).exists(), "it to be read")
        (place.root.parent / "go").touch()
        assert end(again).exit_code == 0

    @pytest.mark.parametrize("text", [b"", b"{}", b"\xff\x00", b'{"kill": true}', b"x" * 100_000])
    def test_nonsense_ends_nothing(self, place: Place, text: bytes) -> None:
        run = begin(place, UNTIL_TOLD)
        request(place).write_bytes(text)
        wait_for(lambda: not request(place).exists(), "it to be read")
        (place.root.parent / "go").touch()
        assert end(run).exit_code == 0

    def test_a_pipe_in_its_place_holds_nobody_up(self, place: Place) -> None:
        run = begin(place, UNTIL_TOLD)
        os.mkfifo(request(place))
        wait_for(lambda: not request(place).exists(), "it to be taken away")
        assert place.run("cancel").code == 0
        assert end(run).exit_code == 130
