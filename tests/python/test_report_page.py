"""The page of an orchestration, as a real browser shows it: to eyes, keys and screen readers."""

import re
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from made_up import BEGAN, Run, many, row
from tests.support.chromium import browser, needs_chromium  # noqa: F401 - a fixture

from orchestration.page import render
from orchestration.timeline import Timeline

pytestmark = needs_chromium

HOSTILE = (
    "<script>hacked()</script>\"'><img src=https://evil.invalid/x onerror=hacked()>"
    "<a href=javascript:hacked()>&amp;</a>${hacked()} $name \u202e\x00\ud800 "
)
"""What it would like to do is counted; what it says is to be read."""

COLOURS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      known.set(colour, Array.from(canvas.getImageData(0, 0, 1, 1).data));
    }
    return known.get(colour);
  };
  const light = ([r, g, b]) => [r, g, b]
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const texts = Array.from(document.querySelectorAll("body *")).filter((element) =>
    !element.closest("script, .rows svg") && element.getClientRects().length
    && Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((element) => {
    const style = getComputedStyle(element);
    const ink = element.ownerSVGElement ? style.fill : style.color;
    const [a, b] = [light(rgba(ink)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return [ratio, `${element.tagName}.${element.className} ${element.textContent.slice(0, 30)}`];
  });
}"""


@pytest.fixture
def look(browser, tmp_path):  # noqa: F811 - the fixture
    """Opens a page and watches it: nothing may be asked of the network, nothing may go wrong."""
    opened, requests, complaints = [], [], []

    def open_page(content, *, width=1280, **context):
        path = tmp_path / "report.html"
        path.write_text(content, encoding="utf-8")
        viewed = browser.new_context(viewport={"width": width, "height": 800}, **context)
        opened.append(viewed)
        viewed.set_default_timeout(15_000)
        page = viewed.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.add_init_script("window.hacks = 0; window.hacked = () => { window.hacks += 1; }")
        page.goto(path.as_uri())
        return page

    open_page.complaints = complaints
    yield open_page
    for context in opened:
        context.close()
    assert [url for url in requests if not url.startswith("file:")] == []
    assert len(requests) == len(opened)
    assert complaints == []


def timeline(count, **options):
    return Timeline.from_events(many(count, **options), now=BEGAN + timedelta(hours=4))


def logs(over_time, line="E   assert 13 == 12.9"):
    return {task.agent: [f"{number} {line}" for number in range(30)] for task in over_time.tasks}


def page_of(count=5, **options):
    over_time = timeline(count, **options)
    return render(over_time, logs(over_time))


def test_texts_of_strangers_are_read_and_do_nothing(look):
    run = many(3, mark=HOSTILE)
    run(99_000, "pull_created", agent=1, number=7, url="javascript:hacked()", existed=False)
    run(99_001, "pull_created", agent=2, number=8, url=HOSTILE, existed=False)
    over_time = Timeline.from_events(run)
    page = look(render(over_time, logs(over_time, HOSTILE)))
    page.get_by_role("button", name="Open all").click()
    page.mouse.move(400, 400)
    assert page.evaluate("[hacks, document.scripts.length, document.images.length]") == [0, 1, 0]
    assert page.locator("a[href^=javascript], [onerror], [onclick], [style]:not(html)").count() == 0
    says = "<script>hacked()</script>\"'><img src=https://evil.invalid/x onerror=hacked()>"
    told = "<a href=javascript:hacked()>&amp;</a>${hacked()} $name \ufffd\ufffd\ufffd"
    for place in ("#outcomes-table", ".rows", "#agent-1 summary", "#agent-1 pre", ".failures"):
        assert says + told in page.locator(place).first.inner_text().replace("\n", " "), place


def test_only_the_pages_own_script_and_style_are_allowed(look):
    page = look(page_of())
    page.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "hacked()";
      document.body.append(script);
      document.body.insertAdjacentHTML("beforeend", '<p id=odd style="display:none">x</p>');
    }""")
    assert page.evaluate("[hacks, getComputedStyle(odd).display]") == [0, "block"]
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontWeight") == "650"
    refused = [said for said in look.complaints if "Content Security Policy" in said]
    assert len(refused) == len(look.complaints) == 2
    look.complaints.clear()


def test_the_page_is_whole_without_its_script(look):
    page = look(page_of(9), java_script_enabled=False)
    assert page.locator("button:visible, input:visible").count() == 0
    assert page.locator("#outcomes-table tbody tr:visible").count() == 9
    page.locator("#agent-3 summary").click()
    assert page.locator("#agent-3 pre").is_visible()


def test_keys_reach_every_disclosure_and_open_it(look):
    page = look(page_of(4))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    reached = []
    while "agent-4" not in reached:
        page.keyboard.press("Tab")
        place = "[document.activeElement.tagName, document.activeElement.closest('details')?.id]"
        kind, task = page.evaluate(place)
        assert kind != "BODY", "the end of the page"
        if kind == "SUMMARY":
            reached.append(task)
    assert reached == [f"agent-{number}" for number in range(1, 5)]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label == "End of the log of Agent-4"


def test_a_link_to_a_task_opens_it(look):
    page = look(page_of())
    page.locator(".rows a", has_text="Agent-4").click()
    page.locator("#agent-4 pre").wait_for(state="visible")
    assert page.evaluate("document.activeElement.closest('details').id") == "agent-4"


def test_screen_readers_are_told_what_is_drawn(look):
    page = look(page_of())
    table = page.get_by_role("table", name="How each task ended")
    columns = ["Agent", "Task", "Outcome", "Attempts", "Time", "Lines", "Links"]
    assert table.get_by_role("columnheader").all_inner_texts() == columns
    assert table.get_by_role("rowheader").all_inner_texts() == [f"Agent-{n}" for n in range(1, 6)]
    assert table.get_by_role("row").count() == 6
    images = page.get_by_role("img").all()
    names = [image.get_attribute("aria-label") for image in images]
    assert names[0] == "Agents at once: 5 at most, 8 allowed"
    assert names[2] == (
        "Failed; Attempt 1: 54s from 3s on, ran into its time limit; "
        "Attempt 2: 28s from 1m 53s on, failed"
    )
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert headings[:4] == ["Timeline", "Outcomes", "Time", "Cost and tokens"]
    assert headings[4:] == ["Tasks and logs", "Warnings"]
    assert page.locator("main, header, nav, footer").count() == 4


@pytest.mark.timeout(120)
def test_no_rule_of_accessibility_is_broken(look):
    found = Axe().run(look(page_of(3), width=600))
    assert found.violations_count == 0, found.generate_report()


def test_text_can_be_told_from_its_ground_in_dark_and_light(look):
    grounds = set()
    for scheme in ("light", "dark"):
        page = look(page_of(8), color_scheme=scheme)
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        ratios = page.evaluate(COLOURS)
        assert len(ratios) > 150
        assert [text for ratio, text in ratios if ratio < 4.5] == []
    assert len(grounds) == 2


def test_the_theme_can_be_chosen(look):
    page = look(page_of(), color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    for name in ("Theme: system", "Theme: light"):
        page.get_by_role("button", name=name).click()
    assert page.evaluate(ground) != light
    assert page.get_by_role("button", name="Theme: dark").is_visible()


def test_paper_is_light_whatever_theme_was_chosen(look):
    page = look(page_of(), color_scheme="dark")
    for name in ("Theme: system", "Theme: light"):
        page.get_by_role("button", name=name).click()
    page.emulate_media(media="print")
    ratios = page.evaluate(COLOURS.replace("behind(element)", "[255, 255, 255]"))
    assert [text for ratio, text in ratios if ratio < 4.5] == []


def test_a_phone_shows_all_of_it(look):
    page = look(page_of(9, mark="Unbreakable" * 9), width=360)
    page.get_by_role("button", name="Open all").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    outside = """() => Array.from(document.querySelectorAll("main *, header *"))
      .filter((one) => !one.closest("thead, caption, svg, .who"))
      .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
      .map((one) => one.outerHTML.slice(0, 80))"""
    assert page.evaluate(outside) == []


def test_no_width_needs_scrolling_sideways(look):
    page = look(page_of(9, mark="A title of some length that can be broken "))
    for width in (320, 600, 768, 834, 1024, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_what_has_the_focus_is_not_under_what_sticks_to_the_top(look):
    page = look(page_of(30), reduced_motion="reduce")
    hidden = """() => Array.from(document.querySelectorAll(".rows a")).reverse().filter((link) => {
      link.focus();
      const head = document.querySelector(".scale").getBoundingClientRect();
      return link.getBoundingClientRect().top < head.bottom;
    }).length"""
    assert page.evaluate(hidden) == 0


def test_a_great_cost_stands_beside_its_bar(look):
    run = many(2)
    run.use(2, 9200, 1_234_567_890, 98_765_432, 1_234_567.891)
    page = look(render(Timeline.from_events(run), {}))
    for width in (1400, 900, 360):
        page.set_viewport_size({"width": width, "height": 800})
        amount = page.locator(".costs .amount").first.bounding_box()
        bar = page.locator(".costs .cost .bar").first.bounding_box()
        assert amount["x"] + amount["width"] < bar["x"]
        assert bar["width"] > 50


def test_two_hundred_agents_stay_small_and_quick(look):
    over_time = timeline(200, workers=24)
    content = render(over_time, logs(over_time))
    assert len(content.encode()) < 1_500_000
    page = look(content)
    assert page.evaluate("document.querySelectorAll('*').length") < 30_000
    page.get_by_role("searchbox").fill("the 77th")
    assert page.locator("#found").inner_text() == "1 of 200"
    assert page.locator(".rows .row:visible").count() == 1
    assert page.locator("#outcomes-table tbody tr:visible").count() == 1
    page.get_by_role("searchbox").fill("")
    page.get_by_role("combobox").select_option("failed")
    assert page.locator("#found").inner_text() == "34 of 200"
    page.get_by_role("searchbox").fill("1m 03s")  # what is looked for is an agent or a title
    assert page.locator("#found").inner_text() == "0 of 200"


def test_the_page_says_in_which_order_to_merge(look):
    run = many(3)
    conflicts = [
        {"pr": 503, "other_pr": 501, "files": [f"shelf {n}<b>.py" for n in range(7)]},
        {"pr": 503, "other_pr": None, "files": ["a.py"]},
    ]
    run.finish(9300, 1, row(1), row(3), merge_order=[501, 503], merge_conflicts=conflicts)
    over_time = Timeline.from_events(run)
    page = look(render(over_time, {}))
    order = page.get_by_role("region", name="Merge order")
    assert order.locator(".order a").all_inner_texts() == ["PR #501", "PR #503"]
    both, base = order.locator(".conflicts li").all_inner_texts()
    assert both.startswith("PR #503 and PR #501 collide in shelf 0<b>.py, shelf 1<b>.py")
    assert both.endswith("and 2 more: merge one, then bring the other up to date.")
    assert base == "PR #503 collides with main in a.py: bring it up to date first."


def test_bars_stand_where_the_time_was(look):
    page = look(page_of(2))
    track = page.locator(".rows svg.track").first.bounding_box()
    bar = page.locator(".rows svg.track .span.agent").first.bounding_box()
    wall = timeline(2).wall_seconds
    gap = 0.97  # one gap takes three percent
    expected = track["x"] + track["width"] * gap * 2 / wall
    assert bar["x"] == pytest.approx(expected, abs=2)
    assert bar["width"] == pytest.approx(track["width"] * gap * 54 / wall, abs=2)


def test_an_attempt_that_failed_behind_its_agent_is_seen(look):
    run = Run("Add a")
    run.begin(1, 0)
    run.end(1, 40)
    run.settle(1, 42, 42, error="no changes")
    run(50, "orchestration_resumed", retry=True, successful=0, total=1, tasks=[])
    run.begin(1, 60, attempt=2)
    run.end(1, 99, attempt=2)
    run.settle(1, 100, 40)
    page = look(render(Timeline.from_events(run), {}))
    shapes = page.locator(".rows .track use").evaluate_all(
        "all => all.map(one => one.classList[0])"
    )
    assert shapes == ["failed", "completed"]
    assert "One of them that failed" in page.locator(".legend").first.inner_text()
    name = page.get_by_role("img").nth(1).get_attribute("aria-label")
    assert "Checks and publishing: 2s from 40s on, failed; Attempt 2" in name
    page.locator("#agent-1 summary").click()
    assert "Checks and publishing failed after 2s" in page.locator("#agent-1").inner_text()


def test_a_title_in_a_notebook_ends_before_the_bars_begin(look):
    page = look(timeline(2, mark="W" * 50)._repr_html_())
    bar = page.locator("rect").first.bounding_box()
    seen = "([x, y]) => document.elementsFromPoint(x, y).map((one) => one.tagName)"
    within = [bar["x"] - 100, bar["y"] + 5]
    behind = [bar["x"] + bar["width"] / 2, bar["y"] + 5]
    assert "text" in page.evaluate(seen, within)
    assert "text" not in page.evaluate(seen, behind)


def test_a_run_of_which_nothing_is_known_yet_has_a_page(look):
    over_time = Timeline.from_events(Run(), now=BEGAN)
    page = look(render(over_time, {}))
    assert "Running for 0s: 0 of 0 tasks completed so far." in page.locator("#verdict").inner_text()
    assert re.search(r"No agent told what it used\.", page.locator("main").inner_text())
