"""The verb `report`: where the page goes, what is in it, and what it says of what cannot be."""

import json
import re
from pathlib import Path

import pytest
from command import WORKS, refused

from orchestration import excerpts
from orchestration.timeline import Timeline
from orchestration.transcript import for_people

ROOT = Path(__file__).parents[2]

CLAUDE = ROOT / "tests/fixtures/claude"

FAILS = "cat >/dev/null; echo '<b>Working</b>'; [ $AGENT_ID = agent-1 ] || exit 3; echo >x.txt"


def hrefs(page):
    found = re.findall(r'href="([^"]+)"', page.read_text(encoding="utf-8"))
    return [place for place in found if not place.startswith("#")]


def test_a_run_becomes_a_page_whose_links_lead_somewhere(place):
    plan = place.plan("Add a", "Add <b> & c")
    assert place.run(plan, "--agent", place.agent(FAILS), "--yes").code == 2
    done = place.run("report")
    page = place.runtime / "parallel/local-1/report.html"
    assert (done.code, done.out, done.err) == (0, f"{page}\n", "")
    text = page.read_text(encoding="utf-8")
    assert "1 of 2 tasks completed" in text
    assert "&lt;b&gt;Working&lt;/b&gt;" in text
    assert "<b>Working" not in text
    links = hrefs(page)
    assert len(links) == 6  # the issue, one a task, a change request, twice, a diagnosis
    assert [link for link in links if not (page.parent / link).is_file()] == []

    elsewhere = place.root.parent / "a folder" / "spring.html"
    elsewhere.parent.mkdir()
    assert place.run("report", "local#1", "--output", str(elsewhere)).out == f"{elsewhere}\n"
    assert len(hrefs(elsewhere)) == 6
    assert [link for link in hrefs(elsewhere) if not (elsewhere.parent / link).is_file()] == []
    assert place.git("status", "--porcelain") == "?? plan.md"

    told = Timeline.from_dict(json.loads(place.run("report", "--json").out))
    context = place.summary()["context"]
    assert told.state == "finished"
    assert -0.01 < told.wall_seconds - context["wall_seconds"] < 2  # the comment comes after it
    assert abs(told.sequential_seconds - context["sequential_seconds"]) < 0.01
    assert told.peak == context["peak_concurrency"]
    assert [task.lines_of_code for task in told.tasks] == [1, 0]

    for nowhere in ("/nowhere/x.html", str(place.root / "plan.md/x.html")):
        refused(place.run("report", "--output", nowhere), 9, "cannot write", nowhere)
    refused(place.run("report", "local#9"), 64, "no orchestration of local#9")
    refused(place.run("report", "--json", "--open"), 64, "--json")


def test_the_page_is_opened_in_the_browser_of_ones_choice(place):
    assert place.run(place.plan("Add a"), "--agent", place.agent(WORKS)).code == 0
    opened = place.root.parent / "opened"
    browser = place.root.parent / "browser"
    browser.write_text(f"#!/bin/sh\necho \"$1\" >'{opened}'\n", encoding="utf-8")
    browser.chmod(0o755)
    place.environment["BROWSER"] = f"{browser} %s"
    assert place.run("report", "--open").code == 0
    page = place.runtime / "parallel/local-1/report.html"
    assert opened.read_text(encoding="utf-8") == f"{page.as_uri()}\n"


@pytest.fixture
def damaged(place):
    """Two tasks, of which the journal still tells how the agent of the first ended."""
    plan = place.plan("Add a", "Add b")
    assert place.run(plan, "--agent", place.agent(WORKS), "--max-workers", "1").code == 0
    (journal,) = place.runtime.glob("parallel/local-1/orch-*.jsonl")
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    last = next(at for at, line in enumerate(lines) if '"agent_ended"' in line) + 1
    lines[last] = lines[last].replace("seq", "sea")
    journal.write_text("".join(lines), encoding="utf-8")
    return f"{journal} is damaged at line {last + 1}"


def test_of_a_damaged_journal_the_page_shows_what_stands_before_the_damage(place, damaged):
    done = place.run("report")
    assert (done.code, damaged in done.err) == (9, True), done.err
    page = Path(done.out.strip()).read_text(encoding="utf-8")
    assert "Its journal is damaged" in page
    assert "its process died" not in page.lower()
    shown = json.loads(place.run("report", "--json").out)
    assert damaged in shown["damage"]
    spans = [[span["kind"] for span in task["spans"]] for task in shown["tasks"]]
    assert spans[0][:2] == ["setup", "agent"]
    assert spans[1] == []


@pytest.mark.usefixtures("damaged")
def test_a_journal_that_is_damaged_before_it_begins_makes_no_page(place):
    (journal,) = place.runtime.glob("parallel/local-1/orch-*.jsonl")
    journal.write_bytes(b"x" + journal.read_bytes())
    refused(place.run("report"), 9, journal.name, "damaged at line 1")
    assert not journal.with_name("report.html").exists()


def test_the_stream_of_claude_code_reads_as_a_conversation():
    lines = (CLAUDE / "success.jsonl").read_text(encoding="utf-8").splitlines()
    shown = list(for_people(lines))
    assert shown[5].startswith("  │ File created successfully at: /home/ada/shop/greeting.py")
    assert shown == [
        "· Claude Code 2.1.332, claude-opus-5-5",
        "I begin.",
        "▸ Bash List the files",
        "  │ (Bash completed with no output)",
        "▸ Write /home/ada/shop/greeting.py",
        shown[5],  # a long line
        "▸ Bash Run the program",
        "  │ Hello",
        "▸ Bash Commit the work",
        "  │ (Bash completed with no output)",
        "The greeting is there.",
        "■ success, 5 turns, $0.03",
        "The greeting is there.",
    ]


def test_every_recorded_stream_can_be_read():
    recorded = sorted(CLAUDE.glob("*.jsonl"))
    assert len(recorded) > 10
    for stream in recorded:
        shown = list(for_people(stream.read_text(encoding="utf-8").splitlines()))
        assert len(shown) > 1, stream
        assert not any(line.startswith('{"type"') for line in shown), stream


def test_what_is_no_stream_of_claude_code_stays_as_it_is():
    lines = [
        "plain",
        "\x1b[1;31mred\x1b[0m \x1b]8;;https://example.org\x07link\x1b]8;;\x07",
        "10%\r50%\r100% done",
        '{"type": "assistant", "message":',
        '{"level": "info", "message": "started"}',
        '{"type": "assistant", "message": {"content": [1, {"type": "text", "text": 2}]}}',
        "[" * 5000,
        '{"a":' * 5000,
    ]
    shown = list(for_people(lines))
    assert shown[:5] == ["plain", "red link", "100% done", *lines[3:5]]
    assert shown[5:] == lines[6:]


class Logged:
    """An orchestration of which only the logs matter."""

    def __init__(self, folder):
        self.folder = folder

    def log(self, agent):
        return self.folder / f"agent-{agent}.log"


def test_an_excerpt_is_the_end_of_a_log_and_longer_for_a_failure(tmp_path):
    from made_up import many  # noqa: PLC0415

    timeline = Timeline.from_events(many(3))
    for agent in (1, 2):
        text = "".join(f"line {number}\n" for number in range(1000))
        (tmp_path / f"agent-{agent}.log").write_text(text + "\n\n", encoding="utf-8")
    shown = excerpts.of(Logged(tmp_path), timeline)
    assert shown[1] == [f"line {number}" for number in range(940, 1000)]
    assert shown[2] == [f"line {number}" for number in range(800, 1000)]
    assert 3 not in shown


def test_two_hundred_logs_full_of_markup_leave_the_page_small(tmp_path):
    from made_up import many  # noqa: PLC0415

    from orchestration.page import render  # noqa: PLC0415

    timeline = Timeline.from_events(many(200, workers=24))
    for agent in range(1, 201):
        log = tmp_path / f"agent-{agent}.log"
        log.write_bytes(b'<"&>\xff' * 200_000 if agent % 2 else b'<"&>\xff\n' * 100_000)
    page = render(timeline, excerpts.of(Logged(tmp_path), timeline))
    assert 1_000_000 < len(page.encode()) < 1_500_000
