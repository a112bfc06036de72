"""The reference: nothing is missing in it, and every error says what to do about it."""

import ast
import re
import shlex
import sys
import textwrap
from pathlib import Path

import pytest
from test_docs import reader  # noqa: F401 - a fixture

import orchestration
from orchestration import _core
from orchestration.cli import PROGRAM, VERBS, orchestrate
from orchestration.events import EVENT_TYPES

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))
from _generate import REFERENCE, command, errors  # noqa: E402 - it is no part of the package

sys.path.remove(str(ROOT / "docs"))

REFUSALS = errors.refusals()
FAILURES = errors.failures()
PACKAGE = ROOT / "python" / "orchestration"
CLASSES = {"UsageError", "PlanError", "ValidationError", "ForgeError", "EngineError"}


@pytest.fixture(scope="module")
def pages():
    return {name.partition("/")[2]: write() for name, write in REFERENCE.items()}


def test_the_whole_catalogue_is_read():
    source = (ROOT / "src" / "error.rs").read_text(encoding="utf-8")
    assert len(REFUSALS) == source.count("#[error(") > 20
    assert {one.kind for one in REFUSALS} == set(errors.KINDS)
    assert len({one.anchor for one in REFUSALS}) == len(REFUSALS)


@pytest.mark.parametrize("one", REFUSALS, ids=lambda one: one.anchor)
def test_every_refusal_says_what_happened_and_what_to_do(one, pages):
    assert re.fullmatch(r"[A-Z`].*\.", one.doc)
    assert re.match(r"[a-zC*]", one.message), "a fragment, in lower case but for names"
    assert not one.message.endswith(".")
    assert len(one.hint) >= 20
    assert not re.search(r"[{}]", one.message + one.hint), "something is not filled in"
    assert all(one.fields.values())
    assert f"{{ #{one.anchor} }}" in pages["errors.md"]
    assert f"**What to do:** {one.hint}" in pages["errors.md"]


@pytest.mark.parametrize("one", FAILURES, ids=lambda one: one.anchor)
def test_every_failure_has_something_to_try(one, pages):
    assert one.fixes
    assert all(re.fullmatch(r"[A-Z].*[.:]`?\.?", fix) for fix in one.fixes)
    assert f"### {one.name} {{ #{one.anchor} }}" in pages["errors.md"]


def test_every_type_of_failure_is_read():
    source = (ROOT / "src" / "run" / "failure.rs").read_text(encoding="utf-8")
    (count,) = re.findall(r"pub const ALL: \[Self; (\d+)\]", source)
    assert len(FAILURES) == int(count)


def test_no_remedy_of_a_forge_is_empty():
    for path in (ROOT / "src" / "forge").rglob("*.rs"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r'remedy: (String::new\(\)|"")', source), path


def made_in_python():
    """Where the package makes refusals of its own: the function, and the call."""
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                for call in ast.walk(function):
                    if isinstance(call, ast.Call) and _name(call.func) in CLASSES:
                        yield pytest.param(function, call, id=f"{path.name}:{call.lineno}")


def _name(node):
    """`EngineError`, of `EngineError` and `_core.EngineError`; none for click's."""
    if isinstance(node, ast.Name):
        return node.id
    is_ours = isinstance(node, ast.Attribute) and _name(node.value) != "click"
    return node.attr if is_ours else None


@pytest.mark.parametrize(("function", "call"), [*made_in_python()])
def test_every_refusal_that_python_makes_gets_a_hint(function, call):
    hints = [
        target
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and node.lineno > call.lineno
        for target in node.targets
        if isinstance(target, ast.Attribute) and target.attr == "hint"
    ]
    assert hints


def test_the_exit_codes_are_those_of_the_exceptions():
    codes = {getattr(_core, name).exit_code for name in CLASSES}
    assert codes < set(errors.EXIT_CODES)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| ([\d, ]+) \| ", readme, re.MULTILINE)
    assert {int(code) for row in told for code in row.split(", ")} == set(errors.EXIT_CODES)


def test_every_option_of_every_verb_is_told(pages):
    for name, one in command.commands().items():
        assert f"## {name} {{" in pages["command.md"]
        for option in one.params:
            for spelling in option.opts:
                assert not spelling.startswith("-") or f"`{spelling}" in pages["command.md"]


AROUND = {
    "python.md": """\
import asyncio
from orchestration import stream

async def main():
{}
asyncio.run(main())
""",
    "events.md": """\
from orchestration import orchestrate
from orchestration.events import Failure, OrchestrationFinished, TaskFinished

def show(event):
{}
orchestrate("plan.md", verify="python -m unittest -q", on_event=show)
""",
}
"""The program around the examples of a page, which are parts of one."""

LAST = {"python.md": "0", "events.md": "over: 1"}
"""What they print at the end; one agent of the demo fails where its work is verified."""

EXAMPLE = re.compile(r":\n\n((?: {4}.*\n|\n(?= {4}))+)")


def examples():
    """The examples of docstrings, each with its page."""
    for name, write in REFERENCE.items():
        for example in EXAMPLE.findall(write()):
            yield pytest.param(name.partition("/")[2], example, id=example.strip().split("\n")[0])


EXAMPLES = [*examples()]


def test_every_example_of_a_docstring_is_found():
    """By what else tells one: `::` at the end of a line."""
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    marked = [line for source in sources for line in re.findall(r"(?m)^.*\w::$", source)]
    assert len(EXAMPLES) == len(marked) >= 2, marked


@pytest.mark.parametrize(("page", "example"), EXAMPLES)
def test_every_example_of_a_docstring_runs(page, example, reader):  # noqa: F811 - the fixture
    program = AROUND[page].format(textwrap.indent(textwrap.dedent(example), "    "))
    done = reader._run([sys.executable, "-W", "error", "-c", program], reader.fresh())
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == LAST[page]


def typed():
    """The examples of every help, as they are typed."""
    for one in (orchestrate.command, *VERBS.values()):
        for block in re.findall(r"Examples?:\n((?:  .+\n?)+)", one.epilog):
            for line in block.splitlines():
                yield re.split(r" {2,}| [|<] ", line.strip())[0]


@pytest.mark.parametrize("line", [*typed()])
def test_every_example_of_a_help_is_understood(line):
    program, *words = shlex.split(line)
    assert program == PROGRAM
    if words[0] in VERBS:
        VERBS[words[0]].make_context(words[0], words[1:])
    else:
        orchestrate.command.make_context(program, words)


def test_every_event_is_told_with_its_fields(pages):
    for name, event in EVENT_TYPES.items():
        (section,) = re.findall(rf"(?ms)^## \w+ {{ #{name} }}$(.*?)(?=^## )", pages["events.md"])
        assert (event.__doc__ or "").partition("\n")[0] in section
        own = vars(event).get("__annotations__", {})
        assert [field for field in own if f"| `{field}` |" not in section] in ([], ["NESTED"])


def test_no_cell_of_a_table_is_torn(pages):
    for page in pages.values():
        for table in re.findall(r"(?m)(?:^\|.*\n)+", page):
            rows = [re.sub(r"`[^`]*`|\\\|", "", row).count("|") for row in table.splitlines()]
            assert len(set(rows)) == 1, table
            assert not re.search(r"`[^`|\n]*\\\|[^`\n]*`", table), "code shows its backslashes"


def test_every_public_name_is_told(pages):
    for name in orchestration.__all__:
        page = "errors.md" if name.endswith("Error") else "python.md"
        assert name in pages[page]
        assert page == "errors.md" or f"### {name} {{ #{name} }}" in pages[page]
    assert "repo: str | PathLike[str] = '.',\n" in pages["python.md"]
    for name, page in pages.items():
        anchors = re.findall(r"\{ #([\w.-]+) \}$", page, re.MULTILINE)
        assert len(set(anchors)) == len(anchors), name
    assert "<class" not in pages["python.md"]
    assert ":class:" not in "".join(pages.values())
    assert "``" not in pages["python.md"].replace("```", "")
