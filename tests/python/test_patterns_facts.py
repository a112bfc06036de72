"""What programs rely on in amplihack's patterns: COMPATIBILITY, and how its own tools call them.

The tables are facts, measured on amplihack: parameters with their defaults, names of profiles,
time limits, the ids of sessions and processes.
"""

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

import orchestration
from orchestration import patterns
from orchestration.patterns import cascade, debate, expert_panel, n_version

NEEDED = inspect.Parameter.empty

PARAMETERS = {
    n_version.run_n_version: {
        "task_prompt": NEEDED,
        "n": 3,
        "model": None,
        "working_dir": None,
        "selection_criteria": None,
        "diversity_profiles": None,
        "timeout": None,
    },
    debate.run_debate: {
        "decision_question": NEEDED,
        "perspectives": None,
        "rounds": 3,
        "model": None,
        "working_dir": None,
        "timeout": None,
    },
    cascade.run_cascade: {
        "task_prompt": NEEDED,
        "fallback_strategy": "quality",
        "timeout_strategy": "balanced",
        "models": None,
        "working_dir": None,
        "notification_level": "warning",
        "custom_timeouts": None,
        "custom_constraints": None,
    },
    cascade.create_custom_cascade: {
        "task_prompt": NEEDED,
        "levels": NEEDED,
        "working_dir": None,
        "notification_level": "warning",
    },
    expert_panel.run_expert_panel: {
        "solution": NEEDED,
        "experts": None,
        "aggregation_method": "simple_majority",
        "quorum": 3,
        "model": None,
        "working_dir": None,
        "timeout": None,
    },
    expert_panel.aggregate_simple_majority: {"reviews": NEEDED, "quorum": 3},
    expert_panel.aggregate_weighted: {"reviews": NEEDED, "quorum": 3},
    expert_panel.aggregate_unanimous: {"reviews": NEEDED, "quorum": 3},
    expert_panel.generate_dissent_report: {"decision": NEEDED},
}

FIELDS = {
    expert_panel.ExpertReview: (
        "expert_id domain analysis strengths weaknesses domain_scores vote confidence "
        "vote_rationale review_timestamp review_duration_seconds"
    ),
    expert_panel.AggregatedDecision: (
        "decision confidence total_votes approve_votes reject_votes abstain_votes "
        "consensus_type agreement_percentage dissenting_opinions aggregation_method quorum_met"
    ),
    expert_panel.DissentReport: (
        "decision majority_count dissent_count majority_experts dissent_experts "
        "dissent_rationales concerns_raised"
    ),
}


@pytest.mark.parametrize("function", PARAMETERS, ids=lambda function: function.__name__)
def test_parameters_and_their_defaults_are_theirs(function):
    parameters = inspect.signature(function).parameters.values()
    assert {p.name: p.default for p in parameters} == PARAMETERS[function]
    assert list(PARAMETERS[function]) == [p.name for p in parameters]
    assert {p.kind for p in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_fields_are_theirs_in_their_order(kind):
    assert [field.name for field in dataclasses.fields(kind)] == FIELDS[kind].split()


def test_votes_are_theirs():
    assert {vote.name: vote.value for vote in expert_panel.VoteChoice} == {
        "APPROVE": "approve",
        "REJECT": "reject",
        "ABSTAIN": "abstain",
    }


def test_profiles_criteria_and_time_limits_are_theirs():
    assert [p["name"] for p in n_version.DEFAULT_PROFILES] == [
        "conservative",
        "pragmatic",
        "minimalist",
        "innovative",
        "performance_focused",
    ]
    assert {*n_version.DEFAULT_PROFILES[0]} == {"name", "description", "traits"}
    assert n_version.DEFAULT_CRITERIA == [
        "correctness",
        "security",
        "simplicity",
        "philosophy_compliance",
        "performance",
    ]
    assert [p["name"] for p in debate.DEFAULT_PERSPECTIVES] == [
        "security",
        "performance",
        "simplicity",
        "maintainability",
        "user_experience",
    ]
    assert {*debate.DEFAULT_PERSPECTIVES[0]} == {"name", "focus", "questions"}
    assert [e["domain"] for e in expert_panel.DEFAULT_EXPERTS] == [
        "security",
        "performance",
        "simplicity",
    ]
    assert cascade.TIMEOUT_STRATEGIES == {
        "aggressive": {"primary": 5, "secondary": 2, "tertiary": 1},
        "balanced": {"primary": 30, "secondary": 10, "tertiary": 5},
        "patient": {"primary": 120, "secondary": 30, "tertiary": 10},
    }
    assert list(cascade.FALLBACK_TEMPLATES) == [
        "quality",
        "service",
        "freshness",
        "completeness",
        "accuracy",
    ]


def test_everything_is_in_the_package_and_in_the_module_of_its_name():
    assert orchestration.patterns is patterns
    assert {
        *(f.__name__ for f in PARAMETERS),
        *(kind.__name__ for kind in FIELDS),
        "VoteChoice",
    } == {*patterns.__all__}
    for name in patterns.__all__:
        value = getattr(patterns, name)
        assert getattr(sys.modules[value.__module__], name) is value
        assert value.__module__.startswith("orchestration.patterns.")


# How amplihack's own commands, examples and tests use them.


@pytest.mark.parametrize(
    ("pattern", "call"),
    [
        ("n-version", lambda here: n_version.run_n_version(task_prompt="x", n=1, working_dir=here)),
        (
            "debate",
            lambda here: debate.run_debate(
                decision_question="x", perspectives=["cost"], rounds=1, working_dir=here
            ),
        ),
        (
            "cascade",
            lambda here: cascade.run_cascade(
                task_prompt="x",
                fallback_strategy="quality",
                timeout_strategy="balanced",
                working_dir=here,
            ),
        ),
        (
            "cascade-custom",
            lambda here: cascade.create_custom_cascade(
                "x", [{"name": "a", "timeout": 20, "constraint": "y", "model": None}], here
            ),
        ),
        (
            "expert-panel",
            lambda here: expert_panel.run_expert_panel(
                solution="x",
                experts=[{"domain": "law", "focus": "contracts"}],
                aggregation_method="simple_majority",
                quorum=3,
                working_dir=here,
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_call_has_a_session_of_its_own_named_after_its_pattern(agent, tmp_path, pattern, call):
    agent("echo said")
    first, second = call(tmp_path), call(tmp_path)
    sessions = [result["session_id"] for result in (first, second)]
    assert sessions[0] != sessions[1], "in the same second too"
    logs = tmp_path / ".claude" / "runtime" / "logs"
    for session in sessions:
        assert session.rpartition("_")[0] == pattern
        assert (logs / session / "session.log").is_file()
        assert len(list((logs / session).glob("*.log"))) >= 2


@pytest.mark.parametrize("module", [n_version, debate, expert_panel], ids=lambda m: m.__name__[23:])
def test_sessions_and_run_parallel_can_be_replaced_in_the_module(module, monkeypatch):
    answer = SimpleNamespace(
        output="## Vote\nAPPROVE\n\n## Selection\nv2", exit_code=0, duration=2.5
    )
    session = Mock(session_id="session-1", log_dir=Path("logs"))
    session.create_process.return_value.run.return_value = answer
    monkeypatch.setattr(module, "OrchestratorSession", Mock(return_value=session))
    monkeypatch.setattr(module, "run_parallel", Mock(return_value=[answer] * 3))
    name = f"run_{module.__name__.rpartition('.')[2]}"
    result = getattr(module, name)("anything")
    assert (result["session_id"], result["success"]) == ("session-1", True)
    assert result.get("selected", "version_2") == "version_2"
    assert len(result.get("reviews", "abc")) == 3
    assert session.create_process.call_count >= 3


def test_tests_of_programs_find_the_readers_of_sections():
    answer = "## Strengths\n- quick\n\n## Domain Scores\n- speed: 0.9\n"
    assert expert_panel._extract_section(answer, "Strengths") == "- quick"
    assert expert_panel._extract_list_items(answer, "Strengths") == ["quick"]
    assert expert_panel._extract_scores(answer, "Domain Scores") == {"speed": 0.9}


def test_patterns_can_be_imported_flat():
    program = """
from patterns.debate import run_debate
from patterns import VoteChoice, cascade
import patterns.n_version
import orchestration.patterns
assert run_debate is orchestration.patterns.run_debate
assert VoteChoice is orchestration.patterns.VoteChoice
assert cascade is orchestration.patterns.cascade
assert patterns.n_version is orchestration.patterns.n_version
"""
    folder = Path(orchestration.__file__).parent
    start = f"import sys; sys.path.insert(0, {str(folder)!r})"
    subprocess.run([sys.executable, "-W", "error", "-c", start + program], check=True, timeout=30)


def test_the_package_alone_loads_no_pattern():
    program = "import sys, orchestration; assert not [m for m in sys.modules if 'patterns' in m]"
    subprocess.run([sys.executable, "-I", "-c", program], check=True, timeout=30)
