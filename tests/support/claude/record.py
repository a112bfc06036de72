"""Records what Claude Code prints, for the tests of the reader: tests/fixtures/claude/.

    .venv/bin/python -m tests.support.claude.record [SCENE ...]

Each scene runs the real program against the scripted model. What differs from run to run (ids,
times, paths, ports) is replaced, and what nobody reads is left out, so that a second recording of
the same version changes nothing and one of the next version shows what is new.
"""

import json
import re
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from tests.support.claude import ROOT, environment, executable
from tests.support.model import (
    ModelServer,
    bash,
    broken,
    call,
    commit,
    overloaded,
    say,
    together,
    usage_limit,
    write,
)

FIXTURES = ROOT / "tests/fixtures/claude"
PROMPT = "Add a greeting."
LONGEST = 120  # characters of a text that are kept

# Fields that the reader does not look at and that say nothing to people either.
UNREAD = {
    "agentId",
    "agent_id",
    "agents",
    "api_error_params",
    "apiKeySource",
    "backgroundTaskId",
    "cache_creation",
    "container",
    "context_management",
    "contextWindow",
    "diagnostics",
    "duration_api_ms",
    "duration_ms",
    "end_time",
    "fast_mode_disabled_reason",
    "fast_mode_state",
    "fallback_credit",
    "first_content_frame_ms",
    "harnessSectionHash",
    "inference_geo",
    "iterations",
    "maxOutputTokens",
    "memory_paths",
    "modelUsage",
    "output_file",
    "output_tokens_details",
    "queued_turn_count",
    "result_index",
    "runId",
    "run_id",
    "server_tool_use",
    "service_tier",
    "skills",
    "slash_commands",
    "speed",
    "stop_details",
    "subagent_stats",
    "task_id",
    "terminal_slash_commands",
    "time_to_request_ms",
    "timestamp",
    "tool_result_meta",
    "totalDurationMs",
    "ttft_ms",
    "ttft_stream_ms",
    "uuid",
}
READ_AT_START = {
    "type",
    "subtype",
    "cwd",
    "session_id",
    "model",
    "permissionMode",
    "claude_code_version",
}
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def record(scene: str) -> None:
    """Play a scene and write down what was printed."""
    with tempfile.TemporaryDirectory() as folder, ModelServer() as model:
        place = Path(folder)
        work = place / "work"
        work.mkdir()
        subprocess.run(["git", "init", "--quiet", work], check=True)
        printed = SCENES[scene](_Stage(place, work, model))
    names = {}
    lines = [_cleaned(line, work, names) for line in printed.splitlines()]
    (FIXTURES / f"{scene}.jsonl").write_text("".join(line + "\n" for line in lines))


class _Stage:
    """A model with one script, and the program."""

    def __init__(self, place, work, model):
        self.work = work
        self._variables = environment(place, model.url)
        self.other = model.when
        self._script = model.when(PROMPT)

    def run(self, *steps, options=(), session=None, mode="bypassPermissions", **variables):
        """Play the steps; give what was printed."""
        self._script.plays(*steps)
        session = session or ["--session-id", str(uuid.uuid4())]
        command = [executable(), "-p", "--output-format", "stream-json", "--verbose", *session]
        done = subprocess.run(
            [*command, "--permission-mode", mode, *options],
            cwd=self.work,
            env={k: v for k, v in (self._variables | variables).items() if v is not None},
            input=PROMPT,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout


def _cleaned(line: str, work: Path, names: dict[str, str]) -> str:
    event = json.loads(line)
    unread = UNREAD
    if event.get("subtype") == "init":
        unread = set(event) - READ_AT_START
    text = json.dumps(_without(event, unread), ensure_ascii=False)

    def named(match):
        kind = match[1] or ""
        number = len(names) + 1
        name = f"{kind}{number}" if kind else f"00000000-0000-4000-8000-{number:012}"
        return names.setdefault(match[0], name)

    text = text.replace(str(work), "/home/ada/shop")
    text = re.sub(r"127\.0\.0\.1:\d{4,}", "127.0.0.1:8080", text)
    text = re.sub(r"(in background with ID: )[^\"]*", r"\g<1>…", text)
    text = re.sub(r'("retry_delay_ms": )\d+', r"\g<1>500", text)
    text = re.sub(r'"resetsAt": \d+', '"resetsAt": 1800000000', text)
    text = re.sub(r"resets [^\"]*\(UTC\)", "resets 8am (UTC)", text)
    return re.sub(rf"\b(?:(msg_|toolu_)[0-9a-f]{{24}}|{UUID})\b", named, text)


def _without(value, unread):
    if isinstance(value, dict):
        return {k: _without(v, unread) for k, v in value.items() if k not in unread}
    if isinstance(value, list):
        return [_without(item, unread) for item in value]
    if isinstance(value, str) and len(value) > LONGEST:
        return value[:LONGEST] + "…"
    return value


def success(stage):
    """Some text and a call in one answer, a file written, a commit."""
    return stage.run(
        together(say("I begin."), bash("ls", "List the files")),
        write(stage.work / "greeting.py", 'print("Hello")\n'),
        bash("python3 greeting.py", "Run the program"),
        commit("Add a greeting"),
        say("The greeting is there."),
    )


def tasks(stage):
    """A list of tasks, made and worked off."""
    return stage.run(
        together(
            call("TaskCreate", subject="Write the code", description="", activeForm="Writing code"),
            call("TaskCreate", subject="Run the tests", description=""),
        ),
        call("TaskUpdate", taskId="1", status="in_progress"),
        call("TaskUpdate", taskId="1", status="completed"),
        call("TaskUpdate", taskId="2", status="in_progress"),
        say("Done."),
        CLAUDE_CODE_ENABLE_TODO_TOOLS="1",
    )


def todos(stage):
    """The same as one list of to-dos, as earlier versions have it."""
    return stage.run(
        call(
            "TodoWrite",
            todos=[
                {"content": "Write code", "status": "completed", "activeForm": "Writing code"},
                {"content": "Run tests", "status": "in_progress", "activeForm": "Running tests"},
                {"content": "Clean up", "status": "pending", "activeForm": "Cleaning up"},
            ],
        ),
        say("Done."),
        CLAUDE_CODE_ENABLE_TODO_TOOLS="1",
        CLAUDE_CODE_ENABLE_TASKS="0",
    )


def subagent(stage):
    """Another agent is asked, and works in the same stream."""
    prompt = "Look around and report."
    stage.other(prompt).plays(bash("ls", "List the files"), say("Nothing there."))
    return stage.run(
        call(
            "Agent",
            description="Look around",
            prompt=prompt,
            subagent_type="general-purpose",
            run_in_background=False,
        ),
        say("Done."),
    )


def background(stage):
    """A command in the background, which ends after the first result."""
    left = bash("python3 -c 'import time; time.sleep(1)'", "Wait a little", run_in_background=True)
    return stage.run(left, say("Started."), say("It has ended."))


def overload(stage):
    """529, and again at its own retry."""
    return stage.run(overloaded(), overloaded())


def server_error(stage):
    """500, and again at its own retry."""
    return stage.run(broken(), broken())


def rate_limit(stage):
    """429 for a key: no event, no time."""
    return stage.run(usage_limit())


def usage_limit_of_a_plan(stage):
    """429 for a subscription: an event that says until when."""
    token = "sk-ant-oat01-made-up"
    return stage.run(usage_limit(), ANTHROPIC_API_KEY=None, CLAUDE_CODE_OAUTH_TOKEN=token)


def max_turns(stage):
    """The limit of turns."""
    return stage.run(bash("true"), bash("true"), options=["--max-turns", "2"])


def max_budget(stage):
    """The limit of dollars, in a session that has spent some before."""
    session = str(uuid.uuid4())
    stage.run(say("Not yet.", input_tokens=50_000), session=["--session-id", session])
    dear = together(bash("true"), input_tokens=50_000)
    options = ["--max-budget-usd", "0.25"]
    return stage.run(dear, dear, options=options, session=["--resume", session])


def denied(stage):
    """What is not allowed, in a mode that would ask."""
    steps = [bash("make install"), write(stage.work / "greeting.py", ""), say("I may not.")]
    return stage.run(*steps, mode="default")


def resumed(stage):
    """A session's second run."""
    session = str(uuid.uuid4())
    stage.run(bash("true"), say("Not yet."), session=["--session-id", session])
    return stage.run(say("Now."), session=["--resume", session])


def unknown_session(stage):
    """A session that does not exist."""
    return stage.run(session=["--resume", str(uuid.uuid4())])


SCENES = {
    scene.__name__: scene
    for scene in [
        success,
        tasks,
        todos,
        subagent,
        background,
        overload,
        server_error,
        rate_limit,
        usage_limit_of_a_plan,
        max_turns,
        max_budget,
        denied,
        resumed,
        unknown_session,
    ]
}

if __name__ == "__main__":
    FIXTURES.mkdir(exist_ok=True)
    for scene in sys.argv[1:] or SCENES:
        record(scene)
