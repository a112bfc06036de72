"""The demo: what it promises on the screen is what is there afterwards."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.demo import HERE, build

AGENT = HERE / "agent.py"

PATHS = ["shop/catalog.py", "shop/cart.py", "shop/shipping.py", "shop/receipt.py", "shop/prices.py"]


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    return {"PATH": path, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}


def run_tests(repository: Path) -> int:
    command = [sys.executable, "-m", "unittest", "discover", "-q", "-s", "tests", "-t", "."]
    return subprocess.run(command, cwd=repository, capture_output=True, check=False).returncode


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    build(tmp_path / "bookshop")
    return tmp_path / "bookshop"


def test_the_repository_is_clean_and_its_tests_pass(repository: Path) -> None:
    command = ["git", "status", "--porcelain", "--branch"]
    status = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    assert status.stdout == "## main\n"
    assert run_tests(repository) == 0


def test_the_plan_names_what_the_agents_know(repository: Path) -> None:
    plan = (repository / "plan.md").read_text(encoding="utf-8")
    assert re.findall(r"`(shop/\w+\.py)`", plan) == PATHS


@pytest.mark.parametrize("path", PATHS)
def test_each_agent_commits_its_work_and_one_of_them_a_bug(
    repository: Path, tmp_path: Path, path: str
) -> None:
    status = tmp_path / "status.json"
    done = subprocess.run(
        [sys.executable, "-I", str(AGENT), "0"],
        input=f"Work on `{path}`.",
        cwd=repository,
        env=environment(tmp_path) | {"STATUS_FILE": str(status)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Implementing feature (45%)" in done.stdout
    assert '"progress_percentage": 90' in status.read_text(encoding="utf-8")
    command = ["git", "show", "--stat", "--format=%s", "HEAD"]
    shown = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    assert path in shown.stdout
    assert run_tests(repository) == (1 if path == "shop/prices.py" else 0)


@pytest.mark.parametrize("path", ["shop/receipt.py", "shop/prices.py"])
def test_an_agent_that_is_started_again_finds_its_work_done(
    repository: Path, tmp_path: Path, path: str
) -> None:
    heads = []
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-I", str(AGENT), "0"],
            input=f"Work on `{path}`.",
            cwd=repository,
            env=environment(tmp_path) | {"STATUS_FILE": str(tmp_path / "status.json")},
            capture_output=True,
            text=True,
            check=True,
        )
        command = ["git", "rev-list", "--count", "HEAD"]
        heads.append(
            subprocess.run(command, cwd=repository, capture_output=True, check=True).stdout
        )
    assert heads == [b"2\n", b"2\n"]


def test_an_agent_refuses_what_it_does_not_know(repository: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(AGENT), "0"],
        input="Write a novel.",
        cwd=repository,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "none of them" in done.stderr


def show(folder: Path, options: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the demo, but hardly lets the agents think."""
    script = f"import sys; from orchestration.demo import show; sys.exit(show(pace=0.05{options}))"
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=environment(folder) | {"AMPLIHACK_MAX_PARALLEL_AGENTS": "nonsense"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return show(tmp_path_factory.mktemp("demo"))


def test_it_leaves_nothing_behind_where_asked(tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    done = show(tmp_path, ", clean=True")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_it_ends_well_although_one_agent_fails(shown: subprocess.CompletedProcess[str]) -> None:
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "🎉 4/5 agents succeeded!" in shown.stdout
    assert "❌ Agent-5 failed" in shown.stdout
    assert "📋 Created diagnostic issue" in shown.stdout
    assert "The exit code of this run is 1" in shown.stdout


def test_it_says_first_that_no_model_is_at_work(shown: subprocess.CompletedProcess[str]) -> None:
    assert "not a model" in shown.stdout.splitlines()[0]


def test_every_place_that_it_names_is_there(shown: subprocess.CompletedProcess[str]) -> None:
    places = re.findall(
        r"^  the [a-z ]+? {2,}(/\S+)$|^  what went wrong +(/\S+)$", shown.stdout, re.MULTILINE
    )
    paths = [Path(one or other) for one, other in places]
    assert len(paths) == 5, shown.stdout
    assert [path for path in paths if not path.exists()] == []


def test_a_demo_that_is_stopped_says_where_it_is_and_how_to_remove_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "orchestration", "demo"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "Deployed" in line:
                break
        demo.send_signal(signal.SIGINT)
        out, _ = demo.communicate(timeout=20)
    assert demo.returncode == 130
    assert "It was stopped. In the folder above the same command goes on with it." in out
    (left,) = re.findall(r"Remove it all with: rm -rf (\S+)", out)
    assert (Path(left) / "bookshop" / ".git").is_dir()
    assert "not what the demo should show" not in out
