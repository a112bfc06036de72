"""The demo: the real command at work in a throw-away repository, with scripted agents.

Everything but the agents is real: the repository, the worktrees, the processes, the plan, the
evidence, the change requests and the failure.
"""

# ruff: noqa: T201, S603, S607 - it talks to people, and builds its repository with their git

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration._core import EngineError
from orchestration.cli.console import Console, discard_output
from orchestration.cli.execution import execute

if TYPE_CHECKING:
    from orchestration.report import Report

HERE = Path(__file__).parent
EXPECTED = 1
"""Four of five succeed, which is the threshold: partial success."""

STOPPED = (130, 143)
"""Somebody ended it."""


def show(*, clean: bool = False, pace: float = 1.0) -> int:
    """Runs the demo on the terminal.

    Args:
        clean: Remove the folder at the end, rather than keep it for a look around.
        pace: Stretches (or, below 1, shortens) the time that the agents seem to think.

    Returns:
        0 where everything went as it should, the failure that is part of it included.
    """
    if shutil.which("git") is None:
        error = EngineError("git was not found on the PATH")
        error.hint = "install git 2.20 or later, and put it on the PATH"
        return Console("text").refuse(error)
    folder = Path(tempfile.mkdtemp(prefix="parallel-orchestrate-demo-")).resolve()
    repository = folder / "bookshop"
    _say(
        "Five scripted agents, not a model, are about to work on a small plan: no account, no",
        "network, and nothing leaves this machine. The fifth leaves a bug on purpose.",
        "",
    )
    try:
        build(repository)
        agent = shlex.join([sys.executable, "-I", str(HERE / "agent.py"), str(pace)])
        verify = f"{shlex.quote(sys.executable)} -m unittest discover -q -s tests -t ."
        command = ["parallel-orchestrate", "plan.md", "--agent", agent, "--verify", verify, "--yes"]
        _say(f"$ cd {shlex.quote(str(repository))}", f"$ {shlex.join(command)}")
        _forget_settings()
        os.chdir(repository)
        ended = execute(
            "plan.md", {"agent": agent, "verify": verify, "yes": True}, args=command[1:]
        )
        report = ended.report if ended.exit_code == EXPECTED else None
        if report is not None:
            _explain(report)
            if not clean:
                _show_around(report, repository)
        elif ended.exit_code in STOPPED:
            _say("", "It was stopped. In the folder above the same command goes on with it.")
        else:
            _say("", f"This is not what the demo should show: exit code {ended.exit_code}.")
        if not clean:
            _say("", f"Remove it all with: rm -rf {shlex.quote(str(folder))}")
        if report is None:
            return ended.exit_code or 1
    finally:
        if clean:
            os.chdir(folder.parent)
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def build(repository: Path) -> None:
    """Makes the repository of the bookshop, with one commit on ``main`` and no remote."""
    shutil.copytree(
        HERE / "bookshop", repository, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    (repository / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    for arguments in (
        # Without templates and hooks: those of the user have no business here.
        ["init", "--quiet", "--template="],
        ["symbolic-ref", "HEAD", "refs/heads/main"],
        ["config", "user.name", "Demo"],
        ["config", "user.email", "demo@example.invalid"],
        ["config", "commit.gpgSign", "false"],
        ["config", "core.hooksPath", os.devnull],
        ["add", "--all"],
        ["commit", "--quiet", "--message=Open the bookshop"],
    ):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        subprocess.run(["git", *arguments], cwd=repository, env=environment, check=True)


def _forget_settings() -> None:
    """Leaves out what the user has set for real work: the demo shows the defaults."""
    for name in list(os.environ):
        if name.startswith(("AMPLIHACK_", "GIT_")):
            del os.environ[name]


def _explain(report: Report) -> None:
    _say(
        "",
        f"The exit code of this run is {report.exit_code}: {report.successful} of"
        f" {report.total_sub_tasks} succeeded, which is at or above the threshold of 80%.",
        "It would be 0 if all had succeeded, and 2 below the threshold.",
    )


def _show_around(report: Report, repository: Path) -> None:
    context = report.context
    failed = next(task for task in report.tasks if task.status == "failed")
    runtime = repository / ".claude" / "runtime"
    _say(
        "",
        "Look around:",
        f"  the summary           {repository / context.summary_path if context else ''}",
        f"  the change requests   {runtime / 'forge' / 'pulls'}",
        f"  what went wrong       {runtime / 'forge' / 'issues'}/{failed.follow_up_issue}.md",
        f"  the failed worktree   {failed.worktree}",
        f"  the logs              {repository / context.logs if context else ''}",
        f"  the branches          git -C {shlex.quote(str(repository))} log --oneline --all",
    )


def _say(*lines: str) -> None:
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        discard_output()
