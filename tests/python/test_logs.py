"""The verb `logs`: what an agent has printed, for people or as it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import WORKS, Place, refused
from support import wait_for
from terminal import Terminal

from orchestration.cli.transcript import transcribe

FIXTURES = Path(__file__).parents[1] / "fixtures" / "claude"

HOSTILE = WORKS + r"; printf 'a\033[2Jb\r\n\303\n'"


def read(name: str) -> str:
    text = (FIXTURES / f"{name}.jsonl").read_text(encoding="utf-8")
    return "\n".join(said for line in text.splitlines() for said in transcribe(line))


class TestTranscript:
    def test_what_claude_code_says_and_calls_is_one_line_each(self) -> None:
        assert read("success") == (
            "— begins, with claude-opus-5-5\n"
            "I begin.\n"
            "→ Bash: ls\n"
            "→ Write: /home/ada/shop/greeting.py\n"
            "→ Bash: python3 greeting.py\n"
            "→ Bash: git add -A && git commit -q -m 'Add a greeting'\n"
            "The greeting is there.\n"
            "— ends after 5 turns, $0.03: success"
        )

    def test_what_is_denied_and_what_a_subagent_does_is_told_apart(self) -> None:
        assert "→ Bash: make install\n! may not use Bash\n! This command requires" in read("denied")
        assert "→ Agent: Look around\n  → Bash: ls\n" in read("subagent")

    @pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.jsonl")), ids=lambda path: path.stem)
    def test_no_recording_leaves_json_over(self, path: Path) -> None:
        told = read(path.stem)
        assert told
        assert not any(line.startswith("{") for line in told.splitlines())

    @pytest.mark.parametrize(
        "line",
        ["", "plain", "{", "[1]", "17", '{"a": 1}', '{"type": 3}', '{"type": "new"}', '"text"'],
    )
    def test_what_is_no_line_of_the_stream_stays_as_it_is(self, line: str) -> None:
        assert transcribe(line) == [line]

    @pytest.mark.parametrize(
        "line",
        [
            '{"type": "assistant"}',
            '{"type": "assistant", "message": {"content": [3, {"type": "tool_use"}, null]}}',
            '{"type": "user", "message": {"content": "text"}}',
            '{"type": "system", "subtype": []}',
        ],
    )
    def test_what_is_malformed_tells_nothing(self, line: str) -> None:
        assert transcribe(line) == []


@pytest.fixture
def ran(place: Place) -> Place:
    """A run of two tasks that is over."""
    place.run(place.plan("Add a", "Add b"), "--agent", place.agent(HOSTILE), "--yes")
    return place


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    started: list[Terminal] = []
    yield started
    for terminal in started:
        terminal.close()


class TestLog:
    def test_it_is_that_of_the_agent_that_is_named(self, ran: Place) -> None:
        log = next(ran.runtime.glob("logs/*/agent-2.log")).read_bytes()
        assert b"\x1b[2J" in log
        for name in ("2", "agent-2", "Agent-2"):
            done = ran.run("logs", name)
            assert done.code == 0, done.err
            assert done.out == log.decode(errors="replace").replace("\r\n", "\n")
        assert ran.run("logs", "2", "--issue", "local#1", "-f").out == done.out

    def test_raw_is_every_byte(self, ran: Place) -> None:
        log = next(ran.runtime.glob("logs/*/agent-1.log"))
        out = ran.root.parent / "out"
        with out.open("wb") as file:
            assert ran.start("logs", "1", "--raw", stdout=file.fileno()).wait(timeout=20) == 0
        assert out.read_bytes() == log.read_bytes()

    def test_on_a_terminal_nothing_is_drawn(self, ran: Place, terminals: list[Terminal]) -> None:
        from command import COMMAND  # noqa: PLC0415

        command = [*COMMAND, "logs", "1"]
        terminals.append(Terminal(command, cwd=ran.root, environment=ran.environment))
        assert terminals[0].end() == 0
        assert "\x1b" not in terminals[0].written
        assert "a\\x1b[2Jb" in terminals[0].written

    def test_an_unknown_agent_is_refused_with_those_that_there_are(self, ran: Place) -> None:
        for name in ("3", "agent-0", "x", "-1"):
            done = ran.run("logs", "--", name)
            refused(done, 64, f"no agent {name} in orch-local-1-")
            assert "agent-1, agent-2" in done.err
        refused(ran.run("logs", "1", "--issue", "local#9"), 64, "no orchestration of local#9")

    def test_one_that_somebody_removed_is_gone(self, ran: Place) -> None:
        next(ran.runtime.glob("logs/*/agent-1.log")).unlink()
        for arguments in (("logs", "1"), ("logs", "1", "--follow")):
            done = ran.run(*arguments)
            refused(done, 9, "the log of agent-1 of orch-local-1-", "is gone", "agent-1.log")
            assert "parallel-orchestrate status orch-local-1-" in done.err


class TestFollowing:
    def test_it_goes_on_until_the_task_has_ended(self, place: Place) -> None:
        script = (
            "cat >/dev/null; echo first; while [ ! -e ../../go.$AGENT_ID ]; do sleep 0.02; done;"
            " echo last; echo done >$AGENT_ID.txt"
        )
        arguments = (place.plan("Add a", "Add b"), "--agent", place.agent(script), "--yes")
        assert place.run(*arguments, "--detach").code == 0
        wait_for(lambda: "first" in place.run("logs", "1").out, "its first line")
        log = place.start("logs", "1", "--follow")
        assert log.stdout is not None
        while "first" not in log.stdout.readline():
            assert log.poll() is None
        assert log.poll() is None
        (place.root.parent / "go.agent-1").touch()
        out, err = log.communicate(timeout=20)
        assert (log.returncode, err) == (0, "")
        assert "last\n" in out
        assert place.run("watch", "--for", "0").err, "the run goes on"
        (place.root.parent / "go.agent-2").touch()
        assert place.run("watch").code == 0
