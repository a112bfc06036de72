"""Asks three experts side by side whether a change is fit to be merged.

    git diff main... | python examples/panel_of_experts.py

The exit code is 0 where they approve, so that a script or a hook can go by it. A vote is an
opinion: it does not replace a test.
"""

import sys

from orchestration.patterns import VoteChoice, run_expert_panel

EXPERTS = [
    {"domain": "security", "focus": "what somebody who means harm could do with it"},
    {"domain": "simplicity", "focus": "whether less would do"},
    {"domain": "tests", "focus": "what could break without a test that fails"},
]


def main() -> int:
    """Judges what stands on standard input."""
    change = sys.stdin.read()
    result = run_expert_panel(change, experts=EXPERTS, aggregation_method="weighted", timeout=600)
    for review in result["reviews"]:
        print(f"{review.domain}: {review.vote.value} ({review.confidence:.0%})")
        for weakness in review.weaknesses:
            print(f"  - {weakness}")
    if not result["success"]:
        print("too few of them voted")
        return 2
    decision = result["decision"].decision
    print(f"the panel says: {decision.value}")
    return 0 if decision is VoteChoice.APPROVE else 1


if __name__ == "__main__":
    sys.exit(main())
