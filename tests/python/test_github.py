"""From a master issue to pull requests: what stands on GitHub afterwards, and what it took.

Each test starts the real command in a clone of a repository on the fake GitHub.
"""

import json
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from command import WORKS
from on_github import REPOSITORY, Shop

from orchestration.events import ForgeAllowance

FAILS_THIRD = f'{WORKS}; test "$AGENT_ID" != agent-3'


class TestLines:
    def test_a_run_prints_the_lines_of_the_specification(self, shop: Shop) -> None:
        shop.issue("Add a", "Add b")
        done = shop.run("1", "--agent", shop.place.agent(WORKS), "--max-workers", "1")
        assert done.lines == (
            "🚀 Parsed 2 sub-tasks from issue #1\n"
            "📝 Created sub-issues: #2, #3\n"
            "🤖 Deployed 2 agents (max_workers=1)\n"
            "⏱️  Monitoring progress (updates every 30s)...\n"
            "✅ Agent-1 completed → PR #4 (0s)\n"
            "✅ Agent-2 completed → PR #5 (0s)\n"
            "🎉 All agents succeeded! Total duration: 0s\n"
        ), done.err
        assert (done.code, done.err) == (0, "")

    def test_a_dry_run_creates_nothing_anywhere(self, shop: Shop) -> None:
        shop.issue("Add a", "Add b")
        before = shop.state
        done = shop.run("1", "--agent", shop.place.agent(WORKS), "--dry-run")
        assert done.code == 0, done.err
        assert done.out.splitlines()[:2] == [
            "🔍 DRY RUN MODE",
            "🚀 Parsed 2 sub-tasks from issue #1",
        ]
        assert done.out.splitlines()[-1] == "To run: /amplihack:parallel-orchestrate 1"
        assert shop.state == before
        assert {request.method for request in shop.github.requests} == {"GET"}
        assert shop.place.git("branch", "--list", "feat/*") == ""
        assert not (shop.place.root / ".claude").exists()


class TestAccount:
    """The run's own account agrees with what GitHub has."""

    def test_status_files_and_summary_agree_with_github(self, shop: Shop) -> None:
        shop.issue("Add a", "Add b", "Add c")
        done = shop.run("1", "--agent", shop.place.agent(FAILS_THIRD))
        assert done.code == 2, done.err
        subs = [issue["number"] for issue in shop.issues("sub-issue")]
        (diagnostic,) = shop.issues("diagnostic")
        pulls = {pull["head"]: pull["number"] for pull in shop.state["pulls"]}
        summary = shop.place.summary()
        assert sorted(summary["prs_created"]) == sorted(pulls.values())
        assert summary["follow_up_issues"] == [diagnostic["number"]]
        assert (summary["successful"], summary["failed"], summary["exit_code"]) == (2, 1, 2)
        tasks = {task["agent_id"]: task for task in summary["tasks"]}  # type: ignore[attr-defined]
        for agent, number in enumerate(subs, 1):
            branch = f"feat/issue-{number}-agent-{agent}"
            status = shop.status(1, agent)
            task = tasks[f"agent-{agent}"]
            expected = (number, branch, pulls.get(branch))
            assert (status["sub_issue"], status["branch"], status["pr_number"]) == expected
            assert (task["sub_issue"], task["branch"], task["pr_number"]) == expected
            assert status["status"] == task["status"] == ("failed" if agent == 3 else "completed")
        assert shop.status(1, 3)["error"].startswith("UNKNOWN: ")
        assert tasks["agent-3"]["follow_up_issue"] == diagnostic["number"]

    def test_what_may_still_be_asked_is_told_and_not_with_every_answer(self, shop: Shop) -> None:
        shop.issue("Add a", "Add b")
        done = shop.run("1", "--agent", shop.place.agent(WORKS), "--output", "json")
        (allowance,) = [event for event in done.events if isinstance(event, ForgeAllowance)]
        assert 4_900 < allowance.remaining < 5_000
        assert datetime.fromisoformat(allowance.reset.replace("Z", "+00:00")).timestamp() > 0

    def test_every_exchange_is_logged_with_method_path_status_and_cost(self, shop: Shop) -> None:
        shop.issue("Add a")
        done = shop.run("1", "--agent", shop.place.agent(WORKS))
        assert done.code == 0, done.err
        log = shop.session_log()
        found = re.findall(r"^\S+Z ((?:GET|POST|PATCH) \S+ \d{3}) \(cost (\d), ", log, re.MULTILINE)
        asked = [f"{r.method} {r.path} {r.status}" for r in shop.github.requests]
        assert [line for line, _ in found] == asked
        assert {cost for _, cost in found} == {"1"}

    def test_the_token_is_in_nothing_that_the_run_leaves(self, shop: Shop) -> None:
        shop.issue("Add a", "Add b")
        shop.place.environment["AMPLIHACK_PARALLEL_VERBOSE"] = "1"
        agent = shop.place.agent(f'{WORKS}; env; echo "{shop.github.token}"; git remote -v')
        done = shop.run("1", "--agent", agent, "--keep-worktrees")
        assert done.code == 0, done.err
        assert shop.github.token not in done.out + done.err + json.dumps(shop.state)
        written = [path for path in shop.place.runtime.rglob("*") if path.is_file()]
        assert written
        for path in written:
            assert shop.github.token.encode() not in path.read_bytes(), path

    @pytest.mark.parametrize("tasks", [1, 3, 6])
    def test_a_run_takes_at_most_three_requests_a_task_and_five(
        self, shop: Shop, tasks: int
    ) -> None:
        """The dearest case: a member's rights are asked for, and there are comments to look at."""
        shop.github.add_repository(
            "acme/shop", owner_kind="Organization", permissions={"octocat": "admin", "ada": "write"}
        )
        master = shop.github.add_issue(
            "acme/shop", "Open", "".join(f"- [ ] Add part{n}\n" for n in range(tasks)), user="ada"
        )
        shop.github.add_comment("acme/shop", master, "Nice.", user="ada")
        url = shop.github.clone_url("acme/shop", user="octocat")
        shop.place.git("remote", "set-url", "origin", url)
        done = shop.run("1", "--agent", shop.place.agent(WORKS))
        assert done.code == 0, done.err
        assert len(shop.github.requests) <= 3 * tasks + 5, shop.requests()
        assert not shop.github.violations


class TestGit:
    def test_agents_start_from_what_the_remote_has_now(self, shop: Shop) -> None:
        shop.issue("Add a")
        fresh = shop.github.commit(REPOSITORY, "main", {"fresh.txt": "new\n"})
        agent = "cat >/dev/null; cp fresh.txt $AGENT_ID.txt"
        done = shop.run("1", "--agent", shop.place.agent(agent))
        assert done.code == 0, done.err
        branch = shop.state["branches"]["feat/issue-2-agent-1"]
        assert shop.place.git("rev-parse", f"{branch}^") == fresh

    def test_the_base_is_the_branch_that_is_asked_for(self, shop: Shop) -> None:
        shop.issue("Add a")
        start = shop.github.commit(REPOSITORY, "release", {"release.txt": "1\n"})
        done = shop.run("1", "--agent", shop.place.agent(WORKS), "--base", "release")
        assert done.code == 0, done.err
        (pull,) = shop.state["pulls"]
        assert pull["base"] == "release"
        assert shop.place.git("rev-parse", f"{pull['head_sha']}^") == start

    def test_what_the_clone_has_checked_out_does_not_matter(self, shop: Shop) -> None:
        shop.issue("Add a")
        shop.place.git("checkout", "--quiet", "-b", "elsewhere")
        shop.place.git("commit", "--quiet", "--allow-empty", "--message=Mine")
        done = shop.run("1", "--agent", shop.place.agent(WORKS))
        assert done.code == 0, done.err
        (pull,) = shop.state["pulls"]
        main = shop.state["branches"]["main"]
        assert pull["base"] == "main"
        assert shop.place.git("rev-parse", f"{pull['head_sha']}^") == main
        assert set(shop.state["branches"]) == {"main", "feat/issue-2-agent-1"}

    def test_a_hook_that_refuses_the_push_fails_the_task_and_loses_nothing(
        self, shop: Shop
    ) -> None:
        shop.issue("Add a")
        hook = shop.place.root / ".git" / "hooks" / "pre-push"
        hook.write_text("#!/bin/sh\necho 'no pushes on Fridays' >&2\nexit 1\n", encoding="utf-8")
        hook.chmod(0o755)
        done = shop.run("1", "--agent", shop.place.agent(WORKS))
        assert done.code == 2, done.err
        (task,) = shop.place.summary()["tasks"]  # type: ignore[misc]
        assert task["failure_stage"] == "pr"
        assert shop.state["pulls"] == []
        assert shop.place.git("show", "feat/issue-2-agent-1:agent-1.txt") == "done"
        (diagnostic,) = shop.issues("diagnostic")
        assert "no pushes on Fridays" in diagnostic["body"]

    def test_a_branch_with_the_commits_of_another_clone_is_never_overwritten(
        self, shop: Shop, tmp_path: Path
    ) -> None:
        master, branch = shop.issue("Add a"), "feat/issue-2-agent-1"
        other = tmp_path / "other"
        shop.place.git("clone", "-q", shop.github.clone_url(REPOSITORY, user="octocat"), str(other))
        author = ["-c", "user.name=Other", "-c", "user.email=other@example.invalid"]
        shop.place.git("checkout", "-q", "-b", branch, cwd=other)
        shop.place.git(*author, "commit", "-q", "--allow-empty", "-m", "Other", cwd=other)
        shop.place.git("push", "-q", "origin", branch, cwd=other)
        theirs = shop.place.git("rev-parse", "HEAD", cwd=other)
        done = shop.run(str(master), "--agent", shop.place.agent(WORKS))
        assert done.code == 2, done.err
        (task,) = shop.place.summary()["tasks"]
        assert task["branch"] == branch
        assert (task["failure_stage"], task["error"].split(":")[0]) == ("pr", "FILE_CONFLICT")
        (diagnostic,) = shop.issues("diagnostic")
        assert diagnostic["title"] == "Agent-1 File Conflict Investigation"
        assert "merge it into the one in the worktree" in diagnostic["body"]
        assert shop.state["branches"][branch] == theirs
        assert shop.place.git("show", f"{branch}:agent-1.txt") == "done"

    def test_an_address_that_git_rewrites_is_understood(self, shop: Shop) -> None:
        shop.issue("Add a")
        url = shop.github.clone_url("", user="octocat").removesuffix(".git")
        shop.place.git("config", f"url.{url}.insteadOf", "work:")
        shop.place.git("remote", "set-url", "origin", f"work:{REPOSITORY}.git")
        done = shop.run("1", "--agent", shop.place.agent(WORKS))
        assert done.code == 0, done.err
        assert len(shop.state["pulls"]) == 1

    def test_the_credential_helper_of_the_user_is_asked(self, shop: Shop) -> None:
        shop.issue("Add a")
        shop.place.git("remote", "set-url", "origin", shop.github.clone_url(REPOSITORY))
        helper = f"!printf 'username=octocat\\npassword={shop.github.token}\\n' #"
        shop.place.git("config", "credential.helper", helper)
        done = shop.run("1", "--agent", shop.place.agent(WORKS))
        assert done.code == 0, done.err
        assert len(shop.state["pulls"]) == 1


def test_agents_hold_no_token_unless_it_is_passed(shop: Shop) -> None:
    shop.issue("Add a")
    agent = shop.place.agent('cat >/dev/null; echo "token:${GH_TOKEN:+yes}" >$AGENT_ID.txt')
    for options, expected in ((), "token:"), (("--pass-env", "GH_TOKEN", "--new"), "token:yes"):
        done = shop.run("1", "--agent", agent, *options)
        assert done.code == 0, done.err
        branch = shop.state["pulls"][-1]["head"]
        shown = subprocess.run(
            ["git", "show", f"{branch}:agent-1.txt"],
            cwd=shop.place.root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert shown.strip() == expected
