"""What the tests of the drop-in share: a scripted `claude` on a scrubbed PATH, and processes."""

import os
import stat
import sys

import pytest
from command import place  # noqa: F401 - a fixture
from github_client import github  # noqa: F401 - a fixture
from on_claude import model  # noqa: F401 - a fixture
from on_github import shop  # noqa: F401 - a fixture
from on_patterns import script  # noqa: F401 - a fixture

from orchestration import ClaudeProcess


@pytest.fixture(autouse=True)
def scrubbed(monkeypatch, tmp_path):
    """An environment that holds next to nothing, with an empty folder first on PATH."""
    for name in list(os.environ):
        if not name.startswith(("LLVM_", "COV_", "PYTEST_")):
            monkeypatch.delenv(name)
    (tmp_path / "bin").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("AMPLIHACK_DELEGATE", "amplihack claude")


@pytest.fixture
def agent(tmp_path):
    """Write the agent: a shell script by default, or one for Python."""

    def write(body, *, name="claude", python=False):
        shebang = f"#!{sys.executable} -IS" if python else "#!/bin/sh"
        file = tmp_path / "bin" / name
        file.write_text(f"{shebang}\n{body}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return file

    return write


@pytest.fixture
def make(tmp_path):
    """Make a process that works in `tmp_path / "work"` and logs to `tmp_path / "logs"`."""

    def build(prompt="do it", process_id="p1", *, kind=ClaudeProcess, **options):
        options = {"working_dir": tmp_path / "work", "log_dir": tmp_path / "logs"} | options
        return kind(prompt, process_id, **options)

    return build


@pytest.fixture
def log(tmp_path):
    """Read the lines of a process's log."""
    return lambda name="p1": (tmp_path / "logs" / f"{name}.log").read_text().splitlines()
