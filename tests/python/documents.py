"""The documents: which blocks they have, and how each is run.

A page is run from its top to its end in one repository, that of the demo, with a scripted
`claude` on the PATH:

- `sh` runs and ends with 0;
- `console` runs what stands behind `$ `, and shows what it prints; `…` stands for anything;
- `python` runs, and a comment behind a `print` is what that prints;
- `json` is read;
- `title="NAME"` writes the block to that file, in any language.

Comments above a block say where else it is run:

- `<!-- in a fresh repository -->`, and so are those below it;
- `<!-- in a clone of this project -->`: what is built there is taken as it is, and `make test` is
  asked what it would do, since that has come here. Where the block leads, those below follow;
- `<!-- in a clone of this project, to the end of the page -->`: it serves until then.

Everything else is only shown.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
"""The documents whose blocks are run."""

RUN = ("sh", "console", "python", "json")

ANYTHING = "…"

FENCED = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
ABOVE = re.compile(r"<!-- (?P<says>[^>]*?) -->\n+$")

MARK = "\x1e"
"""What the shell prints between two commands of a block."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: Path
    line: int
    language: str
    title: str
    says: str
    """The comment above it."""
    code: str

    @property
    def is_fresh(self) -> bool:
        return self.says == "in a fresh repository"

    @property
    def is_cloned(self) -> bool:
        return self.says == "in a clone of this project"

    @property
    def serves(self) -> bool:
        return self.says == "in a clone of this project, to the end of the page"

    @property
    def prints(self) -> list[str]:
        """What the comments behind `print` say that it prints."""
        return re.findall(r"^ *print\(.*\)  # (.+)$", self.code, re.MULTILINE)

    @property
    def typed(self) -> list[tuple[str, list[str]]]:
        """The commands of a `console`, each with what it prints."""
        commands: list[tuple[str, list[str]]] = []
        for line in self.code.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
        return commands

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    for found in FENCED.finditer(text):
        language, _, rest = found["info"].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        above = ABOVE.search(text, 0, found.start())
        yield Block(
            page,
            text.count("\n", 0, found.start()) + 1,
            language,
            title[1] if title else "",
            above["says"] if above else "",
            re.sub(rf"^{found['indent']}", "", found["code"], flags=re.MULTILINE),
        )


@dataclass
class Reader:
    """Somebody who types what stands on a page."""

    fresh: Callable[[], Path]
    """Makes a repository and returns it."""
    clone: Path
    """A folder that is as a clone of this project."""
    environment: dict[str, str]

    def follow(self, page: Path) -> int:
        """Runs a page; returns how many blocks that were."""
        folder, count = self.fresh(), 0
        with contextlib.ExitStack() as servers:
            for block in blocks(page):
                if block.is_fresh:
                    folder = self.fresh()
                if block.title:
                    path = folder / block.title
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(block.code, encoding="utf-8")
                elif block.serves:
                    servers.enter_context(self._serving(block))
                elif block.is_cloned:
                    led = self._sh(block, self.clone)
                    folder = folder if led == self.clone else led
                elif block.language in RUN:
                    getattr(self, f"_{block.language}")(block, folder)
                else:
                    continue
                count += 1
        return count

    def _sh(self, block: Block, folder: Path) -> Path:
        """Returns the folder to which it leads."""
        done = self._run(["bash", "-eu", "-c", f"{block.code}echo {MARK}$PWD"], folder)
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return Path(done.stdout.rpartition(MARK)[2].strip())

    @contextlib.contextmanager
    def _serving(self, block: Block) -> Iterator[None]:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {block.code}"],
            cwd=self.clone,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        with server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline(), block
                yield
            finally:
                server.terminate()
                server.wait(timeout=10)
        assert server.returncode == 0, block

    def _console(self, block: Block, folder: Path) -> None:
        lines = [f"(exit $code); {command}\ncode=$?; echo {MARK}" for command, _ in block.typed]
        done = self._run(["bash", "-c", "\n".join(["code=0", *lines])], folder)
        said = done.stdout.split(f"{MARK}\n")
        assert len(said) == len(lines) + 1, f"{block}\n{done.stdout}"
        for (command, expected), printed in zip(block.typed, said, strict=False):
            assert is_shown(expected, printed), f"{block}: {command}\n{printed}"

    def _python(self, block: Block, folder: Path) -> None:
        done = self._run([sys.executable, "-W", "error", "-c", block.code], folder)
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        printed = done.stdout.splitlines()
        missing = [line for line in block.prints if line not in printed]
        assert not missing, f"{block}: {missing}\n{done.stdout}"

    def _json(self, block: Block, _: Path) -> None:
        json.loads(block.code)

    def _run(self, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=50,
        )


def is_shown(expected: list[str], printed: str) -> bool:
    """Whether a page shows what was printed.

    A line that is `…` stands for any lines, and an `…` within one for any characters.
    """
    if not expected:
        return True
    pattern = ""
    for line in expected:
        if line == ANYTHING:
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += r"[^\n]*".join(map(re.escape, line.split(ANYTHING))) + r"\n"
    whole = printed if printed.endswith("\n") else f"{printed}\n"
    return re.fullmatch(pattern, whole) is not None
