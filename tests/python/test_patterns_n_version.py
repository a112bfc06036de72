"""`run_n_version`: versions side by side, and a reviewer who is believed where the facts agree."""

import pytest

from orchestration import ProcessResult
from orchestration.patterns.n_version import (
    DEFAULT_PROFILES,
    _selection,
    _Version,
    run_n_version,
)


@pytest.fixture
def run(tmp_path):
    return lambda **options: run_n_version("Add a till", working_dir=tmp_path / "work", **options)


@pytest.fixture
def three(script):
    """Three versions, the first of which ends last."""
    script.part("one", "`version_1_", "first work", after=["two", "three"])
    script.part("two", "`version_2_", "second work", after=["three"])
    script.part("three", "`version_3_", "third work")
    return script


def ended(output):
    return ProcessResult(0, output, "", 1.0, "p")


def review(selection, rationale="It is the shortest."):
    return f"## Comparison\n| version_1 |\n\n## Selection\n{selection}\n\n## Rationale\n{rationale}"


def test_versions_stand_in_their_order_whichever_ended_first(three, run):
    three.part("reviewer", "was done 3 times", review("version_2"))
    result = run()
    assert list(result) == [
        "versions",
        "session_id",
        "comparison",
        "selected",
        "rationale",
        "success",
    ]
    assert [v.output for v in result["versions"]] == [
        "first work\n",
        "second work\n",
        "third work\n",
    ]
    assert [v.process_id for v in result["versions"]] == [
        "version_1_conservative",
        "version_2_pragmatic",
        "version_3_minimalist",
    ]
    assert result["comparison"].process_id == "reviewer_comparison"
    assert (result["selected"], result["rationale"]) == ("version_2", "It is the shortest.")
    assert result["success"] is True


def test_the_reviewer_sees_each_version_under_its_own_name(three, run):
    three.part("reviewer", "was done 3 times", review("version_1"))
    run(selection_criteria=["brevity", "charm"])
    prompt = three.prompt("reviewer")
    places = [
        prompt.index(words)
        for words in (
            "Add a till",
            "1. brevity\n2. charm",
            "version_1 (conservative)",
            "first work",
            "version_2 (pragmatic)",
            "second work",
            "version_3 (minimalist)",
            "third work",
        )
    ]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("answer", "selected"),
    [
        (review("version_3"), "version_3"),
        (review("Version 3 (minimalist)"), "version_3"),
        (review("**v3**"), "version_3"),
        (review("3"), "version_3"),
        (review("The minimalist one."), "version_3"),
        (review("Version 3: it beats version 1 and the hybrid"), "version_3"),
        (review("Version 3 rather than version 1"), "version_3"),
        (review("HYBRID"), "hybrid"),
        (review("Hybrid: version 1 with the tests of version 3"), "hybrid"),
        ("Version 1 is long. I recommend version 3.", "version_3"),
        ("The best implementation is v3 (no hybrid is needed).", "version_3"),
        # What cannot be read, and what does not exist: the first that succeeded.
        (review("version 2 or version 3"), "version_1"),
        (review("version_9"), "version_1"),
        ("Version 2 is best. Version 3 is best.", "version_1"),
        ("They are all fine.", "version_1"),
        ("", "version_1"),
    ],
)
def test_a_selection_is_read_however_it_is_put(answer, selected):
    made = [
        _Version(f"version_{place}", profile["name"], ended("work"))
        for place, profile in enumerate(DEFAULT_PROFILES[:3], 1)
    ]
    assert _selection(ended(answer), made)[0] == selected


@pytest.mark.parametrize("selection", ["version_1", "HYBRID", "conservative", "who knows"])
def test_a_version_that_failed_is_never_selected(script, run, selection):
    script.part("one", "`version_1_", "half of it", exits=3)
    script.part("two", "`version_2_", "second work")
    script.part("reviewer", "was done 2 times", review(selection))
    result = run(n=2)
    assert result["selected"] == "version_2"
    assert "version_2" in result["rationale"]
    assert result["success"] is True
    assert [v.exit_code for v in result["versions"]] == [3, 0]
    assert "half of it" not in script.prompt("reviewer")


def test_where_the_reviewer_fails_it_is_the_first_that_succeeded(script, run):
    script.part("one", "`version_1_", exits=1)
    script.part("makers", "You are one of 3", "work")
    script.part("reviewer", "was done 3 times", review("version_3"), exits=4)
    result = run()
    assert (result["selected"], result["success"]) == ("version_2", True)
    assert result["comparison"].exit_code == 4
    assert "failed (exit code 4)" in result["rationale"]


def test_where_all_fail_nothing_is_selected_and_nobody_reviews(script, run):
    script.part("makers", "You are one of 2", exits=1)
    result = run(n=2)
    assert [v.exit_code for v in result["versions"]] == [1, 1]
    assert result["comparison"] is result["selected"] is None
    assert result["rationale"]
    assert result["success"] is False
    assert script.ran() == {"makers"}


def test_one_version_is_reviewed_too(script, run):
    script.part("maker", "You are one of 1", "work")
    script.part("reviewer", "was done 1 times", review("hybrid"))
    assert run(n=1)["selected"] == "version_1"


@pytest.mark.parametrize("n", [0, -1])
def test_no_version_at_all_is_no_success(run, n):
    result = run(n=n)
    assert result["versions"] == []
    assert (result["selected"], result["success"]) == (None, False)


def test_a_version_that_takes_too_long_has_failed(agent, run):
    agent("""case "$*" in
        *'`version_1_'*) exec sleep 60 ;;
        *"was done 2 times"*) printf '## Selection\\nversion_1\\n' ;;
    esac""")
    result = run(n=2, timeout=0.8)
    assert [v.exit_code for v in result["versions"]] == [-1, 0]
    assert result["selected"] == "version_2"


def test_profiles_come_in_turn_and_again(script, run):
    script.part("maker", "You are one of 3", "work")
    script.part("reviewer", "was done 3 times", review("brave"))
    profiles = [
        {"name": "brave", "traits": "Dare."},
        {"name": "shy/quiet", "traits": "Do not."},
    ]
    result = run(diversity_profiles=profiles)
    assert [v.process_id for v in result["versions"]] == [
        "version_1_brave",
        "version_2_shy-quiet",
        "version_3_brave",
    ]
    assert result["selected"] == "version_1", "two are brave, so the name says nothing"


def test_what_is_wrong_is_refused_before_anything_starts(script, run):
    with pytest.raises(KeyError, match="traits"):
        run(diversity_profiles=[{"name": "brave"}])
    with pytest.raises(ValueError, match="timeout"):
        run(timeout=-1)
    assert script.ran() == set()
    assert len(DEFAULT_PROFILES) == 5
