"""Pictures of a site of leaderboards for docs/site.md: python documentation/screenshots.py

Builds the site of leaderboards/ anew and takes them with the Chromium that is installed.
"""

import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from fpmc_bench.results.site import build_site

ROOT = Path(__file__).parents[1]
SUITE, PHOTOS = "suites/digits/index.html", "suites/photos/index.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FIRST_PX = 760
"""Height of what a telephone shows first."""
MARGIN_PX = 16
COLOURS = 192
"""Of a picture's palette, for files of a reasonable size."""


@dataclass(frozen=True)
class Shot:
    """Of a page, or of the first element that fits a selector."""

    page: str
    scheme: Literal["light", "dark"] = "light"
    width_px: int = 1280
    element: str = ""
    whole: bool = True


SHOTS = {
    "site-index": Shot("index.html"),
    "site-suite": Shot(SUITE, element="section"),
    "site-suite-dark": Shot(SUITE, "dark", element="section"),
    "site-samples": Shot(PHOTOS, element="section .gallery"),
    "site-trajectories": Shot(SUITE, element="section .way"),
    "site-entry": Shot("suites/digits/entries/pspc-flex.html", "dark", 1100),
    "site-telephone": Shot(SUITE, width_px=360, whole=False),
}


@click.command()
@click.option("--leaderboards", type=click.Path(path_type=Path), default=ROOT / "leaderboards")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "docs" / "pictures")
def main(leaderboards: Path, out: Path) -> None:
    """Write them; one of what the leaderboards don't have stays as it is."""
    chromium = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if chromium is None:
        raise click.UsageError(f"none of {', '.join(BROWSERS)} is installed")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Path(folder) / "site"
        build_site(leaderboards, site)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, shot in SHOTS.items():
            if taken := _taken(browser, site, shot):
                with Image.open(io.BytesIO(taken)) as image:
                    palette = image.convert("RGB").quantize(COLOURS)
                palette.save(out / f"{name}.png", optimize=True)
        browser.close()


def _taken(browser: Browser, site: Path, shot: Shot) -> bytes | None:
    page = browser.new_page(
        viewport={"width": shot.width_px, "height": FIRST_PX}, color_scheme=shot.scheme
    )
    page.goto((site / shot.page).as_uri())
    if page.locator("[data-chart]").count():
        page.locator("html[data-charts]").wait_for(state="attached")
    if not shot.element:
        return page.screenshot(full_page=shot.whole)
    found = page.locator(shot.element)
    box = found.first.bounding_box() if found.count() else None
    if box is None:
        return None
    return page.screenshot(
        full_page=True,
        clip={
            "x": box["x"] - MARGIN_PX,
            "y": box["y"] - MARGIN_PX,
            "width": box["width"] + 2 * MARGIN_PX,
            "height": box["height"] + 2 * MARGIN_PX,
        },
    )


if __name__ == "__main__":
    main()
