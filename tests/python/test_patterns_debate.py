"""`run_debate`: who said what, in which round, and how sure the end is."""

import pytest

from orchestration import ProcessResult
from orchestration.patterns.debate import _confidence, run_debate

QUESTION = "Should the queue live in a table?"
SPEAKERS = ("security", "performance", "simplicity")


@pytest.fixture
def run(tmp_path):
    return lambda **options: run_debate(QUESTION, working_dir=tmp_path / "work", **options)


def ended(output, exit_code=0):
    return ProcessResult(exit_code, output, "", 1.0, "p")


def rounds(*failing):
    """One round, in which all but those who are named have answered."""
    return [{"results": {name: ended("so be it", name in failing) for name in SPEAKERS}}]


def speaker(name):
    return f"You speak for\n{name}:"


@pytest.fixture
def debate(script):
    """Three speakers of one round, who end in the reverse of their order."""
    script.part("sum", "You have listened", "## Confidence Level\nMEDIUM")
    script.part("security", speaker("security"), "lock it", after=["performance", "simplicity"])
    script.part("performance", speaker("performance"), "hurry", after=["simplicity"])
    script.part("simplicity", speaker("simplicity"), "less")
    return script


@pytest.mark.usefixtures("debate")
def test_answers_belong_to_those_who_gave_them_whichever_ended_first(run):
    result = run(rounds=1)
    assert list(result) == [
        "rounds",
        "positions",
        "session_id",
        "synthesis",
        "confidence",
        "success",
    ]
    assert result["positions"] == {
        "security": ["lock it\n"],
        "performance": ["hurry\n"],
        "simplicity": ["less\n"],
    }
    (only,) = result["rounds"]
    assert (only["round"], only["type"]) == (1, "initial_positions")
    assert {name: r.process_id for name, r in only["results"].items()} == {
        name: f"round1_{name}" for name in SPEAKERS
    }
    assert result["synthesis"].process_id == "facilitator_synthesis"
    assert (result["confidence"], result["success"]) == ("MEDIUM", True)


def test_later_rounds_and_the_facilitator_see_every_answer_under_its_name(debate, run):
    result = run(rounds=2)
    assert [(r["round"], r["type"]) for r in result["rounds"]] == [
        (1, "initial_positions"),
        (2, "challenge_respond"),
    ]
    assert [len(said) for said in result["positions"].values()] == [2, 2, 2]
    for prompt in (debate.prompt("simplicity"), debate.prompt("sum")):
        for name, words in (("security", "lock it"), ("performance", "hurry")):
            heading = prompt.index(f"## {name}\n")
            assert prompt.index(words, heading) - heading < 40
    assert QUESTION in debate.prompt("sum")


def test_by_default_three_perspectives_debate_in_three_rounds(script, run):
    script.part("anyone", "", "so be it")
    result = run()
    assert [r["round"] for r in result["rounds"]] == [1, 2, 3]
    assert tuple(result["positions"]) == SPEAKERS


def test_any_perspective_may_take_part_and_each_once(script, run):
    script.part("cost", speaker("cost/benefit"), "too dear")
    script.part("sum", "You have listened", "done")
    result = run(perspectives=["cost/benefit", "cost/benefit"], rounds=1)
    assert result["positions"] == {"cost/benefit": ["too dear\n"]}
    assert result["rounds"][0]["results"]["cost/benefit"].process_id == "round1_cost-benefit"


def test_there_is_always_a_first_round(script, run):
    script.part("anyone", "", "so be it")
    assert [r["round"] for r in run(rounds=0, perspectives=["cost"])["rounds"]] == [1]


def test_one_who_fails_is_not_quoted_and_is_asked_again(script, run):
    script.part("sum", "You have listened", "done")
    script.part("security", speaker("security"), "half a thought", exits=1)
    script.part("simplicity", speaker("simplicity"), "less")
    result = run(perspectives=["security", "simplicity"], rounds=2)
    assert [r["results"]["security"].exit_code for r in result["rounds"]] == [1, 1]
    assert result["positions"]["security"] == ["half a thought\n"] * 2
    for prompt in (script.prompt("simplicity"), script.prompt("sum")):
        assert "half a thought" not in prompt
    assert result["success"] is True


def test_where_all_fail_in_the_first_round_it_ends_there(script, run):
    script.part("anyone", "", exits=1)
    result = run()
    assert [r["round"] for r in result["rounds"]] == [1]
    assert (result["synthesis"], result["confidence"]) == (None, "NONE")
    assert result["success"] is False


def test_a_speaker_who_takes_too_long_has_failed(agent, run):
    agent(f'case "$*" in *"{speaker("security")}"*) exec sleep 60 ;; esac')
    result = run(rounds=1, timeout=0.8)
    ends = {name: r.exit_code for name, r in result["rounds"][0]["results"].items()}
    assert ends == {"security": -1, "performance": 0, "simplicity": 0}
    assert result["success"] is True


@pytest.mark.parametrize(
    ("answer", "confidence"),
    [
        ("## Confidence Level\nLOW", "LOW"),
        ("## Confidence Level\n**HIGH** - low risk if wrong", "HIGH"),
        ("**Confidence:** Medium\nThe risk is high.", "MEDIUM"),
        ("## Confidence Level\n[HIGH/MEDIUM/LOW] based on nothing", "HIGH"),
        ("The stakes are low.", "HIGH"),
    ],
)
def test_the_confidence_is_the_facilitators_and_else_how_many_answered(answer, confidence):
    assert _confidence(ended(answer), rounds()) == confidence


@pytest.mark.parametrize(
    ("failing", "stated", "confidence"),
    [
        (("security",), "## Confidence Level\nHIGH", "HIGH"),
        (("security",), "who knows", "MEDIUM"),
        (("security", "performance"), "## Confidence Level\nHIGH", "LOW"),
    ],
)
def test_the_confidence_sinks_with_those_who_fail(failing, stated, confidence):
    assert _confidence(ended(stated), rounds(*failing)) == confidence


def test_who_says_nothing_has_not_answered():
    assert _confidence(ended("\n"), rounds()) == "LOW"
    held = rounds()
    held[0]["results"]["security"] = ended(" \n")
    assert _confidence(ended("who knows"), held) == "MEDIUM"


def test_without_a_synthesis_there_is_no_success_and_little_confidence(script, run):
    script.part("sum", "You have listened", "## Confidence Level\nHIGH", exits=2)
    script.part("anyone", "", "so be it")
    result = run(rounds=1)
    assert result["synthesis"].exit_code == 2
    assert (result["confidence"], result["success"]) == ("LOW", False)
