"""Where the real Claude Code comes to a limit, is broken off, and goes on."""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from command import is_alive, read_starts
from on_claude import journal, of, with_claude, work
from on_github import Shop
from support import wait_for
from tests.support.claude import needs_claude
from tests.support.model import (
    ModelServer,
    bash,
    hang,
    overloaded,
    say,
    slow,
    times,
    together,
    usage_limit,
)

from orchestration.events import AgentStarted, TaskFinished

pytestmark = needs_claude

SUBSCRIBED = {
    "ANTHROPIC_API_KEY": "",
    "CLAUDE_CODE_OAUTH_TOKEN": "made-up",
    "AMPLIHACK_FIRST_PAUSE": "1",
}
"""With a subscription's token instead of a key, a usage limit comes with its reset. (Where this
machine is so slow that the reset is over by then, the pause is a second.)"""

DEAR = 50_000
"""Input tokens that cost some 25 cents."""


@pytest.fixture
def shop(shop: Shop, model: ModelServer, tmp_path: Path) -> Shop:
    return with_claude(shop, model, tmp_path)


def await_pause(command: subprocess.Popen[str]) -> None:
    assert command.stderr is not None
    while "no agent starts" not in (line := command.stderr.readline()):
        assert line, "it ended without a pause"


def test_an_overload_is_borne_three_times(shop: Shop, model: ModelServer) -> None:
    script = model.when("Add the cart").plays(times(4, overloaded()), *work("cart"))
    shop.place.environment |= {"AMPLIHACK_FIRST_PAUSE": "0.1", "CLAUDE_CODE_MAX_RETRIES": "0"}
    issue = shop.issue("Add the cart")
    done = shop.run(str(issue))
    assert done.code == 2
    assert done.err.count("the model's provider is overloaded") == 3
    assert done.err.count("agents start again") == 3
    assert len(script.requests) == 4
    status = shop.status(issue, 1)
    assert status["error"].startswith("API_ERROR: ")
    assert status["attempt"] == 1, "the pauses cost no attempt"


def test_a_usage_limit_pauses_everyone_until_its_reset(shop: Shop, model: ModelServer) -> None:
    shop.place.environment |= SUBSCRIBED
    write_it, *rest = work("cart")
    limited = model.when("Add the cart").plays(write_it, lambda _: usage_limit(2), *rest)
    model.when("Add the till").plays(*work("till"))
    issue = shop.issue("Add the cart", "Add the till")
    done = shop.run(str(issue), "--max-workers", "1")
    assert done.code == 0, done.err
    assert re.search(
        r"^note: no agent starts until \d\d:\d\d: the account's usage limit is reached$",
        done.err,
        re.MULTILINE,
    )
    kinds = ("agent_spawned", "pool_paused", "pool_resumed")
    records = [record for record in journal(shop) if record["type"] in kinds]
    happened = [(record["type"], record.get("agent")) for record in records]
    assert happened == [
        ("agent_spawned", 1),
        ("pool_paused", None),
        ("pool_resumed", None),
        ("agent_spawned", 1),
        ("agent_spawned", 2),
    ]
    assert records[1]["until"] <= records[2]["time"]
    assert [record["attempt"] for record in records if "attempt" in record] == [1, 1, 1]
    assert shop.status(issue, 1)["attempt"] == 1
    # The same session goes on: what was done before the limit is in the conversation.
    after = limited.requests[2].text
    assert "Write cart.txt" in json.dumps(limited.requests[2].body["messages"])
    assert after.index("You are one of several") < after.index("You worked on this task before")


def test_a_limit_without_a_reset_pauses_for_a_while(shop: Shop, model: ModelServer) -> None:
    """So it is with a key: the answer is 429, and nobody says until when."""
    shop.place.environment["AMPLIHACK_FIRST_PAUSE"] = "0.2"
    model.when("Add the cart").plays(usage_limit(), *work("cart"))
    issue = shop.issue("Add the cart")
    done = shop.run(str(issue))
    assert done.code == 0, done.err
    assert "the account's usage limit is reached\nnote: agents start again\n" in done.err
    [task] = json.loads(shop.run("report", "--json").out)["tasks"]
    agents = [span for span in task["spans"] if span["kind"] == "agent"]
    told = [(span["attempt"], span["outcome"]) for span in agents]
    assert told == [(1, "refused"), (1, "success")]
    (summary,) = shop.place.runtime.glob("parallel/*/summary.md")
    drawn = re.findall(r"Attempt [\w ]+:\w+", summary.read_text(encoding="utf-8"))
    assert drawn == ["Attempt 1 refused :done", "Attempt 1 :active"]
    assert shop.status(issue, 1)["attempt"] == 1


def test_an_interrupt_ends_a_pause_too(shop: Shop, model: ModelServer) -> None:
    shop.place.environment |= SUBSCRIBED
    model.when("Add the cart").plays(bash("echo half > cart.txt"), usage_limit(3600))
    issue = shop.issue("Add the cart")
    command = shop.place.start(str(issue))
    await_pause(command)
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=5)
    assert command.returncode == 130, err
    assert shop.status(issue, 1)["error"].startswith("CANCELLED: ")
    kept = Path(shop.status(issue, 1)["metadata"]["working_dir"]) / "cart.txt"
    assert kept.read_text() == "half\n"


def test_a_session_that_is_gone_is_begun_anew(
    shop: Shop, model: ModelServer, tmp_path: Path
) -> None:
    shop.place.environment |= SUBSCRIBED

    script = model.when("Add the cart").plays(lambda _: usage_limit(2), *work("cart"))
    issue = shop.issue("Add the cart")
    command = shop.place.start(str(issue))
    await_pause(command)
    shutil.rmtree(tmp_path / ".claude" / "projects")
    _, err = command.communicate(timeout=20)
    assert command.returncode == 0, err
    chosen = [record["session"] for record in journal(shop) if record["type"] == "session_chosen"]
    assert len(set(chosen)) == 2
    assert shop.status(issue, 1)["metadata"]["session_id"] == chosen[-1]
    assert shop.status(issue, 1)["attempt"] == 1
    assert "You worked on this task before" not in script.requests[-1].text


def test_a_second_attempt_goes_on_in_the_session_of_the_first(
    shop: Shop, model: ModelServer
) -> None:
    script = model.when("Add the cart").plays(say("I would rather not."), *work("cart"))
    issue = shop.issue("Add the cart")
    assert shop.run(str(issue)).code == 2
    session = shop.status(issue, 1)["metadata"]["session_id"]
    done = shop.run(str(issue), "--retry")
    assert done.code == 0, done.err
    status = shop.status(issue, 1)
    assert (status["attempt"], status["metadata"]["session_id"]) == (2, session)
    assert "I would rather not." in json.dumps(script.requests[1].body["messages"])
    assert model.unexpected == []


def test_what_a_killed_command_left_goes_on_in_its_session(shop: Shop, model: ModelServer) -> None:
    write_it, *rest = work("cart")
    script = model.when("Add the cart").plays(write_it, hang(), *rest)
    issue = shop.issue("Add the cart")
    command = shop.place.start(str(issue), "--output", "json")
    (agent,) = read_starts(command, 1)
    wait_for(lambda: len(script.requests) == 2, "the agent to work", 20)
    command.kill()
    wait_for(lambda: not is_alive(agent.pid), "the agent to be ended", 5)
    done = shop.run(str(issue))
    assert done.code == 0, done.err
    assert "Write cart.txt" in json.dumps(script.requests[2].body["messages"])
    assert model.unexpected == []
    assert len(shop.state["pulls"]) == 1


def test_a_hang_ends_at_the_time_limit_with_all_it_started(
    shop: Shop, model: ModelServer, tmp_path: Path
) -> None:
    pid = tmp_path / "orphan.pid"
    model.when("Add the cart").plays(
        bash(f"setsid sh -c 'echo $$ > {pid}; exec sleep 600' > /dev/null 2>&1 &"), hang()
    )
    issue = shop.issue("Add the cart")
    # Long enough for the program to start on a busy machine.
    done = shop.run(str(issue), "--timeout", "8", "--output", "json")
    assert done.code == 2
    assert shop.status(issue, 1)["error"] == "TIMEOUT: the agent was ended after 8s"
    (finished,) = of(TaskFinished, done.events)
    assert finished.failure is not None
    assert finished.failure.timed_out
    (started,) = of(AgentStarted, done.events)
    assert not is_alive(started.pid)
    assert not is_alive(int(pid.read_text()))


def test_an_agent_over_its_own_budget_fails(shop: Shop, model: ModelServer) -> None:
    dear = together(bash("echo half > cart.txt"), input_tokens=DEAR)
    model.when("Add the cart").plays(dear, dear, dear)
    model.when("Add the till").plays(*work("till"))
    issue = shop.issue("Add the cart", "Add the till")
    done = shop.run(str(issue), "--agent-budget-usd", "0.3")
    assert done.code == 2
    status = shop.status(issue, 1)
    assert status["error"] == "RESOURCE_ERROR: the agent used up its budget"
    assert status["metadata"]["cost_usd"] > 0.3
    kept = Path(status["metadata"]["working_dir"]) / "cart.txt"
    assert kept.read_text() == "half\n", "work that was done is kept"
    assert shop.status(issue, 2)["status"] == "completed"


def test_over_the_budget_of_all_none_starts_and_who_works_ends_well(
    shop: Shop, model: ModelServer
) -> None:
    dear = together(bash("echo done > cart.txt"), input_tokens=DEAR)
    model.when("Add the cart").plays(dear, say("Done."))
    first, *rest = work("till")
    model.when("Add the till").plays(slow(3, first), *rest)
    issue = shop.issue("Add the cart", "Add the till", "Add the door")
    done = shop.run(str(issue), "--max-workers", "2", "--budget-usd", "0.2")
    assert done.code == 2
    errors = [shop.status(issue, agent)["error"] for agent in (1, 2, 3)]
    assert errors[:2] == [None, None]
    assert errors[2].startswith("CANCELLED: the budget of $0.20 was used up")
    assert sorted(pull["title"][:12] for pull in shop.state["pulls"]) == [
        "Add the cart",
        "Add the till",
    ]
