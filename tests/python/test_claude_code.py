"""The real Claude Code does with our model what the engine relies on.

What it prints is recorded in `tests/fixtures/claude/`; here is what the recordings cannot show,
and that the program at hand is the one that was recorded.
"""

import json
import subprocess
import uuid

import pytest
from tests.support.claude import ROOT, environment, executable, needs_claude
from tests.support.model import (
    bash,
    commit,
    hang,
    overloaded,
    say,
    usage_limit,
    write,
)

pytestmark = needs_claude


@pytest.fixture
def start(tmp_path, model):
    """Start the program in a repository, with a prompt."""
    work = tmp_path / "work"
    subprocess.run(["git", "init", "--quiet", work], check=True)

    def begin(prompt, *options, **variables):
        command = [executable(), "-p", "--output-format", "stream-json", "--verbose"]
        process = subprocess.Popen(
            [*command, "--permission-mode", "bypassPermissions", *options],
            cwd=work,
            env=environment(tmp_path, model.url) | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.stdin.write(prompt)
        process.stdin.close()
        process.stdin = None
        return process

    return begin


@pytest.fixture
def run(start):
    """Run the program to its end: its exit code, and the lines that it printed."""

    def to_the_end(prompt, *options, **variables):
        with start(prompt, *options, **variables) as process:
            printed, _ = process.communicate(timeout=40)
        return process.returncode, [json.loads(line) for line in printed.splitlines()]

    return to_the_end


def test_it_is_the_version_that_was_recorded():
    pinned = json.loads((ROOT / "tests/support/claude/package.json").read_text())
    with (ROOT / "tests/fixtures/claude/success.jsonl").open() as recording:
        recorded = json.loads(recording.readline())
    version = pinned["dependencies"]["@anthropic-ai/claude-code"]
    assert recorded["claude_code_version"] == version
    printed = subprocess.check_output([executable(), "--version"], text=True)
    assert printed.split()[0] == version


def test_it_edits_and_commits_as_the_model_says(run, model, tmp_path):
    work = tmp_path / "work"
    script = model.when("Add a greeting").plays(
        write(work / "greeting.txt", "hello\n"),
        bash("cat greeting.txt"),
        commit("Greet"),
        say("Done."),
    )
    code, lines = run("Add a greeting, please.")
    assert code == 0
    assert lines[-1]["result"] == "Done."
    assert script.at_end
    assert script.requests[2].last_result == "hello"
    log = subprocess.check_output(["git", "log", "--format=%an %s", "--stat"], cwd=work, text=True)
    assert log.startswith("Ada Greet\n")
    assert "greeting.txt" in log
    assert model.unexpected == []


def test_a_prompt_of_200_kilobytes_arrives_whole(run, model):
    prompt = "The long task. " + "word " * 40_000
    script = model.when("The long task").plays(say("Read."))
    code, _ = run(prompt)
    assert code == 0
    assert prompt.strip() in script.requests[0].text


def test_a_usage_limit_of_a_subscription_is_an_event_with_its_time(run, model):
    limit = usage_limit(seconds=7200)
    model.when("The task").plays(limit)
    code, lines = run("The task", ANTHROPIC_API_KEY="", CLAUDE_CODE_OAUTH_TOKEN="made-up")
    info = next(line for line in lines if line["type"] == "rate_limit_event")["rate_limit_info"]
    assert info["status"] == "rejected"
    assert str(info["resetsAt"]) == limit.headers["anthropic-ratelimit-unified-reset"]
    assert (code, lines[-1]["is_error"], lines[-1]["api_error_status"]) == (1, True, 429)


def test_an_overloaded_provider_is_an_error_with_its_status(run, model):
    model.when("The task").plays(overloaded(), overloaded())
    code, lines = run("The task")
    assert (code, lines[-1]["is_error"], lines[-1]["api_error_status"]) == (1, True, 529)


def test_what_was_ended_can_be_resumed_and_nothing_else(start, run, model):
    session = str(uuid.uuid4())
    model.when("The first try").plays(hang(), say("Resumed."))
    with start("The first try", "--session-id", session) as process:
        process.stdout.readline()
        process.terminate()
        assert process.wait(timeout=20) == 143
    code, lines = run("The first try goes on", "--resume", session)
    assert (code, lines[-1]["result"]) == (0, "Resumed.")

    code, lines = run("Another", "--resume", str(uuid.uuid4()))
    assert code == 1
    assert lines[-1]["errors"][0].startswith("No conversation found")
