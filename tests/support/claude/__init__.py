"""Claude Code itself, as the tests run it: where it is, and what it may see."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def executable() -> Path | None:
    """The program, where `make` has installed it."""
    packages = ROOT / ".venv/claude/node_modules/@anthropic-ai"
    return next(iter(sorted(packages.glob("claude-code-*/claude"))), None)


def environment(home: Path, url: str) -> dict[str, str]:
    """An environment with nothing of this machine's but the program on its PATH.

    The key is made up, the model is at `url`, and it asks again once (else ten times, for three
    minutes).
    """
    program = executable()
    path = [str(program.parent)] if program else []
    variables = {
        "PATH": os.pathsep.join([*path, "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        "CLAUDE_CODE_TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-made-up",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "1",
        "DISABLE_AUTOUPDATER": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        # Whatever else it would like to ask of the network meets a closed door on loopback.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    for role in ("AUTHOR", "COMMITTER"):
        variables |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.com"}
    if os.geteuid() == 0:
        variables["IS_SANDBOX"] = "1"  # as root it refuses to go on without questions elsewhere
    return variables


needs_claude = pytest.mark.skipif(
    executable() is None and "REQUIRE_CLAUDE" not in os.environ,
    reason="Claude Code is not installed; `make test-python` installs it where npm is",
)
"""For tests that run the program: left out where it is missing, unless that is an error."""
