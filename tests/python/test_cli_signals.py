"""How the command ends when it is asked to, or forced to; and on a terminal."""

import json
import os
import pty
import re
import signal
import time
from pathlib import Path

import pytest
from command import HANGS, WORKS, Place, is_alive, read_starts

from orchestration.cli import main
from orchestration.events import Event


class TestSignals:
    def test_an_interrupt_while_the_command_still_loads_ends_it_without_a_word(
        self, place: Place, tmp_path: Path
    ) -> None:
        """The first thing that is loaded interrupts us."""
        (tmp_path / "click.py").write_text(
            "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(20)\n"
        )
        place.environment["PYTHONPATH"] = str(tmp_path)
        done = place.run("--help")
        assert (done.code, done.out, done.err) == (-signal.SIGINT, "", "")

    @pytest.mark.parametrize(
        ("number", "code"),
        [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
    )
    def test_the_first_signal_stops_every_agent(
        self, place: Place, number: signal.Signals, code: int
    ) -> None:
        # It listens: TERM ends it.
        agent = place.agent("cat >/dev/null; exec sleep 600")
        command = place.start(
            place.plan("Add a", "Add b"), "--agent", agent, "--yes", "--output", "json"
        )
        pids = [started.pid for started in read_starts(command, 2)]
        command.send_signal(number)
        out, err = command.communicate(timeout=20)
        assert command.returncode == code, err
        assert [pid for pid in pids if is_alive(pid)] == []
        assert "hint: resume with: parallel-orchestrate plan.md" in err
        assert Event.from_json(out.splitlines()[-1]).type == "orchestration_finished"
        (log,) = place.runtime.glob("logs/*/session.log")
        logged = {int(pid) for pid in re.findall(r"\bpid=(\d+)", log.read_text(encoding="utf-8"))}
        assert set(pids) <= logged
        assert [pid for pid in logged if is_alive(pid)] == []

    def test_the_second_signal_kills(self, place: Place) -> None:
        command = place.start(
            place.plan("Add a"), "--agent", place.agent(HANGS), "--yes", "--output", "json"
        )
        (started,) = read_starts(command, 1)
        command.send_signal(signal.SIGINT)
        assert command.stderr is not None
        while "stopping the agents" not in command.stderr.readline():
            pass
        asked = time.monotonic()
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=20)
        assert command.returncode == 130
        assert time.monotonic() - asked < 3, "it waited for the grace period"
        assert not is_alive(started.pid)

    def test_a_signal_that_the_parent_ignores_stays_ignored(self, place: Place) -> None:
        def ignore() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        agent = place.agent(f"{WORKS}; sleep 0.5")
        command = place.start(
            place.plan("Add a"), "--agent", agent, "--yes", "--output", "json", before=ignore
        )
        read_starts(command, 1)
        command.send_signal(signal.SIGHUP)
        _, err = command.communicate(timeout=20)
        assert command.returncode == 0, err

    def test_a_closed_standard_output_ends_it_cleanly(self, place: Place) -> None:
        agent = place.agent("cat >/dev/null; exec sleep 600")
        command = place.start(place.plan("Add a"), "--agent", agent, "--yes", "--timeout", "1")
        assert command.stdout is not None
        assert "🚀" in command.stdout.readline()
        command.stdout.close()
        assert command.stderr is not None
        err = command.stderr.read()
        command.wait(timeout=20)
        assert "Traceback" not in err
        assert "BrokenPipe" not in err

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
    @pytest.mark.parametrize("output", ["text", "json"])
    def test_a_standard_output_on_a_full_disk_is_a_system_error(
        self, place: Place, output: str
    ) -> None:
        plan, agent = place.plan("Add a"), place.agent("cat >/dev/null; exec sleep 600")
        with Path("/dev/full").open("w") as full:
            command = place.start(
                plan, "--agent", agent, "--yes", "--output", output, stdout=full.fileno()
            )
        assert command.stderr is not None
        err = command.stderr.read()
        assert command.wait(timeout=20) == 9, err
        assert "error: cannot write to standard output: No space left" in err
        assert "Traceback" not in err

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
    @pytest.mark.parametrize("verb", [("completion", "zsh"), ("logs", "1", "--raw"), ("doctor",)])
    def test_the_same_for_what_is_only_shown(self, place: Place, verb: tuple[str, ...]) -> None:
        assert place.run(place.plan("Add a"), "--agent", place.agent(WORKS)).code == 0
        with Path("/dev/full").open("w") as full:
            command = place.start(*verb, stdout=full.fileno())
        _, err = command.communicate(timeout=20)
        assert (command.returncode, err.count("\n")) == (9, 2), err
        assert err.startswith("error: cannot write to standard output: No space left")

    def test_what_nobody_foresaw_is_no_partial_success(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            message = "unforeseen"
            raise RuntimeError(message)

        monkeypatch.setattr("orchestration.cli.orchestrate.command.main", fail)
        assert main(["plan.md"]) == 9
        assert "unforeseen" in capsys.readouterr().err

    def test_a_help_that_nobody_reads_is_no_error(self, place: Place) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        command = place.start("--help", stdout=writer)
        os.close(writer)
        assert command.stderr is not None
        assert command.stderr.read() == ""
        assert command.wait(timeout=10) == 0

    def test_it_runs_with_all_standard_descriptors_closed(self, place: Place) -> None:
        def close() -> None:
            for descriptor in (0, 1, 2):
                os.close(descriptor)

        plan, agent = place.plan("Add a"), place.agent(WORKS)
        command = place.start(plan, "--agent", agent, "--yes", before=close)
        assert command.wait(timeout=20) == 0


class TestTerminal:
    @pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 4), ("\n", 4)])
    def test_warnings_are_a_question_on_a_terminal(
        self, place: Place, answer: str, code: int
    ) -> None:
        plan = place.plan("Add a to `user.py`", "Add b to `user.py`")
        mine, theirs = pty.openpty()
        command = place.start(plan, "--agent", place.agent(WORKS), stdin=theirs, stderr=theirs)
        os.close(theirs)
        seen = ""
        while "[y/N]" not in seen:
            seen += os.read(mine, 4096).decode()
        assert "user.py" in seen
        os.write(mine, answer.encode())
        out, _ = command.communicate(timeout=20)
        os.close(mine)
        assert command.returncode == code
        assert "[y/N]" not in out


class TestHardEnds:
    def test_a_killed_command_leaves_no_process_and_its_plan_goes_on(self, place: Place) -> None:
        plan = place.plan("Add a", "Add b")
        command = place.start(plan, "--agent", place.agent(HANGS), "--yes", "--output", "json")
        pids = [event.pid for event in read_starts(command, 2)]
        command.kill()
        command.wait()
        deadline = time.monotonic() + 5
        while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(is_alive(pid) for pid in pids)
        done = place.run(plan, "--agent", place.agent(WORKS), "--yes")
        assert done.code == 0, done.err
        issues = sorted(path.stem for path in (place.runtime / "forge" / "issues").glob("*.md"))
        assert issues == ["1", "2", "3"], "nothing is filed twice"

    def test_submodules_are_there_when_an_agent_starts(self, place: Place, tmp_path: Path) -> None:
        library = tmp_path / "library"
        place.git("init", "--quiet", "--initial-branch=main", str(library))
        (library / "lib.txt").write_text("code\n", encoding="utf-8")
        place.git("add", "--all", cwd=library)
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.invalid")
        place.git(*identity, "commit", "--quiet", "--message=Begin", cwd=library)
        place.environment["GIT_ALLOW_PROTOCOL"] = "file"
        place.git("submodule", "--quiet", "add", str(library), "vendor/library")
        place.git("commit", "--quiet", "--message=Use the library")
        agent = place.agent("cat >/dev/null; cp vendor/library/lib.txt used.txt")
        done = place.run(place.plan("Use the library"), "--agent", agent, "--yes")
        assert done.code == 0, done.out
        assert place.git("show", "feat/local-2-agent-1:used.txt") == "code"
        assert len(place.git("worktree", "list").splitlines()) == 1

    def test_more_is_told_where_more_is_wanted(self, place: Place) -> None:
        place.environment["AMPLIHACK_PARALLEL_VERBOSE"] = "1"
        agent = place.agent("cat >/dev/null; echo here I am; echo x >x.txt")
        done = place.run(place.plan("Add a"), "--agent", agent, "--yes")
        assert done.code == 0, done.err
        assert "here I am" in done.err
        assert "here I am" not in done.out
        (log,) = place.runtime.glob("logs/*/session.log")
        assert "worktree add" in log.read_text(encoding="utf-8")

    def test_a_heartbeat_moves_while_an_agent_is_silent(self, place: Place) -> None:
        place.environment["AMPLIHACK_STATUS_INTERVAL"] = "1"
        plan = place.plan("Add a")
        command = place.start(plan, "--agent", place.agent(HANGS), "--yes", "--output", "json")
        read_starts(command, 1)
        (status,) = place.runtime.glob("parallel/*/agent-1.status.json")

        def updated() -> str:
            return str(json.loads(status.read_text(encoding="utf-8"))["last_update"])

        first = updated()
        deadline = time.monotonic() + 10
        while updated() == first and time.monotonic() < deadline:
            time.sleep(0.05)
        assert updated() > first
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=20)
        assert command.returncode == 130
