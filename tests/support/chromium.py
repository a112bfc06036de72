"""Chromium, which the tests of the page look at it with."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright


def executable() -> str | None:
    """The system's browser; Playwright's own is not downloaded."""
    return shutil.which("chromium", path="/usr/local/bin:/usr/bin:/bin")


needs_chromium = pytest.mark.skipif(
    executable() is None and "REQUIRE_CHROMIUM" not in os.environ,
    reason="Chromium is not installed; Debian: apt-get install chromium",
)
"""For tests that look at a page: left out where it is missing, unless that is an error."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One of a module's own: while it is open, the thread has an event loop that runs."""
    home = str(tmp_path_factory.mktemp("home"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable(),
            args=["--no-sandbox"],  # root may run the tests
            env={"HOME": home, "TMPDIR": home, "PATH": "/usr/bin:/bin"},
        )
        yield browser
        browser.close()
