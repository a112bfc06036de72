"""Completion, in the shells that are there; for the others what click makes of it."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from command import WORKS, Place
from terminal import Terminal

from orchestration.cli import VERBS

WORD = "parallel-orchestrate"
VARIABLE = "_PARALLEL_ORCHESTRATE_COMPLETE"


@pytest.fixture
def ran(place: Place) -> Place:
    place.run(place.plan("Add a", "Add b"), "--agent", place.agent(WORKS), "--yes")
    return place


def offered(place: Place, *words: str) -> list[str]:
    """What is offered in the place of the last word, as bash gets it."""
    place.environment |= {
        VARIABLE: "bash_complete",
        "COMP_WORDS": " ".join([WORD, *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = place.run()
    assert (done.code, done.err) == (0, "")
    return [line.partition(",")[2] for line in done.out.splitlines()]


class TestOffers:
    def test_a_verb_may_stand_where_the_source_does(self, ran: Place) -> None:
        assert {*VERBS, "local#1"} <= set(offered(ran, ""))
        assert offered(ran, "w") == ["watch", "w"], "the verb, and files that begin so"

    def test_options_are_those_of_the_verb(self, place: Place) -> None:
        assert "--max-workers" in offered(place, "--m")
        assert offered(place, "watch", "--a") == ["--all"]
        assert "--dry-run" in offered(place, "plan.md", "--d")

    def test_issues_and_agents_are_those_that_there_are(self, ran: Place) -> None:
        for verb in ("watch", "status", "report", "cancel", "clean"):
            assert offered(ran, verb, "") == ["local#1"], verb
        assert offered(ran, "logs", "") == ["agent-1", "agent-2"]
        assert offered(ran, "logs", "agent-2", "--issue", "l") == ["local#1"]
        assert offered(ran, "logs", "--issue", "local#9", "") == []

    def test_values_of_options_are_offered(self, place: Place) -> None:
        for verb in (verb for verb in VERBS if verb not in {"completion", "demo"}):
            assert offered(place, verb, "--repo", "do") == ["do"], "what begins so, by the shell"
        assert offered(place, "plan.md", "--repo", "do") == ["do"]
        assert offered(place, "plan.md", "--agent", "") == ["amplifier", "claude", "copilot"]
        assert offered(place, "doctor", "--agent", "co") == ["copilot"]

    def test_outside_a_repository_nothing_is_wrong(self, place: Place) -> None:
        shutil.rmtree(place.root / ".git")
        assert offered(place, "watch", "") == []
        assert offered(place, "logs", "") == []

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_each_shell_has_its_script(self, place: Place, shell: str) -> None:
        done = place.run("completion", shell)
        assert (done.code, done.err) == (0, "")
        assert f"{VARIABLE}={shell}_complete" in done.out
        place.environment |= {VARIABLE: f"{shell}_complete", "COMP_CWORD": "1"}
        place.environment["COMP_WORDS"] = f"{WORD} wat"
        if shell == "fish":
            place.environment["COMP_CWORD"] = "wat"
        assert "watch" in place.run().out

    def test_another_shell_is_a_usage_error(self, place: Place) -> None:
        assert place.run("completion", "tcsh").code == 64


def set_up(place: Place, shell: str) -> str:
    """What the help says to do for a shell."""
    text = place.run("completion", "--help").out
    (told,) = re.findall(rf"^ +{shell}   (.+(?:\n {{11}}.+)*)$", text, re.MULTILINE)
    return "\n".join(line.strip() for line in told.splitlines())


@pytest.fixture(params=["bash", "fish", "zsh"])
def shell(request: pytest.FixtureRequest, place: Place) -> Iterator[Terminal]:
    """An interactive shell in a home where the help was followed, and nothing was there before."""
    path = shutil.which(request.param, path="/usr/local/bin:/usr/bin:/bin")
    if path is None:
        pytest.skip(f"{request.param} is not installed")
    subprocess.run(
        [path, "-c", set_up(place, request.param)], env=place.environment, check=True, timeout=20
    )
    terminal = Terminal([path, "-i"], cwd=place.root, environment=place.environment)
    terminal.type('echo rea""dy\n')
    terminal.until(lambda screen: "ready" in screen.rows, "the shell")
    yield terminal
    terminal.close()


def test_a_real_shell_completes_with_tab(shell: Terminal) -> None:
    line = ""
    for typed, completed in (
        (f"{WORD} compl\t", "completion"),
        ("b\t", "bash"),
        (f"\x15{WORD} REA\t", "README.md"),
        (f"\x15{WORD} doctor --repo .gi\t", "doctor --repo .git/"),
        (f"\x15{WORD} plan.md --output=j\t", "plan.md --output=json"),
        (f"\x15{WORD} plan.md --agent=cl\t", "plan.md --agent=claude"),
        (f"\x15{WORD} doctor --repo=.gi\t", "doctor --repo=.git/"),
    ):
        line = f"{WORD} {completed}" if WORD in typed else f"{line} {completed}"
        shell.type(typed)
        shell.until(lambda screen, line=line: line in screen.rows[screen.cursor.y], line)


def test_the_help_names_every_verb(place: Place) -> None:
    told = re.findall(r"^ +parallel-orchestrate (\w+)  +\S", place.run("--help").out, re.MULTILINE)
    assert told == sorted(VERBS)
