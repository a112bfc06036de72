"""The Python interface, from the package itself: signatures, docstrings, dataclasses."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestration
from orchestration import _records, events, patterns, report

from .text import markdown, table

if TYPE_CHECKING:
    from collections.abc import Callable

RUNNING = ("orchestrate", "stream", "parse_plan", "validate")
"""Names that stand first, in this order."""

INHERITED = ("self", "cls")

WIDTH = 90
"""As wide as a page shows code."""

_MODULES = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Z])")
"""What stands before the names of classes."""


def page() -> str:
    """Every public name of the package and of its patterns."""
    names = [*RUNNING, *(name for name in orchestration.__all__ if name not in RUNNING)]
    errors = [name for name in names if name.endswith("Error")]
    parts = [
        "# Python",
        (
            "Every public name, as the package itself documents it. [Events](events.md) and"
            " [exceptions](errors.md#exceptions) have pages of their own."
        ),
        "## orchestration",
        *(_entry(getattr(orchestration, name)) for name in names if name not in errors),
        "## orchestration.patterns",
        "[Patterns](../patterns.md) shows how they are used.",
        *(_entry(getattr(patterns, name)) for name in patterns.__all__),
    ]
    return "\n\n".join(parts) + "\n"


def events_page() -> str:
    """Every event with its fields."""
    nested = (events.PlannedTask, events.Rerun, events.Failure)
    parts = [
        "# Events",
        markdown((events.__doc__ or "").partition("Pure.")[0]).replace(
            "`orchestration.orchestrate`", "[`orchestrate`](python.md#orchestrate)"
        ),
        (
            "In JSON each has `v`, the version of the schema"
            f" ({events.SCHEMA_VERSION}), and `type`, its name. All have these fields:"
        ),
        _fields(events.Event),
        *(
            _dataclass(event, f"`{name}` in JSON. ", anchor=name)
            for name, event in events.EVENT_TYPES.items()
        ),
        _dataclass(events.UnknownEvent, anchor="unknown_event"),
        "## What they hold",
        *(_dataclass(record, level=3) for record in (*nested, report.Report, report.TaskReport)),
    ]
    return "\n\n".join(parts) + "\n"


def _entry(value: Any) -> str:
    """A function or class under a heading of its name."""
    name = getattr(value, "__name__", "")
    doc = markdown(inspect.getdoc(value) or "")
    if inspect.isclass(value):
        if dataclasses.is_dataclass(value):
            parts = [f"### {name} {{ #{name} }}", doc, _fields(value)]
        else:
            parts = [f"### {name} {{ #{name} }}", doc]
        parts += [_method(value, method) for method in _methods(value)]
        return "\n\n".join(part for part in parts if part)
    return f"### {name} {{ #{name} }}\n\n{_signature(name, value)}\n\n{doc}"


def _methods(value: type) -> list[str]:
    """The public methods and properties that the class itself documents."""
    return [
        name
        for base in reversed(value.__mro__)
        if base.__module__.startswith("orchestration")
        for name, member in vars(base).items()
        if not name.startswith("_") and inspect.getdoc(_function(member)) and _is_code(member)
    ]


def _function(member: object) -> Any:
    """The function itself, of a property or a class method as well."""
    return getattr(member, "fget", None) or getattr(member, "__func__", None) or member


def _is_code(member: object) -> bool:
    return inspect.isfunction(_function(member))


def _method(value: type, name: str) -> str:
    member = inspect.getattr_static(value, name)
    title = f"#### {value.__name__}.{name} {{ #{value.__name__}.{name} }}"
    doc = markdown(inspect.getdoc(_function(member)) or "")
    if isinstance(member, property):
        return f"{title}\n\n{doc}"
    return f"{title}\n\n{_signature(name, _function(member))}\n\n{doc}"


def _signature(name: str, function: Callable[..., object]) -> str:
    """As one would write it, a parameter a line where one line is too short."""
    signature = inspect.signature(function)
    parameters: list[str] = []
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and "*" not in parameters:
            parameters.append("*")
        if one.name not in INHERITED:
            parameters.append(_parameter(one))
    prefix = "async " if inspect.iscoroutinefunction(function) else ""
    result = f" -> {_annotation(signature.return_annotation)}"
    short = f"{prefix}{name}({', '.join(parameters)}){result}"
    if len(short) > WIDTH:
        lines = "".join(f"    {one},\n" for one in parameters)
        short = f"{prefix}{name}(\n{lines}){result}"
    return f"```text\n{short}\n```"


def _parameter(one: inspect.Parameter) -> str:
    star = "*" * (one.kind is one.VAR_POSITIONAL) or "**" * (one.kind is one.VAR_KEYWORD)
    default = "" if one.default is one.empty else f" = {one.default!r}"
    return f"{star}{one.name}: {_annotation(one.annotation)}{default}"


def _annotation(value: object) -> str:
    text = value if isinstance(value, str) else inspect.formatannotation(value)
    return _MODULES.sub("", text)


def _dataclass(value: type, doc: str = "", *, anchor: str = "", level: int = 2) -> str:
    heading = f"{'#' * level} {value.__name__} {{ #{anchor or value.__name__} }}"
    parts = [heading, doc + markdown(value.__doc__ or "")]
    own = _fields(value, inherited=False)
    return "\n\n".join([*parts, *([own] if own else [])])


def _fields(value: type, *, inherited: bool = True) -> str:
    """The fields of a dataclass with the words below each, as a table."""
    told: dict[str, str] = {}
    for base in reversed(value.__mro__):
        if dataclasses.is_dataclass(base):
            told |= _words(base)
    own = vars(value).get("__annotations__", {})
    rows = [
        [f"`{field.name}`", f"`{_annotation(field.type)}`", told.get(field.name, "")]
        for field in dataclasses.fields(value)
        if (inherited or field.name in own) and not field.name.startswith("_")
    ]
    return table(["field", "type", ""], rows) if rows else ""


def _words(value: type) -> dict[str, str]:
    """The texts below the fields of a class, which Python itself does not keep."""
    module = inspect.getmodule(value)
    if module is None or module.__file__ is None or value is _records.Record:
        return {}
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    (body,) = (
        node.body
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name == value.__name__
    )
    told = {}
    for field, text in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            told[field.target.id] = markdown(text.value.value)
    return told
