"""Writes files of ours into places that belong to somebody else, and knows them again.

Each file carries a seal: a comment with the checksum of the rest. So a file that nobody changed
since some version of ours wrote it can be told from one that somebody did: the first may be brought
up to date, the second is theirs, and is written over only where they say so.

Here are the slash command and its skill; :mod:`.amplihack_folder` does the same for amplihack's
modules. Nothing here prints.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from . import _core

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = Path(__file__).parent
COMMAND = PACKAGE / "commands" / "parallel-orchestrate.md"
SKILL = PACKAGE / "skills" / "parallel-task-orchestrator" / "SKILL.md"

PLUGIN = "amplihack"
"""The plugin's name, because Claude Code puts it before the command: amplihack:parallel-…"""

_SEAL = re.compile(
    r"^# written by parallel-orchestrate install, sha256 ([0-9a-f]{64})\n", re.MULTILINE
)


class State(enum.Enum):
    """What stands where a file of ours belongs."""

    MISSING = "missing"
    SAME = "same"
    OLDER = "older"
    """Another version of ours, as that version wrote it."""
    CHANGED = "changed"
    """A file of ours that somebody changed, or one that was never ours."""


@dataclass(frozen=True)
class OwnFile:
    """A file as it is to stand somewhere."""

    path: Path
    text: str

    def look(self) -> State:
        """What stands there now.

        Raises:
            EngineError: it cannot be read.
        """
        found = read(self.path)
        if found is None:
            return State.MISSING
        if found == self.text.encode():
            return State.SAME
        return State.OLDER if is_untouched(found) else State.CHANGED


def command_files(root: Path) -> list[OwnFile]:
    """The slash command and its skill, for a repository or a home folder."""
    claude = root / ".claude"
    return [
        OwnFile(claude / "commands" / PLUGIN / COMMAND.name, seal(COMMAND)),
        OwnFile(claude / "skills" / SKILL.parent.name / SKILL.name, seal(SKILL)),
    ]


def plugin_files(folder: Path) -> list[OwnFile]:
    """The same as a plugin of Claude Code: what it finds by its place, and a manifest."""
    return [
        OwnFile(folder / ".claude-plugin" / "plugin.json", _manifest(_core.__version__)),
        OwnFile(folder / "commands" / COMMAND.name, seal(COMMAND)),
        OwnFile(folder / "skills" / SKILL.parent.name / SKILL.name, seal(SKILL)),
    ]


def install(files: Sequence[OwnFile], *, force: bool) -> list[tuple[str, Path]]:
    """Writes what is missing or older. Returns what was done, file by file.

    Raises:
        EngineError: a file was changed and ``force`` is not set; then nothing is written. Or one
            cannot be written.
    """
    states = [(file, file.look()) for file in files]
    refuse_changed([file.path for file, state in states if state is State.CHANGED and not force])
    done = []
    for file, state in states:
        if state is not State.SAME:
            write(file.path, file.text.encode())
        word = {State.MISSING: "written", State.SAME: "unchanged"}.get(state, "updated")
        done.append((word, file.path))
    return done


def refuse_changed(paths: Sequence[Path]) -> None:
    """Refuses to write over files that somebody changed.

    Raises:
        EngineError: there are some.
    """
    if paths:
        names = ", ".join(map(str, paths))
        fail(
            f"will not write over {names}: changed by somebody else",
            "see the difference with --check, and write over it with --force",
        )


def seal(source: Path) -> str:
    """The text of a file of the package, with its seal.

    In Markdown it stands in the front matter, as a comment of YAML: no model gets to read it.
    """
    text = source.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    line = f"# written by parallel-orchestrate install, sha256 {digest}\n"
    place = text.index("\n---\n", 3) + 1 if source.suffix == ".md" else 0
    return text[:place] + line + text[place:]


def is_sealed(data: bytes) -> bool:
    """Whether some version of ours wrote it, whatever became of it since."""
    return _SEAL.search(data.decode(errors="replace")) is not None


def is_untouched(data: bytes) -> bool:
    """Whether it is as some version of ours wrote it."""
    text = data.decode(errors="replace")
    if found := _SEAL.search(text):
        rest = text[: found.start()] + text[found.end() :]
        return hashlib.sha256(rest.encode()).hexdigest() == found[1]
    try:  # JSON has no comments, but this one has a version
        return text == _manifest(json.loads(text)["version"])
    except (ValueError, TypeError, KeyError):
        return False


def read(path: Path) -> bytes | None:
    """A file's content, where there is one.

    Raises:
        EngineError: there is, and it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _give_up("read", path, error)


def write(path: Path, data: bytes) -> None:
    """Writes a file as a whole or not at all, with the folders above it.

    Where the path is a symbolic link, what it points to is written.

    Raises:
        EngineError: it cannot be written.
    """
    target = path.resolve()
    draft = target.with_name(f".{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_bytes(data)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        _give_up("write", path, error)


def remove(path: Path) -> None:
    """Removes a file.

    Raises:
        EngineError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _give_up("remove", path, error)


def fail(message: str, hint: str) -> NoReturn:
    """Raises an error of this machine: exit code 9.

    Raises:
        EngineError: always.
    """
    error = _core.EngineError(message)
    error.hint = hint
    raise error


def _give_up(verb: str, path: Path, error: OSError) -> NoReturn:
    reason = error.strerror or str(error)
    fail(f"cannot {verb} {path}: {reason}", "check the rights of its folder, and the disk")


def _manifest(version: str) -> str:
    data = {
        "name": PLUGIN,
        "version": version,
        "description": "Runs the tasks of an issue or a plan side by side, "
        "each with a coding agent in its own git worktree",
        "author": {"name": "The amplihack-orchestration authors"},
        "license": "MIT",
        "keywords": ["parallel", "orchestration", "agents", "worktrees"],
    }
    return json.dumps(data, indent=2) + "\n"
