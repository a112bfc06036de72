"""The installed slash command in the real Claude Code: it expands, and its program runs."""

import os
import re
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import is_alive
from on_claude import with_claude
from on_github import Shop
from support import wait_for
from tests.support.claude import executable, needs_claude
from tests.support.model import Answer, ModelServer, Request, bash, commit, say, slow, until

pytestmark = needs_claude

Claude = Callable[..., "subprocess.Popen[str]"]

TITLES = ("Add the cart", "Add the till", "Add the door")


@pytest.fixture
def shop(shop: Shop, model: ModelServer, tmp_path: Path) -> Iterator[Shop]:
    """The shop with the command installed, and Claude Code's environment."""
    path = shop.place.environment["PATH"]
    with_claude(shop, model, tmp_path)
    shop.place.environment["PATH"] += os.pathsep + path
    done = shop.run("install")
    assert done.code == 0, done.err
    yield shop
    for lock in shop.place.runtime.glob("parallel/*/run.lock"):
        pid = int(lock.read_text(encoding="utf-8") or 0)
        if pid and is_alive(pid) and Path(f"/proc/{pid}/cwd").readlink() == shop.place.root:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def claude(shop: Shop) -> Claude:
    """Start Claude Code with a prompt, as a person would on a command line."""

    def start(prompt: str, *options: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [str(executable()), "-p", prompt, *options],
            cwd=shop.place.root,
            env=shop.place.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        shop.place.running.append(process)
        return process

    return start


def told(request: Request, heading: str, **words: str) -> str:
    """The command line that the slash command's text has below a heading, filled in."""
    section = request.text.partition(f"## {heading}\n")[2]
    line = section.partition("```bash\n")[2].partition("\n```")[0]
    for name, value in words.items():
        line = line.replace(name, value)
    return " ".join(line.split())


def as_told(heading: str, **words: str) -> Callable[[Request], Answer]:
    return lambda request: bash(told(request, heading, **words), heading)


def test_it_expands_and_the_program_runs(shop: Shop, model: ModelServer, claude: Claude) -> None:
    shop.place.plan(*TITLES)
    script = model.when("What the user gave: `plan.md --dry-run`").plays(
        as_told("2. Dry run", SOURCE="plan.md", OPTIONS=""), say("That is all.")
    )
    # No mode that allows everything: the command's own front matter has to allow its program.
    out, err = claude("/amplihack:parallel-orchestrate plan.md --dry-run").communicate(timeout=30)
    assert out.strip() == "That is all.", err
    assert script.at_end
    printed = script.requests[1].last_result
    assert all(title in printed for title in TITLES)
    assert not shop.place.runtime.exists()


def test_a_whole_detached_run_is_driven_from_inside(
    shop: Shop, model: ModelServer, claude: Claude
) -> None:
    for title in TITLES:
        model.when(title).plays(
            slow(1, bash(f"echo done > {title[-4:]}.txt")), commit("Do it"), say("Done.")
        )
    issue = shop.issue(*TITLES)

    def watch(request: Request) -> Answer:
        found = re.search(r"^orch-\S+$", request.text, re.MULTILINE)
        assert found, request.text
        return bash(told(request, "5. Watch", ID=found[0]).replace("90", "2"), "Watch")

    words = {"SOURCE": str(issue), "OPTIONS": "--max-workers 3"}
    model.when(f"What the user gave: `{issue} --max-workers 3`").plays(
        as_told("2. Dry run", **words),
        as_told("4. Start", **words),
        until("agents succeeded!", watch),
        say("Three pull requests."),
    )
    out, err = claude(f"/amplihack:parallel-orchestrate {issue} --max-workers 3").communicate(
        timeout=60
    )
    assert out.strip() == "Three pull requests.", err
    assert model.unexpected == []
    assert len(shop.state["pulls"]) == 3
    assert shop.place.summary()["exit_code"] == 0


def test_it_asks_about_warnings_and_goes_on_only_after_a_yes(
    shop: Shop, model: ModelServer, claude: Claude
) -> None:
    """The model does what the command's text says where a dry run warns; two tasks share a file."""
    titles = ("Add the cart in shop.py", "Add the till in shop.py")
    issue = shop.issue(*titles)
    session = str(uuid.uuid4())

    def asks_if_warned(request: Request) -> Answer:
        section = request.text.partition("## 3. Ask about warnings\n")[2]
        marks = re.findall(r"lines with (\S+) or `(.+?)`", section)[0]
        lines = request.last_result.splitlines()
        warned = [line for line in lines if any(mark in line for mark in marks)]
        assert warned, request.last_result
        return say(f"{warned[0]} Shall I go on?")

    model.when(f"What the user gave: `{issue}`").plays(
        as_told("2. Dry run", SOURCE=str(issue), OPTIONS=""),
        asks_if_warned,
        as_told("4. Start", SOURCE=str(issue), OPTIONS=""),
        bash(f"parallel-orchestrate watch --for 30 {issue}", "Watch"),
        say("Both are done."),
    )
    for title in titles:
        model.when(title).plays(bash(f"echo done > {title[8:12]}.txt"), commit("Do"), say("Done."))
    command = f"/amplihack:parallel-orchestrate {issue}"
    out, err = claude(command, "--session-id", session).communicate(timeout=30)
    assert "shop.py" in out, err
    assert out.strip().endswith("Shall I go on?")
    assert shop.state["issues"][1:] == []
    assert not shop.place.runtime.exists()
    # What the command's front matter allows ends with its turn; a person would be asked here.
    allowed = ("--allowedTools", "Bash(parallel-orchestrate:*)")
    out, err = claude("Yes, go on.", "--resume", session, *allowed).communicate(timeout=60)
    assert out.strip() == "Both are done.", err
    assert model.unexpected == []
    assert len(shop.state["pulls"]) == 2


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
def test_agents_know_nothing_of_the_claude_code_around_the_command(
    shop: Shop, model: ModelServer, claude: Claude, tmp_path: Path
) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    issue = shop.issue("Add the cart")
    model.when("Run it").plays(
        bash(f"env -0 > {outer}; parallel-orchestrate {issue} --yes"), say("It ran.")
    )
    model.when("Add the cart").plays(
        bash(f"cat /proc/$PPID/environ > {inner}; echo done > cart.txt"), say("Done.")
    )
    claude("Run it", "--permission-mode", "bypassPermissions").communicate(timeout=30)
    assert shop.place.summary()["successful"] == 1

    def names(path: Path) -> set[str]:
        return {line.partition("=")[0] for line in path.read_text().split("\0")}

    added = names(outer) - set(shop.place.environment)
    marks = {name for name in added if "CLAUDE" in name or name == "AI_AGENT"}
    assert len(marks) > 5
    # How much effort is made is no sign of nesting.
    assert marks & names(inner) <= {"CLAUDE_EFFORT"}


def test_a_run_outlives_the_killed_tool_call(
    shop: Shop, model: ModelServer, claude: Claude, tmp_path: Path
) -> None:
    for title in TITLES:
        model.when(title).plays(
            slow(2, bash(f"echo done > {title[-4:]}.txt")), commit("Do it"), say("Done.")
        )
    issue, group = shop.issue(*TITLES), tmp_path / "group"
    model.when("What the user gave").plays(
        bash(
            f"parallel-orchestrate {issue} --detach --yes && "
            f"ps -o pgid= -p $$ > {group}.new && mv {group}.new {group} && "
            f"parallel-orchestrate watch --for 600"
        )
    )
    process = claude(
        f"/amplihack:parallel-orchestrate {issue}", "--permission-mode", "bypassPermissions"
    )
    wait_for(group.exists, "the run to be detached", 20)
    (lock,) = shop.place.runtime.glob("parallel/*/run.lock")
    runner = int(lock.read_text(encoding="utf-8"))
    os.killpg(int(group.read_text()), signal.SIGKILL)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert is_alive(runner)
    wait_for(lambda: not is_alive(runner), "the run to end", 20)
    assert shop.place.summary()["successful"] == 3
    assert len(shop.state["pulls"]) == 3
