"""Records the picture of the demo that the README shows: ``python docs/demo/record.py``.

Runs the real demo on a pseudo-terminal, stops reading when there is most to be seen, and writes
what stands on the screen then as an SVG. It needs what the tests need (`tests/requirements.txt`).
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from itertools import groupby
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "python"))

from terminal import Screen, Terminal  # noqa: E402 - it is found once the path is there

PICTURE = HERE / "demo.svg"
SIZE = (88, 44)
COMMAND = "parallel-orchestrate demo"

FONTS = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
"""Rich's picture would load a font from the network; any monospaced one will do."""


def is_telling(screen: Screen) -> bool:
    """One agent has failed, and others are still at work."""
    return "✗" in screen.shown and "●" in screen.shown and "diagnostic" in screen.shown


def picture(screen: Screen) -> str:
    """The screen as an SVG, from the first line of the run on."""
    lines = [line_of(screen, row) for row in range(len(screen.shown.split("\n")))]
    first = next((n for n, line in enumerate(lines) if line.plain.startswith("🚀")), 0)
    console = Console(record=True, width=SIZE[0], file=io.StringIO(), force_terminal=True)
    for line in [Text(f"$ {COMMAND}", "bold"), *lines[first:]]:
        console.print(line, no_wrap=True, highlight=False)
    form = FONTS.sub("", CONSOLE_SVG_FORMAT)
    return console.export_svg(title=COMMAND, code_format=form, unique_id="demo")


def line_of(screen: Screen, row: int) -> Text:
    """One row of the screen, with its colours."""
    text = Text()
    cells = (screen.buffer[row][column] for column in range(SIZE[0]))
    for (colour, bold), alike in groupby(cells, lambda cell: (cell.fg, cell.bold)):
        style = "" if colour == "default" else colour.replace("brown", "yellow")
        text.append("".join(cell.data for cell in alike), f"bold {style}" if bold else style)
    text.rstrip()
    return text


def main() -> None:
    """Records it."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}
        command = [sys.executable, "-m", "orchestration", "demo", "--clean"]
        terminal = Terminal(command, cwd=Path(home), environment=environment, size=SIZE)
        try:
            terminal.until(is_telling, "an agent that has failed", seconds=60)
            PICTURE.write_text(picture(terminal.screen), encoding="utf-8")
            terminal.end(60)
        finally:
            terminal.close()


if __name__ == "__main__":
    main()
