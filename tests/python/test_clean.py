"""The verb `clean`: removes what nobody needs, and nothing that would be lost."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from command import HANGS, WORKS, Outcome, Place, read_starts, refused
from on_github import Shop
from support import wait_for

FAILS_WITH_WORK = """cat >/dev/null
[ $AGENT_ID = agent-1 ] || { echo half >half.txt; git add half.txt; git commit -qm Half; exit 3; }
echo done >$AGENT_ID.txt"""
"""The second agent commits something and fails."""

FAILS = "cat >/dev/null; exit 3"

FIRST, SECOND = "feat/local-2-agent-1", "feat/local-3-agent-2"


def ran(place: Place, script: str = WORKS, *titles: str, plan: str = "plan.md") -> Outcome:
    place.plan(*(titles or ("Add a", "Add b")), name=plan)
    return place.run(plan, "--agent", place.agent(script), "--yes", "--keep-worktrees")


def clean(place: Place, *arguments: str) -> str:
    done = place.run("clean", *arguments)
    assert (done.code, done.err) == (0, "")
    return done.out


def merge(place: Place, branch: str) -> None:
    place.git("merge", "--quiet", "--no-ff", "--no-edit", branch)


def branches(place: Place) -> set[str]:
    return set(place.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split())


def worktree(place: Place, branch: str) -> Path:
    return place.root.parent / f"{place.root.name}.worktrees" / branch.replace("/", "-")


class TestSafe:
    def test_what_is_merged_goes_and_what_is_not_stays(self, place: Place) -> None:
        assert ran(place).code == 0
        merge(place, FIRST)
        would = clean(place, "--dry-run")
        assert f"🧹 Would remove {FIRST}: merged into main\n" in would
        assert branches(place) == {"main", FIRST, SECOND}
        assert worktree(place, FIRST).is_dir()
        assert re.sub(r"#\d", "#N", clean(place)) == (
            f"🧹 Removed {FIRST}: merged into main\n"
            f"📌 Kept {SECOND}: not merged into main (change request #N)\n"
            "Removed 1, kept 1\n"
        )
        assert branches(place) == {"main", SECOND}
        assert not worktree(place, FIRST).exists()
        assert worktree(place, SECOND).is_dir()
        merge(place, SECOND)
        assert "Removed 1, kept 0" in clean(place, "local#1")
        assert branches(place) == {"main"}
        assert not worktree(place, SECOND).parent.exists()
        assert clean(place) == "Nothing is left behind\n"
        assert place.git("status", "--porcelain") == "?? plan.md"

    def test_the_lock_of_a_git_that_was_killed_long_ago_goes_first(self, place: Place) -> None:
        assert ran(place, WORKS, "Add a").code == 0
        merge(place, FIRST)
        lock = place.root / ".git" / "packed-refs.lock"
        lock.touch()
        assert "packed-refs.lock" in clean(place), "somebody may be at it"
        os.utime(lock, (time.time() - 120,) * 2)
        assert f"Removed {FIRST}" in clean(place)
        assert not lock.exists()

    def test_a_branch_without_its_worktree_goes_as_well(self, place: Place) -> None:
        place.plan("Add a")
        assert place.run("plan.md", "--agent", place.agent(WORKS)).code == 0
        assert not worktree(place, FIRST).exists()
        merge(place, FIRST)
        assert "Removed 1, kept 0" in clean(place)
        assert branches(place) == {"main"}

    def test_a_failure_that_committed_nothing_goes_and_can_still_be_retried(
        self, place: Place
    ) -> None:
        assert ran(place, FAILS, "Add a").code == 2
        assert f"Removed {FIRST}: nothing was committed to it" in clean(place)
        assert branches(place) == {"main"}
        retried = place.run("plan.md", "--retry", "--agent", place.agent(WORKS))
        assert retried.code == 0, retried.err
        assert FIRST in branches(place)

    def test_a_failure_that_committed_something_stays(self, place: Place) -> None:
        assert ran(place, FAILS_WITH_WORK).code == 2
        assert f"📌 Kept {SECOND}: not merged into main\n" in clean(place)
        assert (worktree(place, SECOND) / "half.txt").exists()

    def test_pushed_is_safe_although_the_pull_request_is_open(self, shop: Shop) -> None:
        master = shop.issue("Add a", "Add b")
        agent = shop.place.agent(WORKS)
        done = shop.run(str(master), "--agent", agent, "--yes", "--keep-worktrees")
        assert done.code == 0, done.err
        (first, second) = sorted(branches(shop.place) - {"main"})
        extra = worktree(shop.place, second)
        (extra / "more.txt").write_text("more", encoding="utf-8")
        shop.place.git("add", "more.txt", cwd=extra)
        shop.place.git("commit", "--quiet", "--message=More", cwd=extra)
        out = clean(shop.place, str(master))
        assert f"🧹 Removed {first}: pushed to origin\n" in out
        assert f"📌 Kept {second}: not pushed to origin, and not merged into main" in out
        assert branches(shop.place) == {"main", second}
        remote = shop.place.git("ls-remote", "origin", f"refs/heads/{first}")
        assert first in remote, "the remote's own is nobody's business"

    def test_a_squashed_pull_request_is_known_by_its_head_and_a_lost_branch_is_not(
        self, shop: Shop
    ) -> None:
        master = shop.issue("Add a")
        assert shop.run(str(master), "--agent", shop.place.agent(WORKS), "--yes").code == 0
        (branch,) = branches(shop.place) - {"main"}
        commit = shop.place.git("rev-parse", branch)
        other = shop.place.root.parent / "other"
        url = shop.place.git("remote", "get-url", "origin")
        shop.place.git("clone", "--quiet", url, str(other))
        shop.place.git("push", "--quiet", "origin", "--delete", branch, cwd=other)
        tracked = shop.place.git("rev-parse", f"refs/remotes/origin/{branch}")
        assert tracked == commit, "what was known of the remote is out of date"
        assert f"Kept {branch}: not pushed to origin" in clean(shop.place)
        (pull,) = shop.state["pulls"]
        head = f"refs/pull/{pull['number']}/head"
        shop.place.git("push", "--quiet", "origin", f"{commit}:{head}", cwd=shop.place.root)
        assert f"Removed {branch}: pushed to origin" in clean(shop.place)

    def test_without_the_remote_the_last_that_is_known_of_it_counts(self, shop: Shop) -> None:
        master = shop.issue("Add a")
        assert shop.run(str(master), "--agent", shop.place.agent(WORKS), "--yes").code == 0
        (branch,) = branches(shop.place) - {"main"}
        shop.place.git("remote", "set-url", "origin", "http://127.0.0.1:9/gone.git")
        shop.place.git("update-ref", "-d", f"refs/remotes/origin/{branch}")
        assert f"Kept {branch}: origin cannot be asked" in clean(shop.place)
        commit = shop.place.git("rev-parse", branch)
        shop.place.git("update-ref", f"refs/remotes/origin/{branch}", commit)
        assert f"Removed {branch}: pushed to origin" in clean(shop.place)


class TestKept:
    """Everything is merged here, and something else stands against it."""

    @pytest.fixture(autouse=True)
    def merged(self, place: Place) -> None:
        assert ran(place, WORKS, "Add a").code == 0
        merge(place, FIRST)

    def kept(self, place: Place) -> str:
        out = clean(place)
        assert out.startswith(f"📌 Kept {FIRST}: "), out
        assert out.endswith("\nRemoved 0, kept 1\n")
        assert FIRST in branches(place)
        return out

    def test_uncommitted_files(self, place: Place) -> None:
        (worktree(place, FIRST) / "notes.txt").write_text("mine", encoding="utf-8")
        assert "uncommitted in its worktree: notes.txt" in self.kept(place)
        assert (worktree(place, FIRST) / "notes.txt").read_text(encoding="utf-8") == "mine"

    def test_commits_since(self, place: Place) -> None:
        tree = worktree(place, FIRST)
        place.git("commit", "--quiet", "--allow-empty", "--message=More", cwd=tree)
        assert "not merged into main" in self.kept(place)

    def test_another_branch_in_its_worktree(self, place: Place) -> None:
        place.git("switch", "--quiet", "--create", "mine", cwd=worktree(place, FIRST))
        assert "is not on its branch" in self.kept(place)
        assert worktree(place, FIRST).is_dir()

    def test_a_worktree_that_is_not_there(self, place: Place) -> None:
        worktree(place, FIRST).rename(place.root.parent / "moved")
        out = self.kept(place)
        assert "is not there; if it is gone for good, run: git worktree prune" in out
        place.git("worktree", "prune")
        assert "Removed 1, kept 0" in clean(place)

    def test_a_folder_that_git_does_not_know(self, place: Place) -> None:
        place.git("worktree", "remove", str(worktree(place, FIRST)))
        worktree(place, FIRST).mkdir(parents=True)
        assert "git knows no worktree at" in self.kept(place)
        assert worktree(place, FIRST).is_dir()

    def test_a_branch_that_is_checked_out(self, place: Place) -> None:
        place.git("worktree", "remove", str(worktree(place, FIRST)))
        place.git("switch", "--quiet", FIRST)
        assert f"it is checked out in {place.root}" in self.kept(place)
        place.git("switch", "--quiet", "main")
        place.git("worktree", "add", "--quiet", str(place.root.parent / "mine"), FIRST)
        assert f"it is checked out in {place.root.parent / 'mine'}" in self.kept(place)

    def test_a_locked_worktree(self, place: Place) -> None:
        place.git("worktree", "lock", str(worktree(place, FIRST)))
        assert "locked" in self.kept(place)
        assert worktree(place, FIRST).is_dir()

    def test_what_no_journal_knows(self, place: Place) -> None:
        for branch in ("feat/local-9-agent-1", "feat/issue-12-agent-1"):
            place.git("branch", branch)
        place.git(
            "worktree", "add", "--quiet", str(worktree(place, "mine")), "-b", "feat/local-8-agent-1"
        )
        assert "Removed 1, kept 0" in clean(place)
        others = {"main", "feat/local-9-agent-1", "feat/issue-12-agent-1", "feat/local-8-agent-1"}
        assert branches(place) == others
        assert worktree(place, "mine").is_dir()

    def test_a_damaged_journal(self, place: Place) -> None:
        (path,) = place.runtime.glob("parallel/local-1/*.jsonl")
        path.write_bytes(b"x" + path.read_bytes())
        out = clean(place)
        assert "📌 Kept everything of local#1: " in out
        assert "damaged at line 1" in out
        assert FIRST in branches(place)

    def test_everything_of_a_run_that_is_at_work(self, place: Place) -> None:
        run = place.start("plan.md", "--new", "--agent", place.agent(HANGS), "--output", "json")
        read_starts(run, 1)
        assert ran(place, "cat >/dev/null; echo z >z.txt", "Add z", plan="other.md").code == 0
        other = next(branch for branch in branches(place) - {"main", FIRST})
        merge(place, other)
        for arguments in ((), ("--dry-run",)):
            out = clean(place, *arguments)
            assert f"📌 Kept everything of local#1: process {run.pid} works on it\n" in out
        assert branches(place) == {"main", FIRST}
        assert run.poll() is None

    def test_what_was_broken_off(self, place: Place) -> None:
        run = place.start("plan.md", "--new", "--agent", place.agent(HANGS), "--output", "json")
        read_starts(run, 1)
        run.kill()
        run.wait()
        assert "its task was broken off, and goes on from there" in self.kept(place)


def test_without_an_orchestration_there_is_nothing_to_do(place: Place) -> None:
    assert clean(place) == "Nothing is left behind\n"
    refused(place.run("clean", "local#7"), 64, "no orchestration of local#7")
    refused(place.run("clean", cwd=place.root.parent), 9, "not a git repository")
    assert not place.runtime.exists()


def test_a_run_that_begins_meanwhile_is_refused_and_never_robbed(place: Place) -> None:
    assert ran(place, WORKS, "Add a").code == 0
    merge(place, FIRST)
    cleans = [place.start("clean", stderr=subprocess.STDOUT) for _ in range(2)]
    outs = [one.communicate(timeout=20)[0] for one in cleans]
    assert [one.returncode for one in cleans] == [0, 0]
    assert sum("Removed 1" in out for out in outs) == 1
    wait_for(lambda: branches(place) == {"main"}, "it to be gone", seconds=1)
