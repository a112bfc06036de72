"""Ends a run at once when its agents have used too many tokens.

    python examples/keep_a_budget.py plan.md 500000

``budget_usd`` counts dollars, and lets those at work end well. A callback can count anything, and
end everything: its exception stops all agents and waits for that before it is raised. What they
have done is kept, and the same plan goes on where it was.
"""

import sys
from dataclasses import dataclass, field

from orchestration import orchestrate
from orchestration.events import AgentFinished, AgentUsage, Event


class SpentError(Exception):
    """There is nothing left."""


@dataclass
class Budget:
    """A callback that counts tokens."""

    tokens: int
    ended: int = 0
    at_work: dict[int, int] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        """Counts, and raises once it is too much."""
        match event:
            case AgentUsage(agent=agent, input_tokens=read, output_tokens=written):
                self.at_work[agent] = read + written  # in this attempt, so far
            case AgentFinished(agent=agent):
                self.ended += self.at_work.pop(agent, 0)
            case _:
                return
        used = self.ended + sum(self.at_work.values())
        if used > self.tokens:
            message = f"{used} tokens are used, of {self.tokens}"
            raise SpentError(message)


def main() -> int:
    """Runs the plan that is named on the command line."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    source, tokens = sys.argv[1], int(sys.argv[2])
    try:
        report = orchestrate(source, yes=True, on_event=Budget(tokens))
    except SpentError as spent:
        print(f"ended: {spent}")
        return 1
    print(f"{report.successful} of {report.total_sub_tasks} tasks succeeded")
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
