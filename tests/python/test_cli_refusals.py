"""What the command refuses, in which words and with which exit code; and its help."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from command import WORKS, Place, refused

import orchestration


class TestBadInput:
    def test_a_missing_plan(self, place: Place) -> None:
        refused(place.run("missing.md"), 64, "missing.md")

    def test_a_verb_with_a_slip_of_the_pen(self, place: Place) -> None:
        done = place.run("statu", "--json")
        refused(done, 64, "statu is neither a verb nor a plan")
        assert "(Did you mean 'status'?)" in done.err
        refused(place.run("spring"), 64, "plan file not found")
        (place.root / "statu").write_text("- [ ] Add a\n", encoding="utf-8")
        assert place.run("statu", "--dry-run", "--agent", place.agent(WORKS)).code == 0

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

    def test_a_file_in_the_place_of_our_folder(self, place: Place) -> None:
        place.runtime.parent.mkdir()
        place.runtime.write_text("mine")
        done = place.run(place.plan("Add a"), "--agent", "true")
        refused(done, 9, "cannot create", str(place.runtime), "File exists")
        assert "os error" not in done.err
        assert place.runtime.read_text() == "mine"

    def test_a_file_in_the_place_of_the_worktrees(self, place: Place) -> None:
        trees = place.root.parent / "trees"
        trees.write_text("mine")
        place.environment["AMPLIHACK_WORKTREE_DIR"] = str(trees)
        plan, agent = place.plan("Add a"), place.agent(WORKS)
        done = place.run(plan, "--agent", agent, "--yes")
        refused(done, 9, "no worktrees can be made", f"{trees} is no folder")
        assert "AMPLIHACK_WORKTREE_DIR" in done.err
        assert not place.runtime.exists()
        told = place.run(plan, "--agent", agent, "--dry-run")
        assert told.code == 0
        assert f"{trees} is no folder" in told.out + told.err
        assert "❌ worktrees: error: no worktrees can be made" in place.run("doctor").out

    def test_a_branch_in_the_way_of_ours(self, place: Place) -> None:
        place.git("branch", "feat")
        done = place.run(place.plan("Add a"), "--agent", place.agent(WORKS))
        refused(done, 9, "the branch feat is in the way")
        assert not place.runtime.exists()

    def test_runs_that_came_with_the_repository(self, place: Place) -> None:
        plan, agent = place.plan("Add a"), place.agent(WORKS)
        assert place.run(plan, "--agent", "false").code == 2
        place.git("add", "--force", ".claude/runtime")
        place.git("commit", "--quiet", "--message=Mine")
        refused(place.run(plan, "--agent", agent, "--retry"), 9, ".claude/runtime in its index")
        place.git("rm", "-r", "--quiet", "--cached", ".claude/runtime")
        assert place.run(plan, "--agent", agent, "--retry").code == 0

    def test_a_committed_link_in_the_place_of_our_folder(
        self, place: Place, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        place.runtime.parent.mkdir()
        place.runtime.symlink_to(outside)
        place.git("add", "--force", ".claude/runtime")
        done = place.run(place.plan("Add a"), "--agent", place.agent(WORKS))
        refused(done, 9, ".claude/runtime in its index")
        assert not list(outside.iterdir())

    def test_an_agent_that_is_no_program(self, place: Place) -> None:
        note = place.root / "notes.txt"
        note.write_text("mine", encoding="utf-8")
        done = place.run(place.plan("Add a"), "--agent", str(note))
        refused(done, 9, f"{note} cannot be executed")
        assert "chmod +x" in done.err
        assert not place.runtime.exists()

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


class TestDisk:
    """A disk that takes no more, as the system shows it by a limit on the size of files."""

    @pytest.mark.parametrize("limit", [100, 1_500, 4_000, 5_500])
    def test_a_disk_that_takes_no_more_ends_the_run_and_loses_nothing(
        self, place: Place, limit: int
    ) -> None:
        def fill() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        plan = place.plan("Add a", "Add b")
        command = place.start(plan, "--agent", place.agent(WORKS), "--yes", before=fill)
        _, err = command.communicate(timeout=30)
        assert command.returncode == 9, err
        assert "error: cannot " in err
        assert "File too large" in err
        assert "hint: " in err
        assert "Traceback" not in err
        done = place.run(plan, "--agent", place.agent(WORKS), "--yes")
        assert done.code == 0, done.err
        titles = [
            path.read_text(encoding="utf-8").split("title: ")[1].splitlines()[0]
            for path in (place.runtime / "forge" / "issues").glob("*.md")
        ]
        assert sorted(titles) == sorted(set(titles)), "nothing is filed twice"

    def test_a_runtime_folder_that_cannot_be_made_is_named(self, place: Place) -> None:
        (place.root / ".claude").write_text("mine\n", encoding="utf-8")
        done = place.run(place.plan("Add a"), "--agent", place.agent(WORKS), "--yes")
        refused(done, 9, "cannot create", ".claude/runtime")
        assert (place.root / ".claude").read_text(encoding="utf-8") == "mine\n"
        assert not (place.root.parent / "shop.worktrees").exists()


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
