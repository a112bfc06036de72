"""The documents: their blocks run, their options exist, their links lead somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import on_amplihack
import pytest
from command import WORKS
from documents import PAGES, ROOT, RUN, Reader, blocks, is_shown
from tests.support.github import FakeGitHub

from orchestration.cli import PROGRAM, VERBS, orchestrate
from orchestration.demo import HERE, build

PROSE = sorted({*PAGES, *ROOT.glob("*.md")})
"""The documents whose links are followed."""

FOREIGN = {
    *("--allow-all-tools", "--dangerously-skip-permissions"),  # of agents
    *("--output-format", "--verbose", "--session-id", "--max-budget-usd", "--resume"),
    *("--oneline", "--user", "--scope", "--quiet", "--message", "--short", "--heads", "--list"),
    *("--stat", "--format", "--fast", "--sandbox", "--approval-mode", "--global"),
}
"""Options of other programs that the documents name."""

CLAUDE = r"""
case "$*" in
*"was done 3 times"*) printf '## Selection\nversion_2\n## Rationale\nIt alone knows weeks.\n' ;;
*"listened to a debate"*) printf '## Confidence Level\nMEDIUM: two of three agree.\n' ;;
*"Your field is security"*) printf '## Vote\nREJECT\n' ;;
*"Your field is simplicity"*) printf '## Vote\nAPPROVE\n' ;;
*"the primary one"*) exit 1 ;;
esac
[ -z "$AGENT_ID" ] || "$PYTHON" -IS "$DEMO" 0 2>/dev/null || echo done >"$AGENT_ID.txt"
echo "Done."
"""
"""In an orchestration it is the demo's agent, which knows the demo's tasks and no others.

The patterns know their agents by their prompts, and so does this one.
"""

REPOSITORY = "octocat/bookshop"

FIXTURES = {
    "README.md": "on_github",
    "drop-in.md": "with_amplihack",
    "github.md": "on_github",
    "tutorial.md": "on_github",
}
"""Whose repositories are special."""


@pytest.fixture
def reader(tmp_path, agent):
    """Somebody with a scripted `claude` on the PATH, who gets repositories of the demo."""
    agent(CLAUDE)
    environment = {
        "PATH": os.pathsep.join(
            [str(tmp_path / "bin"), str(Path(sys.executable).parent), "/usr/bin", "/bin"]
        ),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "LANG": "C.UTF-8",
        "PYTHON": sys.executable,
        "DEMO": str(HERE / "agent.py"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AMPLIHACK_DELEGATE": "amplihack claude",
        "IS_SANDBOX": "1",  # root may run the tests
    }
    made = 0

    def fresh():
        nonlocal made
        made += 1
        folder = tmp_path / f"{made}" / "bookshop"
        folder.parent.mkdir()
        build(folder)
        return folder

    return Reader(fresh, clone(tmp_path), environment)


MAKE = """
case $1 in test) set -- --dry-run "$@" ;; esac
exec {make} -o .venv/.built -o .venv/.installed "$@"
"""


def clone(tmp_path):
    """A folder with what is built here, and a `make` that takes it as it is."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Cargo.toml", "Cargo.lock", "Makefile", "pyproject.toml", "src", "tests"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    shim = tmp_path / "bin" / "make"
    shim.write_text("#!/bin/sh" + MAKE.format(make=shutil.which("make")), encoding="utf-8")
    shim.chmod(0o755)
    return folder


@pytest.fixture
def on_github(reader, tmp_path):
    """The same with clones of a repository on a GitHub of its own, with an issue 1234."""
    with FakeGitHub(tmp_path / "github") as fake:
        files = {
            path.relative_to(HERE / "bookshop").as_posix(): path.read_text(encoding="utf-8")
            for path in (HERE / "bookshop").rglob("*")
            if path.is_file() and path.suffix in {".py", ".md"}
        }
        fake.add_repository(REPOSITORY, files=files, owner_kind="User")
        fake.add_issue(REPOSITORY, "First")
        numbered = fake.model.repository(REPOSITORY).numbered
        numbered[1233] = numbered.pop(1)
        fake.add_issue(REPOSITORY, "Spring", files["plan.md"])
        reader.environment |= {"GITHUB_API_URL": fake.api_url, "GH_TOKEN": fake.token}
        url = fake.clone_url(REPOSITORY, user="octocat")

        made = 0

        def fresh():
            nonlocal made
            made += 1
            folder = tmp_path / f"clone-{made}"
            for command in (
                ["clone", "--quiet", url, str(folder)],
                ["-C", str(folder), "config", "user.name", "Ada"],
                ["-C", str(folder), "config", "user.email", "ada@example.invalid"],
            ):
                subprocess.run(["git", *command], env=reader.environment, check=True)
            return folder

        reader.fresh = fresh
        yield reader


@pytest.fixture
def with_amplihack(reader):
    """The same with amplihack's package in the repository."""
    bare = reader.fresh

    def fresh():
        folder = bare()
        on_amplihack.put(folder)
        return folder

    reader.fresh = fresh
    return reader


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_runs_and_prints_what_it_says(page, request):
    reader = request.getfixturevalue(FIXTURES.get(page.name, "reader"))
    expected = [one for one in blocks(page) if one.title or one.language in RUN]
    assert reader.follow(page) == len(expected)


def test_the_job_for_ci_is_a_command_that_runs(on_github):
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"- run: (parallel-orchestrate .*)", text)
    done = subprocess.run(
        ["sh", "-c", command.replace("${{ github.event.issue.number }}", "1234") + " --dry-run"],
        cwd=on_github.fresh(),
        env=on_github.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Parsed 5 sub-tasks from issue #1234" in done.stdout


def test_the_files_that_are_listed_are_those_of_a_run(place):
    command = place.plan("Add a"), "--agent", place.agent(WORKS), "--keep-worktrees"
    assert place.run(*command).code == 0
    (tree,) = [one.code for one in blocks(ROOT / "docs" / "files.md") if one.language == "text"]
    left = [str(path.relative_to(place.root.parent)) for path in place.root.parent.rglob("*")]
    for path in listed(tree):
        # A plan's numbers have `local-` before them.
        pattern = re.escape(path.replace("issue-{n}", "{n}").replace("{repository}", "shop"))
        for name, what in PLACEHOLDERS.items():
            pattern = pattern.replace(re.escape(name), what)
        assert [one for one in left if re.fullmatch(pattern, one)], path


PLACEHOLDERS = {"{n}": r"(local-)?\d+", "{N}": r"\d+", "{orchestration}": r"orch-local-[\d-]+"}


def listed(tree):
    """The paths of the tree, from the folder around the repository."""
    top, *lines = [re.split(r" {2,}|/ one ", line.strip())[0] for line in tree.splitlines()]
    for line in lines:
        folder = ""
        for path in line.split(", "):
            folder = path.rpartition("/")[0] or folder
            if path.startswith("../"):
                yield path.removeprefix("../")
            else:
                yield f"shop/{top}{folder}/{path.rpartition('/')[2]}"


def test_there_is_much_to_run():
    every = [block for page in PAGES for block in blocks(page)]
    assert {block.language for block in every} >= {*RUN}
    assert sum(len(block.prints) for block in every) >= 20
    shown = [block.typed for block in every if block.language == "console"]
    assert sum(len(printed) for typed in shown for _, printed in typed) >= 20


@pytest.mark.parametrize(
    ("expected", "printed", "shown"),
    [
        (["a", "…", "z"], "a\nb\nc\nz\n", True),
        (["a", "…", "z"], "a\nz\n", True),
        (["a (…s)"], "a (12s)\n", True),
        (["a (…s)"], "a (12m)\n", False),
        (["a"], "a\nb\n", False),
        (["a.c"], "abc\n", False),
    ],
)
def test_a_gap_stands_for_anything_and_all_else_for_itself(expected, printed, shown):
    assert is_shown(expected, printed) is shown


def test_the_documents_name_options_that_exist():
    existing = {"--help"}
    for command in (orchestrate.command, *VERBS.values()):
        for one in command.params:
            existing |= {*one.opts, *one.secondary_opts}
    for bench in (ROOT / "benches").glob("*.py"):
        existing |= set(re.findall(r'add_argument\(\s*"(--[\w-]+)"', bench.read_text("utf-8")))
    assert len(existing) > 30
    for page in PAGES:
        assert options(page.read_text(encoding="utf-8")) - FOREIGN - existing == set(), page.name


def test_the_documents_name_targets_of_make_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    existing = set(re.findall(r"(?m)^([a-z-]+):", makefile))
    named = set()
    for page in PROSE:
        for words in re.findall(r"`make ([^`]+)`", page.read_text(encoding="utf-8")):
            named |= {word for word in words.split() if "=" not in word}
    assert {"test", "lint", "simulate", "bench"} <= named <= existing


def test_a_simulated_failure_is_replayed_as_contributing_says():
    (block,) = [one for one in blocks(ROOT / "CONTRIBUTING.md") if one.language in RUN]
    variable, _, command = block.code.strip().partition("=42 ")
    simulator = (ROOT / "src" / "world" / "sim" / "tests.rs").read_text(encoding="utf-8")
    assert f'number("{variable}")' in simulator
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert command in makefile.replace(" --release", ""), "`make simulate` runs the same, for long"


def test_the_help_of_the_command_lists_every_verb():
    listed = re.findall(rf"^  {PROGRAM} ([a-z]+)  +\S", orchestrate.EPILOG, re.MULTILINE)
    assert listed == sorted(VERBS)


def options(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))


@pytest.mark.parametrize("document", PROSE, ids=lambda document: document.name)
def test_links_between_documents_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", outside_blocks(document)):
        path, _, anchor = target.partition("#")
        if "://" in target or path.startswith("reference/"):
            continue  # the site's build looks after those
        led = (document.parent / path).resolve() if path else document
        led = ROOT / f"{led.stem.upper()}.md" if led.name in AT_THE_TOP else led
        assert led.exists(), target
        assert not anchor or anchor in headings(led), target


AT_THE_TOP = {"architecture.md", "contributing.md", "changelog.md"}
"""Pages of the site that lie at the top of the repository."""


def outside_blocks(document):
    return re.sub(r"(?ms)^( *)```.*?^\1```$", "", document.read_text(encoding="utf-8"))


def headings(document):
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", outside_blocks(document), re.MULTILINE)
    }
