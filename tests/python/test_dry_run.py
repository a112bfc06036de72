"""A dry run: what it says of the duration and of each warning, and what it leaves behind."""

import json

from command import WORKS, Place

from orchestration import parse_plan, validate
from orchestration.plan import Past, Quote, Reason


def dry_run(place: Place, *arguments: str) -> list[str]:
    done = place.run("next.md", "--dry-run", "--agent", place.agent(WORKS), *arguments)
    assert done.code == 0, done.err
    return done.out.splitlines()


def test_the_duration_comes_from_what_tasks_took_here(place: Place) -> None:
    place.plan(*(f"Add page {number}" for number in range(6)), name="next.md")
    thumb = "Estimated from: a rule of thumb, since no task has succeeded here yet"
    assert thumb in dry_run(place)

    place.plan("Add a", "Add b", "Add c")
    agent = place.agent(f'{WORKS}; test "$AGENT_ID" != agent-3')
    assert place.run("plan.md", "--agent", agent, "--yes").code == 2
    (path,) = place.runtime.glob("parallel/*/summary.json")
    summary = json.loads(path.read_text(encoding="utf-8"))
    assert [task["status"] for task in summary["tasks"]] == ["completed", "completed", "failed"]
    for task, seconds in zip(summary["tasks"], (240, 400, 9000), strict=True):
        task["duration_seconds"] = seconds
    path.write_text(json.dumps(summary), encoding="utf-8")
    broken = path.parents[1] / "local-9"
    broken.mkdir()
    (broken / "summary.json").write_text("{", encoding="utf-8")

    lines = dry_run(place)
    assert "Estimated from: 2 past tasks here, which took 4m each (median)" in lines
    assert "Estimated duration: 8-14 minutes (parallel)" in lines, "the sixth waits for one"
    assert "Estimated duration: 4-7 minutes (parallel)" in dry_run(place, "--max-workers", "6")
    assert "Estimated duration: 12-20 minutes (parallel)" in dry_run(place, "--batch-size", "2")


def test_a_warning_is_followed_by_the_words_that_led_to_it(place: Place) -> None:
    place.plan("Add login to `shop.py`", "Add a cart\n  - lives in shop.py", name="next.md")
    lines = dry_run(place)
    at = lines.index("⚠️  Tasks 1-2 name shop.py")
    assert lines[at + 1 : at + 3] == [
        '    Task 1: "Add login to shop.py"',
        '    Task 2: "lives in shop.py"',
    ]


def test_python_has_the_reasons_and_the_past_as_data() -> None:
    found = validate(parse_plan("- [ ] Add a to `user.py`\n- [ ] Add b to `user.py`\n"))
    (warning,) = found.warnings
    quotes = (Quote("Add a to user.py", 1), Quote("Add b to user.py", 2))
    assert found.reasons == (Reason(warning, quotes),)
    assert found.estimate.past is None
    told = found.to_dict()
    told["estimate"]["past"] = {"tasks": 2, "median_seconds": 3, "usual_seconds": [2, 4]}
    assert type(found).from_dict(told).estimate.past == Past(2, 3, (2, 4))


def test_an_earlier_run_is_named_and_the_command_to_run_has_something_to_do(place: Place) -> None:
    def dry(*options: str) -> tuple[str, str]:
        done = place.run(*command, "--dry-run", *options)
        return done.err, done.out.splitlines()[-1]

    plan = place.plan("Add a", "Add b")
    command = (plan, "--agent", place.agent(f'{WORKS}; test "$AGENT_ID" = agent-1'), "--yes")
    assert dry() == ("", "To run: parallel-orchestrate plan.md")
    assert place.run(*command).code == 2
    said, to_run = dry()
    assert "has run this before, and 1 of its 2 tasks succeeded" in said
    assert to_run == "To run: parallel-orchestrate plan.md --retry"
    assert dry("--new") == ("", "To run: parallel-orchestrate plan.md --new")
    assert place.run(*command, "--agent", place.agent(WORKS), "--retry").code == 0
    assert dry()[1] == "To run: parallel-orchestrate plan.md --new"
    place.plan("Add a", "Add b", "Add c")
    assert dry()[1] == "To run: parallel-orchestrate plan.md", "there is a new task"
