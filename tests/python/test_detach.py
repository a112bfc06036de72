"""`--detach`: the run outlives its command, and what refuses it is told by that command."""

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command import COMMAND, HANGS, WORKS, Place, is_alive, refused
from support import wait_for

SLOW = "cat >/dev/null; sleep 0.5; echo done >$AGENT_ID.txt"


def holder(place: Place) -> int:
    """The process that runs the orchestration."""
    (lock,) = place.runtime.glob("parallel/*/run.lock")
    return int(lock.read_text(encoding="utf-8"))


def end(place: Place, seconds: float = 20) -> dict[str, object]:
    """Waits for the end, and returns the summary."""
    pid = holder(place)
    wait_for(lambda: not is_alive(pid), "the run to end", seconds)
    return place.summary()


class TestBeginning:
    def test_it_returns_at_once_with_the_id_and_the_run_goes_on(self, place: Place) -> None:
        plan, agent = place.plan("Add a", "Add b"), place.agent(SLOW)
        began = time.monotonic()
        done = place.run(plan, "--agent", agent, "--yes", "--detach")
        took = time.monotonic() - began
        assert done.code == 0, done.err
        assert took < 2
        orchestration = done.out.strip()
        assert orchestration.startswith("orch-local-1-")
        assert f"parallel-orchestrate watch {orchestration}" in done.err
        (journal,) = place.runtime.glob("parallel/local-1/*.jsonl")
        assert journal.stem == orchestration
        assert not (journal.parent / "summary.json").exists(), "it goes on"
        assert end(place)["successful"] == 2
        log = place.runtime / "logs" / orchestration / "detached.log"
        text = log.read_text(encoding="utf-8")
        assert text.startswith("🚀 Parsed 2 sub-tasks from plan.md\n")
        assert "🎉 All agents succeeded!" in text

    def test_as_json_the_id_is_one_line(self, place: Place) -> None:
        done = place.run(
            place.plan("Add a"), "--agent", place.agent(WORKS), "--detach", "--output", "json"
        )
        said = json.loads(done.out)
        assert said["type"] == "detached"
        assert said["orchestration"].startswith("orch-local-1-")
        assert said["pid"] == holder(place)
        (event,) = done.events
        assert event.type == "detached"
        assert end(place)["successful"] == 1
        last = Path(said["log"]).read_text(encoding="utf-8").splitlines()[-1]
        assert json.loads(last)["type"] == "orchestration_finished"

    def test_a_plan_on_standard_input_is_handed_on(self, place: Place) -> None:
        done = place.run("-", "--agent", place.agent(WORKS), "--detach", text="- [ ] Add a\n")
        assert done.code == 0, done.err
        assert end(place)["successful"] == 1

    def test_the_run_leads_a_session_and_holds_no_stream_of_the_command(self, place: Place) -> None:
        # communicate() in run() returns only when nobody holds the pipes any more.
        done = place.run(place.plan("Add a"), "--agent", place.agent(HANGS), "--detach")
        assert done.code == 0, done.err
        pid = holder(place)
        assert os.getsid(pid) == pid
        streams = [str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in range(3)]
        log = str(place.runtime / "logs" / done.out.strip() / "detached.log")
        assert streams == ["/dev/null", log, log]
        os.kill(pid, signal.SIGTERM)
        assert end(place)["exit_code"] == 143


class TestSurvival:
    def test_it_outlives_the_killed_group_of_its_command(self, place: Place) -> None:
        plan, agent = place.plan("Add a"), place.agent(SLOW)
        # A shell that leads a group, as a tool call does, and stays after the command.
        words = " ".join(f"'{word}'" for word in [*COMMAND, plan, "--detach", "--agent"])
        shell = subprocess.Popen(
            ["sh", "-c", f'{words} "$0"; echo; sleep 600', agent],
            cwd=place.root,
            env=place.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        place.running.append(shell)
        assert shell.stdout is not None
        assert shell.stdout.readline().startswith("orch-")
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        assert end(place)["successful"] == 1

    def test_a_hangup_does_not_end_it(self, place: Place) -> None:
        place.run(place.plan("Add a"), "--agent", place.agent(SLOW), "--detach")
        os.kill(holder(place), signal.SIGHUP)
        assert end(place)["successful"] == 1

    def test_it_can_be_asked_to_end(self, place: Place) -> None:
        agent = place.agent("cat >/dev/null; exec sleep 600")
        place.run(place.plan("Add a"), "--agent", agent, "--detach")
        os.kill(holder(place), signal.SIGINT)
        assert end(place)["exit_code"] == 130


class TestRefusals:
    """Everything is told by the command, and nothing is left of what would have run."""

    def test_no_tasks(self, place: Place) -> None:
        (place.root / "plan.md").write_text("# Thoughts\n", encoding="utf-8")
        refused(place.run("plan.md", "--detach"), 3, "no tasks")
        assert not place.runtime.exists()

    def test_a_missing_plan_as_json(self, place: Place) -> None:
        done = place.run("nowhere.md", "--detach", "--output", "json")
        assert done.code == 64
        (event,) = done.events
        assert event.type == "error"

    def test_warnings_that_nobody_accepted(self, place: Place) -> None:
        plan = place.plan("Add a to `user.py`", "Add b to `user.py`")
        refused(place.run(plan, "--agent", place.agent(WORKS), "--detach"), 4, "user.py")
        assert not place.runtime.exists()

    def test_a_run_of_the_same_plan(self, place: Place) -> None:
        plan, agent = place.plan("Add a"), place.agent("cat >/dev/null; exec sleep 600")
        assert place.run(plan, "--agent", agent, "--detach").code == 0
        pid = holder(place)
        refused(place.run(plan, "--agent", agent, "--detach"), 9, f"process {pid} holds")
        os.kill(pid, signal.SIGTERM)
        end(place)

    def test_what_was_done_before_is_shown_and_nothing_is_detached(self, place: Place) -> None:
        plan, agent = place.plan("Add a"), place.agent(WORKS)
        place.run(plan, "--agent", agent)
        done = place.run(plan, "--agent", agent, "--detach")
        assert done.code == 0
        assert "🎉" in done.out
        assert "every task was run before" in done.err

    def test_a_dry_run_has_nothing_to_detach(self, place: Place) -> None:
        refused(place.run(place.plan("Add a"), "--detach", "--dry-run"), 64, "--dry-run")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_while_it_waits_cancels_the_run(
    place: Place, number: signal.Signals, code: int
) -> None:
    # It waits, because the plan on standard input does not end.
    command = place.start("-", "--agent", place.agent(WORKS), "--detach", stdin=subprocess.PIPE)

    def children() -> list[int]:
        path = Path(f"/proc/{command.pid}/task/{command.pid}/children")
        return [int(pid) for pid in path.read_text(encoding="utf-8").split()]

    def handles(pid: int) -> bool:
        """Whether it has a handler of its own, rather than Python's."""
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    wait_for(children, "the child")
    (child,) = children()
    wait_for(lambda: handles(child) and handles(command.pid), "both to listen")
    command.send_signal(number)
    out, err = command.communicate(timeout=10)
    assert command.returncode == code, err
    assert out == ""
    assert "interrupted before anything was created" in err
    assert not is_alive(child)
    assert not place.runtime.exists()


def test_a_person_on_a_terminal_is_asked_before_it_begins(place: Place) -> None:
    plan = place.plan("Add a to `user.py`", "Add b to `user.py`")
    mine, theirs = pty.openpty()
    command = place.start(
        plan, "--agent", place.agent(WORKS), "--detach", stdin=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = ""
    while "[y/N]" not in seen:
        seen += os.read(mine, 4096).decode()
    os.write(mine, b"y\n")
    out, _ = command.communicate(timeout=20)
    os.close(mine)
    assert command.returncode == 0
    assert out.startswith("orch-")
    assert end(place)["successful"] == 2
