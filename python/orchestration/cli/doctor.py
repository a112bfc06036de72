"""The verb ``doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .completion import programs, repo_option

if TYPE_CHECKING:
    from orchestration.diagnosis import Finding

EPILOG = """\b
Examples:
  parallel-orchestrate doctor
  parallel-orchestrate doctor --agent copilot --max-workers 12
  parallel-orchestrate doctor --json           for programs

\b
Exit codes:
    0  all is well     1  there are warnings
    5, 9, 64  that of the first error: GitHub, this machine, a variable out of range
"""

MARKS = {"ok": "✅", "warning": "⚠️ ", "error": "❌", "skipped": "⏭️ "}


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option(
    "--agent",
    metavar="NAME|COMMAND",
    shell_complete=programs,
    help="The agent that is meant, as for a run.",
)
@click.option(
    "--max-workers",
    "--agents",
    "max_workers",
    metavar="N",
    type=int,
    help="How many are to be at work at once, as for a run.",
)
@click.option("--permission-mode", metavar="MODE", help="In which mode, as for a run.")
@repo_option
def command(
    *,
    as_json: bool,
    agent: str | None,
    max_workers: int | None,
    permission_mode: str | None,
    repo: str,
) -> int:
    """Check whether everything is there that a run needs, and say what to do where it is not.

    It looks at git, the repository with its worktrees, what dead runs left, the agent and its
    login, GitHub with token, permissions and limits, disk, memory, descriptors, file events, and
    at how far containment reaches. It creates nothing, asks GitHub one thing, and no model.
    """
    import json  # noqa: PLC0415 - the help needs none of this
    from pathlib import Path  # noqa: PLC0415 - as above

    from orchestration import _core  # noqa: PLC0415 - as above
    from orchestration.diagnosis import diagnose, exit_code  # noqa: PLC0415 - as above
    from orchestration.watching import latest  # noqa: PLC0415 - as above

    from .console import Console, escaped  # noqa: PLC0415 - as above

    options = {
        "repo": repo,
        "agent": agent,
        "max_workers": max_workers,
        "permission_mode": permission_mode,
    }
    given = {name: value for name, value in options.items() if value is not None}
    console = Console("text")  # an error is told on standard error alone
    try:
        facts = json.loads(_core.examine(json.dumps(given)))
        repository = facts["repository"].get("Ok")
        known = latest(Path(repository["root"])) if repository else set()
        findings = diagnose(facts, _core.containment(), known, repo)
        code = exit_code(findings)
        if as_json:
            checks = [_plain(finding) for finding in findings]
            console.lines([json.dumps({"ok": code == 0, "exit_code": code, "checks": checks})])
        else:
            console.lines(escaped(line) for line in (*map(_line, findings), _summary(findings)))
    except BrokenPipeError:  # whoever read it has seen enough
        console.abandon()
    except _core.OrchestrationError as error:
        return console.refuse(error)
    return code


def _plain(finding: Finding) -> dict[str, str | None]:
    return {
        "check": finding.check.replace(" ", "_"),
        "state": finding.state,
        "found": finding.found,
        "remedy": finding.remedy,
    }


def _line(finding: Finding) -> str:
    word = "" if finding.state == "ok" else f"{finding.state}: "
    remedy = f" → {finding.remedy}" if finding.remedy else ""
    return f"{MARKS[finding.state]} {finding.check}: {word}{finding.found}{remedy}"


def _summary(findings: list[Finding]) -> str:
    counts = [
        f"{count} {state if count == 1 else f'{state}s'}"
        for state in ("error", "warning")
        if (count := sum(finding.state == state for finding in findings))
    ]
    return ", ".join(counts) or "All is well"
