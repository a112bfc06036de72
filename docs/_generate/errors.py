"""Exit codes, exceptions, refusals and failures, read out of the Rust sources.

The catalogue of refusals is `src/error.rs`: what stands there is what people see, so it is read
rather than repeated. What is not found as expected is an error here, and not a gap on the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from orchestration import _core

from .text import markdown, table

SOURCE = Path(__file__).parents[2] / "src"

EXIT_CODES = {
    0: "all tasks succeeded",
    1: "some failed; at least 80% succeeded (`AMPLIHACK_SUCCESS_THRESHOLD`)",
    2: "fewer than that, or none",
    3: "no tasks found in the plan, or all are done",
    4: "tasks depend on each other, or warnings were not accepted",
    5: "GitHub, or the local forge, refused or could not be reached",
    9: "system error: no git, repository, commit, agent or space, or another run of the plan",
    64: "called wrongly: an unknown option, a value out of range, a missing plan, nothing to retry",
    130: "interrupted, by Ctrl-C or `cancel`",
    143: "terminated",
}

EXCEPTIONS = """\
What is refused is an exception in Python. All of them stand below `OrchestrationError`, and have
the `exit_code` of the command and a `hint`, the way out in one line. Tasks that fail raise nothing.
"""

REFUSALS = """\
The command prints a refusal as `error:` and its way out as `hint:`. The event
[`error`](events.md#error) and the exception hold the same.
"""

FAILURES = """\
A task that fails has one of these types in its status file, its diagnostic issue and its event. The
issue suggests what stands here.
"""

KINDS = ("Usage", "Plan", "Validation", "Forge", "Engine")


@dataclass(frozen=True)
class Refusal:
    """A variant of `Error`."""

    name: str
    doc: str
    message: str
    """As people see it, with the names of what is filled in between asterisks."""
    fields: dict[str, str]
    """What is filled in, and what that is."""
    kind: str
    hint: str
    """What to do; where it comes with the error, what its field says."""

    @property
    def anchor(self) -> str:
        """Its place on the page: `plan-missing`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", self.name).lower()


@dataclass(frozen=True)
class Failure:
    """Why a task fails, with what a diagnostic issue suggests."""

    name: str
    doc: str
    fixes: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """Its place on the page: `test-timeout`."""
        return self.name.lower().replace("_", "-")


def refusals() -> list[Refusal]:
    """The catalogue, in the order of the source."""
    text = (SOURCE / "error.rs").read_text(encoding="utf-8")
    variants = _between(text, "pub enum Error {\n", "\n}\n")
    kinds = _arms(_between(text, "pub const fn kind(&self) -> Kind {", "\n    }\n"))
    hints = _arms(_between(text, "pub fn hint(&self) -> String {", "\n    }\n"))
    found = []
    for match in _VARIANT.finditer(variants + "\n"):
        fields = {
            field["name"]: _doc(field["doc"]) for field in _FIELD.finditer(match["body"] or "")
        }
        name = match["name"]
        hint = _literals(hints[name])
        if not hint:  # it is handed over with the error
            (field,) = re.findall(r"=> \{?\s*(\w+)\.clone\(\)", hints[name])
            hint = f"the hint comes with the error: {fields[field][0].lower()}{fields[field][1:]}"
        found.append(
            Refusal(
                name=name,
                doc=_doc(match["doc"]),
                message=_message(match["message"]),
                fields=fields,
                kind=re.findall(r"Kind::(\w+)", kinds[name])[0],
                hint=_shown(hint),
            )
        )
    return found


def failures() -> list[Failure]:
    """The types of failure of a task."""
    text = (SOURCE / "run" / "failure.rs").read_text(encoding="utf-8")
    types = _between(text, "pub enum ErrorType {\n", "\n}\n")
    names = dict(re.findall(r'Self::(\w+) => "([A-Z_]+)"', text))
    rows = (SOURCE / "report" / "fixes.rs").read_text(encoding="utf-8")
    rows = _between(rows, "pub const TABLE: [Row; ", "\n];\n")
    fixes = {
        name: tuple(re.findall(r'"((?:[^"\\]|\\.)*)"', body))
        for name, body in re.findall(
            r"error: ErrorType::(\w+),.*?fixes: &\[(.*?)\],\n    \}", rows, re.DOTALL
        )
    }
    return [
        Failure(names[name], _doc(doc), fixes[name])
        for doc, name in re.findall(r"((?:    ///.*\n)+)    (\w+),", types + "\n")
    ]


def page() -> str:
    """Exit codes and errors."""
    parts = [
        "# Exit codes and errors",
        "## Exit codes",
        table(["code", "meaning"], [[f"{code}", text] for code, text in EXIT_CODES.items()]),
        "## Exceptions",
        EXCEPTIONS,
        table(["exception", "exit code", ""], map(_exception, KINDS)),
        "## Refusals",
        REFUSALS,
    ]
    by_kind = {kind: [one for one in refusals() if one.kind == kind] for kind in KINDS}
    for kind, ones in by_kind.items():
        parts += [f"### {kind} {{ #{kind.lower()}-errors }}", *map(_refusal, ones)]
    parts += [
        "## Failures",
        FAILURES,
        *map(_failure, failures()),
    ]
    return "\n\n".join(parts) + "\n"


def _exception(kind: str) -> list[str]:
    exception = getattr(_core, f"{kind}Error")
    doc = re.search(
        rf'class {kind}Error\(OrchestrationError\):\n    """(.*?)"""', _stubs(), re.DOTALL
    )
    words = markdown(doc[1]) if doc else ""
    return [f"`{exception.__name__}`", f"{exception.exit_code}", words.partition(" Exit code")[0]]


def _stubs() -> str:
    return (SOURCE.parent / "python/orchestration/_core.pyi").read_text(encoding="utf-8")


def _refusal(one: Refusal) -> str:
    told = [f"- *{name}*: {text}" for name, text in one.fields.items() if text]
    parts = [
        f"#### {one.doc.rstrip('.')} {{ #{one.anchor} }}",
        f"> error: {one.message}",
        *(["\n".join(told)] if told else []),
        f"**What to do:** {one.hint}",
    ]
    return "\n\n".join(parts)


def _failure(one: Failure) -> str:
    fixes = "\n".join(f"- {fix}" for fix in one.fixes)
    return f"### {one.name} {{ #{one.anchor} }}\n\n{one.doc}\n\n{fixes}"


_VARIANT = re.compile(
    r"(?P<doc>(?:    ///.*\n)+)"
    r"    #\[error\((?P<message>.*)\)\]\n"
    r"    (?P<name>\w+)(?: \{\n(?P<body>(?: {8}.*\n)+)    \})?,\n"
)
_FIELD = re.compile(r"(?P<doc>(?: {8}///.*\n)+) {8}(?P<name>\w+): ")


def _between(text: str, begin: str, end: str) -> str:
    return text.split(begin, 1)[1].split(end, 1)[0]


def _doc(comment: str) -> str:
    return " ".join(
        line.strip().removeprefix("///").strip() for line in comment.strip().splitlines()
    )


def _arms(text: str) -> dict[str, str]:
    """The arms of a match by the names of their variants."""
    arms: dict[str, str] = {}
    waiting: list[str] = []
    for part in re.split(r"(?=Self::\w+)", text)[1:]:
        waiting.append(re.findall(r"^Self::(\w+)", part)[0])
        if "=>" in part:
            arms |= dict.fromkeys(waiting, part)
            waiting = []
    return arms


def _literals(code: str) -> str:
    """The text that an expression holds."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', code))


def _message(attribute: str) -> str:
    """The text of `#[error(…)]`, with names for what is filled in by its place."""
    literal, *_ = re.findall(r'^"((?:[^"\\]|\\.)*)"', attribute)
    for argument in re.split(r", (?![^(]*\))", attribute[len(literal) + 2 :])[1:]:
        words = re.findall(r'"((?:[^"\\]|\\.)*)"', argument)
        name = re.findall(r"\w+", argument)[0]
        literal = literal.replace("{}", words[-1] if words else f"{{{name}}}", 1)
    return _shown(literal)


def _shown(literal: str) -> str:
    """What is filled in stands between asterisks."""
    return re.sub(
        r"\{(\w*)\}", lambda found: f"*{found[1] or 'path'}*", literal.replace(r"\"", '"')
    )
