"""The documents are whole: the site builds, and whatever has a name is written about.

A name is written about where it stands as code (`so`, in a block or a heading) in a page of docs/.
Help of commands, parameters of plugins and docstrings come from the code when the site is built.
"""

import importlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from html import unescape
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from chromium import needs_chromium, started
from in_process import call

from fpmc_bench import build_denoiser, hookspecs, load_suite
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.registry import KINDS
from fpmc_bench.cli import main

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "documentation"))  # as mkdocs does for the site's hooks
CODE = re.compile(r"^```.*?^```|^(?: {4,}|#).*?$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
MODULES = ("", ".contracts", ".fpmc", ".testing", ".hookspecs")


@cache
def written_as_code() -> str:
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return "\n".join(
        found[0] for page in pages for found in CODE.finditer(page.read_text(encoding="utf-8"))
    )


def unwritten(names: Iterable[str]) -> list[str]:
    """Those of the names that no page has as code."""
    text = re.sub(r"\s+", " ", written_as_code())
    return [
        name for name in names if not re.search(rf"(?<![\w.+-]){re.escape(name)}(?![\w+-])", text)
    ]


class _Page(HTMLParser):
    """What a page would fetch, and where one can be led to in it."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.ids.add(found.get("id", ""))
        if tag in ("script", "img", "iframe"):
            self.fetched.append(found.get("src", ""))
        if tag == "link" and found.get("rel") != "canonical":
            self.fetched.append(found.get("href", ""))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `python -m mkdocs build --strict` makes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        patch.chdir(ROOT)
        from mkdocs.commands.build import build
        from mkdocs.config import load_config

        folder = tmp_path_factory.mktemp("site")
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
    return folder


@pytest.fixture(scope="module")
def site(folder: Path) -> Mapping[str, str]:
    """The site's pages and styles: path -> text."""
    files = [*folder.rglob("*.html"), *folder.rglob("*.css")]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in files}


@cache
def read(page: str) -> _Page:
    parser = _Page()
    parser.feed(page)
    return parser


def test_every_page_is_made_and_fetches_nothing_from_elsewhere(site: Mapping[str, str]) -> None:
    pages = {
        path.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        for path in (ROOT / "docs").rglob("*.md")
    }
    assert pages | {"index.html", "contributing.html", "leaderboards/index.html"} <= set(site)
    for path, text in site.items():
        if path.endswith(".html"):
            away = [link for link in read(text).fetched if re.match(r"(\w+:)?//", link)]
        else:
            away = re.findall(r"url\([\"']?((?:https?:)?//[^)]*)", text)
        assert not away, path


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(1300, "light"), (390, "dark")])
def test_a_browser_shows_it_and_asks_nobody_else(folder: Path, width: int, scheme: Any) -> None:
    with serving(folder) as address, started() as browser:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        for path in ("index.html", "mathematics.html", "methods/els.html", "api.html"):
            page.goto(f"{address}/{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.locator("body").get_attribute("data-md-color-scheme") == (
                "slate" if scheme == "dark" else "default"
            )
        page.goto(f"{address}/mathematics.html")
        fractions = page.locator(".formula mfrac")
        assert fractions.count() >= 5
        assert all(one.evaluate("it => it.clientHeight") > 25 for one in fractions.all())  # drawn
    assert len(asked) > 10
    assert not [url for url in asked if not url.startswith((address, "data:"))]
    assert not said


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address at which a folder is served meanwhile."""

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_formulas_are_mathml(site: Mapping[str, str]) -> None:
    pages = {path: text for path, text in site.items() if path.endswith(".html")}
    prose = {
        path: re.sub(r"<(code|pre|script)\b.*?</\1>", "", text, flags=re.DOTALL)
        for path, text in pages.items()
    }
    assert not [path for path, text in prose.items() if "arithmatex" in text or "$" in text]
    assert "<math" in pages["mathematics.html"]


def test_no_mark_is_left(site: Mapping[str, str]) -> None:
    marks = re.compile(r"<!-- (commands|help|plugin)\b")
    assert not [path for path, text in site.items() if marks.search(text)]


@pytest.mark.parametrize("module", MODULES)
def test_public_names_have_their_docstring_on_the_site(
    site: Mapping[str, str], module: str
) -> None:
    path = f"fpmc_bench{module}"
    names = importlib.import_module(path).__all__
    missing = [name for name in names if f"{path}.{name}" not in read(site["api.html"]).ids]
    assert not missing, "docs/api.md shows what is in __all__ and has a docstring"


def test_commands_are_written_about_and_their_help_is_on_the_site(site: Mapping[str, str]) -> None:
    from reference import leaves  # of documentation/, where mkdocs.yml has the site's hooks

    ids = read(site["commands.html"]).ids
    commands = dict(leaves(main, ("fpmc-bench",)))
    assert len(commands) > 10
    assert not [words for words in commands if words.replace(" ", "-") not in ids]
    assert not unwritten(commands), "write of them in a page of docs/, as `fpmc-bench COMMAND`"
    silent = [words for words, command in commands.items() if not command.help]
    assert not silent, "a command's docstring is its help"
    options = {name for one in commands.values() for param in one.params for name in param.opts}
    text = unescape(site["commands.html"])
    assert not [name for name in options if name.startswith("--") and name not in text]


def test_hooks_have_a_section_each() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    hooks = [name for name in hookspecs.__all__ if name.startswith("fpmc_")]
    assert hooks
    missing = [name for name in hooks if f"\n## `{name}`\n" not in text]
    assert not missing, "docs/plugins.md has a section '## `fpmc_...`' for every hook"


@pytest.mark.parametrize("kind", KINDS)
def test_registered_names_are_written_about(kind: str) -> None:
    named = installed_registry().items[kind]
    ours = [name for name, one in named.items() if one.distribution == "fpmc-bench"]
    assert ours
    assert not unwritten(ours), "write of them in a page of docs/, as `NAME`"


def test_environment_variables_are_written_about() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "fpmc_bench").rglob("*.py"))
    names = set(re.findall(r"\bFPMC_BENCH_[A-Z][A-Z0-9_]*[A-Z0-9]", code))
    assert "FPMC_BENCH_CACHE" in names
    assert not unwritten(sorted(names)), "docs/commands.md lists environment variables"


def test_every_method_has_a_page_with_its_picture() -> None:
    pictures = importlib.import_module("method_pictures").PICTURES
    named = installed_registry().items["denoisers"]
    assert set(pictures) == {
        name for name, one in named.items() if one.distribution == "fpmc-bench"
    }
    for name in pictures:
        page = (ROOT / "docs" / "methods" / f"{name}.md").read_text(encoding="utf-8")
        assert f"](../pictures/methods/{name}.png)" in page
        assert f"<!-- plugin {name} -->" in page
        assert (ROOT / "docs" / "pictures" / "methods" / f"{name}.png").is_file()


def test_the_python_of_the_first_page_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", first_page(), flags=re.DOTALL)
    names: dict[str, torch.Tensor] = {}
    exec(code, names)
    assert names["samples"].shape == (4, 1, 8, 8)


@pytest.mark.slow
def test_the_table_of_the_first_page_is_what_its_command_prints(tmp_path: Path) -> None:
    (arguments,) = re.findall(r"^    fpmc-bench (run digits -d .*)$", first_page(), re.MULTILINE)
    status, printed, _ = call([*arguments.split(), "--run-dir", "run"], tmp_path, ())
    assert status == 0
    rows = re.findall(r"^( +[—\d]+ .*?) +\S+ +\w+$", first_page(), re.MULTILINE)
    assert len(rows) == 4
    assert all(row.removeprefix("    ") in printed for row in rows)  # all but time and checks


def first_page() -> str:
    return (ROOT / "docs" / "start.md").read_text(encoding="utf-8")


def test_the_page_of_leaderboards_has_their_tables_and_figures() -> None:
    from leaderboards import FOLDER, page

    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert text == page(FOLDER), "'python documentation/leaderboards.py' writes it"
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert not [link for link in links if not (FOLDER / link).exists()]
    assert {path.parent.name for path in FOLDER.glob("*/run.json")} == set(
        re.findall(r"^## (\S+)$", text, re.MULTILINE)
    )


def test_what_is_said_below_a_picture_is_the_schedule_of_the_suite() -> None:
    levels = importlib.import_module("method_pictures").LEVELS
    params = {entry.denoiser: entry.params for entry in load_suite("photos").entries}
    for name in ("ls", "els", "pspc-square", "pspc-flex", "windows"):
        page = (ROOT / "docs" / "methods" / f"{name}.md").read_text(encoding="utf-8")
        for schedule in params[name].values():
            first, second, third = (f"{schedule[level]:g}" for level in levels)
            assert f"{first}, {second} and {third}" in page


def test_a_picture_shows_the_filters_of_the_plugin() -> None:
    from method_pictures import CHANNEL, Row, drawn, estimator_of, moves, plane, rows_of

    images = torch.rand(9, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    sides = {"patch_sizes": [5]}
    els = build_denoiser("els", images, sigmas=[1.0], params=sides)
    precision, response, found = (row.values((5, 0), 1.0) for row in rows_of(els, ""))
    square = torch.zeros(16, 16)
    square[3:8, 0:3] = 1
    assert bool((precision == square).all())
    assert response.nonzero().tolist() == [[5, 0]]
    assert found.nonzero()[:, 0].tolist() == list(range(2, 14))
    assert bool((moves(els, (8, 8), 1.0) == found.amax(1)[:, None] * found.amax(1)).all())

    squares = build_denoiser("pspc-square", images, sigmas=[1.0], params=sides).fpmc(1.0)
    nearest = plane(squares.response, estimator_of(squares, (8, 8))).nonzero()
    assert nearest.amin(0).tolist() == [6, 6]
    assert nearest.amax(0).tolist() == [10, 10]

    wiener = build_denoiser("wiener", images, sigmas=[1.0])
    (row,) = rows_of(wiener, "")
    assert isinstance(row, Row)
    z = torch.zeros(2, 3, 16, 16, dtype=torch.float64)
    z[1, CHANNEL, 2, 3] = 1.0
    answers = wiener(z, 1.0)[:, CHANNEL, 5, 0]
    assert float(row.values((5, 0), 1.0)[2, 3]) == pytest.approx(float(answers[1] - answers[0]))
    assert len(drawn("wiener", [row], [1.0]).axes) == 3


def test_what_is_not_written_is_seen() -> None:
    assert unwritten(["ls", "fpmc-bench run", "fpmc-bench dance", "unheard-of"]) == [
        "fpmc-bench dance",
        "unheard-of",
    ]
