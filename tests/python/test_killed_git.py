"""git that is killed between any two of its steps on the disk, as by a crash of the machine.

In one run each agent's git dies one step later than that of the agent before, so that every state
that it can leave behind stands in one repository, beside the others. Whatever stands there, a
retry has to finish all tasks, and the user's own git has to work.
"""

import shutil
import sys
from pathlib import Path

import pytest
from command import WORKS, Place, preloaded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a library is put into git")

SOURCE = Path(__file__).parents[1] / "support/faults/dying.c"

GIT = """\
#!/bin/sh
case " $* " in *" {words} "*)
    agent=$(printf %s "$PWD $*" | sed -n 's/.*agent-\\([0-9]*\\).*/\\1/p')
    if [ -n "$agent" ]; then
        export LD_PRELOAD='{library}' DYING_AT="$agent" DYING_STEPS="{steps}/$agent"
    fi
esac
exec {git} "$@"
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that kills git, see its source."""
    return preloaded(tmp_path_factory.mktemp("dying"), SOURCE)


def kill_git(place: Place, library: Path, words: str) -> dict[str, str]:
    """The environment in which each agent's git with these words is killed, at its step."""
    folder = place.root.parent / "shims"
    folder.mkdir()
    git = shutil.which("git", path=place.environment["PATH"])
    shim = folder / "git"
    text = GIT.format(words=words, library=library, steps=folder, git=git)
    shim.write_text(text, encoding="utf-8")
    shim.chmod(0o755)
    return place.environment | {"PATH": f"{folder}:{place.environment['PATH']}"}


@pytest.mark.parametrize(
    ("words", "tasks", "steps"),
    [
        # As many tasks as the git of today takes steps, or more; another git may take fewer.
        ("worktree add", 28, 20),
        ("checkout", 16, 8),
        ("add --all", 8, 4),
        ("commit", 30, 20),
    ],
)
def test_a_git_that_is_killed_anywhere_keeps_no_task_from_its_end(
    place: Place, library: Path, words: str, tasks: int, steps: int
):
    plan = place.plan(*(f"Add part {number}" for number in range(tasks)))
    command = plan, "--agent", place.agent(WORKS), "--yes", "--max-workers", "16"
    kind, place.environment = place.environment, kill_git(place, library, words)
    failed = place.run(*command)
    place.environment = kind
    assert failed.code in {1, 2}, failed.err
    assert failed.out.count("failed after") >= steps, failed.out
    place.git("worktree", "list")

    again = place.run(*command, "--retry")
    assert again.code == 0, again.out + again.err
    assert place.summary()["successful"] == tasks
    branches = place.git("branch", "--format=%(refname:short)", "--list", "feat/*").splitlines()
    assert len(branches) == tasks
    for branch in branches:
        assert place.git("log", "--format=%s", f"main..{branch}").count("\n") == 0
        assert "agent-" in place.git("diff", "--name-only", f"main...{branch}")
    assert len(place.git("worktree", "list").splitlines()) == 1
    locks = [lock.name for lock in (place.root / ".git").rglob("*.lock")]
    # That one is everybody's: for a minute somebody may be at it.
    assert set(locks) <= {"packed-refs.lock"}


def test_a_worktree_that_the_user_is_just_adding_is_left_alone(place: Place):
    mine = place.root.parent / "shop.worktrees" / "mine"
    place.git("worktree", "add", "--quiet", str(mine))
    registered = place.root / ".git" / "worktrees" / "mine"
    # As git has it for as long as it checks out.
    (registered / "locked").write_text("initializing", encoding="utf-8")
    before = sorted(path.name for path in registered.iterdir())
    done = place.run(place.plan("Add a"), "--agent", place.agent(WORKS))
    assert done.code == 0, done.err
    assert place.run("clean").code == 0
    assert sorted(path.name for path in registered.iterdir()) == before
    assert (mine / ".git").is_file()


def test_clean_takes_away_what_a_killed_removal_left(place: Place, library: Path):
    steps = 16
    plan = place.plan(*(f"Add part {number}" for number in range(steps)))
    command = plan, "--agent", place.agent(WORKS), "--yes", "--max-workers", "16"
    kind, place.environment = place.environment, kill_git(place, library, "worktree remove")
    done = place.run(*command)
    place.environment = kind
    assert done.code == 0, done.err
    assert len(list((place.root / ".git" / "worktrees").iterdir())) >= 8
    for branch in place.git("branch", "--format=%(refname:short)", "--list", "feat/*").split():
        place.git("merge", "--quiet", "--message=Merge", branch)

    cleaned = place.run("clean")
    assert cleaned.code == 0, cleaned.err
    # Where files are missing, somebody may have deleted them, or a disk be away; these stay.
    kept = [line for line in cleaned.out.splitlines() if "Kept" in line]
    assert len(kept) <= 5
    assert all("uncommitted" in line or "worktree prune" in line for line in kept), cleaned.out
