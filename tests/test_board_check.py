"""`leaderboard check` finds whatever is not as the items say, names it, and says what to do."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from boards import changed, drawn_once, rendered, small_board
from PIL import Image, PngImagePlugin
from runs import environment, fpmc_bench
from synthetic_records import ENVIRONMENT

from fpmc_bench.documents.attestation import Attestation, record_digest, write_attestation
from fpmc_bench.documents.failure import failure_of, write_failures
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import read_record, write_record
from fpmc_bench.results.board.check import check
from fpmc_bench.results.board.registered import registered_suite
from fpmc_bench.results.summaries import figure_of
from fpmc_bench.storage.arrays import write_arrays

LS = "records/ls.sample-mse"
WHAT_TO_DO = re.compile("remove|bring|keep it|run it|run the|anew|put the")
Tamper = Callable[[Path], None]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run with its tables and figures, and an attestation of one row."""
    board = small_board(tmp_path_factory.mktemp("published"), "ls", "optimal")
    record = board / "records" / "optimal.sample-mse.json"
    attested = Attestation(
        row="optimal.sample-mse",
        record_sha256=record_digest(record),
        date_utc="2026-11-28T12:00:00Z",
        environment=ENVIRONMENT,
        commit=None,
        seed=0,
        items=((0, 2),),
        largest_difference=1e-6,
        tolerance=1e-4,
    )
    write_attestation(record, attested)
    rendered(board)
    return board


_drawn_once = pytest.fixture(autouse=True)(drawn_once)


@pytest.fixture
def board(published: Path, tmp_path: Path) -> Path:
    return shutil.copytree(published, tmp_path / "board")


def faults(board: Path) -> dict[str, str]:
    return {one.file: one.text for one in check(board).faults}


def forged(board: Path, stem: str) -> None:
    """Items halved, and digest and figures made to agree: a record that is whole, and untrue."""
    path = board / "records" / f"{stem}.json"
    record, values = read_record(path)
    known = ItemValues({**values, "mse@1": values["mse@1"] / 2}, values.groups)
    assert not record.per_sigma
    figures = {name: figure_of(known, name) for name in known}
    changes = {"figures": figures, "items_sha256": known.digest}
    write_record(path.parent, record.model_copy(update=changes), known)


def test_what_a_run_leaves_is_as_it_should_be(board: Path) -> None:
    done = check(board)
    assert (done.faults, done.notes) == ([], [])
    # two networks in one protocol each, two entries in both; three metrics, four noise levels
    assert (done.records, done.items) == (6, 42)
    assert done.figures == 3 * 3 * 5 + 3 * 3
    assert (done.samples, done.attestations) == (4 * 2, 1)
    assert done.rendered == len([*board.glob("tables/*"), *board.glob("figures/*")])


def test_published_leaderboards_with_their_studies_are_too() -> None:
    for name in ("digits", "photos"):
        done = check(Path(__file__).parents[1] / "leaderboards" / name)
        assert (done.faults, done.notes) == ([], [])
        assert done.records == 26


def record_figure(board: Path) -> None:
    changed(board / f"{LS}.json", lambda c: c["figures"]["mse@1"].update(mean=0.01))


def an_item(board: Path) -> None:
    path = board / f"{LS}.npz"
    with np.load(path) as file:
        values = {name: file[name] for name in file.files}
    values["mse@1"][3] *= 0.9
    write_arrays(path, values, compressed=True)


def items_and_their_digest(board: Path) -> None:
    an_item(board)
    with np.load(board / f"{LS}.npz") as file:
        digest = ItemValues.of({name: file[name] for name in file.files}).digest
    changed(board / f"{LS}.json", lambda c: c.update(items_sha256=digest))


def consistent_forgery(board: Path) -> None:
    forged(board, "ls.sample-mse")
    rendered(board)


def no_items(board: Path) -> None:
    (board / f"{LS}.npz").unlink()


def no_record(board: Path) -> None:
    (board / f"{LS}.json").unlink()


def no_rows_of_an_entry(board: Path) -> None:
    for path in board.glob("records/ls.*"):
        path.unlink()
    rendered(board)


def another_name(board: Path) -> None:
    for suffix in (".json", ".npz"):
        shutil.copy(board / f"{LS}{suffix}", board / f"records/mine.sample-mse{suffix}")


def another_entry(board: Path) -> None:
    path = board / f"{LS}.json"
    record, values = read_record(path)
    write_record(path.parent, record.model_copy(update={"entry": "mine"}), values)
    rendered(board)


def other_parameters(board: Path) -> None:
    changed(board / f"{LS}.json", lambda c: c["provenance"]["params"].update(patch_sizes=[3] * 4))


def another_seed(board: Path) -> None:
    changed(board / f"{LS}.json", lambda c: c["provenance"].update(seed=4))


def another_network(board: Path) -> None:
    changed(board / f"{LS}.json", lambda c: c["provenance"]["teachers"].update(tuning="e" * 64))


def other_noise_levels(board: Path) -> None:
    changed(board / f"{LS}.json", lambda c: c["provenance"]["sigmas"].__setitem__(1, 7.0))


def another_suite(board: Path) -> None:
    changed(board / f"{LS}.json", lambda c: c.update(suite_fingerprint="f" * 64))


def manifest_of_more_items(board: Path) -> None:
    changed(board / "run.json", lambda c: c["suite"].update(items=500))


def no_manifest(board: Path) -> None:
    (board / "run.json").unlink()


def a_failure_of_a_row_that_is_there(board: Path) -> None:
    write_failures(board, [failure_of("ls.sample-mse", "no")])


def a_damaged_list_of_failures(board: Path) -> None:
    (board / "failures.json").write_text("{")


def a_table_s_digit(board: Path) -> None:
    path = board / "tables" / "sample-mse.md"
    path.write_text(path.read_text().replace("0.", "0.0", 1))


def no_table(board: Path) -> None:
    (board / "tables" / "sample-mse.csv").unlink()


def no_figure(board: Path) -> None:
    (board / "figures" / "denoiser-mse.png").unlink()


def a_figure_of_other_numbers(board: Path) -> None:
    """As where somebody forgets to draw after another run."""
    figures = {path.name: path.read_bytes() for path in (board / "figures").iterdir()}
    other = board.parent / "other"
    shutil.copytree(board, other)
    for path in other.glob("records/ls.denoiser-mse.*"):
        path.unlink()
    rendered(other)
    picture = (other / "figures" / "denoiser-mse.png").read_bytes()
    assert picture != figures["denoiser-mse.png"]
    (board / "figures" / "denoiser-mse.png").write_bytes(picture)


def painted(board: Path, software: str | None = None) -> None:
    """A figure in which a line was painted over, that says of itself what it said before."""
    path = board / "figures" / "denoiser-mse.png"
    with Image.open(path) as image:
        said = PngImagePlugin.PngInfo()
        said.add_text("Software", software or image.info["Software"])
        said.add_text("Source", image.info["Source"])
        image.paste("black", (300, 300, 340, 320))
        image.save(path, pnginfo=said)


def a_line_of_an_svg(board: Path) -> None:
    path = board / "figures" / "denoiser-mse.svg"
    text = path.read_text()
    places = [k for k in range(len(text)) if text.startswith("\nL ", k)]
    place = places[len(places) // 2] + 3
    path.write_text(text[:place] + "1" + text[place:])


def no_picture(board: Path) -> None:
    (board / "figures" / "denoiser-mse.png").write_bytes(b"\x89PNG and no more")


def a_sample(board: Path) -> None:
    path = board / "samples" / "sample-mse.npz"
    with np.load(path) as file:
        rows = {name: file[name] for name in file.files}
    rows["ls"][1] += 0.1
    write_arrays(path, rows, compressed=True)
    rendered(board)


def a_trajectory(board: Path) -> None:
    path = board / "samples" / "trajectories.npz"
    with np.load(path) as file:
        rows = {name: file[name] for name in file.files}
    rows["ls"][1, 0, -1] ^= 64
    rows["optimal"][0, 0, 0] ^= 64
    write_arrays(path, rows, compressed=True)


def an_attestation(board: Path) -> None:
    changed(
        board / "records" / "optimal.sample-mse.attestation",
        lambda c: c.update(items=[[0, 7]]),
    )


def an_attested_record(board: Path) -> None:
    changed(
        board / "records" / "optimal.sample-mse.json",
        lambda c: c["publication"].update(citation="me"),
    )


def a_stray_file(board: Path) -> None:
    (board / "records" / "notes.txt").write_text("mine")


def a_stray_folder(board: Path) -> None:
    (board / "data").mkdir()
    (board / "data" / "x.bin").write_bytes(b"x")


def a_table_of_before(board: Path) -> None:
    (board / "tables" / "older.md").write_text("| a |")


def a_link(board: Path) -> None:
    (board / f"{LS}.npz").rename(board.parent / "elsewhere.npz")
    (board / f"{LS}.npz").symlink_to(board.parent / "elsewhere.npz")


@pytest.mark.parametrize(
    ("tamper", "file", "said"),
    [
        (record_figure, f"{LS}.json", "mse@1 is stated as 0.01"),
        (an_item, f"{LS}.json", "does not hold the values"),
        (items_and_their_digest, f"{LS}.json", "the per-item values give"),
        (consistent_forgery, "samples/sample-mse.npz", "image 0 of row 'ls' has the error"),
        (no_items, f"{LS}.json", "its items (ls.sample-mse.npz) are not there"),
        (no_record, f"{LS}.npz", "its record (ls.sample-mse.json) is not there"),
        (no_rows_of_an_entry, "run.json", "entry 'ls' has neither a record nor a failure"),
        (another_name, "records/mine.sample-mse.json", "it is the record of ls.sample-mse"),
        (another_entry, "records/mine.sample-mse.json", "run.json has no entry 'mine'"),
        (other_parameters, f"{LS}.json", "params"),
        (another_seed, f"{LS}.json", "its provenance.seed is 4"),
        (another_network, f"{LS}.json", "tuning"),
        (other_noise_levels, f"{LS}.json", "its provenance.sigmas is"),
        (another_suite, f"{LS}.json", "fingerprint"),
        (manifest_of_more_items, "run.json", "states the fingerprint"),
        (no_manifest, "run.json", "can't be read"),
        (a_failure_of_a_row_that_is_there, "failures.json", "is said to have failed, and has a"),
        (a_damaged_list_of_failures, "failures.json", "damaged"),
        (a_table_s_digit, "tables/sample-mse.md", "is not what these records give"),
        (no_table, "tables/sample-mse.csv", "it is not there"),
        (no_figure, "figures/denoiser-mse.png", "it is not there"),
        (a_figure_of_other_numbers, "figures/denoiser-mse.png", "drawn from other numbers"),
        (painted, "figures/denoiser-mse.png", "it is not what these records give"),
        (a_line_of_an_svg, "figures/denoiser-mse.svg", "it is not what these records give"),
        (no_picture, "figures/denoiser-mse.png", "no PNG"),
        (a_sample, "samples/sample-mse.npz", "image 1 of row 'ls'"),
        (a_trajectory, "samples/trajectories.npz", "of 'optimal' don't begin"),
        (an_attestation, "records/optimal.sample-mse.attestation", "was altered"),
        (an_attested_record, "records/optimal.sample-mse.attestation", "is of another"),
        (a_stray_file, "records/notes.txt", "it is no part of a record"),
        (a_stray_folder, "data/x.bin", "belongs to no leaderboard"),
        (a_table_of_before, "tables/older.md", "remove it"),
        (a_link, f"{LS}.npz", "it is a link"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_as_it_should_be_is_found(
    board: Path, tamper: Tamper, file: str, said: str
) -> None:
    tamper(board)
    found = check(board).faults
    mine = [one for one in found if one.file == file and said in one.text]
    assert mine, "\n".join(map(str, found))
    for one in found:
        assert WHAT_TO_DO.search(one.text), one


def test_all_faults_are_listed(board: Path) -> None:
    for tamper in (an_item, an_attested_record, a_stray_file, a_stray_folder, a_trajectory):
        tamper(board)
    files = {f"{LS}.json", "records/optimal.sample-mse.attestation", "records/notes.txt"}
    assert set(faults(board)) == {*files, "data/x.bin", "samples/trajectories.npz"}


def test_tables_are_not_compared_where_there_are_none_to_compare_with(board: Path) -> None:
    an_item(board)
    assert [one.file for one in check(board).notes] == ["tables, figures"]


def test_a_figure_of_another_version_passes_and_is_said_to_be(board: Path) -> None:
    """A stand-in for one: other pixels, of the same numbers, by what says that it is another."""
    painted(board, "matplotlib 3.9.0")
    done = check(board)
    assert done.faults == []
    (note,) = done.notes
    assert note.file == "figures/denoiser-mse.png"
    assert "by matplotlib 3.9.0" in note.text
    strict = fpmc_bench("leaderboard", "check", board, "--strict", cwd=board)
    assert strict.returncode == 1
    a_figure_of_other_numbers(board)
    with Image.open(board / "figures" / "denoiser-mse.png") as image:
        said = PngImagePlugin.PngInfo()
        said.add_text("Software", "matplotlib 3.9.0")
        said.add_text("Source", image.info["Source"])
        image.save(board / "figures" / "denoiser-mse.png", pnginfo=said)
    assert "other numbers" in faults(board)["figures/denoiser-mse.png"]


def test_other_bytes_of_the_same_picture_pass(board: Path) -> None:
    """As another zlib packs them, and as another processor rounds in the last digit."""
    path = board / "figures" / "denoiser-mse.png"
    with Image.open(path) as image:
        said = PngImagePlugin.PngInfo()
        for key in ("Software", "Source"):
            said.add_text(key, image.info[key])
        image.save(path, pnginfo=said, compress_level=1)
    vector = board / "figures" / "denoiser-mse.svg"
    text = vector.read_text()
    place = text.index("\nL ") + 3
    end = text.index(" ", place)
    moved = f"{float(text[place:end]) + 1e-6:.6f}"
    vector.write_text(text[:place] + moved + text[end:])
    assert moved != text[place:end]
    assert faults(board) == {}


def test_a_row_that_one_protocol_lacks_is_a_note(board: Path) -> None:
    for path in board.glob(f"{LS}.*"):
        path.unlink()
    with np.load(board / "samples" / "sample-mse.npz") as file:
        rows = {name: file[name] for name in file.files if name not in ("ls", ".order")}
    order = {".order": np.array(json.dumps(list(rows)))}
    write_arrays(board / "samples" / "sample-mse.npz", {**rows, **order}, compressed=True)
    (board / "samples" / "trajectories.npz").unlink()
    rendered(board)
    done = check(board)
    assert done.faults == []
    assert [one.text for one in done.notes] == ["entry 'ls' has no row under sample-mse"]


def test_a_suite_that_is_installed_with_other_settings_is_a_note(tmp_path: Path) -> None:
    asked = ("run", "digits", "-d", "wiener", "-p", "denoiser-mse", "--items", "2", "--quiet")
    done = fpmc_bench(*asked, "--run-dir", "board", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = check(tmp_path / "board")
    assert found.faults == []
    assert any("'digits' is installed here with other settings" in one.text for one in found.notes)


def test_registered_suites_are_found_without_their_plugins() -> None:
    known = registered_suite("digits")
    assert known is not None
    assert known.items == 500
    assert registered_suite("nobody's") is None
    assert registered_suite("table2") is None, "a study"


def test_the_command_says_what_was_looked_at_and_what_is_wrong(board: Path) -> None:
    sound = fpmc_bench("leaderboard", "check", "board", cwd=board.parent)
    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout.startswith("board: 6 records, 54 figures of 42 items, 8 samples, 1 att")
    assert sound.stdout.endswith("all as they should be\n")
    an_item(board)
    a_stray_file(board)
    wrong = fpmc_bench("leaderboard", "check", "board", cwd=board.parent)
    assert wrong.returncode == 1
    assert "2 faults" in wrong.stdout.splitlines()[0]
    above = fpmc_bench("leaderboard", "check", ".", cwd=board.parent)
    assert above.returncode == 2
    assert "fpmc-bench leaderboard check board" in above.stderr
    assert f"\n  {LS}.json: {LS}.npz does not hold the values" in wrong.stdout
    plain = fpmc_bench("leaderboard", "check", "board", "--json", cwd=board.parent)
    (said,) = json.loads(plain.stdout)
    assert [one["file"] for one in said["faults"]] == [f"{LS}.json", "records/notes.txt"]
    assert fpmc_bench("leaderboard", "check", "nowhere", cwd=board).returncode == 2


def test_torch_is_not_imported(board: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fpmc_bench.results.board.check import check; "
        "done = check(Path(sys.argv[1])); assert not done.faults, done.faults; "
        "assert done.samples; assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, board],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
