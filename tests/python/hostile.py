"""Hostile issues and agents, and what is asked of every run with them."""

import json
import re
import subprocess
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from command import Outcome, Place

FIXTURES = Path(__file__).parents[1] / "fixtures" / "hostile"
TITLES: list[dict[str, Any]] = json.loads((FIXTURES / "titles.json").read_text(encoding="utf-8"))
INJECTION = (FIXTURES / "injection.md").read_text(encoding="utf-8")


def issue_of(titles: Iterable[dict[str, Any]]) -> str:
    """An issue that tries to give orders, with these tasks."""
    return f"{INJECTION}## Tasks\n\n" + "".join(f"- [ ] {title['task']}\n" for title in titles)


MARKER = "<!-- parallel-orchestrate "

DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Names that are no files on Windows."""


def is_hidden(letter: str) -> bool:
    """A control character, or one of Unicode's that are not seen or change the direction."""
    return unicodedata.category(letter) in {"Cc", "Cf"} and letter not in "\u200c\u200d"


def assert_one_line(text: str) -> None:
    assert not any(map(is_hidden, text)), ascii(text)
    assert text == text.strip()


def assert_harmless_output(done: Outcome) -> None:
    """Nothing that is printed moves a cursor, colours, reorders or hides."""
    for line in (done.out + done.err).splitlines():
        assert not any(map(is_hidden, line)), ascii(line)


def assert_issue(title: str, body: str) -> None:
    """An issue of ours has a title in a line, a marker of its own alone, and hides nothing."""
    assert_one_line(title)
    assert len(title) <= 256
    first, *rest = body.splitlines()
    assert first.startswith(MARKER), first
    assert "<!--" not in outside_code("\n".join(rest))
    assert not re.search(r"<[A-Za-z/!?]", outside_code("\n".join(rest)))
    assert "@octocat" not in body
    hidden = {letter for letter in body if is_hidden(letter)} - {"\n", "\t", "\u200b"}
    assert not hidden, ascii(hidden)


def outside_code(markdown: str) -> str:
    """Markdown without its fenced blocks and code spans."""
    text = re.sub(r"(?ms)^[> ]*(`{3,})[^`\n]*\n.*?^[> ]*\1`*\s*$", "", markdown)
    return re.sub(r"(`+)[^`].*?\1", "", text)


def assert_branches(place: Place, branches: Iterable[str], count: int) -> None:
    """Branches have names that git takes, that no file system mixes up or refuses."""
    folded = set()
    for branch in branches:
        place.git("check-ref-format", "--branch", branch)
        assert re.fullmatch(r"feat/(issue|local)-\d+-agent-\d+", branch), branch
        assert not any(DEVICES.fullmatch(part) for part in branch.split("/"))
        folded.add(branch.casefold())
    assert len(folded) == count


def files_below(folder: Path) -> set[str]:
    """All files and folders, as paths from there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def assert_nothing_outside(place: Place, before: set[str]) -> None:
    """Whatever is new lies in the folders that are ours, or is git's."""
    root = place.root.name
    ours = (f"{root}/.git/", f"{root}/.claude", f"{root}.worktrees", "github/")
    new = files_below(place.root.parent) - before
    assert not [path for path in new if not path.startswith(ours)]
    assert not [path for path in new if "pwned" in path.lower()]
    assert place.git("status", "--porcelain") == ""


def assert_nowhere(secrets: Iterable[str], place: Place, *texts: Any) -> None:
    """No secret is in a file below the folder of the test, in git's objects, or in the texts.

    Nor does it come together on a terminal, which shows no escapes.
    """
    secrets = list(secrets)
    everything = [str(text) for text in texts]
    for path in place.root.parent.rglob("*"):
        if path.is_file() and path.suffix != ".sh":
            everything.append(path.read_bytes().decode("utf-8", "replace"))
        everything.append(path.name)
    everything.append(objects(place.root))
    everything = [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text) for text in everything]
    for secret in secrets:
        found = [text for text in everything if secret in text]
        assert not found, found[0][:2000]


def objects(repository: Path) -> str:
    """Everything that git holds, reachable or not."""
    return subprocess.run(
        ["git", "cat-file", "--batch-all-objects", "--batch"],
        cwd=repository,
        check=True,
        capture_output=True,
    ).stdout.decode("utf-8", "replace")
