"""Mermaid itself, which reads and draws the charts of summaries as GitHub does."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

LIBRARY = ROOT / ".venv/mermaid/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"
"""Mermaid in one file, without the few diagrams that it fetches when they are asked for; `make`
installs it."""

MOST_CHARACTERS = 50_000
"""Longer charts are refused, by Mermaid's own default and on GitHub (`maxTextSize`)."""

needs_mermaid = pytest.mark.skipif(
    not LIBRARY.exists() and "REQUIRE_MERMAID" not in os.environ,
    reason="Mermaid is not installed; `make test-python` installs it where npm is",
)
"""For tests that draw charts: left out where it is missing, unless that is an error."""
