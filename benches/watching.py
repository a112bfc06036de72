"""How long it takes from an event to a watcher's screen: ``python benches/watching.py``.

A run whose agent claims progress again and again, and `watch` on a pseudo-terminal. An event's own
time is when the engine made it, before its record was synced; a line is seen when its last byte
was read. The bound is the specification's: 200 ms.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))

from terminal import Terminal

CLAIMS = 40
BOUND = 0.2
COMMAND = [sys.executable, "-m", "orchestration"]
AGENT = f"""cat >/dev/null
while [ ! -e ../../go ]; do sleep 0.02; done
for number in $(seq {CLAIMS}); do
    stage="\\"current_stage\\": \\"Step $number\\""
    echo "{{\\"progress_percentage\\": $((number * 2)), $stage}}" >tmp
    mv tmp .agent_status.json
    sleep 0.15
done
echo done >done.txt
"""


def main() -> int:
    """Measures; the exit code says whether the bound holds."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "shop"
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8"}
        prepare(root, environment)
        seen = watch(root, environment)
        (journal,) = root.glob(".claude/runtime/parallel/*/orch-*.jsonl")
        made = {}
        for line in journal.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if found := re.search(r'"Step (\d+)"', line):
                made[int(found[1])] = stamp(record["time"])
    delays = sorted(seen[step] - made[step] for step in seen.keys() & made.keys())
    median, worst = statistics.median(delays), delays[-1]
    print(
        f"event to screen: {len(delays)} events, median {median * 1e3:.0f} ms,"
        f" 95% {delays[len(delays) * 95 // 100] * 1e3:.0f} ms, most {worst * 1e3:.0f} ms"
        f" (bound {BOUND * 1e3:.0f} ms)"
    )
    return int(median > BOUND)


def prepare(root: Path, environment: dict[str, str]) -> None:
    root.mkdir()
    (root / "plan.md").write_text("# Work\n\n- [ ] Add a\n", encoding="utf-8")
    agent = root.parent / "agent.sh"
    agent.write_text(AGENT, encoding="utf-8")
    for command in (
        ["git", "init", "--quiet"],
        ["git", "config", "user.name", "Bench"],
        ["git", "config", "user.email", "bench@example.invalid"],
        ["git", "add", "--all"],
        ["git", "commit", "--quiet", "--message=Begin"],
        [*COMMAND, "plan.md", "--agent", f"sh {agent}", "--yes", "--detach"],
    ):
        subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)


def watch(root: Path, environment: dict[str, str]) -> dict[int, float]:
    """When each step was first seen, in a line or in the table."""
    seen: dict[int, float] = {}
    terminal = Terminal([*COMMAND, "watch"], cwd=root, environment=environment)

    def look(_: object) -> bool:
        for step in re.findall(r"Step (\d+)\b", terminal.written):
            seen.setdefault(int(step), time.time())
        return len(seen) == CLAIMS

    try:
        terminal.until(lambda screen: "at work" in screen.shown, "the table")
        (root.parent / "go").touch()
        terminal.until(look, "every step", seconds=60)
        terminal.end()
    finally:
        terminal.close()
    return seen


def stamp(value: int | str) -> float:
    """A record's time in seconds since 1970."""
    if isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    return value / 1e3


if __name__ == "__main__":
    raise SystemExit(main())
