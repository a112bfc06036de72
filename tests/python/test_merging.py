"""After the run: in which order to merge, and what collides; and when who was at work."""

import json
import re
import time
from pathlib import Path

from command import HANGS, WORKS, Place, read_starts
from on_github import Shop

from orchestration import orchestrate
from orchestration.report import MergeConflict, Report

EDITS_ONE_FILE = """cat >/dev/null
case $AGENT_ID in
agent-1 | agent-3) echo "$AGENT_ID" >README.md ;;
*) echo done >"$AGENT_ID.txt" ;;
esac"""


def test_the_summary_gives_an_order_and_names_what_collides(place: Place):
    plan = place.plan("Add a", "Add b", "Add c")
    assert place.run(plan, "--agent", place.agent(EDITS_ONE_FILE)).code == 0
    summary = place.summary()
    first, second, third = (task["pr_number"] for task in summary["tasks"])
    assert summary["merge_order"] == [second, first, third]
    assert summary["merge_conflicts"] == [{"pr": first, "other_pr": third, "files": ["README.md"]}]
    (text,) = [path.read_text() for path in place.runtime.glob("parallel/*/summary.md")]
    assert f"### Merge Order\n\n#{second} → #{first} → #{third}\n" in text
    assert f"- #{first} and #{third} collide in `README.md`: merge one" in text
    report = Report.from_dict(summary)
    assert report.merge_order == (second, first, third)
    assert report.merge_conflicts == (MergeConflict(first, third, ("README.md",)),)
    assert report.to_dict()["merge_conflicts"] == summary["merge_conflicts"]


def test_a_base_that_has_moved_on_meanwhile_is_seen(place: Place):
    moves = (
        f"{EDITS_ONE_FILE}; cd '{place.root}'; echo mine >README.md; git commit -qam Mine; "
        "git status --porcelain"
    )
    plan = place.plan("Add a")
    assert place.run(plan, "--agent", place.agent(moves)).code == 0
    (conflict,) = place.summary()["merge_conflicts"]
    assert (conflict["other_pr"], conflict["files"]) == (None, ["README.md"])
    assert (place.root / "README.md").read_text() == "mine\n"


def test_the_comment_on_github_tells_it_too_and_has_the_timeline(shop: Shop):
    issue = shop.issue("Add a", "Add b")
    fails_once = f'{WORKS}; test "$AGENT_ID" = agent-1 || test -e "$HOME/again"'
    agent = shop.place.agent(fails_once)
    assert shop.run(str(issue), "--agent", agent, "--verify", "true").code == 2
    Path(shop.place.environment["HOME"], "again").touch()
    assert shop.run(str(issue), "--retry").code == 0
    (comment,) = shop.state["issues"][0]["comments"]
    body = comment["body"]
    order = " → ".join(f"#{number}" for number in shop.place.summary()["merge_order"])
    assert f"{order}\n\nThey merge cleanly, with each other and with `main`." in body
    chart = re.search(r"```mermaid\n(.*?)```", body, re.DOTALL)
    assert chart
    shapes = re.sub(r"\d{13}", "T", chart[1])
    assert "section Agent-1 Add a\n    Attempt 1 :active, T, T\n    Verify :done, T, T\n" in shapes
    assert "section Agent-2 Add b\n    Attempt 1 :crit, T, T\n    Attempt 2 :active, T, T" in shapes


def test_the_chart_shows_as_failed_what_failed_although_its_agent_ended_well(place: Place):
    plan = place.plan("Add a")
    assert place.run(plan, "--agent", "sh -c 'cat >/dev/null'").code == 2
    assert place.run(plan, "--retry").code == 2
    (text,) = [path.read_text() for path in place.runtime.glob("parallel/*/summary.md")]
    assert re.findall(r"Attempt . :\w+", text) == ["Attempt 1 :crit", "Attempt 2 :crit"]


def test_no_bar_of_the_chart_stands_in_the_time_between_two_programs(place: Place):
    plan = place.plan("Add a")
    command = place.start(plan, "--agent", place.agent(HANGS), "--output", "json")
    read_starts(command, 1)
    command.kill()
    command.wait()
    time.sleep(1.5)
    again = time.time()
    assert place.run(plan, "--agent", place.agent(WORKS)).code == 0
    (text,) = [path.read_text() for path in place.runtime.glob("parallel/*/summary.md")]
    bars = re.findall(r"Attempt \d :\w+, (\d+), (\d+)", text)
    (_, ended), (began, _) = ((int(start), int(end)) for start, end in bars)
    assert ended <= (again - 1.4) * 1000
    assert began >= again * 1000


def test_from_python_the_report_has_it(place: Place, monkeypatch):
    monkeypatch.chdir(place.root)
    plan = place.plan("Add a", "Add b")
    report = orchestrate(plan, agent=place.agent(WORKS))
    assert report.merge_order == report.prs_created
    assert json.loads(report.to_json())["merge_order"] == list(report.prs_created)
