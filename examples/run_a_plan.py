"""Runs a Markdown plan and tells what came of every task.

    python examples/run_a_plan.py plan.md [AGENT]

The exit code is that of the command ``parallel-orchestrate``.
"""

import sys

from orchestration import OrchestrationError, orchestrate
from orchestration.events import Event, PullCreated, TaskFinished


def show(event: Event) -> None:
    """Prints the two kinds of events that matter here."""
    match event:
        case PullCreated(agent=agent, url=url):
            print(f"agent {agent}: {url}")
        case TaskFinished(agent=agent, success=False, failure=failure):
            print(f"agent {agent} failed: {failure}")
        case _:
            pass


def main() -> int:
    """Runs the plan that is named on the command line."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    source = sys.argv[1]
    agent = sys.argv[2] if len(sys.argv) > 2 else None
    try:
        report = orchestrate(source, agent=agent, yes=True, on_event=show)
    except OrchestrationError as error:
        print(f"{error} ({error.hint})", file=sys.stderr)
        return error.exit_code
    print(f"{report.successful} of {report.total_sub_tasks} tasks succeeded")
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
