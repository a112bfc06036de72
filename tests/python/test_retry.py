"""Going on: `--retry` after failures, and the same command after a crash or an interruption."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from command import HANGS, WORKS, Place, is_alive, read_starts, refused
from on_github import REPOSITORY, Shop

from orchestration.events import (
    AgentStarted,
    BatchStarted,
    DiagnosticClosed,
    OrchestrationFinished,
    OrchestrationResumed,
)

FAILS_ONCE = """prompt=$(cat)
if [ "$AGENT_ID" = agent-2 ] && ! [ -e "$HOME/mended" ]; then
  echo half >half.txt; git add half.txt; git commit -qm Half
  echo "ModuleNotFoundError: No module named 'jwt'"; exit 1
fi
printf %s "$prompt" >"$HOME/$AGENT_ID.prompt"
echo done >$AGENT_ID.txt"""
"""The second agent fails until somebody has mended what it lacks."""


def mend(place: Place) -> None:
    (Path(place.environment["HOME"]) / "mended").touch()


def journals(place: Place) -> list[Path]:
    return sorted(place.runtime.glob("parallel/*/*.jsonl"))


def test_a_retry_reads_as_in_the_specification_and_runs_only_what_failed(shop: Shop):
    master = shop.issue("Add cart", "Add login", "Add mail")
    agent = shop.place.agent(FAILS_ONCE)
    first = shop.run(str(master), "--agent", agent)
    assert first.code == 2, first.err
    (orchestration,) = [path.stem for path in journals(shop.place)]
    (diagnostic,) = shop.issues("diagnostic")
    mend(shop.place)
    again = shop.run(str(master), "--retry")
    assert again.code == 0, again.err
    pull = max(pull["number"] for pull in shop.state["pulls"])
    assert again.lines == (
        "🔄 Retry mode: Loading previous orchestration state\n"
        f"📂 Found orchestration: {orchestration}\n"
        "📋 Previous results: 2/3 succeeded, 1 failed\n"
        "\n"
        "Retrying failed tasks:\n"
        "- Agent-2: Import conflict\n"
        "\n"
        "🤖 Deployed 1 agent for retry\n"
        "⏱️  Monitoring progress (updates every 30s)...\n"
        f"✅ Agent-2 completed → PR #{pull} (0s)\n"
        "\n"
        "🎉 Retry successful! Original orchestration now complete.\n"
    )
    state = shop.state
    assert len(shop.issues("sub-issue")) == 3
    assert len(state["pulls"]) == 3
    (closed,) = shop.issues("diagnostic")
    assert (closed["number"], closed["state"]) == (diagnostic["number"], "closed")
    assert closed["state_reason"] == "completed"
    (comment,) = next(issue for issue in state["issues"] if issue["number"] == master)["comments"]
    assert "3/3 tasks completed successfully" in comment["body"]
    assert [path.stem for path in journals(shop.place)] == [orchestration]


def test_a_retry_keeps_the_branch_with_its_commits_and_tells_how_the_attempt_before_ended(
    place: Place,
):
    plan = place.plan("Add cart", "Add login")
    assert place.run(plan, "--agent", place.agent(FAILS_ONCE)).code == 2
    mend(place)
    assert place.run(plan, "--retry").code == 0
    (branch,) = [b.strip("* +") for b in place.git("branch").splitlines() if "agent-2" in b]
    subjects = place.git("log", "--format=%s", f"main..{branch}").splitlines()
    assert subjects[-1] == "Half"
    assert len(subjects) == 2
    prompt = (Path(place.environment["HOME"]) / "agent-2.prompt").read_text(encoding="utf-8")
    assert "IMPORT_CONFLICT: the agent exited with code 1" in prompt
    assert "No module named 'jwt'" in prompt
    status = json.loads(next(place.runtime.glob("parallel/*/agent-2.status.json")).read_text())
    assert (status["status"], status["attempt"], status["error"]) == ("completed", 2, None)


def test_locks_that_a_killed_git_left_in_a_worktree_hold_nobody_up(place: Place):
    plan = place.plan("Add cart")
    killed = """cat >/dev/null; [ -e "$HOME/mended" ] && { echo done >x.txt; exit; }
folder=$(git rev-parse --git-dir); branch=$(git symbolic-ref HEAD)
touch $folder/index.lock $folder/HEAD.lock $(git rev-parse --git-common-dir)/$branch.lock; exit 1"""
    assert place.run(plan, "--agent", place.agent(killed)).code == 2
    (place.root / ".git/index.lock").touch()
    mend(place)
    again = place.run(plan, "--retry")
    assert again.code == 0, again.out
    assert (place.root / ".git/index.lock").exists(), "this one is somebody else's"


def test_a_sub_issue_may_be_named_and_only_its_task_runs(shop: Shop):
    master = shop.issue("Add cart", "Add login")
    agent = shop.place.agent('cat >/dev/null; [ -e "$HOME/mended" ] || exit 1; echo x >$AGENT_ID')
    assert shop.run(str(master), "--agent", agent).code == 2
    numbers = {issue["title"]: issue["number"] for issue in shop.issues("sub-issue")}
    login = next(number for title, number in numbers.items() if title.endswith("Add login"))
    mend(shop.place)
    again = shop.run(str(login), "--retry", "--output", "json")
    assert again.code == 2, "one of two is below the threshold"
    assert [e.agent for e in again.events if isinstance(e, AgentStarted)] == [2]
    end = again.events[-1]
    assert isinstance(end, OrchestrationFinished)
    assert (end.summary.successful, end.summary.total_sub_tasks) == (1, 2)
    rest = shop.run(f"#{master}", "--retry", "--output", "json")
    assert rest.code == 0, rest.err
    assert [e.agent for e in rest.events if isinstance(e, AgentStarted)] == [1]
    assert any(isinstance(event, DiagnosticClosed) for event in rest.events)


def test_a_retry_runs_as_the_first_run_did_unless_told_otherwise(place: Place):
    plan = place.plan("Add cart", "Add login")
    agent = place.agent(FAILS_ONCE)
    done = place.run(
        plan, "--agent", agent, "--verify", "test -e $AGENT_ID.txt", "--batch-size", "1"
    )
    assert done.code == 2
    mend(place)
    again = place.run(plan, "--retry", "--max-workers", "1", "--output", "json")
    assert again.code == 0, again.err
    (batch,) = [event for event in again.events if isinstance(event, BatchStarted)]
    assert (batch.agents, batch.batch_size, batch.max_workers) == ((2,), 1, 1)
    assert place.summary()["tasks"][1]["tests_passing"] is True  # type: ignore[index]


def test_nothing_to_retry_is_a_usage_error(place: Place):
    plan = place.plan("Add cart")
    refused(place.run(plan, "--retry"), 64, "nothing to retry", "never orchestrated")
    assert place.run(plan, "--agent", place.agent(WORKS)).code == 0
    refused(place.run(plan, "--retry"), 64, "nothing to retry", "every task succeeded")
    refused(place.run(plan, "--retry", "--dry-run"), 64, "--retry and --dry-run")
    refused(place.run(plan, "--retry", "--new"), 64, "--retry and --new")


def test_an_interrupted_run_goes_on_under_its_own_id_with_the_same_command(place: Place):
    plan = place.plan("Add cart", "Add login")
    script = f'[ -e "$HOME/mended" ] && {{ {WORKS}; exit; }}\n{HANGS}'
    agent = place.agent(script)
    command = place.start(plan, "--agent", agent, "--output", "json")
    read_starts(command, 2)
    command.send_signal(signal.SIGINT)
    command.send_signal(signal.SIGINT)
    assert command.wait(20) == 130
    mend(place)
    again = place.run(plan, "--output", "json")
    assert again.code == 0, again.err
    resumed = next(e for e in again.events if isinstance(e, OrchestrationResumed))
    assert not resumed.retry
    assert [rerun.agent for rerun in resumed.tasks] == [1, 2]
    assert len(journals(place)) == 1
    assert place.summary()["successful"] == 2


def test_a_retry_that_fails_again_rewrites_the_diagnostic_issue_and_has_its_own_limit(
    place: Place,
):
    plan = place.plan("Add cart")
    first = place.run(plan, "--agent", place.agent("exit 3"))
    assert "📋 Created diagnostic issue #3:" in first.out
    again = place.run(plan, "--retry", "--max-workers", "2")
    assert "📋 Updated diagnostic issue #3:" in again.out
    shown = json.loads(place.run("report", "--json").out)
    assert shown["max_workers"] == 2
    assert [link["kind"] for link in shown["tasks"][0]["links"]].count("diagnostic") == 1


@pytest.mark.parametrize("option", [[], ["--new"]], ids=["going on", "anew"])
def test_after_a_kill_the_agents_left_are_ended_and_none_runs_twice(
    place: Place, option: list[str]
):
    plan = place.plan("Add cart", "Add login")
    agent = place.agent(f'[ -e "$HOME/mended" ] && {{ {WORKS}; exit; }}\n{HANGS}')
    command = place.start(plan, "--agent", agent, "--output", "json")
    agents = [start.pid for start in read_starts(command, 2)]
    command.send_signal(signal.SIGSTOP)
    watchers = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"watch" in path.read_bytes() and str(command.pid).encode() in path.read_bytes()
    ]
    for pid in (*watchers, command.pid):
        os.kill(pid, signal.SIGKILL)
    command.wait(10)
    assert watchers, "a watcher stood by"
    assert all(is_alive(pid) for pid in agents), "nobody was there to end them"
    mend(place)
    again = place.run(plan, *option, "--agent", agent)
    assert again.code == 0, again.err
    assert not any(is_alive(pid) for pid in agents)
    assert ("📂 Found orchestration: orch-local-1-" in again.out) != bool(option)
    assert place.summary()["successful"] == 2


def test_a_kill_between_the_last_task_and_the_end_loses_neither_summary_nor_comment(shop: Shop):
    master = shop.issue("Add cart")
    shop.github.fail("slow", method="POST", path="/comments", delay=5.0)
    command = shop.place.start(str(master), "--agent", shop.place.agent(WORKS))
    until = time.monotonic() + 20
    while not any(r.path.endswith("/comments") for r in shop.github.requests):
        assert time.monotonic() < until
        if list(shop.place.runtime.glob("parallel/*/summary.json")):
            break
        time.sleep(0.02)
    command.kill()
    command.wait(10)
    shop.github.clear_faults()
    again = shop.run(str(master))
    assert again.code == 0, again.err
    state = shop.state
    assert len(state["pulls"]) == 1
    issue = next(issue for issue in state["issues"] if issue["number"] == master)
    assert len(issue["comments"]) == 1


def test_a_torn_last_line_is_dropped_and_a_damaged_one_in_the_middle_is_named(place: Place):
    plan = place.plan("Add cart", "Add login")
    agent = place.agent(FAILS_ONCE)
    assert place.run(plan, "--agent", agent).code == 2
    (journal,) = journals(place)
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-10])
    mend(place)
    assert place.run(plan, "--retry").code == 0
    lines = whole.splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"seq":5', b'"seq":6')
    journal.write_bytes(b"".join(lines))
    damaged = journal.read_bytes()
    refused(place.run(plan, "--retry"), 9, "damaged at line 5")
    assert journal.read_bytes() == damaged, "the file is left as it is"


def test_an_api_that_is_away_at_the_start_leaves_a_run_that_goes_on(shop: Shop):
    master = shop.issue("Add cart", "Add login")
    shop.github.fail(422, method="POST", path="/issues$", skip=1, count=1)
    first = shop.run(str(master), "--agent", shop.place.agent(WORKS))
    assert first.code == 5, first.out
    again = shop.run(str(master))
    assert again.code == 0, again.err
    assert len(shop.issues("sub-issue")) == 2
    assert len(shop.state["pulls"]) == 2
    assert REPOSITORY in shop.state["name"]


def test_a_task_that_fails_again_is_told_by_its_one_diagnostic_issue(shop: Shop):
    master = shop.issue("Add cart")
    agent = 'cat >/dev/null; [ -e "$HOME/mended" ] || exit 3; exit 4'
    assert shop.run(str(master), "--agent", shop.place.agent(agent)).code == 2
    (first,) = shop.issues("diagnostic")
    assert "exited with code 3" in first["body"]
    mend(shop.place)
    assert shop.run(str(master), "--retry").code == 2
    (again,) = shop.issues("diagnostic")
    assert (again["number"], again["state"]) == (first["number"], "open")
    assert "exited with code 4" in again["body"]


def test_a_failed_task_comes_along_when_the_plan_gains_one(shop: Shop):
    plan = shop.place.plan("Add cart", "Add login")
    options = ("--forge", "github", "--agent", shop.place.agent(FAILS_ONCE))
    assert shop.run(plan, *options).code == 2
    mend(shop.place)
    shop.place.plan("Add cart", "Add login", "Add mail")
    done = shop.run(plan, *options)
    assert done.code == 0, done.err
    titles = [issue["title"].rpartition(": ")[2] for issue in shop.issues("sub-issue")]
    assert sorted(titles) == ["Add cart", "Add login", "Add mail"]
    assert len(shop.state["pulls"]) == 3
    (diagnostic,) = shop.issues("diagnostic")
    assert diagnostic["state"] == "closed"


def test_what_is_done_is_shown_without_any_agent(place: Place):
    plan = place.plan("Add cart")
    assert place.run(plan, "--agent", place.agent(WORKS)).code == 0
    assert place.run(plan).code == 0
    place.plan("Add cart", "Add login")
    refused(place.run(plan), 9, "claude")
