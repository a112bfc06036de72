"""A disk that fails under the real command, at each place where it changes something.

A place is a call and a file (see the library's source). From the chosen one on the disk takes
nothing more, as one that is full. The command has to say so and end, and the same command has to
converge once there is room again. A test compares the places below with those that a run comes by,
so that none can be added and forgotten.
"""

import errno
import os
import subprocess
import sys
from pathlib import Path

import on_github
import pytest
from command import WORKS, Outcome, Place, marked_processes, preloaded
from on_github import Shop

SOURCE = Path(__file__).parents[1] / "support/faults/faults.c"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a library is put into the command")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes the disk fail, see its source."""
    return preloaded(tmp_path_factory.mktemp("faults"), SOURCE)


def run(place: Place, library: Path, *arguments: str, **faults: object) -> Outcome:
    """Runs the command on a disk that fails below its repository."""
    environment = place.environment
    settings = {f"FAULTS_{name.upper()}": str(value) for name, value in faults.items()}
    place.environment = environment | settings
    place.environment |= {"LD_PRELOAD": str(library), "FAULTS_BELOW": str(place.root)}
    try:
        return place.run(*arguments)
    finally:
        place.environment = environment


FORGE = ("open", "write", "fsync", "rename")

FILES = {
    "": ("mkdir",),
    ".gitignore": ("open", "write"),
    "/.git/info/exclude": ("open", "write"),
    "forge": ("mkdir",),
    "forge/issues": ("mkdir", "fsync"),
    "forge/pulls": ("mkdir", "fsync"),
    "forge/lock": ("open",),
    "forge/sequence": ("open", "write", "rename"),
    "forge/issues/N.md": FORGE,
    "forge/pulls/N.md": FORGE,
    "logs": ("mkdir",),
    "logs/orch-local-N-N-N": ("mkdir",),
    "logs/orch-local-N-N-N/agent-N.log": ("open", "write"),
    "logs/orch-local-N-N-N/session.log": ("open", "write"),
    "parallel": ("mkdir",),
    "parallel/local-N": ("mkdir", "fsync"),
    "parallel/local-N/agent-N.status.json": ("open", "write", "rename"),
    "parallel/local-N/orch-local-N-N-N.jsonl": ("fsync", "write", "open"),
    "parallel/local-N/run.lock": ("truncate", "open", "write"),
    "parallel/local-N/summary.json": ("open", "write", "rename"),
    "parallel/local-N/summary.md": ("write", "rename", "open"),
    "parallel/worktree.lock": ("open",),
}
"""What a run of a plan changes below `.claude/runtime`, and how: a file that is renamed into place
is written under another name before."""

EVERYWHERE = "FAULTS_EVERYWHERE" in os.environ

PLACES = [
    (call, file)
    for number, (file, calls) in enumerate(FILES.items())
    for call in (calls if EVERYWHERE else [calls[number % len(calls)]])
]
"""One call for each file; with FAULTS_EVERYWHERE set all of them."""


def told(call: str, file: str) -> str:
    """A place as the library knows it."""
    path = file[1:] if file.startswith("/") else f".claude/runtime/{file}".rstrip("/")
    if call != "rename" and "rename" in FILES[file]:
        # The forge's files are written as `N.new`, others with `.new` behind their name.
        path = f"{path.removesuffix('.md') if 'N.md' in path else path}.new"
    return f"{call} {path}"


def test_every_place_is_known(place: Place, library: Path, tmp_path: Path):
    seen = tmp_path / "seen"
    plan = place.plan("Add a", "Add b")
    done = run(place, library, plan, "--agent", place.agent(WORKS), seen=seen)
    assert done.code == 0, done.err
    known = {told(call, file) for file, calls in FILES.items() for call in calls}
    assert set(seen.read_text(encoding="utf-8").splitlines()) - {"mkdir .claude"} == known


def begin(place: Place) -> tuple[str, ...]:
    """A command for two tasks, in a repository with somebody's own work in it."""
    (place.root / "mine.txt").write_text("not committed\n", encoding="utf-8")
    return place.plan("Add a", "Add b"), "--agent", place.agent(WORKS), "--verify", "true"


def check_told(done: Outcome, reason: str) -> None:
    """One line that names the file and the reason, and one with the way out."""
    assert done.code == 9, done.out + done.err
    (error,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    (hint,) = [line for line in done.err.splitlines() if line.startswith("hint: check")]
    assert error.startswith("error: cannot "), done.err
    assert reason in error, done.err
    assert any(part in error for part in (".claude/runtime", "/.git", ".worktrees")), done.err
    assert "space" in hint
    assert "Traceback" not in done.err
    assert "panicked" not in done.err


def check_converged(place: Place) -> None:
    """Everything is done, everything once, and nothing of anybody's is lost."""
    forge = place.runtime / "forge"
    titles = [
        path.read_text(encoding="utf-8").split("title: ")[1].splitlines()[0]
        for folder in ("issues", "pulls")
        for path in (forge / folder).glob("*.md")
    ]
    # The master, two tasks, two change requests.
    assert len(titles) == len(set(titles)) == 5, titles
    assert place.summary()["successful"] == 2
    branches = place.git("branch", "--format=%(refname:short)", "--list", "feat/*").splitlines()
    assert len(branches) == 2
    for branch in branches:
        assert len(place.git("log", "--format=%s", f"main..{branch}").splitlines()) == 1
    assert len(place.git("worktree", "list").splitlines()) == 1
    assert (place.root / "mine.txt").read_text(encoding="utf-8") == "not committed\n"
    assert place.git("status", "--porcelain").splitlines() == ["?? mine.txt", "?? plan.md"]
    assert not list(place.runtime.rglob("*.new"))
    assert not marked_processes(place)


@pytest.mark.parametrize(("call", "file"), PLACES, ids=lambda part: str(part) or "runtime")
def test_a_full_disk_is_told_and_loses_nothing(place: Place, library: Path, call: str, file: str):
    command = begin(place)
    failed = run(place, library, *command, at=told(call, file), errno=errno.ENOSPC)
    check_told(failed, "No space left on device")
    assert not marked_processes(place)
    again = place.run(*command)
    assert again.code == 0, again.out + again.err
    check_converged(place)


@pytest.mark.parametrize("file", ["", "parallel/local-N/agent-N.status.json"])
def test_a_disk_that_is_read_only_is_told(place: Place, library: Path, file: str):
    command = begin(place)
    call = FILES[file][0]
    failed = run(place, library, *command, at=told(call, file), errno=errno.EROFS)
    check_told(failed, "Read-only file system")
    again = place.run(*command)
    assert again.code == 0, again.out + again.err
    check_converged(place)


@pytest.mark.parametrize(
    "at",
    [
        "write .claude/runtime/parallel/N/orch-N-N-N.jsonl",
        "rename .claude/runtime/parallel/N/agent-N.status.json",
        "open .claude/runtime/parallel/N/summary.json.new",
    ],
)
def test_a_full_disk_doubles_nothing_on_github(shop: Shop, library: Path, at: str):
    command = (str(shop.issue("Add cart", "Add login")), "--agent", shop.place.agent(WORKS))
    check_told(run(shop.place, library, *command, at=at), "No space left on device")
    again = shop.run(*command)
    assert again.code == 0, again.out + again.err
    on_github.check_converged(shop)


SCRIPT = """
mount -t tmpfs -o size=$SIZE disk "$DISK" && cp -a "$ROOT" "$DISK" && cd "$DISK/shop" || exit 99
try() { name=$1; shift; "$@" >"$OUT/$name.out" 2>"$OUT/$name.err"; echo $? >"$OUT/$name.code"; }
cat /dev/zero >../fill 2>/dev/null
find . >"$OUT/before"; try nothing "$@"; find . | diff "$OUT/before" - >"$OUT/made"
rm ../fill
try full "$@"
mount -o remount,size=100m disk "$DISK"
try roomy "$@"
[ "$(cat "$OUT/roomy.code")" = 0 ] || try roomy "$@" --retry
for branch in $(git branch --list "feat/*" --format="%(refname:short)"); do
  git ls-tree --name-only "$branch" | grep agent-
done >"$OUT/files"
mount -o remount,ro disk "$DISK"
try read-only "$@" --new
try status "$PYTHON" -m orchestration status
"""
"""A disk of its own: with nothing free, with too little, with enough, and read-only at last."""


def may_mount() -> bool:
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return os.geteuid() == 0 and tried.returncode == 0


SIZES = range(230, 440, 10) if EVERYWHERE else [280, 420]
"""Kilobytes: the repository alone has 200 or so, and all of what a run makes 500."""


@pytest.mark.parametrize("size", [f"{size}k" for size in SIZES])
def test_a_disk_that_really_is_full(place: Place, tmp_path: Path, size: str):
    if not may_mount():
        pytest.skip("only root may mount a disk of its own, and not in every container")
    (tmp_path / "disk").mkdir()
    agent = place.agent("head -c 60000 /dev/urandom >$AGENT_ID.txt || exit 1; cat >/dev/null")
    command = [sys.executable, "-m", "orchestration", place.plan("Add a", "Add b")]
    place.environment |= {
        "DISK": str(tmp_path / "disk"), "ROOT": str(place.root), "OUT": str(tmp_path),
        "PYTHON": sys.executable, "SIZE": size,
    }  # fmt: skip
    subprocess.run(
        ["unshare", "-m", "sh", "-c", SCRIPT, "sh", *command, "--agent", agent],
        env=place.environment, timeout=60, check=True,
    )  # fmt: skip

    def outcome(name: str) -> Outcome:
        code, out, err = (
            (tmp_path / f"{name}.{kind}").read_text(encoding="utf-8")
            for kind in ("code", "out", "err")
        )
        assert "Traceback" not in err
        assert "panicked" not in err
        return Outcome(int(code), out, err)

    check_told(outcome("nothing"), "No space left on device")
    assert (tmp_path / "made").read_text() == ""
    full = outcome("full")
    assert full.code in {2, 5, 9}, full.err
    assert "No space left on device" in full.err
    assert outcome("roomy").code == 0, outcome("roomy").out + outcome("roomy").err
    assert (tmp_path / "files").read_text().split() == ["agent-1.txt", "agent-2.txt"]
    check_told(outcome("read-only"), "Read-only file system")
    assert "all tasks succeeded" in outcome("status").out
