"""`run_cascade` and `create_custom_cascade`: down, level by level, until one succeeds."""

import pytest

from orchestration.patterns.cascade import (
    FALLBACK_TEMPLATES,
    TIMEOUT_STRATEGIES,
    create_custom_cascade,
    run_cascade,
)

KEYS = ["result", "cascade_level", "degradation", "attempts", "session_id", "success"]


@pytest.fixture
def run(tmp_path):
    return lambda **options: run_cascade("List the tills", working_dir=tmp_path / "work", **options)


@pytest.fixture
def custom(tmp_path):
    return lambda levels, **options: create_custom_cascade(
        "List the tills", levels, working_dir=tmp_path / "work", **options
    )


def levels(script, *exits, names=("primary", "secondary", "tertiary")):
    for name, end in zip(names, exits, strict=True):
        script.part(name, f"the {name} one", f"{name} answer", exits=end)


@pytest.mark.parametrize(
    ("exits", "level"),
    [((0, 0, 0), "primary"), ((1, 0, 0), "secondary"), ((1, 2, 0), "tertiary")],
)
def test_the_first_level_that_succeeds_is_the_last_that_runs(script, run, exits, level):
    levels(script, *exits)
    result = run()
    assert list(result) == KEYS
    tried = list(TIMEOUT_STRATEGIES["balanced"])[: len(result["attempts"])]
    assert tried[-1] == level == result["cascade_level"]
    assert script.ran() == set(tried)
    assert [a.process_id for a in result["attempts"]] == [f"cascade_{name}" for name in tried]
    assert result["result"] is result["attempts"][-1]
    assert result["result"].output == f"{level} answer\n"
    assert result["success"] is True
    aim = FALLBACK_TEMPLATES["quality"][level]
    assert aim in script.prompt(level)
    if level == "primary":
        assert result["degradation"] is None
    else:
        assert result["degradation"] == f"Fell back from primary to {level}: {aim}"


def test_where_all_fail_the_last_attempt_is_the_result(script, run):
    levels(script, 1, 2, 3)
    result = run()
    assert [a.exit_code for a in result["attempts"]] == [1, 2, 3]
    assert result["result"] is result["attempts"][-1]
    assert (result["cascade_level"], result["success"]) == ("failed", False)
    assert result["degradation"]


def test_a_level_that_takes_too_long_gives_way_to_the_next(agent, run):
    agent('case "$*" in *"the primary one"*) exec sleep 60 ;; esac')
    result = run(custom_timeouts={"primary": 0.3})
    assert [a.exit_code for a in result["attempts"]] == [-1, 0]
    assert result["cascade_level"] == "secondary"


@pytest.mark.parametrize("strategy", FALLBACK_TEMPLATES)
def test_each_strategy_gives_up_something_else(agent, run, strategy):
    agent('case "$*" in *"the tertiary one"*) ;; *) exit 1 ;; esac')
    aim = FALLBACK_TEMPLATES[strategy]["tertiary"]
    assert run(fallback_strategy=strategy)["degradation"].endswith(aim)


def test_what_a_custom_setting_leaves_out_comes_from_the_strategy(script, run):
    levels(script, 1, 0, 0)
    result = run(
        timeout_strategy="patient",
        custom_timeouts={"primary": 7},
        custom_constraints={"secondary": "a guess"},
    )
    assert "You have 7 seconds" in script.prompt("primary")
    assert "You have 30 seconds" in script.prompt("secondary")
    assert result["degradation"].endswith(": a guess")


def test_levels_take_their_models_and_else_the_first(agent, run):
    agent('echo "$*" | grep -o -- "--model .*"; exit 1')
    result = run(models=["opus", "haiku"])
    assert [a.output for a in result["attempts"]] == [
        "--model opus\n",
        "--model haiku\n",
        "--model opus\n",
    ]


@pytest.mark.parametrize(("notification", "said"), [("silent", 0), ("warning", 1), ("explicit", 2)])
def test_a_degradation_is_told_as_loudly_as_is_wished(script, run, tmp_path, notification, said):
    levels(script, 1, 0, 0)
    result = run(notification_level=notification)
    folder = tmp_path / "work" / ".claude" / "runtime" / "logs" / result["session_id"]
    log = (folder / "session.log").read_text()
    assert ("Fell back from primary" in log) == (said > 0)
    assert ("what you get: " in log) == (said > 1)
    assert result["degradation"]


@pytest.mark.parametrize("wrong", [{"fallback_strategy": "speed"}, {"timeout_strategy": "eternal"}])
def test_an_unknown_strategy_is_refused_with_those_there_are(script, run, tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))) as caught:
        run(**wrong)
    assert "quality" in str(caught.value) or "balanced" in str(caught.value)
    assert script.ran() == set()
    assert not (tmp_path / "work" / ".claude").exists()


def test_a_cascade_of_ones_own_goes_down_its_own_levels(script, custom):
    levels(script, 1, 0, names=("deep", "flat"))
    result = custom(
        [
            {"name": "deep", "timeout": 20, "constraint": "all of it", "model": None},
            {"name": "flat", "timeout": 10, "constraint": "the outline"},
        ]
    )
    assert list(result) == KEYS
    assert [a.process_id for a in result["attempts"]] == ["cascade_deep", "cascade_flat"]
    assert result["cascade_level"] == "flat"
    assert result["degradation"] == "Fell back from deep to flat: the outline"
    assert result["session_id"].startswith("cascade-custom_")


def test_one_level_of_ones_own_may_fail(script, custom):
    levels(script, 5, names=("only",))
    result = custom([{"name": "only", "timeout": 20, "constraint": "all of it"}])
    assert (result["cascade_level"], result["success"]) == ("failed", False)
    assert result["result"].exit_code == 5


def test_levels_of_one_name_keep_logs_of_their_own(script, custom, tmp_path):
    script.part("any", "at this task", exits=1)
    result = custom([{"name": "again", "timeout": 20, "constraint": "all of it"}] * 2)
    folder = tmp_path / "work" / ".claude" / "runtime" / "logs" / result["session_id"]
    logs = {path.name for path in folder.iterdir()}
    assert logs == {"session.log", "cascade_again.log", "cascade_again_2.log"}


def test_a_wrong_limit_of_a_later_level_is_refused_before_the_first_runs(script, run, tmp_path):
    with pytest.raises(ValueError, match="timeout"):
        run(custom_timeouts={"tertiary": -1})
    assert script.ran() == set()
    assert not (tmp_path / "work" / ".claude").exists()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ([], ValueError),
        ([{"name": "a", "timeout": 1, "constraint": "x"}, {"name": "b", "timeout": 1}], KeyError),
    ],
)
def test_levels_that_are_missing_or_lack_something_are_refused(script, custom, wrong, error):
    with pytest.raises(error):
        custom(wrong)
    assert script.ran() == set()
