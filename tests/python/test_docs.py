"""The documents: their Python runs, their options exist, their links lead somewhere."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestration.cli import VERBS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SHOWN = [README, *sorted((ROOT / "docs").glob("*.md"))]
"""The documents whose Python is run."""
PROSE = sorted({*SHOWN, *ROOT.glob("*.md")})
"""The documents whose links are followed."""

FOREIGN = {"--allow-all-tools", "--dangerously-skip-permissions", "--scope"}
"""Options of other programs that the README names."""

FENCES = re.MULTILINE | re.DOTALL

PLAN = """\
# Sign-in

- [ ] Add a login form in auth/form.py
- [ ] Send a receipt from mail/receipt.py
- [ ] Document the API in docs/api.md
"""

CLAUDE = r"""
[ -z "$AGENT_ID" ] || { cat >/dev/null; echo done >"$AGENT_ID.txt"; }
case "$*" in
*"was done 3 times"*) printf '## Selection\nversion_2\n## Rationale\nIt alone knows weeks.\n' ;;
*"listened to a debate"*) printf '## Confidence Level\nMEDIUM: two of three agree.\n' ;;
*"Your field is security"*) printf '## Vote\nREJECT\n' ;;
*"Your field is simplicity"*) printf '## Vote\nAPPROVE\n' ;;
*"the primary one"*) exit 1 ;;
esac
echo "Done."
"""
"""In an orchestration the prompt is on standard input; in the drop-in that is a terminal.

The patterns know their agents by their prompts, and so does this one.
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of Python."""

    document: Path
    line: int
    code: str

    @property
    def is_program(self) -> bool:
        return self.code.startswith("#!")

    @property
    def prints(self) -> list[str]:
        """What the comments behind `print` say that it prints."""
        return re.findall(r"^ *print\(.*\)  # (.+)$", self.code, re.MULTILINE)

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def blocks() -> Iterator[Block]:
    for document in SHOWN:
        text = document.read_text(encoding="utf-8")
        for found in re.finditer(r"^```python\n(.*?)^```$", text, FENCES):
            yield Block(document, text.count("\n", 0, found.start()) + 1, found[1])


BLOCKS = list(blocks())
SNIPPETS = [block for block in BLOCKS if not block.is_program]
PROGRAMS = [block for block in BLOCKS if block.is_program]


@pytest.fixture
def repository(tmp_path, monkeypatch, agent):
    """A repository with a plan, and a scripted `claude` on the PATH."""
    agent(CLAUDE)
    monkeypatch.setenv("IS_SANDBOX", "1")  # root may run the tests
    root = tmp_path / "shop"
    root.mkdir()
    (root / "plan.md").write_text(PLAN, encoding="utf-8")
    (root / "Makefile").write_text("test:\n\t@true\n", encoding="utf-8")
    for arguments in (
        ["init", "--quiet"],
        ["config", "user.name", "Ada"],
        ["config", "user.email", "ada@example.invalid"],
        ["add", "--all"],
        ["commit", "--quiet", "--message=Begin"],
    ):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    return root


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))


def test_the_documents_hold_python() -> None:
    assert {block.document.name for block in BLOCKS} >= {"README.md", "agents.md", "patterns.md"}
    assert len(SNIPPETS) >= 8
    assert PROGRAMS
    assert sum(len(block.prints) for block in SNIPPETS) >= 3


@pytest.mark.parametrize("block", SNIPPETS, ids=str)
def test_what_a_document_shows_runs_and_prints_what_it_says(block, repository) -> None:
    done = run("-c", block.code, folder=repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    printed = done.stdout.splitlines()
    assert [line for line in block.prints if line not in printed] == []


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_an_agent_that_a_document_shows_is_one(block, repository, tmp_path) -> None:
    program = tmp_path / "agent.py"
    program.write_text(block.code, encoding="utf-8")
    command = f"{sys.executable} {program}"
    done = run("-m", "orchestration", "plan.md", "--agent", command, folder=repository)
    assert done.returncode == 0, done.stdout + done.stderr
    log = next((repository / ".claude" / "runtime" / "logs").glob("*/session.log"))
    assert "ignored its status file" not in log.read_text(encoding="utf-8")


def test_the_readme_names_the_options_that_exist_and_no_others(tmp_path) -> None:
    named = options(README.read_text(encoding="utf-8"))
    existing = set()
    for verb in ([], *([verb] for verb in VERBS)):
        done = run("-m", "orchestration", *verb, "--help", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        existing |= options(done.stdout)
    assert len(existing) > 15
    assert named - FOREIGN - existing == set()
    assert existing - named == set()


@pytest.mark.parametrize("document", PROSE, ids=lambda document: document.name)
def test_links_between_documents_lead_somewhere(document) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=FENCES)
    headings = {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        assert not path or (document.parent / path).exists(), target
        assert path or anchor in headings, target
