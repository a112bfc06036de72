"""`Report` in programs and notebooks: dictionaries, JSON, data frames, timelines and pictures."""

import dataclasses
import json
import pickle
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from command import WORKS, place  # noqa: F401 - a fixture
from made_up import REPORT, many, row

from orchestration import Report, UsageError, orchestrate
from orchestration.timeline import Timeline

BAD = "</text></svg><script>hacked()</script><img src=x onerror=\"hacked()\" alt='&amp;'>"


def report(*rows, **fields):
    empty = dict.fromkeys(REPORT, 0) | {"prs_created": [], "follow_up_issues": []}
    done = {"total_sub_tasks": len(rows), "successful": len(rows), "exit_code": 0}
    name = {"orchestration_id": "orch-local-1-20260101-1200"}
    return Report.from_dict({**empty, **name, **done, **fields, "tasks": list(rows)})


HEAVY = ("orchestration.page", "orchestration.timeline", "pandas")


class Seen(HTMLParser):
    """The elements and the text of a piece of HTML."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.attributes, self.text = [], set(), ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def ran(place, monkeypatch):  # noqa: F811 - the fixture
    """The report of two agents, told to a program that works somewhere else."""
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    agent = place.agent(f"[ $AGENT_ID = agent-1 ] || exit 3; {WORKS}")
    return orchestrate(place.root / place.plan("Add a", "Add b"), repo=place.root, agent=agent)


def test_a_report_finds_its_timeline(ran, place, monkeypatch):  # noqa: F811 - the fixture
    monkeypatch.chdir(place.root.parent)
    timeline = ran.timeline()
    assert [task.status for task in timeline.tasks] == ["completed", "failed"]
    assert timeline == ran.timeline(place.root)
    copied = Report.from_dict(json.loads(ran.to_json()))
    assert copied == ran
    assert pickle.loads(pickle.dumps(ran)) == ran
    assert '"_repo"' not in ran.to_json()
    assert copied.timeline(place.root) == timeline
    with pytest.raises(UsageError, match="no orchestration of orch-nowhere"):
        dataclasses.replace(ran, orchestration_id="orch-nowhere").timeline(place.root)

    picture = Seen(ran._repr_html_())
    assert "1 of 2 tasks completed" in picture.text
    assert picture.elements.count("rect") == sum(len(task.spans) for task in timeline.tasks)
    (journal,) = place.runtime.glob("parallel/*/orch-*.jsonl")
    journal.unlink()
    assert Seen(ran._repr_html_()).elements.count("rect") == 2  # one a task, by its duration


def test_a_dry_run_has_no_timeline(place):  # noqa: F811 - the fixture
    dry = orchestrate(place.root / place.plan("Add a", "Add b"), repo=place.root, dry_run=True)
    with pytest.raises(UsageError, match="dry run") as refused:
        dry.timeline()
    assert refused.value.hint
    assert Seen(dry._repr_html_()).text == "A dry run of 2 tasks (exit code 0)"


def test_a_data_frame_has_a_row_a_task():
    pandas = pytest.importorskip("pandas")
    frame = report(row(1, cost_usd=0.5), row(2, status="failed", error="TIMEOUT: x")).to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["agent_id"]) == ["agent-1", "agent-2"]
    assert list(frame[frame.status == "failed"].error) == ["TIMEOUT: x"]
    assert frame.cost_usd.sum() == 0.5
    assert "worktree" in report().to_dataframe().columns


def test_without_pandas_a_data_frame_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        report(row(1)).to_dataframe()


@pytest.mark.parametrize(
    "shown",
    [
        report(row(1, title=BAD), row(2, title=BAD, status="failed")),
        Timeline.from_events(many(3, mark=BAD)),
    ],
    ids=["report", "timeline"],
)
def test_pictures_for_notebooks_are_harmless(shown):
    seen = Seen(shown._repr_html_())
    assert set(seen.elements) <= {"div", "p", "strong", "svg", "text", "title", "rect"}
    assert not [name for name in seen.attributes if name.startswith("on") or name == "style"]
    assert BAD[:37] in seen.text


def test_a_picture_for_notebooks_stays_small():
    picture = Timeline.from_events(many(200))._repr_html_()
    assert len(picture) < 100_000
    assert "and 160 tasks more" in picture


def test_a_picture_of_a_damaged_journal_says_so():
    over_time = Timeline.from_events(many(3))
    assert "2 of 3 tasks completed, crashed" in over_time._repr_html_()
    damaged = dataclasses.replace(over_time, damage="it is damaged at line 7")
    assert "2 of 3 tasks completed, of a damaged journal" in damaged._repr_html_()


def test_a_picture_of_nothing_has_no_figure():
    assert "svg" not in report()._repr_html_()
    assert "0 of 0 tasks completed" in report()._repr_html_()


def test_rich_shows_the_outcome_first():
    told = list(report(row(1)).__rich_repr__())
    assert told[:3] == [
        ("orchestration_id", "orch-local-1-20260101-1200"),
        ("exit_code", 0),
        ("successful", 1),
    ]
    name, (task,) = told[-1]
    assert name == "tasks"
    assert ("error", None, None) in list(task.__rich_repr__())


def test_reports_are_imported_without_pages_and_pandas():
    program = "import sys, orchestration.report; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = done.stdout.decode().split()
    assert "orchestration.report" in loaded
    assert not [name for name in loaded if name.startswith(HEAVY)]
