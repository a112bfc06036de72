"""How the patterns read answers: messy ones too, and never by guessing."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestration import ProcessResult
from orchestration.patterns._agents import excerpt, fenced, in_order, labels
from orchestration.patterns._reading import list_items, number, pick, scores, section

VOTES = {"APPROVE": "approve[sd]?", "REJECT": "reject(?:ed)?", "ABSTAIN": "abstain"}

settings.register_profile("here", database=None, deadline=None, max_examples=60)
settings.load_profile("here")


@pytest.mark.parametrize(
    "answer",
    [
        "## Vote\nyes",
        "## Vote\n\nyes\n\n## Vote Rationale\nno",
        "# Vote\nyes\n# Else\nno",
        "### vote:\nyes",
        "## 6. Vote ##\nyes",
        "## **Vote**\nyes",
        "## Vote: yes",
        "## Vote — yes",
        "**Vote:** yes",
        "**Vote**: yes\n**Confidence:** 1",
        "**Vote**\nyes",
        "My vote follows.\nVote: yes\nThat is all.",
        "## Vote\r\nyes\r\n## Else\r\nno",
        "## Vote\nperhaps\n## Vote\nyes",
        "```markdown\n## Vote\nyes\n```",
        "## Vote\nyes\n## Analysis\n```\n## Vote\nquoted\n```",
        "## Vote\nyes\n## Analysis\n~~~~\n~~~\n## Vote\nquoted\n~~~~",
        "## Vote\nyes\n## Analysis\n```\n## Vote\nof a fence that nobody closed",
    ],
)
def test_a_section_is_found_however_it_is_headed(answer):
    assert section(answer, "Vote") == "yes"


@pytest.mark.parametrize(
    "answer", ["", "yes", "## Votes\nyes", "## Vote Rationale\nyes", "## Vote", "a vote: yes"]
)
def test_what_is_no_section_is_empty(answer):
    assert section(answer, "Vote") == ""


def test_a_section_holds_its_subsections_and_its_code():
    answer = "## Analysis\none\n### Input\ntwo\n```python\n# no heading\n```\n## Vote\nthree"
    assert section(answer, "Analysis") == "one\n### Input\ntwo\n```python\n# no heading\n```"


def test_a_list_has_its_items_each_on_one_line():
    answer = (
        "## Points\n- one\n* two, which\n  goes on\n3. three\n  - with more\n\nNo item.\n- None\n"
    )
    assert list_items(answer, "Points") == ["one", "two, which goes on", "three - with more"]
    assert list_items("## Points\n\n## Else\n- one", "Points") == []


def test_scores_have_names_and_numbers_and_what_has_none_is_passed_over():
    answer = """## Scores
- input_check: 0.9
* **Error handling**: 7/10
clarity = 85%
- `depth`: **0.5** (shallow)
- rest: unknown
- : 3
"""
    assert scores(answer, "Scores") == {
        "input_check": 0.9,
        "Error handling": 0.7,
        "clarity": 0.85,
        "depth": 0.5,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.85", 0.85),
        (".5", 0.5),
        ("0,85", 0.85),
        ("85%", 0.85),
        ("85 %", 0.85),
        ("About 85 percent.", 0.85),
        ("85 per cent", 0.85),
        ("8/10", 0.8),
        ("8 out of 10", 0.8),
        ("3 percentiles", 3.0),
        ("**0.9** (quite sure)", 0.9),
        ("About 0.7.", 0.7),
        ("-1", -1.0),
        ("3", 3.0),
        ("1/0", None),
        ("high", None),
        ("", None),
        ("nan", None),
        ("v2", None),
        ("9" * 400, None),
    ],
)
def test_a_number_is_read_as_people_write_it(text, value):
    assert number(text) == (value if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("APPROVE", "APPROVE"),
        ("**Approve.**", "APPROVE"),
        ("> [REJECT]", "REJECT"),
        ("I vote to reject this.", "REJECT"),
        ("Approved: nothing here makes me reject it", "APPROVE"),
        ("APPROVE - though others may reject it", "APPROVE"),
        ("REJECT\nI would approve it without the salt.", "REJECT"),
        ("My decision:\n\nABSTAIN", "ABSTAIN"),
        ("I cannot approve this, so I reject it", "REJECT"),
        # What leaves doubt.
        ("APPROVE or REJECT or ABSTAIN", None),
        ("APPROVE, REJECT, ABSTAIN", None),
        ("I cannot approve this", None),
        ("I don't approve", None),
        ("not yet ready to approve", None),
        ("disapprove", None),
        ("Approve it? Or reject it?", None),
        ("maybe", None),
        ("", None),
    ],
)
def test_a_choice_is_one_that_leaves_no_doubt(text, choice):
    assert pick(text, VOTES) == choice


@pytest.mark.timeout(20)
@given(st.text(alphabet=st.sampled_from("# *-`~:0.1%/aVote\n\r|_[]")))
@example(" " * 50_000)
@example("*" * 50_000)
@example("# " * 25_000)
@example("- a" + " " * 50_000)
@example("1" * 50_000)
@example("approve " * 5_000)
@example("```\n" * 10_000)
def test_no_text_is_too_strange_or_takes_long(text):
    for answer in (text, f"## Vote\n{text}"):
        found = section(answer, "Vote")
        list_items(answer, "Vote")
        assert all(math.isfinite(value) for value in scores(answer, "Vote").values())
        assert pick(found, VOTES) in {*VOTES, None}
        assert number(found) is None or math.isfinite(number(found))


@given(st.text(alphabet=st.sampled_from("`~a\n")))
def test_a_fence_cannot_be_closed_from_within(text):
    first, *inner, last = fenced(text).split("\n")
    assert first == last
    assert all(not line.startswith(first) for line in inner)


@given(st.lists(st.text(alphabet=st.sampled_from("a_2/\0\né\ud800")), max_size=6))
@example(["name" * 100] * 3)
def test_labels_are_distinct_file_names(names):
    made = labels(names)
    assert len(set(made)) == len(made) == len(names)
    for label in made:
        assert "/" not in label
        assert "\0" not in label
        assert len(label.encode()) < 150


def test_ordinary_labels_are_the_names_themselves():
    assert labels(["security", "user_experience"]) == ["security", "user_experience"]
    assert labels(["a", "a", "a_2", "a"]) == ["a", "a_2", "a_2_2", "a_3"]
    assert labels(["cost/benefit"]) == ["cost-benefit"]


def test_an_excerpt_keeps_both_ends_and_says_what_is_missing():
    assert excerpt("short", 10) == "short"
    cut = excerpt("a" * 60 + "z" * 60, 20)
    assert cut == f"{'a' * 10}\n[100 characters left out]\n{'z' * 10}"


@given(st.permutations(range(5)))
def test_results_are_known_by_the_process_that_gave_them(order):
    class Named:
        def __init__(self, number):
            self.process_id = f"p{number}"

    results = [ProcessResult(0, f"answer {n}", "", 0.0, f"p{n}") for n in order]
    paired = in_order([Named(n) for n in range(5)], results)
    assert [result.output for result in paired] == [f"answer {n}" for n in range(5)]
