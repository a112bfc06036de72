"""Plans as Python programs see them: parsed, judged, and back again."""

import json

import pytest

import orchestration
from orchestration import Plan, Task, parse_plan, validate
from orchestration.plan import Dependency, IssueRef

TEXT = """\
# Spring

Readers asked for it.

- [ ] Add login in `auth/login.py`
- [ ] Add payment in `pay.py`
  - works with cards
- [x] Add a cart
- [ ] #12
"""


class TestParse:
    def test_a_plan_has_a_title_an_opening_and_numbered_tasks(self) -> None:
        plan = parse_plan(TEXT)
        assert (plan.title, plan.opening, plan.done) == ("Spring", "Readers asked for it.", 1)
        assert [task.index for task in plan.tasks] == [1, 2, 3]
        assert plan.tasks[0].paths == ("auth/login.py",)
        assert plan.tasks[2].adopts == IssueRef(repository=None, number=12)

    def test_the_source_is_the_title_where_there_is_none(self) -> None:
        assert parse_plan("- [ ] Add a\n", source="plan.md").title == "plan.md"

    @pytest.mark.parametrize("text", ["", "Thoughts.\n", "- [x] Add a\n"])
    def test_nothing_to_run_is_an_error_with_a_way_out(self, text: str) -> None:
        with pytest.raises(orchestration.PlanError) as caught:
            parse_plan(text)
        assert caught.value.exit_code == 3
        assert caught.value.hint

    def test_a_plan_survives_json(self) -> None:
        plan = parse_plan(TEXT)
        assert Plan.from_dict(json.loads(plan.to_json())) == plan


class TestValidate:
    def test_independent_tasks_proceed(self) -> None:
        found = validate(parse_plan("- [ ] Add a in `a.py`\n- [ ] Add b in `b.py`\n"))
        assert (found.verdict, found.dependencies, found.overlaps) == ("proceed", (), ())
        assert found.waves == ((1, 2),)
        assert found.estimate.pull_requests == 2
        assert set(found.complexity) <= {"low", "medium", "high"}

    def test_a_shared_file_warns(self) -> None:
        found = validate(parse_plan("- [ ] Add a to `user.py`\n- [ ] Add b to `user.py`\n"))
        assert found.verdict == "warn"
        (overlap,) = found.overlaps
        assert (overlap.a, overlap.b, overlap.path) == (1, 2, "user.py")
        assert found.warnings

    def test_a_dependency_aborts_and_gives_the_order(self) -> None:
        plan = parse_plan("1. Add a (depends on task 2)\n2. Add b\n")
        found = validate(plan)
        assert found.verdict == "abort"
        (dependency,) = found.dependencies
        assert isinstance(dependency, Dependency)
        assert (dependency.from_, dependency.to) == (1, 2)
        assert dependency.to_dict()["from"] == 1
        assert found.order == (2, 1)

    def test_a_plan_may_be_made_by_hand(self) -> None:
        plan = Plan(
            title="Mine", tasks=(Task(index=1, title="Add a"), Task(index=2, title="Add b"))
        )
        assert validate(plan).verdict == "proceed"

    def test_a_folder_that_is_no_repository_is_an_error(self, tmp_path) -> None:
        with pytest.raises(orchestration.EngineError) as caught:
            validate(parse_plan("- [ ] Add a\n"), repo=tmp_path)
        assert caught.value.exit_code == 9


def test_every_public_name_is_what_its_module_defines() -> None:
    names = [name for name in orchestration.__all__ if not name.startswith("_")]
    assert len(names) > 15
    for name in names:
        value = getattr(orchestration, name)
        assert callable(value), name
        assert value.__name__ == name
