"""An imitation of amplihack's package, for what leads that to ours."""

import os
from pathlib import Path

THEIRS = {
    "__init__.py": '"""Theirs."""\nfrom .claude_process import ClaudeProcess\nWHOSE = "theirs"\n',
    "claude_process.py": "class ClaudeProcess:\n    pass\n\n\nclass ProcessResult:\n    pass\n",
    "execution.py": "from .claude_process import ProcessResult\n\n\nrun_parallel = None\n",
    "session.py": "class OrchestratorSession:\n    pass\r\n",
    "patterns/__init__.py": "",
    "patterns/debate.py": "def run_debate():\n    pass\n",
    "patterns/jury.py": (
        "from ..claude_process import ProcessResult\nfrom ..execution import run_parallel\n"
    ),
}
"""A package of the same names and shape as amplihack's."""


def put(root: Path) -> Path:
    """Writes it where amplihack has its own, below the root of a repository."""
    folder = root / ".claude" / "tools" / "amplihack" / "orchestration"
    for name, text in THEIRS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        os.utime(path, (1_700_000_000, 1_700_000_000))
    (folder / "execution.py").chmod(0o755)
    return folder
