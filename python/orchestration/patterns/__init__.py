"""Ways to put several agents to one question: versions, a debate, a panel, a cascade.

Each pattern is one module with one entry: it words the prompts, runs the agents in a session of
its own, reads their answers and returns a dictionary. Names, parameters, defaults and the keys of
the results are those of amplihack's patterns.

What is read from an answer is a claim of the agent that gave it. Where it cannot be read without
doubt, the cautious reading counts: an abstention, the first version that succeeded, a middling
confidence.

    >>> from orchestration.patterns import run_debate
    >>> result = run_debate("Should the queue live in PostgreSQL or in Redis?", rounds=2)
    >>> print(result["confidence"], result["synthesis"].output)
"""

import sys
from importlib import import_module
from pkgutil import extend_path

from orchestration.patterns.cascade import create_custom_cascade, run_cascade
from orchestration.patterns.debate import run_debate
from orchestration.patterns.expert_panel import (
    AggregatedDecision,
    DissentReport,
    ExpertReview,
    VoteChoice,
    aggregate_simple_majority,
    aggregate_unanimous,
    aggregate_weighted,
    generate_dissent_report,
    run_expert_panel,
)
from orchestration.patterns.n_version import run_n_version

_NAME = "orchestration.patterns"
_MODULES = ("cascade", "debate", "expert_panel", "n_version")

if __name__ == _NAME:
    # Modules that amplihack alone has in its own folder of this name are found as before.
    __path__ = extend_path(__path__, __name__)
else:  # imported flat, with the package's folder on `sys.path`: the same objects under this name
    for _module in _MODULES:
        globals()[_module] = sys.modules[f"{__name__}.{_module}"] = import_module(
            f"{_NAME}.{_module}"
        )

__all__ = [
    "AggregatedDecision",
    "DissentReport",
    "ExpertReview",
    "VoteChoice",
    "aggregate_simple_majority",
    "aggregate_unanimous",
    "aggregate_weighted",
    "create_custom_cascade",
    "generate_dissent_report",
    "run_cascade",
    "run_debate",
    "run_expert_panel",
    "run_n_version",
]
