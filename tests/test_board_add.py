"""`leaderboard add` takes in rows that were measured alike, and keeps what is there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from boards import changed, drawn_once, small_board
from runs import environment, fpmc_bench

from fpmc_bench.documents.failure import failure_of, read_failures, write_failures
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.manifest import Manifest, read_run_manifest
from fpmc_bench.documents.record import read_record, write_record
from fpmc_bench.errors import DiskError, RunError, UnknownNameError, UsageError
from fpmc_bench.results.board import add as adding
from fpmc_bench.results.board.add import add
from fpmc_bench.results.board.check import check
from fpmc_bench.results.render.sample_grid import read_samples
from fpmc_bench.results.summaries import figure_of
from fpmc_bench.results.trajectories import read_trajectories
from fpmc_bench.storage.atomic import write_atomically

OTHER = "records/digits-ncsnpp.denoiser-mse"
"""Of the other network: every run has it."""


_drawn_once = pytest.fixture(autouse=True)(drawn_once)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_board(tmp_path_factory.mktemp("measured"), "ls", "optimal")


@pytest.fixture(scope="module")
def first(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A leaderboard with one of the two entries."""
    board = tmp_path_factory.mktemp("first") / "board"
    add(measured, board, entries=["ls"])
    return board


@pytest.fixture
def run(measured: Path, tmp_path: Path) -> Path:
    return shutil.copytree(measured, tmp_path / "run")


@pytest.fixture
def board(first: Path, tmp_path: Path) -> Path:
    return shutil.copytree(first, tmp_path / "board")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def measured_again(run: Path, stem: str, factor: float = 1.0) -> None:
    """A record of another day, and of errors that are so many times as large."""
    path = run / "records" / f"{stem}.json"
    record, values = read_record(path)
    known = ItemValues({**values, "mse@1": values["mse@1"] * factor}, values.groups)
    per_sigma = tuple(
        one.model_copy(update={"figures": {name: figure_of(known, name, level) for name in known}})
        for level, one in enumerate(record.per_sigma)
    )
    changes: dict[str, Any] = {
        "figures": {name: figure_of(known, name) for name in known},
        "per_sigma": per_sigma,
        "items_sha256": known.digest,
        "publication": record.publication.model_copy(update={"date_utc": "2027-01-01T00:00:00Z"}),
    }
    write_record(path.parent, record.model_copy(update=changes), known)


def test_a_leaderboard_that_is_not_there_is_made(first: Path, measured: Path) -> None:
    found = check(first)
    assert (found.faults, found.notes) == ([], [])
    names = {path.name for path in (first / "records").glob("*.json")}
    assert names == {
        "digits-ncsnpp.denoiser-mse.json",
        "digits-ddpmpp.sample-mse.json",
        "ls.denoiser-mse.json",
        "ls.sample-mse.json",
    }
    for path in (first / "records").iterdir():
        assert path.read_bytes() == (measured / "records" / path.name).read_bytes()
    assert [entry.name for entry in read_run_manifest(first).suite.entries] == ["ls"]
    assert list(read_samples(first / "samples" / "sample-mse.npz")) == [
        "digits-ncsnpp",
        "digits-ddpmpp",
        "ls",
    ]


def test_rows_are_added_and_what_is_there_stays(board: Path, run: Path) -> None:
    before = contents(board)
    done = add(run, board)
    assert done.rows.added == ("optimal.denoiser-mse", "optimal.sample-mse")
    assert len(done.rows.same) == 4
    after = contents(board)
    records = {name: content for name, content in before.items() if name.startswith("records/")}
    assert records.items() <= after.items()
    assert {entry.name for entry in read_run_manifest(board).suite.entries} == {"ls", "optimal"}
    rows = list(read_trajectories(board / "samples" / "trajectories.npz").rows)
    assert rows[-2:] == ["ls", "optimal"]
    assert b"| optimal " in after["tables/sample-mse.md"]
    assert b"| ls " in after["tables/sample-mse.md"]
    assert (check(board).faults, check(board).notes) == ([], [])
    again = add(run, board)
    assert (again.rows.taken, again.written) == ((), ())
    assert contents(board) == after


def test_what_would_be_done_is_said_without_doing_it(board: Path, run: Path) -> None:
    before = contents(board.parent)
    done = fpmc_bench("leaderboard", "add", run, "--to", board, "--dry-run", cwd=run)
    assert done.returncode == 0, done.stderr
    assert "optimal.sample-mse: would be added" in done.stdout
    new = fpmc_bench("leaderboard", "add", run, "--to", board.parent / "new", "--dry-run", cwd=run)
    assert "ls.sample-mse: would be added" in new.stdout
    assert contents(board.parent) == before
    assert not (board.parent / "new").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("device", "cuda"),
        ("numerics", 99),
        ("metrics", ["mse@1"]),
        ("training images", "e" * 64),
        ("test images", "e" * 64),
        ("tuning teacher", "e" * 64),
        ("evaluation teacher", "e" * 64),
        ("networks", ["digits-ddpmpp", "mine"]),
    ],
)
def test_what_was_measured_on_something_else_is_refused(
    board: Path, run: Path, name: str, value: Any
) -> None:
    before = contents(board)
    was = read_run_manifest(run).identity[name]
    changed(run / "run.json", lambda content: content["identity"].update({name: value}))
    with pytest.raises(RunError, match=f"{name} is .* there and .* here") as refusal:
        add(run, board)
    assert json.dumps(value)[:40] in str(refusal.value)
    assert json.dumps(was)[:40] in str(refusal.value)
    assert contents(board) == before


@pytest.mark.parametrize(
    ("field", "value"), [("seed", 4), ("items", 8), ("block_items", 3), ("sigmas", {"steps": 5})]
)
def test_another_suite_is_refused(board: Path, run: Path, field: str, value: Any) -> None:
    manifest = read_run_manifest(run)
    suite = manifest.suite.replaced(**{field: value})
    other = Manifest(fingerprint=suite.fingerprint, identity=manifest.identity, suite=suite)
    (run / "run.json").write_text(other.model_dump_json())
    with pytest.raises(RunError, match=f"{field} is .* there and .* here"):
        add(run, board)


def test_a_row_that_was_measured_again_is_left_as_it_is(board: Path, run: Path) -> None:
    measured_again(run, "digits-ncsnpp.denoiser-mse")
    before = contents(board)
    done = add(run, board)
    assert "agrees with this one" in done.rows.kept["digits-ncsnpp.denoiser-mse"]
    after = contents(board)
    assert after[f"{OTHER}.json"] == before[f"{OTHER}.json"] != contents(run)[f"{OTHER}.json"]


@pytest.mark.parametrize("stem", ["digits-ncsnpp.denoiser-mse", "ls.sample-mse"])
def test_a_row_that_does_not_agree_with_the_one_there_is_refused(
    board: Path, run: Path, stem: str
) -> None:
    measured_again(run, stem, factor=1.5)
    before = contents(board)
    with pytest.raises(RunError, match=rf"{stem}: its items differ by up to .* of"):
        add(run, board)
    assert contents(board) == before


def test_a_row_with_other_parameters_is_refused(board: Path, run: Path) -> None:
    def other(content: dict[str, Any]) -> None:
        content["provenance"]["params"]["patch_sizes"] = [3, 3, 3, 3]

    changed(run / "records" / "ls.denoiser-mse.json", other)
    with pytest.raises(RunError, match=r"ls\.denoiser-mse: params is .*15.* there and .*3.* here"):
        add(run, board)


def test_replacing_keeps_what_was_there_in_earlier(board: Path, run: Path) -> None:
    measured_again(run, "ls.sample-mse")
    with pytest.raises(UnknownNameError):
        add(run, board, replace=["nobody"])
    before = contents(board)
    done = add(run, board, entries=["optimal"], replace=["ls"])
    assert done.rows.replaced == ("ls.sample-mse",)
    assert "optimal.sample-mse" in done.rows.added
    after = contents(board)
    assert after["records/ls.sample-mse.json"] == contents(run)["records/ls.sample-mse.json"]
    (aside,) = (board / "earlier").glob("ls.sample-mse.*.json")
    assert aside.read_bytes() == before["records/ls.sample-mse.json"]
    assert check(board).faults == []


def test_a_record_that_was_altered_is_refused_and_no_folder_made(run: Path) -> None:
    changed(
        run / "records" / "ls.sample-mse.json",
        lambda content: content["figures"]["mse@1"].update(mean=0.001),
    )
    with pytest.raises(RunError, match="is stated as"):
        add(run, run.parent / "new")
    assert not (run.parent / "new").exists()


def test_samples_that_are_not_the_row_s_are_found_before_anything_is_written(
    board: Path, run: Path
) -> None:
    measured_again(run, "optimal.sample-mse", factor=0.5)
    before = contents(board)
    with pytest.raises(
        RunError, match=r"(?s)nothing was added, for .* image 0 of row 'optimal' has"
    ):
        add(run, board)
    assert contents(board) == before


def test_rows_that_failed_are_not_added_and_a_row_that_came_is_no_failure(
    board: Path, run: Path
) -> None:
    for path in run.glob("records/optimal.sample-mse.*"):
        path.unlink()
    write_failures(run, [failure_of("optimal.sample-mse", "ValueError: no")])
    write_failures(board, [failure_of("optimal.denoiser-mse", "was not there")])
    done = add(run, board)
    assert done.rows.added == ("optimal.denoiser-mse",)
    assert done.rows.kept["optimal.sample-mse"] == (
        "failed there, and is not added (ValueError: no)"
    )
    assert read_failures(board) == ()
    assert [note.text for note in done.check.notes] == [
        "entry 'optimal' has no row under sample-mse"
    ]


@pytest.mark.parametrize("after", [0, 1, 3, 6, 12])
def test_an_interrupted_command_is_given_again(
    board: Path, run: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shutil.copytree(board, board.parent / "whole")
    add(run, whole)
    left = [after]

    def until(path: Path, content: bytes) -> None:
        if not left[0]:
            raise DiskError("no room")
        left[0] -= 1
        write_atomically(path, content)

    before = contents(board)
    with monkeypatch.context() as patch:
        patch.setattr(adding, "write_atomically", until)
        with pytest.raises(DiskError):
            add(run, board)
    records = {name: content for name, content in before.items() if name.startswith("records/")}
    assert records.items() <= contents(board).items()
    add(run, board)
    assert contents(board) == contents(whole)


def test_what_is_no_run_directory_is_refused(board: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is the run itself"):
        add(run, run)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    with pytest.raises(RunError, match="is no run directory"):
        add(run, tmp_path / "letters")
    with pytest.raises(RunError, match=r"run\.json can't be read"):
        add(tmp_path / "letters", board)


def test_the_command_and_its_json(board: Path, run: Path) -> None:
    done = fpmc_bench("leaderboard", "add", run, "--to", board, "--json", cwd=run)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["added"] == ["optimal.denoiser-mse", "optimal.sample-mse"]
    assert said["check"]["faults"] == []
    assert "tables/sample-mse.md" in said["written"]


def test_torch_is_not_imported(board: Path, run: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fpmc_bench.results.board.add import add; "
        "done = add(Path(sys.argv[1]), Path(sys.argv[2])); assert done.rows.added; "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, run, board],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
