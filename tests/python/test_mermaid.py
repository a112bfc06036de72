"""The chart of a summary, as Mermaid reads and draws it, which is what GitHub shows."""

import re
from collections import Counter

import pytest
from command import WORKS
from hostile import TITLES, issue_of
from tests.support.chromium import browser, needs_chromium  # noqa: F401 - a fixture
from tests.support.mermaid import LIBRARY, MOST_CHARACTERS, needs_mermaid

pytestmark = [needs_chromium, needs_mermaid]

CHART = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)

DRAW = """async (chart) => {
  mermaid.initialize({ startOnLoad: false, securityLevel: "strict" });
  const { diagramType } = await mermaid.parse(chart);
  document.body.innerHTML = (await mermaid.render("chart", chart)).svg;
  const all = (what) => Array.from(document.body.querySelectorAll(what));
  return {
    type: diagramType,
    sections: all(".sectionTitle").map((title) => title.textContent),
    bars: all("rect.task").map((bar) => bar.getAttribute("class").match(/crit|active|done/)[0]),
    widths: all("rect.task").map((bar) => bar.width.baseVal.value),
    begin: Math.min(...all("rect.task").map((bar) => bar.getBoundingClientRect().left)),
    titles: Math.max(...all(".sectionTitle").map((title) => title.getBoundingClientRect().right)),
    active: all("script, img, a, iframe, [onerror], [onclick]").length,
  };
}"""
"""Throws where Mermaid cannot read the chart."""


@pytest.fixture(scope="module")
def draw(browser):  # noqa: F811 - the fixture
    """What Mermaid makes of a chart; nothing is asked of the network."""
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.add_script_tag(path=LIBRARY)
    yield lambda chart: page.evaluate(DRAW, chart)
    page.close()
    assert asked == []


def chart_of(place):
    """The chart in the summary of the one orchestration."""
    (summary,) = place.runtime.glob("parallel/*/summary.md")
    (chart,) = CHART.findall(summary.read_text(encoding="utf-8"))
    return chart


def test_the_chart_of_a_run_shows_every_attempt(place, draw):
    fails_once = f'test -e "$HOME/$AGENT_ID" || {{ touch "$HOME/$AGENT_ID"; exit 3; }}; {WORKS}'
    agent = place.agent(f"test $AGENT_ID = agent-1 || {{ {fails_once}; exit; }}; {WORKS}")
    plan = place.plan("Add the cart: now!", "Add the till")
    assert place.run(plan, "--agent", agent, "--verify", "true").code == 2
    assert place.run(plan, "--retry").code == 0
    drawn = draw(chart_of(place))
    assert drawn["type"] == "gantt"
    assert drawn["sections"] == ["Agent-1 Add the cart now", "Agent-2 Add the till"]
    assert Counter(drawn["bars"]) == {"active": 2, "done": 2, "crit": 1}
    assert min(drawn["widths"]) > 0
    assert drawn["active"] == 0


def test_hostile_titles_stay_text_and_a_hundred_tasks_fit(place, draw):
    titles = TITLES + [{"task": task} for task in ("Wide " * 50, "a : b", "click x", "todayMarker")]
    place.plan(heading=issue_of(titles), name="plan.md")
    agent = place.agent(WORKS)
    assert place.run("plan.md", "--yes", "--agent", agent, "--verify", "true").code == 0
    chart = chart_of(place)
    drawn = draw(chart)
    assert drawn["type"] == "gantt"
    assert len(drawn["sections"]) == len(titles)
    assert Counter(drawn["bars"]) == {"active": len(titles), "done": len(titles)}
    assert all(re.match(r"Agent-\d+", title) for title in drawn["sections"])
    assert drawn["titles"] < drawn["begin"], "a title stands before its bars, not on them"
    assert drawn["active"] == 0

    head, *sections = chart.split("    section ")
    hundred = "    section ".join([head, *(sections * 5)[:100]])
    assert len(hundred) < MOST_CHARACTERS / 3
    assert len(draw(hundred)["bars"]) == 200
