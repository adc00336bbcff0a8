"""The site in a real browser without a head, opened as a file: what readers see and do there."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from chromium import needs_chromium, started
from playwright.sync_api import Browser, Dialog, Page, Request
from site_boards import FOLDER, HOSTILE, write_board, write_hostile_board

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.site import build_site
from fpmc_bench.results.site.plots import plot_text
from fpmc_bench.results.site.slugs import slug

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    boards, out = tmp_path_factory.mktemp("boards"), tmp_path_factory.mktemp("site") / "out"
    write_board(boards / "plain")
    write_hostile_board(boards / FOLDER)
    build_site(boards, out)
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


Open = Callable[..., Page]


class Watched:
    """Opens pages of a site and notes what none of them should do."""

    def __init__(self, browser: Browser, site: Path) -> None:
        self.browser, self.site, self.faults = browser, site, list[str]()

    def __call__(self, path: str, script: bool = True, **options: Any) -> Page:
        page = self.browser.new_context(**options).new_page()
        page.on("console", lambda message: self.faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("dialog", self._asked)
        page.on("request", self._fetched)
        page.goto((self.site / path).as_uri())
        if script and page.locator("script[data-chart]").count():
            page.locator("html[data-charts]").wait_for(state="attached")
        return page

    def _asked(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _fetched(self, request: Request) -> None:
        if not request.url.startswith((self.site.as_uri(), "data:", "blob:")):
            self.faults.append(f"request: {request.url}")


@pytest.fixture(scope="module")
def watched(browser: Browser, site: Path) -> Watched:
    return Watched(browser, site)


@pytest.fixture
def opened(watched: Watched) -> Iterator[Open]:
    """Opens a page; afterwards none has said something on its console, asked, failed or fetched."""
    before = set(watched.browser.contexts)
    yield watched
    for context in set(watched.browser.contexts) - before:
        context.close()
    faults, watched.faults = watched.faults, []
    assert faults == []


@pytest.fixture(scope="module")
def only_once(watched: Watched) -> Page:
    return watched(PLAIN, permissions=["clipboard-read", "clipboard-write"])


@pytest.fixture
def plain(only_once: Page, opened: Open) -> Page:
    """The page of the plausible leaderboard, opened once for all tests that leave it as it was."""
    only_once.evaluate("document.activeElement.blur()")
    return only_once


PLAIN = "suites/plain/index.html"
HOSTILE_BOARD = f"suites/{slug(FOLDER)}"


def column(page: Page, number: int, table: str = "denoiser-mse-table") -> list[str]:
    cells = page.locator(f"#{table} tbody tr:not([hidden]) > :nth-child({number})")
    return [text.split()[0] for text in cells.all_inner_texts()]


def test_a_column_is_sorted_by_its_full_values_in_both_directions(plain: Page) -> None:
    plain.get_by_role("button", name="rank").first.click()
    assert column(plain, 2) == ["els", "ls", "pspc_50", "optimal", "teacher_b"]
    button = plain.get_by_role("button", name="mse@1")
    button.first.click()
    header = plain.locator("#denoiser-mse-table th[data-sort]").nth(2)
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(plain, 2) == ["teacher_b", "els", "ls", "pspc_50", "optimal"]
    button.first.click()
    assert header.get_attribute("aria-sort") == "descending"
    assert column(plain, 2) == ["optimal", "pspc_50", "els", "ls", "teacher_b"]
    assert plain.locator("#denoiser-mse-table th[aria-sort]").count() == 1


def test_a_table_is_sorted_by_keys_alone(plain: Page) -> None:
    plain.locator("#denoiser-mse-filter").focus()
    for _ in range(3):  # the box that scrolls, rank, entry
        plain.keyboard.press("Tab")
    assert plain.evaluate("document.activeElement.innerText") == "entry"
    outline = plain.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    plain.keyboard.press("Enter")
    assert column(plain, 2) == ["els", "ls", "optimal", "pspc_50", "teacher_b"]
    plain.keyboard.press("Space")
    assert column(plain, 2) == ["teacher_b", "pspc_50", "optimal", "ls", "els"]


def test_what_has_no_rank_stands_last_in_both_directions(opened: Open) -> None:
    page = opened(f"{HOSTILE_BOARD}/index.html")
    button = page.locator("#denoiser-mse-table th button").first
    for expected in (["1", "2", "3", "4", "—", "—"], ["4", "3", "2", "1", "—", "—"]):
        button.click()
        assert column(page, 1) == expected


def test_rows_are_filtered_by_words(plain: Page) -> None:
    plain.locator("#denoiser-mse-filter").fill("LS")
    assert sorted(column(plain, 2)) == ["els", "ls"]
    assert plain.locator("output[for=denoiser-mse-filter]").inner_text() == "2 of 5 rows"
    plain.locator("#denoiser-mse-filter").fill("other network")
    assert column(plain, 2) == ["teacher_b"]
    plain.locator("#denoiser-mse-filter").fill("")
    assert len(column(plain, 2)) == 5


def test_a_point_says_its_value_and_error(plain: Page) -> None:
    point = plain.locator("#denoiser-mse-curves .scatterlayer .trace .points path").last
    point.scroll_into_view_if_needed()
    point.hover(force=True)
    label = plain.locator("#denoiser-mse-curves .hoverlayer .hovertext")
    label.wait_for()
    assert re.search(r"sigma 0\.002: [\d.e-]+ ± [\d.e-]+ s\.e\.", label.text_content() or "")


def visible(page: Page, chart: str) -> list[str]:
    return page.evaluate(
        "id => document.getElementById(id).data.filter(t => t.visible !== false && t.name)"
        ".map(t => t.meta.row)",
        chart,
    )


def test_a_row_is_hidden_in_all_charts_and_shown_again(plain: Page) -> None:
    charts = ("denoiser-mse-curves", "denoiser-mse-relative", "denoiser-mse-cost")
    lines = plain.locator("#denoiser-mse-curves .scatterlayer .trace")
    before = lines.count()
    box = plain.get_by_label("els", exact=True).first
    box.uncheck()
    for chart in charts:
        assert sorted(visible(plain, chart)) == ["ls", "optimal", "pspc_50", "teacher_b"]
    assert lines.count() == before - 2, "the line and its band"
    box.check()
    assert lines.count() == before
    plain.get_by_role("button", name="none").first.click()
    assert visible(plain, "denoiser-mse-cost") == []
    plain.get_by_role("button", name="all").first.click()
    assert len(visible(plain, "denoiser-mse-cost")) == 5


def test_a_table_is_copied_as_latex(plain: Page) -> None:
    plain.get_by_text("LaTeX", exact=True).first.click()
    plain.get_by_role("button", name="Copy as LaTeX").first.click()
    plain.get_by_text("Copied").wait_for()
    copied = plain.evaluate("navigator.clipboard.readText()")
    assert copied == plain.locator("#denoiser-mse-latex").text_content()
    assert r"\begin{tabular}" in copied


def test_where_the_clipboard_is_closed_the_text_is_selected(opened: Open) -> None:
    page = opened(PLAIN)
    page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject())")
    page.get_by_text("LaTeX", exact=True).first.click()
    page.get_by_role("button", name="Copy as LaTeX").first.click()
    page.locator("output:text-matches('Copied|Selected')").first.wait_for()
    assert r"\begin{tabular}" in page.evaluate("getSelection().toString()")


def test_differences_are_shown_in_place_of_samples(plain: Page) -> None:
    sample = plain.get_by_alt_text("ls, sample 1, mse", exact=False).first
    difference = plain.get_by_alt_text("ls, sample 1, difference", exact=False).first
    assert (sample.is_visible(), difference.is_visible()) == (True, False)
    plain.get_by_role("button", name="Differences").click()
    assert (sample.is_visible(), difference.is_visible()) == (False, True)
    plain.get_by_role("button", name="Samples").click()
    assert (sample.is_visible(), difference.is_visible()) == (True, False)
    loaded = "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
    assert plain.evaluate(loaded)


def test_hostile_text_stays_text(opened: Open, site: Path) -> None:
    pages = sorted((site / HOSTILE_BOARD / "entries").glob("*.html"))
    assert len(pages) == 5
    for path in ("index.html", f"{HOSTILE_BOARD}/index.html", *pages[:2]):
        page = opened(str(path))
        assert page.evaluate("document.querySelectorAll('[onerror],[onload]').length") == 0
        assert page.evaluate("[...document.links].every(a => /^(file|https):/.test(a.protocol))")
        assert HOSTILE[:40] in page.locator("body").inner_text()
    page.close()


def test_hostile_labels_of_charts_stay_text(opened: Open) -> None:
    page = opened(f"{HOSTILE_BOARD}/index.html")
    titles = page.locator("#denoiser-mse-relative .ytitle").all_text_contents()
    assert "other" in "".join(titles)
    assert page.locator(".plot a, .plot img, .plot script").count() == 0
    page.evaluate(LABELLED, [plot_text(HOSTILE), "denoiser-mse-cost"])
    shown = page.locator("#denoiser-mse-cost")
    assert one_line(HOSTILE) in (shown.locator(".ytick").text_content() or "")
    shown.locator(".points path").hover(force=True)
    shown.locator(".hovertext").wait_for()
    assert "<a href" in (shown.locator(".hovertext").text_content() or "")
    assert shown.locator("a, img, script, b").count() == 0


LABELLED = """([text, id]) => Plotly.react(document.getElementById(id),
  [{x: [1], y: [text], hovertext: [text], hoverinfo: 'text', type: 'scatter', name: text}],
  {xaxis: {title: {text}}, yaxis: {type: 'category', automargin: true}})"""
"""As charts are drawn: text on an axis, as a tick and in a label."""


@pytest.mark.parametrize("path", ["index.html", PLAIN, "suites/plain/entries/ls.html"])
def test_text_has_contrast_in_both_schemes(opened: Open, path: str) -> None:
    page = opened(path, color_scheme="dark")
    for scheme, paper, ink in (("dark", DARK, "#e8eaed"), ("light", LIGHT, "#1b2027")):
        page.emulate_media(color_scheme=scheme)
        shown = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert shown == paper
        if path == PLAIN:
            page.locator(f"html[data-charts={scheme}]").wait_for(state="attached")
            chart = "document.getElementById('denoiser-mse-curves')._fullLayout"
            assert page.evaluate(f"{chart}.font.color") == ink
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate(CONTRAST) == []
    page.emulate_media(color_scheme="dark", media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    if path == PLAIN:
        page.wait_for_timeout(200)
        assert page.evaluate(f"{chart}.font.color") == "#000"


LIGHT, DARK = "rgb(255, 255, 255)", "rgb(22, 22, 22)"
CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => c.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.checkVisibility() || e.closest('script')) continue;
    const style = getComputedStyle(e);
    const ink = e.ownerSVGElement ? style.fill : style.color;
    const [a, b] = [light(parse(ink)), light(paper(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${e.tagName} ${walker.currentNode.data.trim()} ${ratio}`);
  }
  return low;
}"""


@pytest.mark.parametrize(
    "path", ["index.html", PLAIN, "suites/plain/entries/ls.html", f"{HOSTILE_BOARD}/index.html"]
)
def test_a_telephone_scrolls_no_page_sideways(opened: Open, path: str) -> None:
    page = opened(path, viewport={"width": 360, "height": 740})
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("path", [PLAIN, "suites/plain/entries/ls.html", "index.html"])
def test_everything_has_a_name(opened: Open, path: str) -> None:
    page = opened(path)
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title().endswith("fpmc_bench")
    assert page.evaluate("[...document.images].filter(i => !i.alt).length") == 0
    unnamed = """[...document.querySelectorAll(
        'button, input, a, summary, [role=img], [role=region]')]
      .filter(e => !(e.innerText.trim() || e.textContent.trim() || e.ariaLabel
                     || e.labels?.[0]?.textContent.trim()))
      .map(e => e.outerHTML)"""
    assert page.evaluate(unnamed) == []
    headings = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(headings))


def test_the_first_stop_leads_past_the_head_of_a_page(opened: Open) -> None:
    page = opened(PLAIN)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_without_scripts_the_tables_are_there_and_no_dead_controls(opened: Open) -> None:
    page = opened(PLAIN, java_script_enabled=False, script=False)
    assert page.locator("#denoiser-mse-table tbody tr").count() == 5
    assert page.locator("noscript p").first.is_visible()
    for control in page.locator("button, input").all():
        assert not control.is_visible()
