"""The verb `watch`: the lines of a run, seen from another process."""

import json
import os
import signal
import statistics
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from command import HANGS, WORKS, Place, is_alive, read_starts, refused
from support import wait_for

from orchestration import EngineError
from orchestration._core import Journal
from orchestration.watching import issue_of

SLEEPS = "cat >/dev/null; exec sleep 600"

UNTIL_TOLD = (
    "cat >/dev/null; while [ ! -e ../../go ]; do sleep 0.02; done; echo done >$AGENT_ID.txt"
)
"""An agent that works once there is a file `go` beside the repository."""

REPORTS = """cat >/dev/null
for percent in 15 25 35 45 55 65 75 85 95; do
    echo "{\\"progress_percentage\\": $percent, \\"current_stage\\": \\"Stage $percent\\"}" >tmp
    mv tmp .agent_status.json
    sleep 0.1
done
echo done >$AGENT_ID.txt
"""


def begin(place: Place, script: str, *titles: str, plan: str = "plan.md") -> str:
    """Starts a run that goes on by itself; returns its id."""
    place.plan(*(titles or ("Add a",)), name=plan)
    done = place.run(plan, "--agent", place.agent(script), "--yes", "--detach")
    assert done.code == 0, done.err
    return done.out.strip()


def go(place: Place) -> None:
    (place.root.parent / "go").touch()


def holder(place: Place, issue: int = 1) -> int:
    lock = place.runtime / "parallel" / f"local-{issue}" / "run.lock"
    return int(lock.read_text(encoding="utf-8"))


def journal(place: Place, orchestration: str) -> Path:
    (path,) = place.runtime.glob(f"parallel/*/{orchestration}.jsonl")
    return path


@pytest.fixture(autouse=True)
def nothing_left(place: Place):
    """Ends what a test left detached."""
    yield
    for lock in place.runtime.glob("parallel/*/run.lock"):
        pid = int(lock.read_text(encoding="utf-8") or 0)
        if pid and is_alive(pid) and Path(f"/proc/{pid}/cwd").readlink() == place.root:
            os.kill(pid, signal.SIGKILL)


class TestLines:
    def test_they_are_those_of_the_run_to_its_end_with_its_exit_code(self, place: Place) -> None:
        fails = "cat >/dev/null; [ $AGENT_ID = agent-1 ] || exit 3; echo done >x.txt"
        ran = place.run(place.plan("Add a", "Add b"), "--agent", place.agent(fails), "--yes")
        watched = place.run("watch")
        assert ran.code == 2
        assert watched.code == 2
        assert watched.out == ran.out
        assert "❌ Agent-2 failed" in watched.out

    def test_as_json_they_are_the_events_of_the_run_word_for_word(self, place: Place) -> None:
        plan, agent = place.plan("Add a", "Add b"), place.agent(REPORTS)
        ran = place.run(plan, "--agent", agent, "--yes", "--output", "json")
        watched = place.run("watch", "--output", "json")
        assert watched.code == 0
        assert len(ran.events) > 20
        assert watched.out == ran.out

    def test_a_run_is_followed_until_it_ends(self, place: Place) -> None:
        begin(place, UNTIL_TOLD)
        watch = place.start("watch")
        assert watch.stdout is not None
        assert watch.stdout.readline().startswith("🚀 Parsed 1 sub-task")
        assert watch.poll() is None
        go(place)
        out, err = watch.communicate(timeout=20)
        assert watch.returncode == 0, err
        assert "🎉 All agents succeeded!" in out

    def test_an_event_becomes_a_line_within_200_ms(self, place: Place) -> None:
        waits = "cat >/dev/null; while [ ! -e ../../go ]; do sleep 0.02; done"
        begin(place, REPORTS.replace("cat >/dev/null", waits))
        watch = place.start("watch", "--output", "json")
        assert watch.stdout is not None
        delays = []
        for line in watch.stdout:
            event, now = json.loads(line), datetime.now(timezone.utc)
            if event["type"] == "agent_started":
                go(place)
            elif event["type"] == "agent_progress":
                written = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
                delays.append((now - written).total_seconds())
        assert len(delays) > 3
        assert statistics.median(delays) < 0.2, delays

    def test_a_look_shows_what_came_since_the_last_one(self, place: Place) -> None:
        orchestration = begin(place, UNTIL_TOLD)
        first = place.run("watch", "--for", "0.3")
        assert first.code == 0
        assert first.out.startswith("🚀")
        assert f"{orchestration} goes on" in first.err
        second = place.run("watch", "--for", "0")
        assert (second.code, second.out) == (0, "")
        go(place)
        third = place.run("watch", "--for", "30")
        assert third.code == 0
        assert third.out.startswith("✅")
        assert "goes on" not in third.err
        fourth = place.run("watch")
        assert (fourth.code, fourth.out) == (0, "")
        assert "nothing new" in fourth.err
        everything = place.run("watch", "--all")
        assert everything.out == first.out + third.out

    def test_a_look_that_is_killed_loses_nothing(self, place: Place) -> None:
        begin(place, UNTIL_TOLD)
        watch = place.start("watch")
        assert watch.stdout is not None
        watch.stdout.readline()
        watch.kill()
        watch.communicate()
        go(place)
        rest = place.run("watch")
        assert "✅ Agent-1 completed" in rest.out
        assert "🎉" in rest.out

    def test_for_returns_in_time(self, place: Place) -> None:
        begin(place, SLEEPS)
        began = time.monotonic()
        assert place.run("watch", "--for", "0.5").code == 0
        assert 0.5 < time.monotonic() - began < 2


class TestTouchingNothing:
    def test_its_end_is_not_the_end_of_the_run(self, place: Place) -> None:
        begin(place, UNTIL_TOLD)
        watch = place.start("watch")
        assert watch.stdout is not None
        watch.stdout.readline()
        watch.send_signal(signal.SIGINT)
        _, err = watch.communicate(timeout=10)
        assert watch.returncode == 130
        assert "Traceback" not in err
        go(place)
        assert place.run("watch").code == 0
        assert place.summary()["successful"] == 1

    def test_a_reader_that_goes_away_is_no_error(self, place: Place) -> None:
        begin(place, REPORTS)
        watch = place.start("watch")
        assert watch.stdout is not None
        watch.stdout.close()
        assert watch.wait(timeout=20) == 0
        assert watch.stderr is not None
        assert "Traceback" not in watch.stderr.read()

    def test_many_looks_are_in_nobodys_way(self, place: Place) -> None:
        begin(place, UNTIL_TOLD)
        watches = [place.start("watch", "--all") for _ in range(5)]
        again = place.run("plan.md", "--agent", place.agent(WORKS), "--yes")
        refused(again, 9, f"process {holder(place)} holds")
        go(place)
        outs = [watch.communicate(timeout=20)[0] for watch in watches]
        assert [watch.returncode for watch in watches] == [0] * 5
        assert all("🎉" in out for out in outs)


class TestWhichOne:
    def test_an_issue_means_its_latest_and_an_id_means_itself(self, place: Place) -> None:
        plan, agent = place.plan("Add a"), place.agent(WORKS)
        place.run(plan, "--agent", agent)
        place.run(plan, "--agent", agent, "--new")
        first, second = sorted(
            (path.stem for path in place.runtime.glob("parallel/*/*.jsonl")), key=len
        )
        below = place.root / "src"
        below.mkdir()
        for name in ("local#1", "local-1", "1", "#1"):
            done = place.run("watch", name, "--all", "--output", "json", cwd=below)
            assert {event.orchestration for event in done.events} == {second}, name
        done = place.run("watch", first, "--output", "json")
        assert {event.orchestration for event in done.events} == {first}

    def test_it_works_in_a_linked_worktree(self, place: Place) -> None:
        place.run(place.plan("Add a"), "--agent", place.agent(WORKS))
        place.git("worktree", "add", "--quiet", "../other")
        assert "🎉" in place.run("watch", cwd=place.root.parent / "other").out

    def test_by_default_it_is_the_one_that_runs(self, place: Place) -> None:
        running = begin(place, UNTIL_TOLD, plan="slow.md")
        place.run(place.plan("Add z"), "--agent", place.agent(WORKS))
        done = place.run("watch", "--for", "0", "--output", "json")
        assert {event.orchestration for event in done.events} == {running}
        go(place)
        place.run("watch", running)
        done = place.run("watch", "--all", "--output", "json")
        assert {event.orchestration for event in done.events} != {running}, "the newest"

    def test_a_number_is_githubs_before_it_is_a_plans(self, place: Place) -> None:
        place.run(place.plan("Add a"), "--agent", place.agent(WORKS))
        (local,) = place.runtime.glob("parallel/local-1/*.jsonl")
        github = place.runtime / "parallel" / "1" / "orch-1-20200101-0000.jsonl"
        github.parent.mkdir()
        github.write_bytes(local.read_bytes())
        for name in ("1", "o/r#1", "https://github.com/o/r/issues/1"):
            place.run("watch", name)
            assert list(github.parent.glob("*.seen-*")), name
            next(github.parent.glob("*.seen-*")).unlink()
        assert not list(local.parent.glob("*.seen-*"))

    def test_what_is_not_there_is_a_usage_error_that_names_what_is(self, place: Place) -> None:
        refused(place.run("watch"), 64, "no orchestration in")
        place.run(place.plan("Add a"), "--agent", place.agent(WORKS))
        done = place.run("watch", "local#7")
        refused(done, 64, "no orchestration of local#7")
        assert "orch-local-1-" in done.err
        refused(place.run("watch", "--for", "-1"), 64, "--for")
        refused(place.run("watch", "--for", "nan"), 64, "--for")
        refused(place.run("watch", cwd=place.root.parent), 9, "not a git repository")


@pytest.mark.parametrize(
    ("orchestration", "source", "issue"),
    [
        ("orch-local-3-20260101-1200", "docs/plan.md", "local#3"),
        ("orch-local-3-20260101-1200", "-", "local#3"),
        ("orch-12-20260101-1200", "plan.md", "12"),
        ("orch-12-20260101-1200", "12", "12"),
        ("orch-12-20260101-1200", "octo/shop#12", "octo/shop#12"),
        ("orch-12-20260101-1200", "https://github.com/octo/shop/issues/12", None),
    ],
)
def test_what_names_an_issue_does_so_in_every_folder(
    orchestration: str, source: str, issue: str | None
) -> None:
    assert issue_of(orchestration, source) == (issue or source)


class TestTrouble:
    def test_a_dead_orchestrator_ends_the_watch(self, place: Place) -> None:
        place.plan("Add a")
        run = place.start("plan.md", "--agent", place.agent(HANGS), "--output", "json")
        read_starts(run, 1)
        watch = place.start("watch", stderr=subprocess.STDOUT)
        assert watch.stdout is not None
        watch.stdout.readline()
        run.kill()
        run.wait()
        out, _ = watch.communicate(timeout=10)
        assert watch.returncode == 9
        assert "has not ended, and nobody works on it any more" in out
        assert "hint: what it did is kept; go on with: parallel-orchestrate 'local#1'" in out
        refused(place.run("watch"), 9, "nobody works on it")

    def test_a_lock_whose_number_belongs_to_another_process_now_counts_for_nothing(
        self, place: Place
    ) -> None:
        orchestration = begin(place, SLEEPS)
        pid = holder(place)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(pid), "it to die")
        lock = journal(place, orchestration).with_name("run.lock")
        lock.write_text(str(os.getpid()), encoding="utf-8")
        assert place.run("watch").code == 9

    def test_a_torn_last_line_is_waited_for(self, place: Place) -> None:
        orchestration = begin(place, WORKS)
        everything = place.run("watch", "--all").out
        path = journal(place, orchestration)
        whole = path.read_bytes()
        events = Journal(path).news()
        path.write_bytes(whole[:-20])
        assert Journal(path).news() == events[:-1]
        assert place.run("watch", "--all").code == 9, "without its end it has not ended"
        path.write_bytes(whole)
        assert place.run("watch", "--all").out == everything

    def test_a_damaged_line_is_named(self, place: Place) -> None:
        orchestration = begin(place, WORKS)
        place.run("watch")
        path = journal(place, orchestration)
        lines = path.read_bytes().splitlines(keepends=True)
        lines[-2] = lines[-2].replace(b'"', b"'", 1)
        path.write_bytes(b"".join(lines))
        damage = f"damaged at line {len(lines) - 1}"
        refused(place.run("watch"), 9, path.name, damage)
        reader = Journal(path)
        assert "task_finished" in "".join(reader.news())
        for _ in range(2):
            with pytest.raises(EngineError, match=damage):
                reader.news()

    def test_a_journal_that_grows_is_read_to_where_it_is_whole(
        self, place: Place, tmp_path: Path
    ) -> None:
        whole = journal(place, begin(place, WORKS))
        place.run("watch")
        everything = Journal(whole).news()
        assert len(everything) > 5
        growing = tmp_path / "growing.jsonl"
        growing.touch()
        reader, read = Journal(growing), []
        data = whole.read_bytes()
        for end in range(0, len(data) + 97, 97):
            growing.write_bytes(data[:end])
            read += reader.news()
        assert read == everything
        assert reader.news() == []

    def test_where_the_look_cannot_be_remembered_it_is_still_shown(self, place: Place) -> None:
        orchestration = begin(place, WORKS)
        path = journal(place, orchestration)
        path.with_name(f"{orchestration}.seen-{os.getuid()}").mkdir()
        for _ in range(2):
            done = place.run("watch")
            assert done.code == 0
            assert "🎉" in done.out
