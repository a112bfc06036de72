"""The live table: as it is drawn, and on a real pseudo-terminal.

Times on the screen are made equal, since they depend on the machine.
"""

# ruff: noqa: E501 - a picture of the screen is as wide as that

import random
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest
from command import COMMAND, Place
from terminal import Screen, Terminal

from orchestration import events
from orchestration.cli.live import Live

START = 1_764_590_400.0
HOSTILE = "Add \x1b[2J\x1b]0;owned\x07\x1b[31ma\rb\u202ec\x9b5nd"


def stamp(seconds: float) -> str:
    from datetime import datetime, timezone  # noqa: PLC0415

    return datetime.fromtimestamp(START + seconds, timezone.utc).isoformat()


class Stage:
    """A table on a screen, with a clock and a window of its own and no process."""

    def __init__(self, columns: int, lines: int) -> None:
        self.size = (columns, lines)
        self.now = 0.0
        self.screen = Screen(columns, lines)
        self.plain: list[str] = []
        self.live = Live(
            size=lambda: self.size, clock=lambda: START + self.now, is_in_front=lambda: True
        )

    def tell(self, kind: type[events.Event], **fields: object) -> None:
        event = kind(seq=1, time=stamp(self.now), orchestration="o", **fields)  # type: ignore[arg-type]
        self.live.apply(event)

    def print(self, line: str) -> None:
        self.plain.append(line)
        self._write(self.live.above(f"{line}\n"))

    def draw(self) -> str:
        """The window, after the table is drawn anew."""
        self.now += 1
        self._write(self.live.news())
        return re.sub(r"until \d\d:\d\d", "until 12:12", self.screen.shown)

    def resize(self, columns: int, lines: int) -> None:
        self.size = (columns, lines)
        self.screen.resize(lines, columns)

    def _write(self, text: str) -> None:
        self.screen.feed(text.replace("\r\n", "\n").replace("\n", "\r\n"))


def five(stage: Stage) -> None:
    """A run of five tasks: done, failed, two at work, one that waits."""
    titles = [
        "Add login form",
        "Add sign-out",
        "Send receipts by mail",
        "Document the API",
        "Add e",
    ]
    tasks = tuple(events.PlannedTask(agent, title) for agent, title in enumerate(titles, 1))
    stage.tell(events.PlanParsed, source="plan.md", title="Sign-in", tasks=tasks)
    at = {"agents": (1, 2, 3, 4, 5), "batch_size": None, "interval": 30}
    stage.tell(events.BatchStarted, batch=1, batches=1, max_workers=4, **at)
    for agent in (1, 2, 3, 4):
        begin(stage, agent)
    stage.now = 60
    stage.tell(events.AgentProgress, agent=1, stage="Editing auth/form.py", percent=90)
    finish(stage, 1, pr_number=1240)
    finish(stage, 2, failure=events.Failure("testing", "TEST_TIMEOUT", "slow", timed_out=True))
    stage.tell(events.AgentProgress, agent=3, stage="Running the tests of the mailer", percent=45)
    usage = {"input_tokens": 123_000, "output_tokens": 456, "cost_usd": 0.42}
    stage.tell(events.AgentUsage, agent=3, **usage)
    stage.tell(events.AgentProgress, agent=4, stage="Reading docs/", percent=10)
    stage.now = 90


def begin(stage: Stage, agent: int) -> None:
    stage.tell(events.WorktreeCreated, agent=agent, path="/w", branch="b")
    stage.tell(events.AgentStarted, agent=agent, attempt=1, pid=1, pgid=1)


def finish(stage: Stage, agent: int, pr_number=None, failure=None) -> None:
    outcome = {"success": failure is None, "pr_number": pr_number, "failure": failure}
    stage.tell(events.TaskFinished, agent=agent, duration_seconds=stage.now, **outcome)


def hundred(stage: Stage) -> None:
    """The second batch of a run of 100 tasks, with 40 at once."""
    tasks = tuple(events.PlannedTask(agent, f"Port module {agent}") for agent in range(1, 101))
    stage.tell(events.PlanParsed, source="plan.md", title="Port", tasks=tasks)
    at = {"batch": 2, "batches": 2, "batch_size": 50, "interval": 30}
    stage.tell(events.BatchStarted, agents=tuple(range(51, 101)), max_workers=40, **at)
    for agent in range(1, 71):
        begin(stage, agent)
    stage.now = 60
    broken = events.Failure("testing", "TEST_FAILURE", "red", timed_out=False)
    for agent in range(1, 36):
        finish(stage, agent, failure=broken if agent in {3, 30} else None, pr_number=agent)
    for agent in range(36, 71):
        stage.tell(events.AgentProgress, agent=agent, stage="Writing", percent=agent)
    stage.tell(events.PoolPaused, reason="usage limit", until=stamp(723))


class TestDrawing:
    def test_five_agents_in_a_usual_window(self) -> None:
        stage = Stage(80, 24)
        five(stage)
        stage.print("🤖 Deployed 5 agents (max_workers=4)")
        assert stage.draw() == FIVE_80

    def test_five_agents_in_a_small_window(self) -> None:
        stage = Stage(40, 10)
        five(stage)
        stage.print("🤖 Deployed 5 agents (max_workers=4)")
        assert stage.draw() == FIVE_40

    def test_five_agents_in_a_wide_window(self) -> None:
        stage = Stage(200, 50)
        five(stage)
        assert stage.draw() == FIVE_200

    def test_it_says_how_many_requests_are_left_and_until_when(self) -> None:
        stage = Stage(120, 24)
        five(stage)
        stage.tell(events.ForgeAllowance, remaining=4812, reset=stamp(stage.now + 1861))
        assert " 4812 requests left for 31m" in stage.draw().splitlines()[1]

    def test_a_hundred_agents_in_a_usual_window_are_grouped(self) -> None:
        stage = Stage(80, 24)
        hundred(stage)
        assert stage.draw() == HUNDRED_80

    def test_a_hundred_agents_in_a_small_window_are_grouped(self) -> None:
        stage = Stage(40, 10)
        hundred(stage)
        assert stage.draw() == HUNDRED_40

    def test_a_hundred_agents_in_a_wide_window_leave_room_for_the_lines(self) -> None:
        stage = Stage(200, 50)
        hundred(stage)
        shown = stage.draw().splitlines()
        assert len(shown) == 33
        assert shown[-1].startswith("✗ 2 failed: 3, 30")

    @pytest.mark.parametrize("columns", [1, 2, 5, 12, 20, 39, 54, 70, 76, 96, 108, 120, 300])
    @pytest.mark.parametrize("lines", [1, 2, 3, 6, 24])
    def test_no_window_is_too_small_or_overrun(self, columns: int, lines: int) -> None:
        for play in (five, hundred):
            stage = Stage(columns, lines)
            play(stage)
            shown = stage.draw().splitlines()
            assert len(shown) <= max(lines * 2 // 3, 1)
            assert shown or columns == 1
            assert all(len(row) < max(columns, 2) for row in shown)
            assert not stage.screen.history.top

    def test_at_work_nobody_moves_without_need(self) -> None:
        def shown() -> list[int]:
            return [int(found) for found in re.findall(r"Port module (\d+)", stage.draw())]

        stage = Stage(80, 24)
        hundred(stage)
        assert shown() == [36, 37, 38, 39, 40, 41, 42, 43]
        finish(stage, 45, pr_number=45)
        assert shown() == [36, 37, 38, 39, 40, 41, 42, 43]
        finish(stage, 40, pr_number=40)
        assert shown() == [36, 37, 38, 39, 41, 42, 43, 44]

    def test_hostile_words_draw_nothing(self) -> None:
        stage = Stage(80, 24)
        tasks = (events.PlannedTask(1, HOSTILE),)
        stage.tell(events.PlanParsed, source="plan.md", title="t", tasks=tasks)
        begin(stage, 1)
        stage.tell(events.AgentProgress, agent=1, stage=HOSTILE, percent=1)
        stage.print("before")
        shown = stage.draw()
        assert shown.startswith("before\n")
        assert "Add [2J]0;owned" in shown
        assert stage.screen.titles == []

    def test_characters_of_an_unknown_width_break_no_row(self) -> None:
        stage = Stage(40, 12)
        tasks = (events.PlannedTask(1, "👩‍👩‍👧‍👦👍🏽 各位" * 9),)
        stage.tell(events.PlanParsed, source="plan.md", title="t", tasks=tasks)
        for _ in range(3):
            stage.print("x")
            rows = stage.draw().splitlines()
        assert rows[:3] == ["x", "x", "x"]
        assert sum("at work" in row for row in rows) == 1

    def test_a_failure_has_the_words_of_its_line(self) -> None:
        stage = Stage(120, 24)
        five(stage)
        for agent, error in ((3, "UNKNOWN"), (4, "API_ERROR")):
            failure = events.Failure("implementation", error, "why", timed_out=False)
            finish(stage, agent, failure=failure)
        shown = stage.draw()
        assert "  Unknown error  " in shown
        assert "  API error  " in shown

    def test_what_earlier_attempts_used_is_counted(self) -> None:
        stage = Stage(120, 24)
        five(stage)
        stage.tell(events.AgentFinished, **ENDED)
        assert stage.live.view.count(stage.live.view.tasks[3].standing) == 2, "waiting, as agent 5"
        stage.tell(events.AgentStarted, agent=3, attempt=2, pid=1, pgid=1)
        stage.tell(events.AgentUsage, agent=3, input_tokens=1, output_tokens=0, cost_usd=0.08)
        assert "$0.50" in stage.draw()


ENDED = {"agent": 3, "attempt": 1, "outcome": "failed", "exit_code": 1, "duration_seconds": 1.0}


class TestLines:
    @pytest.mark.parametrize("seed", range(8))
    def test_none_is_lost_however_the_window_changes(self, seed: int) -> None:
        chance = random.Random(seed)
        stage = Stage(80, 24)
        five(stage)
        for number in range(50):
            match chance.choice(["print", "print", "draw", "resize", "agent"]):
                case "print":
                    stage.print(f"<line {number}{' long' * chance.randrange(30)}>")
                case "draw":
                    stage.draw()
                case "resize":
                    # Wider only: the emulator cuts what a real terminal would wrap.
                    stage.resize(stage.size[0] + chance.randrange(3), chance.randrange(3, 40))
                case "agent":
                    stage.tell(events.AgentProgress, agent=4, stage=f"s{number}", percent=number)
        stage._write(stage.live.leave())
        assert stage.screen.holds(stage.plain), stage.screen.shown
        assert "atwork" not in stage.screen.everything
        assert stage.screen.is_sane

    def test_nothing_is_written_where_nothing_has_changed(self) -> None:
        stage = Stage(80, 24)
        five(stage)
        stage.now = 200.0
        first = stage.live.news()
        stage.now += 0.05
        assert stage.live.news() == "", "too soon"
        stage.now += 0.2
        assert stage.live.news() == "", "nothing new"
        stage.now += 1
        again = stage.live.news()
        assert len(again) > 0
        assert "\x1b[2J" not in first + again
        assert "\r\x1b[J" not in again, "drawn in place, not removed first"

    def test_no_line_stands_above_a_table_that_contradicts_it(self) -> None:
        stage = Stage(80, 24)
        five(stage)
        stage.draw()
        stage.tell(events.AgentProgress, agent=4, stage="Writing docs/", percent=20)
        stage.print("a line of nobody")
        assert "2 of 4 at work" in stage.screen.shown
        assert "Reading docs/" in stage.screen.shown, "drawn again so soon for no task's end"
        finish(stage, 3, pr_number=1241)
        stage.print("✅ Agent-3 completed")
        assert "1 of 4 at work" in stage.screen.shown
        assert "PR #1241" in stage.screen.shown

    def test_a_job_in_the_background_draws_nothing(self) -> None:
        live = Live(size=lambda: (80, 24), clock=lambda: START, is_in_front=lambda: False)
        live.apply(events.PlanParsed(1, stamp(0), "o", "p", "t", (events.PlannedTask(1, "a"),)))
        assert (live.news(), live.above("line\n")) == ("", "line\n")


WAITS = """cat >/dev/null
echo '{"progress_percentage": 45, "current_stage": "Writing"}' >tmp; mv tmp .agent_status.json
while [ ! -e ../../go ]; do sleep 0.02; done; echo done >$AGENT_ID.txt
"""
"""An agent that says what it does, and ends once there is a file `go` beside the repository."""

COLOUR = r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d)(?:;\d+)*m"

Start = Callable[..., Terminal]


@pytest.fixture
def start(place: Place) -> Iterator[Start]:
    """Starts the command on a terminal."""
    terminals: list[Terminal] = []

    def begin(*arguments: str, **options: object) -> Terminal:
        environment = place.environment | options.pop("environment", {})  # type: ignore[operator]
        command = options.pop("command", None) or [*COMMAND, *arguments]
        terminals.append(
            Terminal(command, cwd=place.root, environment=environment, **options)  # type: ignore[arg-type]
        )
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


def go(place: Place) -> None:
    (place.root.parent / "go").touch()


def at_work(screen: Screen) -> bool:
    return screen.shown.count("● ") == 2 and screen.shown.count("45%") == 4


def plan(place: Place) -> tuple[str, ...]:
    """A run of two tasks, as its arguments."""
    return (place.plan("Add a", "Add b"), "--agent", place.agent(WAITS), "--yes")


def lines(place: Place) -> list[str]:
    """What the run has printed, as any other reader gets it."""
    return place.run("watch", "--all").out.splitlines()


class TestOnATerminal:
    def test_a_run_shows_the_table_and_leaves_the_lines(self, place: Place, start: Start) -> None:
        terminal = start(*plan(place))
        terminal.until(at_work, "two agents at work")
        shown = re.sub(r" +\d+s", "  0s", terminal.screen.shown)
        assert shown[shown.index("───") :] == TWO_80
        assert terminal.screen.cursor.hidden
        assert re.search(COLOUR, terminal.written)
        go(place)
        assert terminal.end() == 0
        assert terminal.screen.holds(lines(place))
        assert "at work" not in terminal.screen.shown
        assert terminal.screen.rows[terminal.screen.cursor.y - 1].startswith("🎉")
        assert terminal.screen.is_sane

    def test_the_window_may_change_meanwhile(self, place: Place, start: Start) -> None:
        terminal = start(*plan(place), size=(60, 20))
        terminal.until(at_work, "two agents at work")
        terminal.resize(100, 10)
        terminal.until(lambda screen: "─" * 99 in screen.shown and at_work(screen), "it to follow")
        assert "─" * 100 not in terminal.screen.shown
        go(place)
        assert terminal.end() == 0
        assert terminal.screen.holds(lines(place))
        assert "atwork" not in terminal.screen.everything

    def test_ctrl_c_leaves_the_terminal_as_it_was(self, place: Place, start: Start) -> None:
        terminal = start(*plan(place))
        terminal.until(at_work, "two agents at work")
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.screen.is_sane
        assert "stopping the agents; once more to kill them" in terminal.screen.shown
        assert "at work" not in terminal.screen.shown
        assert terminal.screen.holds(lines(place))

    def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(
        self, place: Place, start: Start
    ) -> None:
        watch = f"'{COMMAND[0]}' -m orchestration watch"
        place.run(*plan(place), "--detach")
        shell = f"{watch}; echo in the shell; while [ ! -e ../on ]; do sleep 0.02; done; fg"
        terminal = start(command=["bash", "-mc", shell])
        terminal.until(at_work, "two agents at work")
        terminal.type("\x1a")
        terminal.until(lambda screen: "in the shell" in screen.shown, "the shell")
        assert "at work" not in terminal.screen.shown
        assert terminal.screen.is_sane
        (place.root.parent / "on").touch()
        terminal.until(at_work, "the table again")
        go(place)
        terminal.end()
        assert terminal.screen.is_sane

    def test_with_no_color_there_is_none(self, place: Place, start: Start) -> None:
        terminal = start(*plan(place), environment={"NO_COLOR": "1"})
        terminal.until(at_work, "two agents at work")
        go(place)
        terminal.end()
        assert "\x1b[1m" in terminal.written, "bold is no colour"
        assert not re.search(COLOUR, terminal.written)

    def test_a_terminal_that_can_nothing_gets_the_lines(self, place: Place, start: Start) -> None:
        go(place)
        terminal = start(*plan(place), environment={"TERM": "dumb"})
        assert terminal.end() == 0
        assert "\x1b" not in terminal.written
        assert terminal.written.splitlines() == lines(place)

    def test_where_only_one_stream_is_a_terminal_no_byte_is_lost_or_added(
        self, place: Place, start: Start
    ) -> None:
        go(place)
        terminal = start(*plan(place), stdout=subprocess.PIPE)
        out = terminal.process.stdout
        assert out is not None
        with out:
            assert out.read().decode().splitlines() == lines(place)
        assert terminal.end() == 0
        assert terminal.written == ""

    def test_json_is_json_on_a_terminal_too(self, place: Place, start: Start) -> None:
        go(place)
        terminal = start(*plan(place), "--output", "json")
        assert terminal.end() == 0
        assert all(events.Event.from_json(line) for line in terminal.written.splitlines())

    def test_watch_has_the_same_table(self, place: Place, start: Start) -> None:
        place.run(*plan(place), "--detach")
        terminal = start("watch")
        terminal.until(at_work, "two agents at work")
        shown = re.sub(r" +\d+s", "  0s", terminal.screen.shown)
        assert shown[shown.index("───") :] == TWO_80
        late = start("watch", "--all")
        late.until(at_work, "the same in another terminal")
        assert "waiting" not in late.written, "what was before is shown as lines alone"
        terminal.process.terminate()
        assert terminal.end() == -15
        assert terminal.screen.is_sane
        go(place)
        again = start("watch", "--all")
        assert again.end() == 0
        assert again.screen.holds(lines(place))

    def test_a_run_that_is_taken_up_again_knows_what_was(self, place: Place, start: Start) -> None:
        arguments = plan(place)
        first = start(*arguments)
        first.until(at_work, "two agents at work")
        first.process.kill()
        first.end()
        second = start(*arguments)
        second.until(lambda screen: "● 2  Add b" in screen.shown, "the table, with titles")

    def test_hostile_titles_do_nothing(self, place: Place, start: Start) -> None:
        go(place)
        place.plan(HOSTILE.replace("\r", ""), "Add b")
        terminal = start("plan.md", "--agent", place.agent(WAITS), "--yes")
        assert terminal.end() == 0
        assert terminal.screen.titles == []
        assert "\x1b[31m" not in terminal.written


FIVE_80 = """\
🤖 Deployed 5 agents (max_workers=4)
───────────────────────────────────────────────────────────────────────────────
2 of 4 at work · 1 waiting · 1 done · 1 failed · 1m 31s · $0.42 · 123.5k tokens
     task                 stage                progress           time     cost
✓ 1  Add login form       PR #1240             ━━━━━━━━  100%   1m 00s
✗ 2  Add sign-out         Test timeout         ╌╌╌╌╌╌╌╌    0%   1m 00s
● 3  Send receipts by m…  Running the tests …  ━━━╌╌╌╌╌   45%   1m 31s    $0.42
● 4  Document the API     Reading docs/        ╌╌╌╌╌╌╌╌   10%   1m 31s
· 5  Add e"""

FIVE_40 = """\
🤖 Deployed 5 agents (max_workers=4)
───────────────────────────────────────
2 of 4 at work · 1 waiting · 1 done
     task                          time
● 3  Send receipts by m…   45%   1m 31s
● 4  Document the API      10%   1m 31s
✗ 1 failed: 2"""

FIVE_200 = """\
───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
2 of 4 at work · 1 waiting · 1 done · 1 failed · 1m 31s · $0.42 · 123.5k tokens
     task                                                              stage                                                             progress                   time     cost  tokens    last sign
✓ 1  Add login form                                                    PR #1240                                                          ━━━━━━━━━━━━━━━━  100%   1m 00s
✗ 2  Add sign-out                                                      Test timeout                                                      ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌    0%   1m 00s
● 3  Send receipts by mail                                             Running the tests of the mailer                                   ━━━━━━━╌╌╌╌╌╌╌╌╌   45%   1m 31s    $0.42  123.5k      31s ago
● 4  Document the API                                                  Reading docs/                                                     ━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌   10%   1m 31s                       31s ago
· 5  Add e"""

HUNDRED_80 = """\
───────────────────────────────────────────────────────────────────────────────
batch 2 of 2 · 35 of 40 at work · 30 waiting · 33 done · 2 failed · 1m 01s
paused until 12:12, for 11m 02s more: usage limit
       task                    stage                   progress           time
● 36   Port module 36          Writing                 ━━╌╌╌╌╌╌   36%   1m 01s
● 37   Port module 37          Writing                 ━━╌╌╌╌╌╌   37%   1m 01s
● 38   Port module 38          Writing                 ━━━╌╌╌╌╌   38%   1m 01s
● 39   Port module 39          Writing                 ━━━╌╌╌╌╌   39%   1m 01s
● 40   Port module 40          Writing                 ━━━╌╌╌╌╌   40%   1m 01s
● 41   Port module 41          Writing                 ━━━╌╌╌╌╌   41%   1m 01s
● 42   Port module 42          Writing                 ━━━╌╌╌╌╌   42%   1m 01s
● 43   Port module 43          Writing                 ━━━╌╌╌╌╌   43%   1m 01s
● 27 more at work: 44-70
· 30 waiting: 71-100
✓ 33 done: 1-2, 4-29, 31-35
✗ 2 failed: 3, 30"""

HUNDRED_40 = """\
───────────────────────────────────────
batch 2 of 2 · 35 of 40 at work
paused until 12:12, for 11m 02s more: …
       task                        time
● 36   Port module 36      36%   1m 01s
● 34 more at work: 37-70"""

TWO_80 = """\
───────────────────────────────────────────────────────────────────────────────
2 of 5 at work ·  0s
     task                     stage                    progress           time
● 1  Add a                    Writing                  ━━━╌╌╌╌╌   45%  0s
● 2  Add b                    Writing                  ━━━╌╌╌╌╌   45%  0s"""
