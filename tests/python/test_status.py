"""The verb `status`: how an orchestration stands, also where its orchestrator is dead."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command import HANGS, WORKS, Place, read_starts, refused
from support import wait_for

from orchestration._core import lock_holder

REPORTS_AND_HANGS = (
    """cat >/dev/null
echo '{"progress_percentage": 45, "current_stage": "Writing tests"}' >tmp
mv tmp .agent_status.json
"""
    + HANGS
)

FAILS = "cat >/dev/null; [ $AGENT_ID = agent-1 ] || exit 3; echo done >x.txt"


def status(place: Place, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = place.run("status", *arguments, "--json")
    assert done.code == code, done.err
    return dict(json.loads(done.out))


def hanging(place: Place) -> subprocess.Popen[str]:
    """A run whose first agent hangs, and whose second waits for it."""
    plan = place.plan("Add a", "Add b")
    agent = place.agent(REPORTS_AND_HANGS)
    run = place.start(plan, "--agent", agent, "--max-workers", "1", "--output", "json")
    read_starts(run, 1)
    return run


def journal(place: Place) -> Path:
    (path,) = place.runtime.glob("parallel/local-1/*.jsonl")
    return path


class TestStates:
    def test_a_running_one_says_what_each_task_is_at(self, place: Place) -> None:
        run = hanging(place)
        wait_for(lambda: status(place)["tasks"][0]["percent"] == 45, "the claim to be seen")
        shown = status(place)
        assert shown["state"] == "running"
        assert (shown["pid"], shown["ended"], shown["exit_code"]) == (run.pid, None, None)
        assert shown["orchestration"] == journal(place).stem
        assert shown["issue"] == 1
        works, waits = shown["tasks"]
        assert works["status"] == "in_progress"
        assert works["stage"] == "Writing tests"
        assert works["branch"] == "feat/local-2-agent-1"
        assert Path(works["worktree"]).is_dir()
        assert works["pid"] == int((Path(works["worktree"]) / "agent-1.pid").read_text())
        assert (waits["status"], waits["pid"], waits["error"]) == ("pending", None, None)
        for_people = place.run("status")
        assert "running, begun " in for_people.out
        assert f"process {run.pid}" in for_people.out
        assert "Writing tests (45%)" in for_people.out
        assert "hint: follow it with: parallel-orchestrate watch" in for_people.err

        claim = Path(works["worktree"]) / ".agent_status.json"
        claim.with_name("tmp").write_text('{"progress_percentage": 96}', encoding="utf-8")
        claim.with_name("tmp").rename(claim)
        wait_for(lambda: status(place)["tasks"][0]["percent"] == 90, "the claim to be seen")
        assert "Writing tests (90%)" in place.run("watch", "--for", "0").out, "the lines say so too"

    def test_a_finished_one_has_the_rows_of_its_summary(self, place: Place) -> None:
        done = place.run(place.plan("Add a", "Add b"), "--agent", place.agent(FAILS))
        assert done.code == 2
        shown = status(place)
        assert (shown["state"], shown["exit_code"], shown["pid"]) == ("finished", 2, None)
        assert shown["started"] < shown["ended"]
        for row, summary in zip(shown["tasks"], place.summary()["tasks"], strict=True):  # type: ignore[call-overload]
            changed = {"worktree"} if summary["status"] == "completed" else set()
            common = {key: row[key] for key in summary if key not in changed}
            assert common == {key: summary[key] for key in common}
        for_people = place.run("status")
        assert "Agent-1  ✅ completed" in for_people.out
        assert "Agent-2  ❌ failed" in for_people.out
        assert "hint: run again what failed with: parallel-orchestrate 'local#1' --retry" in (
            for_people.err
        )

    def test_one_that_did_all_leaves_nothing_to_do(self, place: Place) -> None:
        assert place.run(place.plan("Add a"), "--agent", place.agent(WORKS)).code == 0
        for_people = place.run("status")
        assert for_people.code == 0
        assert "all tasks succeeded" in for_people.out
        assert for_people.err == ""

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_an_interrupted_one(self, place: Place, number: int, code: int) -> None:
        run = hanging(place)
        run.send_signal(number)
        run.send_signal(number)
        run.communicate(timeout=20)
        shown = status(place)
        assert (shown["state"], shown["exit_code"]) == ("interrupted", code)
        assert [task["status"] for task in shown["tasks"]] == ["failed", "failed"]
        assert all(task["error"].startswith("CANCELLED: ") for task in shown["tasks"])
        hint = "hint: go on with: parallel-orchestrate 'local#1'"
        assert hint in place.run("status").err

    def test_a_dead_orchestrator_has_crashed_and_nothing_is_in_progress(self, place: Place) -> None:
        run = hanging(place)
        run.kill()
        run.wait()
        shown = status(place)
        assert shown["state"] == "crashed"
        assert (shown["pid"], shown["ended"], shown["exit_code"]) == (None, None, None)
        broken_off, waited = shown["tasks"]
        assert (broken_off["status"], broken_off["pid"]) == ("failed", None)
        assert "the orchestrator died" in broken_off["error"]
        assert waited["status"] == "pending"
        for_people = place.run("status")
        assert for_people.code == 0
        assert "its process died" in for_people.out
        assert "hint: go on with: parallel-orchestrate 'local#1'" in for_people.err

    def test_a_number_that_belongs_to_another_process_now_is_no_orchestrator(
        self, place: Place
    ) -> None:
        run = hanging(place)
        run.kill()
        run.wait()
        journal(place).with_name("run.lock").write_text(str(os.getpid()), encoding="utf-8")
        assert status(place)["state"] == "crashed"


class TestWhichOne:
    def test_an_issue_or_an_id_from_any_folder(self, place: Place) -> None:
        plan, agent = place.plan("Add a"), place.agent(WORKS)
        place.run(plan, "--agent", agent)
        first = journal(place).stem
        place.run(plan, "--agent", agent, "--new")
        below = place.root / "src"
        below.mkdir()
        done = place.run("status", "local#1", "--json", cwd=below)
        assert json.loads(done.out)["orchestration"] != first
        assert status(place, first)["orchestration"] == first
        outside = place.run("status", "--repo", str(place.root), "--json", cwd=place.root.parent)
        assert outside.code == 0

    def test_what_is_not_there_is_a_usage_error(self, place: Place) -> None:
        refused(place.run("status"), 64, "no orchestration in")
        place.run(place.plan("Add a"), "--agent", place.agent(WORKS))
        refused(place.run("status", "local#7", "--json"), 64, "no orchestration of local#7")


class TestTrouble:
    def test_a_damaged_line_is_named_and_what_stands_before_it_is_shown(self, place: Place) -> None:
        place.run(place.plan("Add a", "Add b"), "--agent", place.agent(WORKS))
        path = journal(place)
        lines = path.read_bytes().splitlines(keepends=True)
        first = next(n for n, line in enumerate(lines) if b'"agent_spawned"' in line)
        for damaged, known in ((len(lines) - 3, "completed"), (first + 1, "unknown")):
            found = [*lines]
            found[damaged] = lines[damaged].replace(b'"', b"'", 1)
            path.write_bytes(b"".join(found))
            done = place.run("status")
            assert done.code == 9
            assert "its journal is damaged, and tells of the first " in done.out
            assert f"damaged at line {damaged + 1}" in done.err
            assert "go on with" not in done.err
            shown = status(place, code=9)
            assert (shown["state"], shown["exit_code"]) == ("damaged", None)
            assert f"damaged at line {damaged + 1}" in shown["damage"]
            rows = [(task["status"], task["error"]) for task in shown["tasks"]]
            assert rows == [(known, None)] * 2
        assert path.read_bytes() == b"".join(found), "it is left as it was"

    def test_a_journal_that_is_damaged_before_it_begins_shows_nothing(self, place: Place) -> None:
        place.run(place.plan("Add a"), "--agent", place.agent(WORKS))
        path = journal(place)
        path.write_bytes(b"x" + path.read_bytes())
        refused(place.run("status"), 9, "damaged at line 1")

    def test_an_empty_journal_says_that_nothing_was_done(self, place: Place) -> None:
        folder = place.runtime / "parallel" / "local-1"
        folder.mkdir(parents=True)
        (folder / "orch-local-1-20260301-0900.jsonl").touch()
        done = place.run("status")
        refused(done, 9, "is empty: its run died before it had begun")
        assert "run its source again" in done.err

    def test_a_reader_that_goes_away_is_no_error(self, place: Place) -> None:
        place.run(place.plan("Add a"), "--agent", place.agent(WORKS))
        reader, writer = os.pipe()
        os.close(reader)
        done = place.start("status", stdout=writer)
        os.close(writer)
        _, err = done.communicate(timeout=10)
        assert (done.returncode, err) == (0, "")

    def test_asking_is_in_no_runs_way(self, place: Place, tmp_path: Path) -> None:
        lock = tmp_path / "run.lock"
        assert lock_holder(lock) is None
        dead = subprocess.Popen(["true"])
        dead.wait()
        lock.write_text(str(dead.pid), encoding="utf-8")
        assert lock_holder(lock) is None
        lock.write_text("nonsense", encoding="utf-8")
        assert lock_holder(lock) is None
        plan, agent = place.plan("Add a"), place.agent("cat >/dev/null; echo $$ >>x.txt")
        assert place.run(plan, "--agent", agent).code == 0
        looks = [place.start("status", "--json") for _ in range(3)]
        assert place.run(plan, "--agent", agent, "--new").code == 0
        for look in looks:
            look.communicate(timeout=20)
            assert look.returncode == 0
