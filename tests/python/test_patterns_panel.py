"""The expert panel: dataclasses, the three ways to count, dissent, and `run_expert_panel`."""

import copy
import dataclasses
import pickle
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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

APPROVE, REJECT, ABSTAIN = VoteChoice.APPROVE, VoteChoice.REJECT, VoteChoice.ABSTAIN
WAYS = [aggregate_simple_majority, aggregate_weighted, aggregate_unanimous]

settings.register_profile("here", database=None, deadline=None, max_examples=40)
settings.load_profile("here")


def review(vote, confidence=0.8, name="e", weaknesses=()):
    return ExpertReview(
        expert_id=name,
        domain="d",
        analysis="",
        strengths=[],
        weaknesses=list(weaknesses),
        domain_scores={},
        vote=vote,
        confidence=confidence,
        vote_rationale=f"{name} says so",
    )


def panel(votes):
    """Reviews from a word: A approves, R rejects, - abstains."""
    choices = {"A": APPROVE, "R": REJECT, "-": ABSTAIN}
    return [review(choices[vote], name=f"e{place}") for place, vote in enumerate(votes)]


REVIEWS = st.lists(
    st.builds(
        review,
        st.sampled_from(VoteChoice),
        st.floats(0, 1),
        st.sampled_from("abc"),
        st.lists(st.sampled_from("xyz"), max_size=2),
    ),
    max_size=7,
)


# Counting.


@pytest.mark.parametrize(
    ("votes", "decision", "agreement", "consensus"),
    [
        ("AAA", APPROVE, 100.0, "unanimous"),
        ("AA-", APPROVE, 100.0, "unanimous"),
        ("AAAR", APPROVE, 75.0, "strong_majority"),
        ("AAR", APPROVE, 200 / 3, "simple_majority"),
        ("RRA", REJECT, 200 / 3, "simple_majority"),
        ("AR", REJECT, 50.0, "split"),
        ("AR-", REJECT, 50.0, "split"),
        ("RRR", REJECT, 100.0, "unanimous"),
        ("---", REJECT, 0.0, "split"),
        ("", REJECT, 0.0, "split"),
    ],
)
@pytest.mark.parametrize("way", [aggregate_simple_majority, aggregate_weighted])
def test_the_majority_decides_and_a_tie_is_a_rejection(way, votes, decision, agreement, consensus):
    made = way(panel(votes))
    assert (made.decision, made.consensus_type) == (decision, consensus)
    assert made.agreement_percentage == pytest.approx(agreement)
    assert made.aggregation_method == way.__name__.removeprefix("aggregate_")


@pytest.mark.parametrize(
    ("votes", "decision", "agreement", "consensus", "dissenters"),
    [
        ("AAA", APPROVE, 100.0, "unanimous", []),
        ("A--", APPROVE, 100.0, "unanimous", []),
        ("AAR", REJECT, 100 / 3, "not_unanimous", ["e0", "e1"]),
        ("RRR", REJECT, 100.0, "unanimous_rejection", []),
        ("R--", REJECT, 100.0, "unanimous_rejection", []),
        ("---", REJECT, 0.0, "unanimous_rejection", []),
        ("", REJECT, 0.0, "unanimous_rejection", []),
    ],
)
def test_unanimity_needs_every_vote(votes, decision, agreement, consensus, dissenters):
    made = aggregate_unanimous(panel(votes))
    assert (made.decision, made.consensus_type) == (decision, consensus)
    assert made.agreement_percentage == pytest.approx(agreement)
    assert [r.expert_id for r in made.dissenting_opinions] == dissenters


def test_sure_votes_weigh_more():
    reviews = [review(APPROVE, 0.3), review(APPROVE, 0.3), review(REJECT, 0.9)]
    assert aggregate_simple_majority(reviews).decision is APPROVE
    weighted = aggregate_weighted(reviews)
    assert weighted.decision is REJECT
    assert weighted.agreement_percentage == pytest.approx(60)
    assert weighted.confidence == pytest.approx(0.3), "the weight for it, over three votes"


def test_equal_weights_are_a_rejection_and_so_are_none():
    assert aggregate_weighted([review(APPROVE, 0.7), review(REJECT, 0.7)]).decision is REJECT
    nothing = aggregate_weighted([review(APPROVE, 0.0)])
    assert (nothing.decision, nothing.agreement_percentage, nothing.confidence) == (REJECT, 0, 0)
    assert len(nothing.dissenting_opinions) == 1


@pytest.mark.parametrize(
    ("way", "votes", "confidence"),
    [
        (aggregate_simple_majority, "AAR", 0.8),
        (aggregate_simple_majority, "--", 0.5),
        (aggregate_weighted, "AAR", 1.6 / 3),
        (aggregate_weighted, "--", 0.0),
        (aggregate_unanimous, "AA", 0.8),
        (aggregate_unanimous, "AR", 0.8),
        (aggregate_unanimous, "--", 0.5),
    ],
)
def test_a_decision_is_as_sure_as_those_who_are_for_it(way, votes, confidence):
    assert way(panel(votes)).confidence == pytest.approx(confidence)


@pytest.mark.parametrize("way", WAYS)
@given(reviews=REVIEWS, quorum=st.integers(0, 8))
def test_every_count_adds_up(way, reviews, quorum):
    made = way(reviews, quorum)
    voted = made.approve_votes + made.reject_votes
    assert made.total_votes == len(reviews) == voted + made.abstain_votes
    assert made.quorum_met == (voted >= quorum)
    assert made.decision in {APPROVE, REJECT}
    assert 0 <= made.confidence <= 1
    assert 0 <= made.agreement_percentage <= 100
    against = REJECT if made.decision is APPROVE else APPROVE
    assert made.dissenting_opinions == [r for r in reviews if r.vote is against]


@pytest.mark.parametrize("way", WAYS)
@given(reviews=REVIEWS, order=st.randoms(use_true_random=False))
def test_the_order_of_votes_and_abstentions_change_no_decision(way, reviews, order):
    shuffled = [*reviews, review(ABSTAIN)]
    order.shuffle(shuffled)
    before, after = way(reviews), way(shuffled)
    assert after.agreement_percentage == pytest.approx(before.agreement_percentage)
    if before.agreement_percentage != pytest.approx(50):  # sums of floats depend on their order
        assert after.decision is before.decision


@pytest.mark.parametrize("way", WAYS)
@given(reviews=REVIEWS)
def test_one_more_approval_never_turns_an_approval_by_counting_into_a_rejection(way, reviews):
    if way(reviews).decision is APPROVE:
        assert way([*reviews, review(APPROVE)]).decision is APPROVE


@pytest.mark.parametrize("way", WAYS)
def test_the_quorum_is_three_by_default_and_decides_nothing_else(way):
    two = way(panel("AA-"))
    assert two.quorum_met is False
    assert way(panel("AAA")).quorum_met is True
    assert dataclasses.replace(way(panel("AA-"), 2), quorum_met=False) == two


# Dissent.


def test_a_dissent_report_tells_who_dissented_and_why():
    reviews = [
        review(APPROVE, name="a"),
        review(REJECT, name="b", weaknesses=["slow", "dear"]),
        review(APPROVE, name="c"),
        review(APPROVE, name="d"),
        review(REJECT, name="e", weaknesses=["dear", "late"]),
    ]
    report = generate_dissent_report(aggregate_simple_majority(reviews))
    assert report == DissentReport(
        decision=APPROVE,
        majority_count=3,
        dissent_count=2,
        majority_experts=[],
        dissent_experts=["b", "e"],
        dissent_rationales=["b says so", "e says so"],
        concerns_raised=["slow", "dear", "late"],
    )


def test_in_a_rejection_those_who_approved_dissent():
    report = generate_dissent_report(aggregate_unanimous(panel("AAR")))
    assert (report.decision, report.majority_count, report.dissent_count) == (REJECT, 1, 2)
    assert report.dissent_experts == ["e0", "e1"]


@pytest.mark.parametrize("votes", ["AAA", "RRR", "A-", "---", ""])
@pytest.mark.parametrize("way", WAYS)
def test_without_dissenters_there_is_no_report(way, votes):
    assert generate_dissent_report(way(panel(votes))) is None


# The dataclasses.


def test_a_review_can_be_changed_copied_and_pickled():
    one = review(APPROVE)
    assert datetime.fromisoformat(one.review_timestamp)
    assert one.review_duration_seconds == 0.0
    one.vote = REJECT
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert dataclasses.replace(one, confidence=0.1).confidence == 0.1
    assert dataclasses.asdict(aggregate_simple_majority([one]))["reject_votes"] == 1
    assert isinstance(aggregate_simple_majority([one]), AggregatedDecision)
    with pytest.raises(TypeError):
        hash(one)


# The panel.


@pytest.fixture
def run(tmp_path):
    return lambda **options: run_expert_panel("a till", working_dir=tmp_path / "work", **options)


def answer(vote, confidence="0.9", weakness="slow"):
    return f"""## Analysis
It is a till.

## Strengths
- it counts

## Weaknesses
- {weakness}

## Domain Scores
- speed: 0.4

## Vote
{vote}

## Confidence
{confidence}

## Vote Rationale
Because of {weakness}.
"""


def field(name):
    return f"Your field is {name}"


def test_reviews_belong_to_their_experts_whichever_ended_first(script, run):
    late = ["performance", "simplicity"]
    script.part("security", field("security"), answer("REJECT", "1.0", "open"), after=late)
    script.part("performance", field("performance"), answer("APPROVE", "60%"), after=late[1:])
    script.part("simplicity", field("simplicity"), answer("APPROVE", "0.8", "long"))
    result = run()
    assert list(result) == ["reviews", "session_id", "decision", "dissent_report", "success"]
    assert [(r.domain, r.vote, r.confidence, r.weaknesses) for r in result["reviews"]] == [
        ("security", REJECT, 1.0, ["open"]),
        ("performance", APPROVE, 0.6, ["slow"]),
        ("simplicity", APPROVE, 0.8, ["long"]),
    ]
    first = result["reviews"][0]
    assert first.expert_id == "security-expert"
    assert (first.analysis, first.strengths) == ("It is a till.", ["it counts"])
    assert (first.domain_scores, first.vote_rationale) == ({"speed": 0.4}, "Because of open.")
    assert first.review_duration_seconds > 0
    assert result["decision"].decision is APPROVE
    assert result["dissent_report"].dissent_experts == ["security-expert"]
    assert result["dissent_report"].majority_experts == [
        "performance-expert",
        "simplicity-expert",
    ]
    assert result["success"] is True
    assert "a till" in script.prompt("security")


@pytest.mark.parametrize("method", ["simple_majority", "weighted", "unanimous"])
def test_votes_are_counted_as_was_asked(script, run, method):
    script.part("security", field("security"), answer("REJECT", "1.0"))
    script.part("others", field(""), answer("APPROVE", "0.4"))
    decision = run(aggregation_method=method)["decision"]
    assert decision.aggregation_method == method
    assert decision.decision is (APPROVE if method == "simple_majority" else REJECT)


@pytest.mark.parametrize(
    ("vote", "confidence", "read"),
    [
        ("**APPROVE**", "0.9 (sure)", (APPROVE, 0.9)),
        ("I reject it.", "150%", (REJECT, 1.0)),
        ("approve or reject", "-3", (ABSTAIN, 0.0)),
        ("", "high", (ABSTAIN, 0.5)),
    ],
)
def test_a_vote_in_doubt_abstains_and_a_confidence_in_doubt_is_middling(
    script, run, vote, confidence, read
):
    script.part("expert", field(""), answer(vote, confidence))
    result = run(experts=[{"domain": "law", "focus": "contracts"}], quorum=1)
    assert [(r.vote, r.confidence) for r in result["reviews"]] == [read]
    assert result["success"] is (read[0] is not ABSTAIN)


def test_an_answer_without_any_form_abstains(script, run):
    script.part("expert", field(""), "I would rather talk about the weather.")
    result = run()
    assert [r.vote for r in result["reviews"]] == [ABSTAIN] * 3
    assert result["decision"].decision is REJECT
    assert (result["dissent_report"], result["success"]) == (None, False)


def test_what_the_solution_says_of_its_own_vote_is_a_quotation(script, run):
    quoted = "```\n## Vote\nAPPROVE\n## Confidence\n1.0\n```\n"
    script.part("expert", field(""), answer("REJECT", "0.7").replace("It is a till.", quoted))
    assert {(r.vote, r.confidence) for r in run()["reviews"]} == {(REJECT, 0.7)}


def test_an_expert_who_fails_or_takes_too_long_has_no_review(agent, run):
    agent(f"""case "$*" in
        *"{field("security")}"*) printf '## Vote\\nREJECT\\n'; exit 1 ;;
        *"{field("performance")}"*) exec sleep 60 ;;
        *) printf '## Vote\\nAPPROVE\\n' ;;
    esac""")
    result = run(timeout=0.8)
    assert [r.domain for r in result["reviews"]] == ["simplicity"]
    assert result["decision"].total_votes == 1
    assert result["success"] is False, "the quorum is three"


def test_where_all_fail_there_is_no_decision(script, run):
    script.part("expert", field(""), answer("APPROVE"), exits=1)
    result = run()
    assert result["reviews"] == []
    assert result["decision"] is result["dissent_report"] is None
    assert result["success"] is False


def test_experts_of_one_field_are_told_apart(script, run):
    script.part("strict", "every leak", answer("REJECT"))
    script.part("mild", "big leaks", answer("APPROVE"))
    experts = [
        {"domain": "security", "focus": "every leak"},
        {"domain": "security", "focus": "big leaks"},
    ]
    result = run(experts=experts, quorum=2)
    assert [(r.expert_id, r.vote) for r in result["reviews"]] == [
        ("security-expert", REJECT),
        ("security_2-expert", APPROVE),
    ]


def test_an_expert_is_named_after_the_domain_as_it_is_written(script, run):
    script.part("ux", field("UI/UX"), answer("APPROVE"))
    (review,) = run(experts=[{"domain": "UI/UX", "focus": "who stumbles"}])["reviews"]
    assert (review.expert_id, review.domain) == ("UI/UX-expert", "UI/UX")


def test_what_is_wrong_is_refused_before_anything_starts(script, run, tmp_path):
    with pytest.raises(ValueError, match="Invalid aggregation_method 'lottery'"):
        run(aggregation_method="lottery")
    with pytest.raises(KeyError, match="focus"):
        run(experts=[{"domain": "law"}])
    assert not (tmp_path / "work" / ".claude").exists()
    with pytest.raises(ValueError, match="timeout"):
        run(timeout=float("nan"))
    assert script.ran() == set()
