"""A real browser for the tests of pages: one that is installed, started without a window.

Tests are skipped where there is none, unless FPMC_BENCH_BROWSER=required.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REQUIRED = os.environ.get("FPMC_BENCH_BROWSER") == "required"
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and not REQUIRED,
    reason=f"none of {', '.join(NAMES)} is installed; FPMC_BENCH_BROWSER=required fails instead",
)


@contextmanager
def started() -> Iterator[Browser]:
    assert CHROMIUM is not None, "FPMC_BENCH_BROWSER=required, and there is no Chromium"
    with sync_playwright() as playwright:
        # as root, as in containers, Chromium's own sandbox can't be had
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
