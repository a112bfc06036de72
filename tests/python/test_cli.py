"""The real command, on real repositories, with small scripted agents.

Each test starts `python -m orchestration` as a person would, and looks at what comes out: lines,
exit code, files, branches, processes.
"""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import orchestration
from orchestration.cli import main
from orchestration.events import AgentStarted, Event

COMMAND = [sys.executable, "-m", "orchestration"]

WORKS = "cat >/dev/null; echo done >$AGENT_ID.txt"
"""An agent that does something and leaves the commit to the engine."""

HANGS = "cat >/dev/null; echo $$ >$AGENT_ID.pid; trap '' TERM; sleep 600 & wait; sleep 600"
"""An agent that neither ends nor listens."""


@dataclass
class Place:
    """A repository, and the command in it."""

    root: Path
    environment: dict[str, str]
    agents: int = 0
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.root,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def plan(self, *titles: str, name: str = "plan.md", heading: str = "# Spring\n\n") -> str:
        text = heading + "".join(f"- [ ] {title}\n" for title in titles)
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return name

    def agent(self, script: str) -> str:
        """An agent's command line for a shell script."""
        self.agents += 1
        path = self.root.parent / f"agent {self.agents}.sh"
        path.write_text(script, encoding="utf-8")
        return f"sh '{path}'"

    def start(
        self,
        *arguments: str,
        cwd: Path | None = None,
        before: Callable[[], object] | None = None,
        **pipes: int,
    ) -> subprocess.Popen[str]:
        pipes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | pipes
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=cwd or self.root,
            env=self.environment,
            encoding="utf-8",
            preexec_fn=before,  # noqa: PLW1509 - the tests have one thread
            **pipes,  # type: ignore[call-overload]
        )
        self.running.append(process)
        return process

    def run(self, *arguments: str, text: str = "", cwd: Path | None = None) -> "Outcome":
        process = self.start(*arguments, cwd=cwd, stdin=subprocess.PIPE)
        out, err = process.communicate(text, timeout=30)
        return Outcome(process.returncode, out, err)

    @property
    def runtime(self) -> Path:
        return self.root / ".claude" / "runtime"

    def summary(self) -> dict[str, object]:
        (path,) = self.runtime.glob("parallel/*/summary.json")
        return dict(json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> str:
        """Standard output with every duration and every time of day made equal."""
        text = re.sub(r"\(\d[\dhms ]*\)", "(0s)", self.out)
        text = re.sub(r"(duration:|after) \d[\dhms ]*\d*[hms]", r"\1 0s", text)
        return re.sub(r"\[\d\d:\d\d\]", "[12:00]", text)

    @property
    def events(self) -> list[Event]:
        return [Event.from_json(line) for line in self.out.splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    root = tmp_path / "shop"
    root.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    environment = {
        "PATH": path,
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "TMPDIR": str(tmp_path),
    }
    place = Place(root, environment)
    place.git("init", "--quiet", "--initial-branch=main")
    place.git("config", "user.name", "Tester")
    place.git("config", "user.email", "tester@example.invalid")
    (root / "README.md").write_text("# Shop\n", encoding="utf-8")
    place.git("add", "--all")
    place.git("commit", "--quiet", "--message=Begin")
    yield place
    for process in place.running:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()[:1] not in {"", "Z"}


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


def refused(done: Outcome, code: int, *words: str) -> None:
    """One line that names the thing, one with the way out, nothing on standard output."""
    error, hint, *rest = [
        line for line in done.err.splitlines() if line.startswith(("error:", "hint:"))
    ]
    assert error.startswith("error: "), done.err
    assert hint.startswith("hint: "), done.err
    assert not rest
    assert "Traceback" not in done.err
    for word in words:
        assert word in error, done.err
    assert done.out == ""
    assert done.code == code


class TestBadInput:
    def test_a_missing_plan(self, place: Place) -> None:
        refused(place.run("missing.md"), 64, "missing.md")

    def test_a_plan_that_is_no_text(self, place: Place) -> None:
        (place.root / "plan.md").write_bytes(b"- [ ] \xff\xfe\n")
        refused(place.run("plan.md"), 64, "plan.md")

    def test_a_plan_without_tasks(self, place: Place) -> None:
        (place.root / "plan.md").write_text("# Thoughts\n\nNothing yet.\n", encoding="utf-8")
        done = place.run("plan.md")
        refused(done, 3, "no tasks", "plan.md")
        assert all(form in done.err for form in ("- [ ]", "1. ", "## Sub-Tasks"))

    def test_a_plan_whose_tasks_are_all_done(self, place: Place) -> None:
        (place.root / "plan.md").write_text("- [x] Add a\n- [x] Add b\n", encoding="utf-8")
        refused(place.run("plan.md"), 3, "all 2 tasks are done")

    def test_tasks_that_depend_on_each_other(self, place: Place) -> None:
        plan = place.plan("Add a", "Add b (depends on task 1)")
        refused(place.run(plan, "--agent", place.agent(WORKS), "--yes"), 4, "depend")
        assert not place.runtime.exists()

    def test_a_dry_run_of_dependent_tasks_shows_them_and_exits_4(self, place: Place) -> None:
        plan = place.plan("Add a", "Add b (depends on task 1)")
        done = place.run(plan, "--agent", place.agent(WORKS), "--dry-run")
        assert done.code == 4, done.err
        assert "❌" in done.out

    def test_warnings_without_a_terminal_start_nothing(self, place: Place) -> None:
        plan = place.plan("Add a to `user.py`", "Add b to `user.py`")
        done = place.run(plan, "--agent", place.agent(WORKS))
        refused(done, 4, "user.py")
        assert "--yes" in done.err
        assert not place.runtime.exists()

    def test_a_dry_run_with_warnings_exits_0_and_creates_nothing(self, place: Place) -> None:
        plan = place.plan("Add a to `user.py`", "Add b to `user.py`")
        before = sorted(place.root.rglob("*"))
        done = place.run(plan, "--agent", place.agent(WORKS), "--dry-run")
        assert done.code == 0, done.err
        assert "⚠️  " in done.out
        assert sorted(place.root.rglob("*")) == before

    def test_no_repository(self, place: Place, tmp_path: Path) -> None:
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        (folder / "plan.md").write_text("- [ ] Add a\n", encoding="utf-8")
        done = place.run("plan.md", "--agent", place.agent(WORKS), cwd=folder)
        refused(done, 9, "not a git repository")

    def test_a_bare_repository(self, place: Place, tmp_path: Path) -> None:
        place.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
        plan = place.root / place.plan("Add a")
        done = place.run(str(plan), "--agent", place.agent(WORKS), cwd=tmp_path / "bare.git")
        refused(done, 9, "bare")

    def test_a_repository_without_commits(self, place: Place, tmp_path: Path) -> None:
        place.git("init", "--quiet", str(tmp_path / "empty"))
        plan = place.root / place.plan("Add a")
        done = place.run(
            str(plan), "--agent", place.agent(WORKS), "--repo", str(tmp_path / "empty")
        )
        refused(done, 9, "no commits")

    def test_a_missing_agent(self, place: Place) -> None:
        done = place.run(place.plan("Add a"), "--agent", "no-such-agent --flag")
        refused(done, 9, "no-such-agent")
        assert not place.runtime.exists()

    def test_a_missing_git(self, place: Place, tmp_path: Path) -> None:
        (tmp_path / "tools").mkdir()
        (tmp_path / "tools" / "sh").symlink_to("/bin/sh")
        plan, agent = place.plan("Add a"), place.agent(WORKS)
        place.environment["PATH"] = str(tmp_path / "tools")
        refused(place.run(plan, "--agent", agent), 9, "git")

    def test_a_missing_base(self, place: Place) -> None:
        done = place.run(place.plan("Add a"), "--agent", place.agent(WORKS), "--base", "nowhere")
        refused(done, 9, "nowhere")

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--max-workers", "0"),
            ("--agents", "-1"),
            ("--max-workers", "9" * 30),
            ("--timeout", "-1"),
            ("--timeout", "nan"),
            ("--timeout", "inf"),
            ("--batch-size", "0"),
            ("--forge", "github"),
        ],
    )
    def test_flags_out_of_range(self, place: Place, arguments: tuple[str, str]) -> None:
        place.plan("Add a")
        refused(place.run("plan.md", *arguments), 64)
        assert not place.runtime.exists()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("AMPLIHACK_MAX_PARALLEL_AGENTS", "0"),
            ("AMPLIHACK_MAX_PARALLEL_AGENTS", "many"),
            ("AMPLIHACK_AGENT_TIMEOUT", "-5"),
            ("AMPLIHACK_STATUS_INTERVAL", "0"),
            ("AMPLIHACK_SUCCESS_THRESHOLD", "101"),
        ],
    )
    def test_variables_out_of_range(self, place: Place, name: str, value: str) -> None:
        place.plan("Add a")
        place.environment[name] = value
        refused(place.run("plan.md"), 64, name, value)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["plan.md", "--colour"],
            ["plan.md", "--max-workers", "many"],
            ["plan.md", "--output", "xml"],
            ["plan.md", "other.md"],
            ["demo", "--colour"],
            [],
        ],
        ids=" ".join,
    )
    def test_a_wrong_command_line(self, place: Place, arguments: list[str]) -> None:
        done = place.run(*arguments)
        refused(done, 64)
        assert "--help" in done.err

    @pytest.mark.parametrize("source", ["1234", "#1234", "owner/name#12"])
    def test_a_source_on_github_is_refused_with_the_way_out(
        self, place: Place, source: str
    ) -> None:
        refused(place.run(source), 64, source)

    @pytest.mark.parametrize(
        "arguments",
        [["\udcff.md"], ["plan.md", "--agent", "\udcff"], ["plan.md", "--pass-env=\udcff"]],
    )
    def test_bytes_that_are_no_text(self, place: Place, arguments: list[str]) -> None:
        place.plan("Add a")
        refused(place.run(*arguments), 64, "UTF-8")

    def test_nobody_writes_to_the_terminal_through_a_plans_name(self, place: Place) -> None:
        done = place.run("\x1b[2Jplan.md")
        assert "\x1b" not in done.err
        assert done.code == 64


class TestHelp:
    @pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["demo", "--help"]], ids=" ".join)
    def test_every_verb_explains_itself_with_an_example(
        self, place: Place, arguments: list[str]
    ) -> None:
        done = place.run(*arguments)
        assert done.code == 0
        assert re.search(r"Examples?:\n +parallel-orchestrate", done.out)

    def test_the_version_is_that_of_the_package(self, place: Place) -> None:
        done = place.run("--version")
        assert done.out == f"parallel-orchestrate {orchestration.__version__}\n", done.err

    def test_every_option_of_the_engine_is_an_option_of_the_command(self, place: Place) -> None:
        text = place.run("--help").out
        options = set(re.findall(r"--[a-z-]+", text))
        assert {"--max-workers", "--agents", "--timeout", "--batch-size", "--dry-run"} <= options
        assert {"--yes", "--base", "--agent", "--model", "--verify", "--setup"} <= options

    def test_the_help_needs_no_engine(self, place: Place) -> None:
        script = (
            "import sys, orchestration.cli as cli; cli.main(['--help']);"
            "print([m for m in ('rich', 'asyncio', 'orchestration._core') if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=place.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "[]"


class TestSignals:
    @pytest.mark.parametrize(
        ("number", "code"),
        [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
    )
    def test_the_first_signal_stops_every_agent(
        self, place: Place, number: signal.Signals, code: int
    ) -> None:
        # It listens: TERM ends it.
        agent = place.agent("cat >/dev/null; exec sleep 600")
        command = place.start(
            place.plan("Add a", "Add b"), "--agent", agent, "--yes", "--output", "json"
        )
        pids = [started.pid for started in read_starts(command, 2)]
        command.send_signal(number)
        out, err = command.communicate(timeout=20)
        assert command.returncode == code, err
        assert [pid for pid in pids if is_alive(pid)] == []
        assert "hint: resume with: parallel-orchestrate plan.md" in err
        assert Event.from_json(out.splitlines()[-1]).type == "orchestration_finished"
        (log,) = place.runtime.glob("logs/*/session.log")
        logged = {int(pid) for pid in re.findall(r"\bpid=(\d+)", log.read_text(encoding="utf-8"))}
        assert set(pids) <= logged
        assert [pid for pid in logged if is_alive(pid)] == []

    def test_the_second_signal_kills(self, place: Place) -> None:
        command = place.start(
            place.plan("Add a"), "--agent", place.agent(HANGS), "--yes", "--output", "json"
        )
        (started,) = read_starts(command, 1)
        command.send_signal(signal.SIGINT)
        assert command.stderr is not None
        while "stopping the agents" not in command.stderr.readline():
            pass
        asked = time.monotonic()
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=20)
        assert command.returncode == 130
        assert time.monotonic() - asked < 3, "it waited for the grace period"
        assert not is_alive(started.pid)

    def test_a_signal_that_the_parent_ignores_stays_ignored(self, place: Place) -> None:
        def ignore() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        agent = place.agent(f"{WORKS}; sleep 0.5")
        command = place.start(
            place.plan("Add a"), "--agent", agent, "--yes", "--output", "json", before=ignore
        )
        read_starts(command, 1)
        command.send_signal(signal.SIGHUP)
        _, err = command.communicate(timeout=20)
        assert command.returncode == 0, err

    def test_a_closed_standard_output_ends_it_cleanly(self, place: Place) -> None:
        agent = place.agent("cat >/dev/null; exec sleep 600")
        command = place.start(place.plan("Add a"), "--agent", agent, "--yes", "--timeout", "1")
        assert command.stdout is not None
        assert "🚀" in command.stdout.readline()
        command.stdout.close()
        assert command.stderr is not None
        err = command.stderr.read()
        command.wait(timeout=20)
        assert "Traceback" not in err
        assert "BrokenPipe" not in err

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
    @pytest.mark.parametrize("output", ["text", "json"])
    def test_a_standard_output_on_a_full_disk_is_a_system_error(
        self, place: Place, output: str
    ) -> None:
        plan, agent = place.plan("Add a"), place.agent("cat >/dev/null; exec sleep 600")
        with Path("/dev/full").open("w") as full:
            command = place.start(
                plan, "--agent", agent, "--yes", "--output", output, stdout=full.fileno()
            )
        assert command.stderr is not None
        err = command.stderr.read()
        assert command.wait(timeout=20) == 9, err
        assert "error: cannot write to standard output: No space left" in err
        assert "Traceback" not in err

    def test_what_nobody_foresaw_is_no_partial_success(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            message = "unforeseen"
            raise RuntimeError(message)

        monkeypatch.setattr("orchestration.cli.orchestrate.command.main", fail)
        assert main(["plan.md"]) == 9
        assert "unforeseen" in capsys.readouterr().err

    def test_a_help_that_nobody_reads_is_no_error(self, place: Place) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        command = place.start("--help", stdout=writer)
        os.close(writer)
        assert command.stderr is not None
        assert command.stderr.read() == ""
        assert command.wait(timeout=10) == 0

    def test_it_runs_with_all_standard_descriptors_closed(self, place: Place) -> None:
        def close() -> None:
            for descriptor in (0, 1, 2):
                os.close(descriptor)

        plan, agent = place.plan("Add a"), place.agent(WORKS)
        command = place.start(plan, "--agent", agent, "--yes", before=close)
        assert command.wait(timeout=20) == 0


class TestTerminal:
    @pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 4), ("\n", 4)])
    def test_warnings_are_a_question_on_a_terminal(
        self, place: Place, answer: str, code: int
    ) -> None:
        plan = place.plan("Add a to `user.py`", "Add b to `user.py`")
        mine, theirs = pty.openpty()
        command = place.start(plan, "--agent", place.agent(WORKS), stdin=theirs, stderr=theirs)
        os.close(theirs)
        seen = ""
        while "[y/N]" not in seen:
            seen += os.read(mine, 4096).decode()
        assert "user.py" in seen
        os.write(mine, answer.encode())
        out, _ = command.communicate(timeout=20)
        os.close(mine)
        assert command.returncode == code
        assert "[y/N]" not in out


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

    def test_ctrl_c_reaps_before_it_is_raised(self, place: Place) -> None:
        script = (
            "import sys, orchestration\n"
            "from orchestration.events import AgentStarted\n"
            "def tell(event):\n"
            "    if isinstance(event, AgentStarted): print(event.pid, flush=True)\n"
            "try:\n"
            "    plan, agent = sys.argv[1:]\n"
            "    orchestration.orchestrate(plan, agent=agent, yes=True, on_event=tell)\n"
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


def read_starts(command: subprocess.Popen[str], count: int) -> Sequence[AgentStarted]:
    """Reads events until so many agents run."""
    assert command.stdout is not None
    started: list[AgentStarted] = []
    while len(started) < count:
        line = command.stdout.readline()
        assert line, command.communicate()[1]
        event = Event.from_json(line)
        if isinstance(event, AgentStarted):
            started.append(event)
    return started
