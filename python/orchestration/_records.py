"""Frozen dataclasses that are read from JSON and written back to it unchanged.

The native layer speaks JSON; programs should not have to. A :class:`Record` is one JSON object:
arrays become tuples, nested objects become records, fields that a newer version added are
ignored, and a field that may be absent (its default is ``None``) is left out again where it is.

Pure. Nothing here reads or writes anything.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self


@dataclass(frozen=True)
class Record:
    """One JSON object with named, typed fields."""

    NESTED: ClassVar[Mapping[str, type[Record]]] = {}
    """Fields that hold another record, or an array of them."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads a parsed JSON object.

        Raises:
            KeyError: a field without a default is missing.
        """
        values = {}
        for field in fields(cls):
            key = field.name.rstrip("_")  # `from_` stands for `from`, which Python keeps to itself
            if key in data or field.default is MISSING:
                values[field.name] = _read(data[key], cls.NESTED.get(field.name))
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object as dictionaries and lists, ready for :func:`json.dumps`."""
        return {
            field.name.rstrip("_"): _write(value)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None or field.default is not None
        }

    def to_json(self, *, indent: int | None = None) -> str:
        """The JSON object as text; on one line unless ``indent`` says otherwise."""
        separators = (",", ":") if indent is None else None
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent, separators=separators)


def _read(value: Any, record: type[Record] | None) -> Any:
    if isinstance(value, list):
        return tuple(_read(item, record) for item in value)
    if record is not None and isinstance(value, dict):
        return record.from_dict(value)
    return value


def _write(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_write(item) for item in value]
    return value
