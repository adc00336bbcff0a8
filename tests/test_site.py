"""The site as files: what is in it, what is refused, and that every text stays text."""

import html
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from kept_predictions import write_kept
from PIL import Image
from runs import fpmc_bench
from site_boards import FOLDER, HOSTILE, SIDE, write_board, write_hostile_board
from synthetic_records import (
    EXACT_SIGMAS,
    write_exact_records,
    write_realistic_records,
    write_synthetic,
)

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.names import parse_selection, selection_name
from fpmc_bench.documents.provenance import PluginOrigin
from fpmc_bench.documents.record import Record, read_record, read_records
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.results.board.registered import registered_suite
from fpmc_bench.results.render.sample_grid import read_samples
from fpmc_bench.results.site import build_site
from fpmc_bench.results.site.charts import relative_to
from fpmc_bench.results.site.commands import run_command, verify_command
from fpmc_bench.results.site.pictures import codes_of, difference_codes, strip_of, strip_png
from fpmc_bench.results.site.plots import plot_text
from fpmc_bench.results.site.slugs import slug
from fpmc_bench.results.site.views import link
from fpmc_bench.results.trajectories import read_trajectories


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boards")
    write_board(folder / "plain")
    write_hostile_board(folder / FOLDER)
    return folder


@pytest.fixture(scope="module")
def site(boards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "out"
    build_site(boards, out)
    return out


OTHER = "other network"


class Page(HTMLParser):
    """What a browser would make elements of, and where these lead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        self.ids += [value or "" for name, value in attrs if name == "id"]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_address_leads_to_a_file_of_the_site_or_to_the_web(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) == 1 + 2 + 6 + 5
    for path, page in pages.items():
        for address in page.addresses:
            parts = urlsplit(address)
            if parts.scheme:
                assert parts.scheme == "https", address
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_relative_to(site)
            assert target.is_file(), address
            if parts.fragment:
                assert parts.fragment in pages[target].ids


def test_no_text_becomes_an_element(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Page(path)
        assert page.handlers == []
        assert len(page.ids) == len(set(page.ids))
        assert not any(address.startswith("javascript:") for address in page.addresses)
        text = path.read_text(encoding="utf-8")
        assert "<script>" not in text
        assert "onerror=alert(2)>" not in text
        assert "\u202e" not in text, "what reorders text shows as its code"
        assert "\u2028" not in text


def test_scripts_are_files_of_ours_and_data_is_json(site: Path) -> None:
    found = 0
    for path in site.rglob("*.html"):
        for opening, body in re.findall(
            r"<script([^>]*)>(.*?)</script>", path.read_text(), re.DOTALL
        ):
            if "src=" in opening:
                assert body == ""
                continue
            assert 'type="application/json"' in opening
            assert json.loads(body, parse_constant=pytest.fail)["data"]
            found += 1
    assert found == 4 + 2 + 4


def test_labels_of_charts_hold_no_tags() -> None:
    assert plot_text("<b>x</b> & <a href='y'>") == "&lt;b&gt;x&lt;/b&gt; &amp; &lt;a href='y'&gt;"
    assert plot_text("a\nb\u202e") == "a\\nb\\u202e"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://a.org/x?y#z", True),
        ("http://a.org", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("data:text/html,x", False),
        ("file:///etc/passwd", False),
        ("//a.org", False),
        ("https://[", False),
        ("https:", False),
        ("", False),
    ],
)
def test_only_addresses_of_the_web_become_links(url: str, safe: bool) -> None:
    assert link(url) == (url if safe else None)


def test_parts_of_addresses_are_safe_and_never_shared() -> None:
    names = ["ls", "LS", "Ls", "a+b", "a-b", "a b", "a/b", "../a", "con", "CON", "index", "a.", "ü"]
    names += [
        "",
        ".",
        "..",
        "%2e",
        "#",
        "x" * 200,
        "x" * 201,
        "nul.txt",
        "\u00e9",
        "e\u0301",
        HOSTILE,
    ]
    slugs = [slug(name) for name in names]
    assert len({one.lower() for one in slugs}) == len(slugs)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,80}", one) for one in slugs)
    assert all("." not in one.strip("abcdefghijklmnopqrstuvwxyz") for one in slugs)
    assert slug("ls") == "ls"
    assert slug("pspc-flex") == "pspc-flex"


def test_the_same_records_give_the_same_bytes(boards: Path, site: Path, tmp_path: Path) -> None:
    build_site(boards, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(site)


def test_records_are_taken_away_as_they_are(boards: Path, site: Path) -> None:
    taken = site / "suites" / "plain" / "files" / "records"
    assert contents(taken) == contents(boards / "plain" / "records")
    assert len(read_records(taken)) == 10
    tables = {path.name for path in (taken.parent / "tables").iterdir()}
    assert tables == {
        *("denoiser-mse.csv", "denoiser-mse-by-sigma.csv", "denoiser-mse.json", "denoiser-mse.tex"),
        *("sample-mse.csv", "sample-mse.json", "sample-mse.tex"),
    }


def test_a_site_replaces_an_earlier_one_as_a_whole(boards: Path, tmp_path: Path) -> None:
    out, single = tmp_path / "out", tmp_path / "single"
    shutil.copytree(boards / "plain", single)
    build_site(boards, out)
    build_site(single, out)
    assert [path.name for path in (out / "suites").iterdir()] == ["single"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "single"]


@pytest.mark.parametrize("listed", [False, True])
def test_a_folder_with_other_files_is_left_alone(
    boards: Path, tmp_path: Path, listed: bool
) -> None:
    out = tmp_path / "out"
    if listed:
        build_site(boards, out)
    (out / "thesis").mkdir(parents=True)
    (out / "thesis" / "chapter.tex").write_text("years of work")
    before = contents(out)
    with pytest.raises(UsageError, match=r"thesis/chapter\.tex"):
        build_site(boards, out)
    assert contents(out) == before


def test_a_file_or_a_link_is_no_folder(boards: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(UsageError, match="no folder"):
            build_site(boards, tmp_path / name)


def test_altered_records_are_refused_and_the_site_is_left(tmp_path: Path) -> None:
    write_exact_records(tmp_path / "a" / "records")
    build_site(tmp_path / "a", tmp_path / "out")
    before = contents(tmp_path / "out")
    record = tmp_path / "a" / "records" / "ls.denoiser-mse.json"
    content = json.loads(record.read_text())
    content["figures"]["mse@1"]["mean"] *= 0.5
    record.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"ls\.denoiser-mse\.json.*altered"):
        build_site(tmp_path / "a", tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    done = fpmc_bench("leaderboard", "site", "empty", cwd=tmp_path)
    assert done.returncode == 1
    assert "no leaderboard in empty" in done.stderr
    assert not (tmp_path / "site").exists()


def test_another_suites_run_json_is_refused(boards: Path, tmp_path: Path) -> None:
    shutil.copytree(boards / "plain", tmp_path / "a")
    shutil.copy(boards / FOLDER / "run.json", tmp_path / "a")
    with pytest.raises(RunError, match=r"run\.json is of suite hostile"):
        build_site(tmp_path / "a", tmp_path / "out")
    (tmp_path / "a" / "run.json").write_text("[")
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        build_site(tmp_path / "a", tmp_path / "out")


def test_the_command_says_what_it_wrote(boards: Path, tmp_path: Path) -> None:
    done = fpmc_bench("leaderboard", "site", str(boards / "plain"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "site/index.html\n")
    assert "plain: 6 rows" in done.stderr


def test_a_site_is_made_without_torch_or_matplotlib(boards: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom fpmc_bench.results.site import build_site\n"
        "build_site(Path(sys.argv[1]), Path(sys.argv[2]))\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(boards), str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"torch", "matplotlib"}.isdisjoint(done.stdout.split())


def test_a_strip_has_every_image_pixel_by_pixel() -> None:
    codes = np.random.RandomState(0).randint(0, 256, (3, 3, 4, 5)).astype(np.uint8)
    with Image.open(io.BytesIO(strip_png(codes))) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (4, 15, 3)
    assert np.array_equal(pixels[:, 5:10], codes[1].transpose(1, 2, 0))
    strip = strip_of("a.png", codes)
    assert (strip.width_px, strip.height_px) == (60, 48)
    assert [strip.position(number) for number in range(3)] == ["0% 0", "50% 0", "100% 0"]


def test_trajectories_are_shown_level_by_level(boards: Path, site: Path) -> None:
    found = read_trajectories(boards / "plain" / "samples" / "trajectories.npz")
    for kind, codes in zip(("noisy", "denoised"), found.rows["els"], strict=True):
        with Image.open(site / f"suites/plain/images/trajectory-1-{kind}-els.png") as image:
            pixels = np.asarray(image)
        assert np.array_equal(pixels, np.concatenate(list(codes[1, :, 0]), axis=1))
    text = (site / "suites/plain/index.html").read_text()
    assert "els, denoised at sigma 0.002" in text
    assert text.index("teacher_b, noisy") < text.index("els, noisy") < text.index("optimal, noisy")
    (hostile,) = (one for one in (site / "suites").glob("*/index.html") if "plain" not in str(one))
    assert "None were kept" in hostile.read_text()


def test_the_worst_of_the_samples_are_shown_with_what_they_should_be(
    boards: Path, site: Path
) -> None:
    samples = read_samples(boards / "plain" / "samples" / "sample-mse.npz")
    _, values = read_record(boards / "plain" / "records" / "els.sample-mse.json")
    worst = int(np.argmax(values["mse@1"][:3]))
    for kind, expected in (
        ("reference", codes_of(samples["teacher_b"][worst])),
        ("prediction", codes_of(samples["els"][worst])),
        ("difference", difference_codes(samples["els"][worst], samples["teacher_b"][worst])),
    ):
        with Image.open(site / f"suites/plain/images/worst-sample-mse-{kind}-els.png") as image:
            assert np.array_equal(np.asarray(image)[:, :SIDE], expected[0])
    text = (site / "suites/plain/entries/els.html").read_text()
    assert "The worst of the first 3, whose images were kept" in text


def test_kept_predictions_show_the_worst_of_all_at_their_worst_noise_level(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    reference = random.uniform(-1, 1, (6, 3, 1, SIDE, SIDE)).astype("f4")
    predictions = reference.copy()
    predictions[4, 1] *= 0.5
    write_kept(tmp_path, "mine", predictions, reference)
    build_site(tmp_path, tmp_path / "out")
    (board,) = (tmp_path / "out" / "suites").iterdir()
    with Image.open(board / "images" / "worst-denoiser-mse-prediction-mine.png") as image:
        assert np.array_equal(np.asarray(image)[:, :SIDE], codes_of(predictions[4, 1, 0]))
    assert "The worst of all 6 items" in (board / "entries" / "mine.html").read_text()


def test_an_attested_row_says_what_was_computed_anew(site: Path) -> None:
    entries = site / "suites" / "plain" / "entries"
    assert "2 of 8 items were computed anew on 2026-01-02" in (entries / "ls.html").read_text()
    assert "Nobody has computed" in (entries / "els.html").read_text()
    assert "fpmc-bench verify plain --entry ls" in (entries / "ls.html").read_text()


def test_a_difference_is_black_where_there_is_none() -> None:
    zero, half = np.zeros((1, 1, 1, 1)), np.full((1, 1, 1, 1), 0.5)
    assert difference_codes(zero, zero).item() == 0
    assert difference_codes(zero, half).item() == difference_codes(half, zero).item() == 128
    assert difference_codes(zero, 3 * half).item() == 255


def test_a_ratio_has_the_error_of_pairs() -> None:
    random = np.random.default_rng(0)
    other = random.uniform(1, 2, (4000, 1))
    mine = 3 * other + random.normal(0, 0.1, other.shape)
    (ratio,) = relative_to(ItemValues({"mse@1": mine}), ItemValues({"mse@1": other}))
    drawn = [mine[i].mean() / other[i].mean() for i in random.integers(0, 4000, (400, 4000))]
    assert ratio.mean == pytest.approx(3, abs=0.01)
    assert ratio.standard_error == pytest.approx(np.std(drawn), rel=0.15)
    groups = np.arange(4000) // 40
    one, another = (ItemValues({"mse@1": array}, groups) for array in (mine, other))
    assert relative_to(one, another)[0].standard_error != ratio.standard_error


def test_what_is_no_number_and_what_is_zero_have_pages(tmp_path: Path) -> None:
    errors = np.full((4, len(EXACT_SIGMAS)), 0.5)
    write_synthetic(tmp_path / "records", "zero", {"mse@1": 0 * errors, "r2@1": 1 + errors})
    write_synthetic(tmp_path / "records", "none", {"mse@1": errors * np.nan, "r2@1": errors})
    write_synthetic(
        tmp_path / "records", "other", {"mse@1": 0 * errors, "r2@1": errors}, role=OTHER
    )
    build_site(tmp_path, tmp_path / "out")
    (page,) = (tmp_path / "out" / "suites").glob("*/index.html")
    charts = re.findall(r'json" data-chart="[^"]+">(.*?)</script>', page.read_text(), re.DOTALL)
    assert len(charts) == 4
    for chart in charts:
        json.loads(chart, parse_constant=pytest.fail)


def test_only_what_was_checked_can_be_taken_away(tmp_path: Path) -> None:
    write_exact_records(tmp_path / "records")
    (tmp_path / "records" / "ls.denoiser-mse.html").write_text("<script>alert(1)</script>")
    build_site(tmp_path, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("ls.denoiser-mse.html"))


def test_the_command_of_a_row_that_is_named_by_parameters_has_these(tmp_path: Path) -> None:
    errors = np.full((4, len(EXACT_SIGMAS)), 0.5)
    known = {"denoiser": "windows", "params": {"query_width": 2.0, "kind": "a b"}}
    name = selection_name("windows", known["params"])
    write_synthetic(tmp_path / "records", name, {"mse@1": errors, "r2@1": errors}, provenance=known)
    build_site(tmp_path, tmp_path / "out")
    (page,) = (tmp_path / "out").rglob("entries/*.html")
    command = re.search(r"<code>(fpmc-bench run .*?)</code>", page.read_text())
    assert command is not None
    words = shlex.split(html.unescape(command[1]))
    assert words[:4] == ["fpmc-bench", "run", "synthetic", "-d"]
    assert parse_selection(words[4]) == ("windows", known["params"])
    assert words[5:] == ["--items=4", "--seed=0"]


def record_of(folder: Path, entry: str, **provenance: Any) -> Record:
    errors = np.full((4, len(EXACT_SIGMAS)), 0.5)
    write_synthetic(folder, entry, {"mse@1": errors, "r2@1": errors}, provenance=provenance)
    return read_record(folder / f"{entry}.denoiser-mse.json")[0]


HALF = {"widths": [0.5] * len(EXACT_SIGMAS)}


@pytest.mark.parametrize(
    ("entry", "denoiser", "params", "distribution", "expected"),
    [
        ("narrow", "windows", HALF, "x", "narrow"),
        ("windows", "windows", {}, "x", "windows"),
        ("windows_widths-0.5", "windows", HALF, "x", "windows[widths=0.5]"),
        ("wide_widths-0.5", "windows", {**HALF, "soft": 1}, "x", "wide[widths=0.5]"),
        ("w1_widths-0.5", "windows", HALF, "x", "w1_widths-0.5=windows[widths=0.5]"),
        ("w2", "windows", {"cut": "Infinity"}, "x", "w2=windows[cut=Infinity]"),
        ("shrink", "shrink", {}, "mine.py", "./mine.py"),
        ("shrink_factor-4", "shrink", {"factor": 4}, "mine.py", "./mine.py[factor=4]"),
        ("w3", "shrink", {"factor": 4}, "a b.py", "w3=./a b.py[factor=4]"),
        ("shrink", "shrink", {}, "notebook", None),
    ],
)
def test_the_commands_of_a_row_name_it_whatever_it_was_made_by(
    entry: str,
    denoiser: str,
    params: Mapping[str, Any],
    distribution: str,
    expected: str | None,
    tmp_path: Path,
) -> None:
    narrow = {"name": "narrow", "denoiser": "windows", "params": HALF}
    wide = {"name": "wide", "denoiser": "windows", "params": {"soft": 1}}
    digits = registered_suite("digits")
    assert digits is not None
    installed = digits.replaced(entries=[narrow, wide])
    plugin = PluginOrigin(distribution=distribution, version="1", code="0")
    record = record_of(tmp_path, entry, denoiser=denoiser, params=params, plugin=plugin)
    command, verify = run_command(record, installed), verify_command("a b", record)
    if expected is None:
        assert (command, verify) == (None, None)
        return
    assert shlex.split(command or "")[3:5] == ["-d", expected]
    words = ["fpmc-bench", "verify", "a b", "--entry", entry]
    own = ["-d", f"./{distribution}"] if distribution.endswith(".py") else []
    assert shlex.split(verify or "") == [*words, *own]


def test_leaderboards_of_one_suite_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_exact_records(tmp_path / "boards" / name / "records")
    build_site(tmp_path / "boards", tmp_path / "out")
    index = (tmp_path / "out" / "index.html").read_text()
    titles = re.findall(r'</a> <span class="quiet">in (\w+)</span></h2>', index)
    assert titles == ["first", "second"]


def test_many_noise_levels_and_entries_have_a_page(tmp_path: Path) -> None:
    write_realistic_records(tmp_path / "records", entries=30, items=8)
    (board,) = build_site(tmp_path / "records", tmp_path / "out")
    assert len(board.entries) == 31
