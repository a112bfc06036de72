"""Chromium, which the tests of the page look at it with."""

import os
import shutil

import pytest


def executable() -> str | None:
    """The system's browser; Playwright's own is not downloaded."""
    return shutil.which("chromium", path="/usr/local/bin:/usr/bin:/bin")


needs_chromium = pytest.mark.skipif(
    executable() is None and "REQUIRE_CHROMIUM" not in os.environ,
    reason="Chromium is not installed; Debian: apt-get install chromium",
)
"""For tests that look at a page: left out where it is missing, unless that is an error."""
