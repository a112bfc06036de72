"""What an agent has done to its worktree, and what is said and done about it."""

import fcntl
import json
import shutil
import signal
from pathlib import Path

from command import WORKS, Place

FAILS = "cat >/dev/null; echo half >half.txt; git add .; git commit -qmHalf; exit 1"


def diagnostic(place: Place) -> str:
    texts = [path.read_text(encoding="utf-8") for path in place.runtime.glob("forge/issues/*.md")]
    (text,) = [text for text in texts if "kind=diagnostic" in text]
    return text


def test_a_worktree_that_its_agent_deleted_is_not_said_to_be_kept(place: Place):
    agent = place.agent('cat >/dev/null; cd /; rm -rf "$WORKING_DIR"')
    done = place.run(place.plan("Add cart"), "--agent", agent)
    assert done.code == 2
    text = diagnostic(place)
    assert "the agent deleted its worktree" in text
    assert "was kept" not in text
    assert "what was committed is on the branch `feat/local-" in text
    assert place.run("plan.md", "--retry", "--agent", "sh -c 'cat >b.txt'").code == 0


def test_a_retry_brings_a_worktree_back_to_the_branch_that_its_agent_left(place: Place):
    leaves = "cat >/dev/null; git checkout -qb elsewhere; echo a >a.txt; git add .; git commit -qmA"
    done = place.run(place.plan("Add cart"), "--agent", place.agent(leaves))
    assert done.code == 2
    assert "the agent left its branch" in diagnostic(place)
    again = place.run("plan.md", "--retry", "--agent", "sh -c 'cat >b.txt'")
    assert again.code == 0, again.out + again.err
    branch = place.summary()["tasks"][0]["branch"]  # type: ignore[index]
    assert place.git("ls-tree", "--name-only", branch).split() == ["README.md", "b.txt"]
    assert "a.txt" in place.git("ls-tree", "--name-only", "elsewhere")


def test_work_that_no_branch_holds_is_left_for_a_person_to_judge(place: Place):
    leaves = "cat >/dev/null; git checkout -qb elsewhere; echo a >a.txt"
    assert place.run(place.plan("Add cart"), "--agent", place.agent(leaves)).code == 2
    again = place.run("plan.md", "--retry", "--agent", "sh -c 'cat >b.txt'")
    assert again.code == 2
    error = place.summary()["tasks"][0]["error"]  # type: ignore[index]
    assert "put it back with: git -C" in json.dumps(error)
    (worktree,) = (place.root.parent / "shop.worktrees").iterdir()
    assert (worktree / "a.txt").read_text(encoding="utf-8") == "a\n"


def worktrees(place: Place) -> Path:
    return place.root.parent / "shop.worktrees"


def test_a_retry_forgets_no_worktree_of_the_user_that_is_away(place: Place):
    usb = place.root.parent / "usb"
    place.git("worktree", "add", "--quiet", "--detach", str(usb / "mine"))
    usb.rename(place.root.parent / "unplugged")
    assert place.run(place.plan("Add cart"), "--agent", place.agent(FAILS)).code == 2
    shutil.rmtree(worktrees(place))
    assert place.run("plan.md", "--retry", "--agent", place.agent(WORKS)).code == 0
    assert (place.root / ".git" / "worktrees" / "mine" / "HEAD").is_file()


def test_worktrees_that_an_earlier_clone_left_are_in_nobodys_way(place: Place):
    left = worktrees(place) / "feat-local-2-agent-1"
    left.mkdir(parents=True)
    (left / "mine.txt").write_text("mine", encoding="utf-8")
    place.git("branch", "feat/local-7-agent-1/deeper")
    done = place.run(place.plan("Add cart"), "--agent", place.agent(WORKS))
    assert done.code == 0, done.out + done.err
    assert "sub-issue: #9" in done.out
    assert (left / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_a_copy_of_the_repository_keeps_out_of_the_worktrees_of_the_original(place: Place):
    assert place.run(place.plan("Add cart"), "--agent", place.agent(FAILS)).code == 2
    (branch,) = place.git("branch", "--list", "feat/*", "--format=%(refname:short)").split()
    before = place.git("rev-parse", branch)
    copy = place.root.parent / "copy"
    shutil.copytree(place.root, copy, symlinks=True)
    again = place.run("plan.md", "--retry", "--agent", place.agent(WORKS), cwd=copy)
    assert again.code == 2, again.out
    assert place.git("rev-parse", branch) == before
    (status,) = copy.glob(".claude/runtime/parallel/*/agent-1.status.json")
    assert "is in the way: it does not lead back" in status.read_text(encoding="utf-8")


def test_an_unfinished_registration_in_which_somebody_has_worked_stays(place: Place):
    assert place.run(place.plan("Add cart"), "--agent", place.agent(FAILS)).code == 2
    (worktree,) = worktrees(place).iterdir()
    (registration,) = (place.root / ".git" / "worktrees").iterdir()
    (registration / "locked").write_text("initializing", encoding="utf-8")
    assert place.run("clean").code == 0
    assert (worktree / ".git").is_file()
    assert (registration / "HEAD").is_file()


def test_ctrl_c_ends_a_run_that_waits_for_the_registration_of_another(place: Place):
    lock = place.runtime / "parallel" / "worktree.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = place.start(place.plan("Add cart"), "--agent", place.agent(WORKS))
        assert run.stdout is not None
        for line in run.stdout:
            if "Deployed" in line:
                break
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=20)
        assert run.returncode == 130
