"""What the command prints, writes and exits with when all goes its way.

Each test starts `python -m orchestration` on a real repository with small scripted agents.
"""

import json
import re
import signal
import subprocess
import sys

import pytest
from command import WORKS, Place, is_alive, read_starts, refused

from orchestration.events import AgentStarted


class TestLines:
    def test_a_run_prints_the_lines_of_the_specification(self, place: Place) -> None:
        plan = place.plan("Add login in `auth.py`", "Add payment in `pay.py`")
        agent = place.agent(WORKS)
        done = place.run(plan, "--agent", agent, "--max-workers", "1", "--yes")
        assert done.lines == (
            "🚀 Parsed 2 sub-tasks from plan.md\n"
            "📝 Created sub-issues: #2, #3\n"
            "🤖 Deployed 2 agents (max_workers=1)\n"
            "⏱️  Monitoring progress (updates every 30s)...\n"
            "✅ Agent-1 completed → PR #4 (0s)\n"
            "✅ Agent-2 completed → PR #5 (0s)\n"
            "🎉 All agents succeeded! Total duration: 0s\n"
        ), done.err
        assert done.code == 0

    def test_batches_print_the_lines_of_the_specification(self, place: Place) -> None:
        plan = place.plan("Add a", "Add b", "Add c")
        agent = place.agent(WORKS)
        options = ("--agent", agent, "--agents", "1", "--batch-size", "2", "--yes")
        done = place.run(plan, *options)
        assert done.lines == (
            "🚀 Parsed 3 sub-tasks from plan.md\n"
            "📝 Created sub-issues: #2, #3, #4\n"
            "🤖 Deployed 3 agents in batches (batch_size=2)\n"
            "\n"
            "[Batch 1: Agents 1-2]\n"
            "⏱️  Monitoring batch 1...\n"
            "✅ Agent-1 completed → PR #5 (0s)\n"
            "✅ Agent-2 completed → PR #6 (0s)\n"
            "\n"
            "[Batch 2: Agent 3]\n"
            "⏱️  Monitoring batch 2...\n"
            "✅ Agent-3 completed → PR #7 (0s)\n"
            "\n"
            "🎉 All agents succeeded! Total duration: 0s\n"
        ), done.err

    def test_a_dry_run_prints_the_lines_of_the_specification(self, place: Place) -> None:
        plan = place.plan("Add login in `auth.py`", "Add payment in `pay.py`")
        done = place.run(plan, "--dry-run", "--agent", place.agent(WORKS))
        lines = done.out.splitlines()
        assert lines[:3] == ["🔍 DRY RUN MODE", "🚀 Parsed 2 sub-tasks from plan.md", ""], done.err
        assert lines[3] == "Sub-tasks identified:"
        assert re.fullmatch(
            r"1\. Add login in auth\.py \(estimated complexity: (low|medium|high)\)", lines[4]
        )
        assert "✅ No file conflicts detected" in lines
        assert "✅ No sequential dependencies" in lines
        assert "Estimated PRs: 2" in lines
        assert lines[-1] == "To run: parallel-orchestrate plan.md"
        assert done.code == 0

    def test_progress_is_shown_as_it_is_claimed(self, place: Place) -> None:
        plan = place.plan("Add login")
        claim = (
            'echo \'{"progress_percentage": 45, "current_stage": "Implementing feature"}\''
            " >$STATUS_FILE.new; mv $STATUS_FILE.new $STATUS_FILE; sleep 0.5"
        )
        done = place.run(plan, "--agent", place.agent(f"{WORKS}; {claim}"), "--yes")
        assert "[12:00] Agent-1: Implementing feature (45%)\n" in done.lines, done.err

    def test_a_failure_is_told_and_filed(self, place: Place) -> None:
        plan = place.plan("Add a", "Add b")
        agent = place.agent(f'{WORKS}; test "$AGENT_ID" != agent-1')
        done = place.run(plan, "--agent", agent, "--max-workers", "1", "--yes")
        assert re.search(
            r"^❌ Agent-1 failed after 0s: .+\n"
            r'📋 Created diagnostic issue #\d+: "Agent-1 .+ Investigation"\n'
            r"⏱️  Continuing with remaining agents\.\.\.\n",
            done.lines,
            re.MULTILINE,
        ), done.lines + done.err
        assert done.lines.endswith("❌ 1/2 agents succeeded. Total duration: 0s\n")
        assert done.code == 2


class TestResults:
    def test_each_task_has_its_branch_its_change_request_and_its_row(self, place: Place) -> None:
        plan = place.plan("Add a", "Add b")
        done = place.run(plan, "--agent", place.agent(WORKS), "--yes")
        assert done.code == 0, done.err
        branches = place.git("branch", "--format=%(refname:short)").split()
        assert sorted(branches) == ["feat/local-2-agent-1", "feat/local-3-agent-2", "main"]
        assert place.git("show", "feat/local-2-agent-1:agent-1.txt") == "done"
        summary = place.summary()
        assert (summary["successful"], summary["exit_code"]) == (2, 0)
        for number in summary["prs_created"]:  # type: ignore[attr-defined]
            assert (place.runtime / "forge" / "pulls" / f"{number}.md").is_file()

    def test_what_lay_about_in_the_main_worktree_is_left_alone(self, place: Place) -> None:
        (place.root / "README.md").write_text("# Half written\n", encoding="utf-8")
        (place.root / "staged.txt").write_text("staged\n", encoding="utf-8")
        place.git("add", "staged.txt")
        plan = place.plan("Add a")
        before = place.git("status", "--porcelain", "--untracked-files=all")
        done = place.run(plan, "--agent", place.agent(WORKS), "--yes")
        assert done.code == 0, done.err
        assert place.git("status", "--porcelain", "--untracked-files=all") == before
        assert (place.root / "README.md").read_text(encoding="utf-8") == "# Half written\n"

    def test_a_detached_head_is_a_valid_base(self, place: Place) -> None:
        place.git("checkout", "--quiet", "--detach")
        done = place.run(place.plan("Add a"), "--agent", place.agent(WORKS), "--yes")
        assert done.code == 0, done.err

    def test_it_works_from_a_folder_below_and_with_spaces_and_umlauts(self, place: Place) -> None:
        name = place.plan("Füge ein Menü hinzu", name="über uns/der plan.md")
        folder = place.root / "über uns"
        done = place.run("der plan.md", "--agent", place.agent(WORKS), "--yes", cwd=folder)
        assert done.code == 0, done.err
        assert (place.root / ".claude").is_dir()
        assert not (folder / ".claude").exists()
        done = place.run(name, "--dry-run", "--agent", place.agent(WORKS))
        assert "1. Füge ein Menü hinzu" in done.out

    def test_a_plan_comes_through_standard_input(self, place: Place) -> None:
        done = place.run("-", "--agent", place.agent(WORKS), "--yes", text="# Now\n\n- [ ] Add a\n")
        assert done.code == 0, done.err
        assert "🎉 All agents succeeded!" in done.out

    def test_a_plan_named_like_a_verb_is_reached_by_its_path(self, place: Place) -> None:
        place.plan("Add a", name="demo")
        done = place.run("./demo", "--agent", place.agent(WORKS), "--dry-run")
        assert "🚀 Parsed 1 sub-task from ./demo" in done.out, done.err

    def test_four_of_five_is_partial_success(self, place: Place) -> None:
        plan = place.plan(*(f"Add {name}" for name in "abcde"))
        agent = place.agent(f'{WORKS}; test "$AGENT_ID" != agent-3')
        done = place.run(plan, "--agent", agent, "--yes")
        assert done.code == 1, done.err
        assert "🎉 4/5 agents succeeded!" in done.out

    def test_a_verify_command_that_fails_fails_the_task(self, place: Place) -> None:
        plan = place.plan("Add a")
        done = place.run(plan, "--agent", place.agent(WORKS), "--verify", "exit 3", "--yes")
        assert done.code == 2, done.err
        (task,) = place.summary()["tasks"]  # type: ignore[misc]
        assert (task["failure_stage"], task["tests_passing"]) == ("testing", False)

    def test_setup_runs_before_the_agent(self, place: Place) -> None:
        agent = place.agent("cat >/dev/null; cat tools.txt >result.txt")
        done = place.run(
            place.plan("Add a"), "--agent", agent, "--setup", "echo hammer >tools.txt", "--yes"
        )
        assert done.code == 0, done.err
        assert place.git("show", "feat/local-2-agent-1:result.txt") == "hammer"

    def test_an_agent_that_changes_nothing_has_failed(self, place: Place) -> None:
        done = place.run(place.plan("Add a"), "--agent", place.agent("cat >/dev/null"), "--yes")
        assert done.code == 2, done.err
        assert "No changes" in done.out

    def test_a_timeout_ends_an_agent(self, place: Place) -> None:
        agent = place.agent("cat >/dev/null; sleep 600")
        done = place.run(place.plan("Add a"), "--agent", agent, "--timeout", "0.3", "--yes")
        assert done.code == 2, done.err
        assert "Timeout" in done.out


class TestAgain:
    def test_a_finished_plan_is_not_run_twice(self, place: Place) -> None:
        plan, agent = place.plan("Add a"), place.agent(WORKS)
        first = place.run(plan, "--agent", agent, "--yes")
        again = place.run(plan, "--agent", agent, "--yes")
        assert again.lines.splitlines() == first.lines.splitlines()[-1:]
        assert "--new" in again.err
        assert (first.code, again.code) == (0, 0)
        assert place.git("branch", "--list", "feat/*", "--format=x") == "x"

    def test_a_relative_folder_for_worktrees_counts_from_the_repository(self, place: Place) -> None:
        place.environment["AMPLIHACK_WORKTREE_DIR"] = "trees"
        below = place.root / "below"
        below.mkdir()
        plan, agent = f"../{place.plan('Add a')}", place.agent(WORKS)
        outcome = place.run(plan, "--agent", agent, "--yes", "--keep-worktrees", cwd=below)
        assert outcome.code == 0, outcome
        assert len(list(place.root.glob("trees/*/feat-*/agent-1.txt"))) == 1

    def test_new_runs_it_again(self, place: Place) -> None:
        plan, agent = place.plan("Add a"), place.agent("cat >/dev/null; echo done >>$AGENT_ID.txt")
        place.run(plan, "--agent", agent, "--yes")
        again = place.run(plan, "--agent", agent, "--yes", "--new")
        assert "✅ Agent-1 completed" in again.out, again.err
        assert again.code == 0

    def test_an_interrupted_run_is_taken_up_by_the_same_command(self, place: Place) -> None:
        plan = place.plan("Add a", "Add b")
        slow = place.agent(f'{WORKS}; test "$AGENT_ID" = agent-1 || exec sleep 600')
        options = ("--yes", "--max-workers", "1", "--output", "json")
        command = place.start(plan, "--agent", slow, *options)
        read_starts(command, 2)
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=20)
        assert command.returncode == 130
        again = place.run(plan, "--agent", place.agent(WORKS), *options)
        assert again.code == 0, again.err
        started = [event.agent for event in again.events if isinstance(event, AgentStarted)]
        assert started == [2]

    def test_a_second_run_at_the_same_time_is_refused(self, place: Place) -> None:
        plan, agent = place.plan("Add a"), place.agent("cat >/dev/null; exec sleep 600")
        command = place.start(plan, "--agent", agent, "--yes", "--output", "json")
        read_starts(command, 1)
        refused(place.run(plan, "--agent", agent, "--yes"), 9, str(command.pid))
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=20)
        assert command.returncode == 130


class TestJson:
    def test_standard_output_holds_one_event_a_line_and_nothing_else(self, place: Place) -> None:
        plan = place.plan("Add a")
        done = place.run(plan, "--agent", place.agent(WORKS), "--yes", "--output", "json")
        types = [event.type for event in done.events]
        assert types[:2] == ["plan_parsed", "validated"], done.err
        assert types[-1] == "orchestration_finished"
        assert {"issue_created", "agent_started", "pull_created", "task_finished"} <= {*types}
        assert "unknown" not in types
        numbers = [event.seq for event in done.events]
        assert numbers == sorted(set(numbers))
        assert all(json.loads(line)["v"] == 1 for line in done.out.splitlines())

    @pytest.mark.parametrize(
        ("arguments", "kind", "code"),
        [
            (["missing.md", "--output", "json"], "usage", 64),
            (["plan.md", "--output=json", "--colour"], "usage", 64),
            (["plan.md", "--output", "json", "--agent", "no-such-agent"], "engine", 9),
        ],
    )
    def test_a_failure_is_the_last_event(
        self, place: Place, arguments: list[str], kind: str, code: int
    ) -> None:
        place.plan("Add a")
        done = place.run(*arguments)
        *_, last = done.events
        assert last.to_dict()["type"] == "error"
        assert (last.to_dict()["kind"], last.to_dict()["exit_code"]) == (kind, code)
        assert done.code == code

    def test_a_dry_run_ends_with_an_event_of_its_own(self, place: Place) -> None:
        plan = place.plan("Add a")
        done = place.run(plan, "--dry-run", "--output", "json", "--agent", place.agent(WORKS))
        assert [event.type for event in done.events] == [
            "plan_parsed",
            "validated",
            "orchestration_finished",
        ], done.err
        assert done.events[0].to_dict()["source"] == "plan.md"

    def test_a_dry_run_of_dependent_tasks_ends_with_an_error(self, place: Place) -> None:
        plan = place.plan("Add a (depends on task 2)", "Add b")
        done = place.run(plan, "--dry-run", "--output", "json", "--agent", place.agent(WORKS))
        last = done.events[-1].to_dict()
        assert (last["type"], last["kind"], last["exit_code"]) == ("error", "validation", 4)
        assert last["hint"].endswith("in the order 2, 1")
        assert done.code == 4

    def test_a_dry_run_of_tasks_in_a_circle_names_them(self, place: Place) -> None:
        plan = place.plan("Add a (depends on task 2)", "Add b (depends on task 1)")
        done = place.run(plan, "--dry-run", "--output", "json", "--agent", place.agent(WORKS))
        assert "wait for each other" in done.events[-1].to_dict()["hint"]
        assert done.code == 4


class TestLibrary:
    """The same engine under a program of one's own."""

    def python(self, place: Place, script: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            cwd=place.root,
            env=place.environment,
            encoding="utf-8",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        place.running.append(process)
        return process

    @pytest.mark.parametrize("call", ["{}()", "asyncio.run(asyncio.to_thread({}))"])
    def test_ctrl_c_reaps_before_it_is_raised(self, place: Place, call: str) -> None:
        script = (
            "import asyncio, sys, orchestration\n"
            "from orchestration.events import AgentStarted\n"
            "def tell(event):\n"
            "    if isinstance(event, AgentStarted): print(event.pid, flush=True)\n"
            "plan, agent = sys.argv[1:]\n"
            "def run():\n"
            "    orchestration.orchestrate(plan, agent=agent, yes=True, on_event=tell)\n"
            "try:\n"
            f"    {call.format('run')}\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted', flush=True)\n"
            "    sys.stdin.read()\n"
        )
        agent = place.agent("cat >/dev/null; exec sleep 600")
        program = self.python(place, script, place.plan("Add a"), agent)
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        program.send_signal(signal.SIGINT)
        assert program.stdout.readline() == "interrupted\n"
        assert not is_alive(pid)
        program.communicate(timeout=20)
        assert program.returncode == 0

    def test_a_stream_that_is_left_reaps_and_the_program_goes_on(self, place: Place) -> None:
        script = (
            "import asyncio, os, sys, orchestration\n"
            "from orchestration.events import AgentStarted\n"
            "async def main():\n"
            "    async with orchestration.stream(\n"
            "        sys.argv[1], agent=sys.argv[2], yes=True\n"
            "    ) as events:\n"
            "        async for event in events:\n"
            "            if isinstance(event, AgentStarted): break\n"
            "    try:\n"
            "        os.kill(event.pid, 0)\n"
            "    except ProcessLookupError:\n"
            "        print('reaped')\n"
            "asyncio.run(main())\n"
        )
        agent = place.agent("cat >/dev/null; exec sleep 600")
        program = self.python(place, script, place.plan("Add a"), agent)
        out, err = program.communicate(timeout=20)
        assert (out, program.returncode) == ("reaped\n", 0), err

    def test_failed_tasks_raise_nothing(self, place: Place) -> None:
        script = (
            "import sys, orchestration\n"
            "report = orchestration.orchestrate(sys.argv[1], agent=sys.argv[2], yes=True)\n"
            "print(report.exit_code, report.failed, report.tasks[0].failure_stage)\n"
        )
        agent = place.agent("cat >/dev/null; exit 7")
        program = self.python(place, script, place.plan("Add a"), agent)
        out, err = program.communicate(timeout=20)
        assert (out, program.returncode) == ("2 1 implementation\n", 0), err
