"""Whole runs of the real Claude Code, by the real command: a scripted model, the fake GitHub."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command import refused
from on_claude import agent_log, journal, of, with_claude, work
from on_github import Shop
from tests.support.claude import executable, needs_claude
from tests.support.model import Fault, ModelServer, Request, bash, call, say, together, write

from orchestration.events import AgentProgress, AgentUsage

pytestmark = needs_claude


@pytest.fixture
def shop(shop: Shop, model: ModelServer, tmp_path: Path) -> Shop:
    return with_claude(shop, model, tmp_path)


def test_three_tasks_become_three_pull_requests(shop: Shop, model: ModelServer) -> None:
    titles = ["Add the cart", "Add the till", "Add the door"]
    scripts = [model.when(title).plays(*work(title[-4:])) for title in titles]
    issue = shop.issue(*titles)
    done = shop.run(str(issue))
    assert done.code == 0, done.err + done.out
    assert all(script.at_end for script in scripts)
    assert model.unexpected == []
    pulls = sorted(shop.state["pulls"], key=lambda pull: pull["head"])
    assert [pull["title"] for pull in pulls] == [f"{t} (#{n + 2})" for n, t in enumerate(titles)]
    assert [pull["head"] for pull in pulls] == [f"feat/issue-{n}-agent-{n - 1}" for n in (2, 3, 4)]
    assert shop.issues("diagnostic") == []
    for agent, script in enumerate(scripts, 1):
        status = shop.status(issue, agent)
        assert (status["status"], status["attempt"]) == ("completed", 1)
        assert f"The branch feat/issue-{agent + 1}-agent-{agent} is checked out" in (
            script.requests[0].text
        )


def test_its_session_is_journalled_before_it_starts(shop: Shop, model: ModelServer) -> None:
    model.when("Add the cart").plays(*work("cart"))
    issue = shop.issue("Add the cart")
    assert shop.run(str(issue)).code == 0
    records = journal(shop)
    types = [record["type"] for record in records]
    assert types.index("session_chosen") < types.index("agent_spawned")
    session = records[types.index("session_chosen")]["session"]
    assert f'"session_id":"{session}"' in agent_log(shop)
    assert shop.status(issue, 1)["metadata"]["session_id"] == session


def test_tokens_and_cost_are_told_wherever_they_belong(shop: Shop, model: ModelServer) -> None:
    first = together(bash("echo done > cart.txt"), input_tokens=30_000, output_tokens=100)
    model.when("Add the cart").plays(first, say("Done.", input_tokens=31_000, output_tokens=20))
    issue = shop.issue("Add the cart")
    done = shop.run(str(issue), "--output", "json", "--model", "sonnet")
    assert done.code == 0, done.err
    usages = of(AgentUsage, done.events)
    assert usages[0].cost_usd is None, "nobody knows before the end"
    assert (usages[-1].input_tokens, usages[-1].output_tokens) == (61_000, 120)
    cost = usages[-1].cost_usd
    assert cost is not None
    assert 0.1 < cost < 1
    metadata = shop.status(issue, 1)["metadata"]
    assert (metadata["input_tokens"], metadata["output_tokens"]) == (61_000, 120)
    assert (metadata["cost_usd"], metadata["model"]) == (cost, "sonnet")
    (task,) = shop.place.summary()["tasks"]
    assert task["cost_usd"] == cost


def test_progress_is_what_it_calls_and_how_much_of_its_list_is_done(
    shop: Shop, model: ModelServer
) -> None:
    both = together(
        call("TaskCreate", subject="Write the code", description="", activeForm="Writing code"),
        call("TaskCreate", subject="Run the tests", description=""),
    )
    model.when("Add the cart").plays(
        both,
        call("TaskUpdate", taskId="1", status="in_progress"),
        bash("echo done > cart.txt", "Fill the cart"),
        together(
            call("TaskUpdate", taskId="1", status="completed"),
            call("TaskUpdate", taskId="2", status="in_progress"),
        ),
        say("Done."),
    )
    done = shop.run(str(shop.issue("Add the cart")), "--output", "json")
    assert done.code == 0, done.err
    progress = [(event.stage, event.percent) for event in of(AgentProgress, done.events)]
    assert progress == [
        # A claim is told as 5 to 90 percent: the rest is for what comes before and behind it.
        ("Writing code", 5),
        ("Fill the cart", 5),
        ("Fill the cart", 50),
        ("Run the tests", 50),
    ]


def test_success_that_changed_nothing_is_a_failure(shop: Shop, model: ModelServer) -> None:
    model.when("Add the cart").plays(say("The cart is there. All tests pass."))
    issue = shop.issue("Add the cart")
    done = shop.run(str(issue))
    assert done.code == 2
    assert shop.status(issue, 1)["error"].startswith("NO_CHANGES: ")
    assert shop.state["pulls"] == []
    (diagnostic,) = shop.issues("diagnostic")
    assert diagnostic["title"] == "Agent-1 No Changes Investigation"


def test_an_error_result_is_a_failure(shop: Shop, model: ModelServer) -> None:
    model.when("Add the cart").plays(
        bash("echo half > cart.txt"), Fault(403, "permission_error", "This is not for us.")
    )
    issue = shop.issue("Add the cart")
    assert shop.run(str(issue)).code == 2
    assert "This is not for us." in shop.status(issue, 1)["error"]
    assert len(shop.issues("diagnostic")) == 1


def test_it_is_waited_for_while_it_waits_for_its_own_background(
    shop: Shop, model: ModelServer
) -> None:
    later = bash("sleep 2; echo done > cart.txt", "Build", run_in_background=True)
    model.when("Add the cart").plays(later, say("Started."), say("It is built."))
    done = shop.run(str(shop.issue("Add the cart")))
    assert done.code == 0, done.err
    assert model.unexpected == []
    (pull,) = shop.state["pulls"]
    assert "`cart.txt`" in pull["body"]


def test_whoever_stays_after_its_result_is_ended_and_has_succeeded(
    shop: Shop, model: ModelServer, tmp_path: Path
) -> None:
    """A wrapper adds what the program itself does not do: noise before, and staying after."""
    noise = ["Warning: no JSON", '{"type":"of tomorrow"}', '{"type":"result","is_err']
    wrapper = tmp_path / "bin" / "claude"
    says = "\n".join(f"echo '{line}'" for line in noise)
    wrapper.write_text(f"#!/bin/sh\n{says}\n'{executable()}' \"$@\"\nsleep 600\n")
    wrapper.chmod(0o755)
    path = shop.place.environment["PATH"]
    shop.place.environment["PATH"] = f"{wrapper.parent}{os.pathsep}{path}"
    model.when("Add the cart").plays(*work("cart"))
    issue = shop.issue("Add the cart")
    begun = time.monotonic()
    done = shop.run(str(issue))
    assert done.code == 0, done.err
    assert 10 < time.monotonic() - begun < 20, "the grace is ten seconds"
    assert shop.status(issue, 1)["status"] == "completed"
    assert all(line in agent_log(shop) for line in noise)


def test_silence_while_a_tool_runs_is_no_stall(shop: Shop, model: ModelServer) -> None:
    shop.place.environment["AMPLIHACK_STATUS_INTERVAL"] = "1"
    silent = bash("sleep 4; echo done > cart.txt", "Build for long")
    model.when("Add the cart").plays(silent, say("Done."))
    issue = shop.issue("Add the cart")
    command = shop.place.start(str(issue), "--timeout", "20")
    seen: set[str] = set()
    while command.poll() is None:
        try:
            status = shop.status(issue, 1)
        except FileNotFoundError:
            continue
        if status["current_stage"] == "Build for long":
            seen.add(status["last_update"])
        time.sleep(0.05)
    assert command.returncode == 0
    assert len(seen) >= 3, "the heartbeat goes on"


def test_a_prompt_of_200_kilobytes_is_read_whole(shop: Shop, model: ModelServer) -> None:
    words = " ".join(f"word{number}" for number in range(25_000))
    script = model.when("Add the cart").plays(*work("cart"))
    plan = shop.place.root / "plan.md"
    plan.write_text(f"# Shop\n\n- [ ] Add the cart\n\n  {words}\n")
    done = shop.run("plan.md")
    assert done.code == 0, done.err
    assert len(words) > 200_000
    assert words in script.requests[0].text


def folder(request: Request) -> Path:
    """The worktree, as the prompt names it."""
    named = re.search(r"Work in this folder only: (.*)", request.text)
    assert named
    return Path(named[1])


def test_a_denied_tool_is_told_and_the_mode_is_the_users(shop: Shop, model: ModelServer) -> None:
    shop.place.environment.pop("IS_SANDBOX", None)  # this mode asks, so root may use it
    model.when("Add the cart").plays(
        bash("make install", "Install it"),
        lambda request: write(folder(request) / "cart.txt", "done\n"),
        say("Done."),
    )
    done = shop.run(str(shop.issue("Add the cart")), "--permission-mode", "acceptEdits")
    assert done.code == 0, done.err
    assert done.err == "warning: Agent-1: it was not allowed to use Bash\n"
    assert '"permissionMode":"acceptEdits"' in agent_log(shop)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_root_outside_a_sandbox_is_refused_before_anything_is_created(shop: Shop) -> None:
    del shop.place.environment["IS_SANDBOX"]
    issue = shop.issue("Add the cart")
    done = shop.run(str(issue), "--yes")
    refused(done, 9, "root", "bypassPermissions")
    assert "IS_SANDBOX" in done.err
    assert shop.requests("POST") == []
    assert not (shop.place.root / ".claude").exists()
    assert shop.place.git("worktree", "list").count("\n") == 0


NESTED = {
    "CLAUDECODE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "CLAUDE_CODE_SESSION_ID": "the-outer-one",
    "CLAUDE_CODE_SSE_PORT": "1",
}


@pytest.fixture
def seen_by_claude(shop: Shop, model: ModelServer) -> Callable[..., dict[str, str]]:
    """Run with options: the environment that Claude Code itself, the shell's parent, has."""
    shop.place.environment |= NESTED | {"GITHUB_TOKEN": "gho_other", "ANSWER": "42"}

    def run(*options: str) -> dict[str, str]:
        look = bash("tr '\\0' '\\n' < /proc/$PPID/environ", "Look around")
        script = model.when("Add the cart").plays(look, *work("cart"))
        assert shop.run(str(shop.issue("Add the cart")), *options).code == 0
        lines = script.requests[1].last_result.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    return run


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
def test_it_sees_neither_our_tokens_nor_that_it_is_nested(
    seen_by_claude: Callable[..., dict[str, str]],
) -> None:
    seen = seen_by_claude()
    assert not {"GH_TOKEN", "GITHUB_TOKEN", *NESTED} & set(seen)
    assert (seen["ANSWER"], seen["AGENT_ID"], seen["SUB_ISSUE"]) == ("42", "agent-1", "2")
    assert seen["ANTHROPIC_API_KEY"] == "sk-made-up"
    assert seen["CLAUDE_CODE_ENABLE_TODO_TOOLS"] == "1"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
def test_what_is_passed_by_name_it_does_see(
    seen_by_claude: Callable[..., dict[str, str]], shop: Shop
) -> None:
    shop.place.environment["CLAUDE_CODE_ENABLE_TODO_TOOLS"] = "0"
    seen = seen_by_claude("--pass-env", "GITHUB_TOKEN")
    assert seen["GITHUB_TOKEN"] == "gho_other"
    assert "GH_TOKEN" not in seen
    assert seen["CLAUDE_CODE_ENABLE_TODO_TOOLS"] == "0"
