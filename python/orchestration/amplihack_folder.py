"""Turns amplihack's own modules into re-exports of the installed package, and back.

Programs put ``.claude/tools/amplihack`` first on ``sys.path``, where amplihack keeps a package
named as ours. The modules that both have are replaced there by those of :file:`reexports/`; what
amplihack alone has stays, and works on ours. What was replaced is kept in the folder
:data:`BACKUP`, from which :func:`undo` restores it byte for byte.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from . import _core
from .installation import (
    PACKAGE,
    OwnFile,
    State,
    fail,
    is_sealed,
    is_untouched,
    read,
    refuse_changed,
    remove,
    seal,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MODULES = ("claude_process", "execution", "session")
"""What both packages have."""

PATTERNS = ("__init__", "cascade", "debate", "expert_panel", "n_version")
"""What both have in the package ``patterns``, of which amplihack may lack some or all."""

_NAMES = (
    *(f"{name}.py" for name in ("__init__", *MODULES)),
    *(f"patterns/{name}.py" for name in PATTERNS),
)
"""All of these files, in the order in which they are replaced."""

_TEMPLATES = {"__init__.py": "package.py", "patterns/__init__.py": "patterns.py"}

BACKUP = ".replaced"
"""The folder of what was replaced. With its dot, no import leads there."""

_MANIFEST = "manifest.json"


def find(path: Path) -> Path:
    """The folder of amplihack's package, from itself or a folder around it.

    Raises:
        UsageError: it is not there.
    """
    below = (".", "orchestration", "tools/amplihack/orchestration")
    for candidate in (*below, ".claude/tools/amplihack/orchestration"):
        folder = path / candidate
        if all((folder / f"{name}.py").is_file() for name in ("__init__", *MODULES)):
            return folder.resolve()
    error = _core.UsageError(f"no package of amplihack in {path}")
    error.hint = "name its folder, .claude/tools/amplihack/orchestration, behind --amplihack"
    raise error


def files(folder: Path) -> list[OwnFile]:
    """What is to stand there.

    The package comes first: as long as it is amplihack's, it cannot load a module of ours. Of the
    patterns only what is there is replaced; the rest is found in the installed package.
    """
    texts = {
        name: seal(PACKAGE / "reexports" / name) for name in ("module.py", *_TEMPLATES.values())
    }
    return [
        OwnFile(folder / name, texts[_TEMPLATES.get(name, "module.py")])
        for name in _NAMES
        if not name.startswith("patterns/") or (folder / name).is_file()
    ]


def install(folder: Path, *, force: bool) -> list[tuple[str, Path]]:
    """Replaces the modules, with a backup. Returns what was done, file by file.

    A module of amplihack's own, an updated one too, is backed up and replaced. A re-export that
    somebody changed is written over only with ``force``.

    Raises:
        EngineError: such a file is there without ``force``; then nothing is written. Or a file
            cannot be written.
    """
    looked = [(file, file.look(), read(file.path)) for file in files(folder)]
    theirs = {
        file.path: data
        for file, state, data in looked
        if state is State.CHANGED and data is not None and not is_sealed(data)
    }
    changed = [file.path for file, state, _ in looked if state is State.CHANGED]
    refuse_changed([path for path in changed if path not in theirs and not force])
    done = _back_up(folder, theirs)
    for file, state, _ in looked:
        if state is not State.SAME:
            write(file.path, file.text.encode())
        words = {State.SAME: "unchanged", State.MISSING: "written"}
        word = "replaced" if file.path in theirs else words.get(state, "updated")
        done.append((word, file.path))
    return done


def undo(folder: Path, *, force: bool) -> list[tuple[str, Path]]:
    """Restores what was replaced. Returns what was done, file by file.

    A module that is no re-export any more is amplihack's again, and is left alone.

    Raises:
        UsageError: there is nothing to undo.
        EngineError: a re-export was changed by somebody and ``force`` is not set; then nothing is
            restored. Or a file cannot be written.
    """
    backup = folder / BACKUP
    names = _backed_up(backup)
    if not names:
        error = _core.UsageError(f"nothing to undo in {folder}: it holds no backup of ours")
        error.hint = "see what stands there with --check"
        raise error
    present = {name: read(folder / name) for name in names}
    edited = [
        folder / name
        for name, data in present.items()
        if data is not None and is_sealed(data) and not is_untouched(data)
    ]
    refuse_changed([] if force else edited)
    done = []
    # The package last, for the reason that it came first.
    for name in reversed(names):
        path, data = folder / name, present[name]
        if data is None or is_sealed(data):
            _copy(backup / name, path)
            done.append(("restored", path))
        else:
            done.append(("left alone", path))
    # Before the copies: without it, what is left of them counts for nothing.
    remove(backup / _MANIFEST)
    shutil.rmtree(backup, ignore_errors=True)
    return done


def _back_up(folder: Path, theirs: Mapping[Path, bytes]) -> list[tuple[str, Path]]:
    """Keeps amplihack's files, then says so in the manifest: what that names is really there."""
    backup = folder / BACKUP
    names = _backed_up(backup)
    done = []
    for path in theirs:
        name = path.relative_to(folder).as_posix()
        _copy(path, backup / name)
        done.append(("backed up", backup / name))
        if name not in names:
            names.append(name)
    if theirs:
        write(backup / _MANIFEST, f"{json.dumps({'replaced': names}, indent=2)}\n".encode())
    return done


def _backed_up(backup: Path) -> list[str]:
    data = read(backup / _MANIFEST)
    if data is None:
        return []
    try:
        names = json.loads(data)["replaced"]
        return sorted((name for name in names if name in _NAMES), key=_NAMES.index)
    except (ValueError, TypeError, KeyError):
        fail(f"cannot read {backup / _MANIFEST}", f"copy what is in {backup} back by hand")


def _copy(source: Path, target: Path) -> None:
    """Copies content, rights and times."""
    data = read(source)
    if data is None:
        fail(f"cannot restore {target}: {source} is gone", "bring the others back by hand")
    write(target, data)
    try:
        shutil.copystat(source, target)
    except OSError as error:
        fail(f"cannot set the rights of {target}: {error.strerror}", "set them by hand")
