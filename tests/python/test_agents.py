"""Agents without a stream, through the real command: how each is called, and what counts."""

import json
import os
from pathlib import Path

import pytest
from command import Place

AMPLIHACK = """#!/bin/sh
printf '%s\\n' "$@" >"$HOME/$AGENT_ID.arguments"
cat >"$HOME/$AGENT_ID.input"
echo done >"$AGENT_ID.txt"
"""
"""Stands where amplihack would: remembers how it was called, and does something."""


@pytest.fixture
def home(place: Place) -> Path:
    home = Path(place.environment["HOME"])
    program = home / "bin" / "amplihack"
    program.parent.mkdir(exist_ok=True)
    program.write_text(AMPLIHACK)
    program.chmod(0o755)
    place.environment["PATH"] = f"{program.parent}{os.pathsep}{place.environment['PATH']}"
    return home


@pytest.mark.parametrize(
    ("agent", "before", "after"),
    [
        ("copilot", ["copilot", "--", "--allow-all-tools", "-p"], ["--model", "best"]),
        ("amplifier", ["amplifier", "--dangerously-skip-permissions", "-p"], ["--model", "best"]),
    ],
)
def test_a_delegate_is_called_through_amplihack(
    place: Place, home: Path, agent: str, before: list[str], after: list[str]
) -> None:
    plan = place.plan("Add login")
    done = place.run(plan, "--agent", agent, "--model", "best")
    assert done.code == 0, done.err
    arguments = (home / "agent-1.arguments").read_text().splitlines()
    assert arguments[: len(before)] == before
    assert arguments[-len(after) :] == after
    assert any("Add login" in line for line in arguments), "the prompt is among them"
    (task,) = place.summary()["tasks"]  # type: ignore[misc]
    assert (task["status"], task["cost_usd"]) == ("completed", None)


def test_the_variable_selects_it_where_no_option_does(place: Place, home: Path) -> None:
    place.environment["AMPLIHACK_DELEGATE"] = "amplihack copilot"
    assert place.run(place.plan("Add login")).code == 0
    assert (home / "agent-1.arguments").read_text().startswith("copilot\n")


def test_a_long_prompt_goes_through_standard_input_alone(place: Place, home: Path) -> None:
    place.plan()
    (place.root / "plan.md").write_text(f"# Spring\n\n- [ ] Add login\n\n  {'word ' * 40_000}\n")
    assert place.run("plan.md", "--agent", "copilot").code == 0
    assert "-p" not in (home / "agent-1.arguments").read_text().splitlines()
    assert len((home / "agent-1.input").read_text()) > 200_000


def test_a_stream_is_read_from_claude_code_alone(place: Place) -> None:
    result = json.dumps({"type": "result", "is_error": True, "result": "no"})
    agent = place.agent(f"cat >/dev/null; echo '{result}'; echo done >$AGENT_ID.txt")
    assert place.run(place.plan("Add login"), "--agent", agent).code == 0
