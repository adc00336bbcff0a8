"""verify: items are computed anew and compared; who agrees is attested, others are named."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import fpmc_bench, write_suite

from fpmc_bench.documents.attestation import SUFFIX, read_attestations
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import read_record, read_records, write_record
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.jobs.verify import verify_records
from fpmc_bench.results.anew import Scales, compared
from fpmc_bench.results.reading import read_tables
from fpmc_bench.results.summaries import figure_of
from fpmc_bench.results.verified import VerifiedRow, ranges_of

WINDOWS = "windows[query_widths=[Infinity,2,1,1],response_widths=[Infinity,2,1,1]]"
MINE = """
from dataclasses import dataclass
from typing import ClassVar
from fpmc_bench.contracts import FunctionDenoiser

@dataclass(frozen=True)
class Scaled(FunctionDenoiser):
    name: ClassVar[str] = "scaled"
    citation: ClassVar[str] = "nobody 2026"

    def build(self, setting):
        return lambda z, sigma: z / (1 + sigma**2)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven items in blocks of two, of rows with and without parameters, and of a file's."""
    folder = tmp_path_factory.mktemp("verify")
    write_suite(folder)
    (folder / "mine.py").write_text(MINE)
    entries = ("-d", "optimal", "-d", "ls", "-d", WINDOWS, "-d", "./mine.py:Scaled")
    done = fpmc_bench("run", "small.toml", *entries, "--run-dir", "run", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Path:
    """A copy of the run, with what it needs beside it."""
    shutil.copytree(folder, tmp_path / "own")
    return tmp_path / "own" / "run"


def verify(run: Path, *options: str | Path | int, status: int = 0) -> str:
    mine = next(file for one in run.parents if (file := one / "mine.py").is_file())
    own = ("-d", f"{mine}:Scaled", "--quiet")
    done = fpmc_bench("verify", run, *own, *options, cwd=run.parent)
    assert done.returncode == status, done.stderr + done.stdout
    return done.stdout + done.stderr


def altered(run: Path, stem: str, factor: float, **changes: Any) -> None:
    """A record that fits its items, which are not what was computed: mse@1 of item 3 is another."""
    record, values = read_record(run / "records" / f"{stem}.json")
    arrays = {name: array.copy() for name, array in values.items()}
    arrays["mse@1"][3] *= factor
    forged = ItemValues(arrays)
    levels = tuple(
        known.model_copy(update={"figures": {m: figure_of(forged, m, level) for m in forged}})
        for level, known in enumerate(record.per_sigma)
    )
    figures = {"figures": {m: figure_of(forged, m) for m in forged}, "per_sigma": levels}
    new = record.model_copy(update={**figures, "items_sha256": forged.digest, **changes})
    write_record(run / "records", new, forged)


def edited(run: Path, stem: str, **provenance: Any) -> None:
    path = run / "records" / f"{stem}.json"
    content = json.loads(path.read_text())
    content["provenance"].update(provenance)
    path.write_text(json.dumps(content))


def everything(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_rows_that_agree_are_attested_and_nothing_else_is_touched(run: Path) -> None:
    before = everything(run)
    told = verify(run, "--items", 3, "--seed", 1)
    assert "ls (denoiser-mse): 4 of 4 items agree, largest difference 0\n" in told
    assert "digits-ddpmpp (sample-mse): 4 of 4 items agree" in told
    assert "chosen by --seed 1" in told
    after = everything(run)
    new = {path for path in after if path not in before}
    assert {path: after[path] for path in before} == before
    assert {path.suffix for path in new} == {SUFFIX}
    assert len(new) == len(read_records(run / "records")) == 10
    (one, *_) = read_attestations(run / "records").values()
    assert (one.count, one.seed, one.largest_difference) == (4, 1, 0.0)
    assert one.environment.device == "cpu"
    tables = read_tables(run)
    assert {row.verification for table in tables for row in table.rows} == {"verified (4 items)"}
    verify(run, "--all", "--entry", "ls")
    checked = {row.entry: row.verification for row in read_tables(run)[0].rows}
    assert checked["ls"] == "reproduced"
    assert checked["optimal"] == "verified (4 items)"


def test_what_a_row_is_made_of_is_found_in_many_places(run: Path) -> None:
    """In a folder of records alone, by the suite that is given; of one record alone; as JSON."""
    alone = shutil.copytree(run / "records", run.parent / "alone")
    told = verify(alone, status=2)
    assert "no installed suite is theirs, small" in told
    assert "give it by --suite" in told
    verify(alone, "--suite", run.parent / "small.toml", "--entry", "ls", "--no-attest")
    assert not list(alone.glob(f"*{SUFFIX}"))
    found = json.loads(verify(run / "records" / "optimal.sample-mse.json", "--json", "--seed", 2))
    assert [(row["entry"], row["protocol"]) for row in found["rows"]] == [("optimal", "sample-mse")]
    assert found["agrees"] is True
    assert found["rows"][0]["compared"] == 7
    assert "Unknown entry 'lss'. Did you mean 'ls'?" in verify(run, "--entry", "lss", status=2)
    (run / "run.json").write_text("{")
    assert "run.json is damaged" in verify(run, status=2)


def test_an_item_that_is_another_is_named_and_its_attestation_is_gone(run: Path) -> None:
    verify(run, "--all", "--entry", "optimal")
    stem = "optimal.denoiser-mse"
    (run / "records" / f"{stem}{SUFFIX}").unlink()
    altered(run, stem, 1.01)
    written = verify(run, "--all", "--entry", "optimal", status=1)
    assert "optimal (denoiser-mse): 6 of 7 items agree, largest difference" in written
    assert "; not 3: mse@1 of item 3 at sigma " in written
    assert "optimal (sample-mse): 7 of 7 items agree" in written
    part = verify(run, "--items", 2, "--seed", 1, "--entry", "optimal", status=1)
    assert "optimal (denoiser-mse): 1 of 2 items agree" in part
    assert "; not 3: mse@1 of item 3 at sigma " in part
    loose = verify(run, "--all", "--entry", "optimal", "--tolerance", 1)
    assert "optimal (denoiser-mse): 7 of 7 items agree" in loose
    checked = {row.entry: row.verification for row in read_tables(run)[0].rows}
    assert checked["optimal"] == "reproduced (to 1)"
    verify(run, "--all", "--entry", "optimal", status=1)
    assert not (run / "records" / f"{stem}{SUFFIX}").exists()


def test_a_row_that_is_a_fault_of_its_own_leaves_the_others(run: Path) -> None:
    edited(run, "ls.denoiser-mse", denoiser="elsewhere")
    (run / "records" / "ls.sample-mse.npz").write_bytes(b"")
    own = run.parent / "mine.py"
    own.write_text(own.read_text().replace("z / (1", "[][0] / (1"))
    found = verify_records(run, seed=0, denoisers=[str(own) + ":Scaled"], progress=False)
    lines = {(row.entry, row.protocol): row.line for row in found.rows}
    assert not found.agrees
    assert "the suite states that row otherwise" in lines["ls", "denoiser-mse"]
    assert "ls.sample-mse.npz" in lines["ls", "sample-mse"]
    assert "it failed here: IndexError" in lines["scaled", "denoiser-mse"]
    assert "7 of 7 items agree" in lines["optimal", "denoiser-mse"]
    assert sum(row.agrees for row in found.rows) == 6


def test_a_plugin_that_is_not_installed_is_named(run: Path) -> None:
    done = fpmc_bench("verify", run, "--entry", "scaled", "--entry", "ls", "--quiet", cwd=run)
    assert done.returncode == 1
    assert (
        "scaled (denoiser-mse): Unknown denoiser 'scaled', a class of mine.py: -d ./mine.py says "
        "where that is" in done.stdout
    )
    assert "ls (denoiser-mse): 7 of 7 items agree" in done.stdout


def test_what_may_move_last_bits_is_said_and_other_code_is_compared(run: Path) -> None:
    own = run.parent / "mine.py"
    own.write_text(own.read_text() + "\n# edited\n")
    costs = {"addition": 9.0, "split_multiply_add": 9.0, "forced": None}
    edited(run, "ls.sample-mse", device="cuda", arithmetic=costs, numerics=1)
    told = " ".join(verify(run).split())
    assert (
        "scaled (denoiser-mse), scaled (sample-mse): computed here by another version, or " in told
    )
    assert "ls (sample-mse): computed here on another kind of device" in told
    assert "ls (sample-mse): computed here on a processor that takes other products" in told
    assert "ls (sample-mse): 7 of 7 items agree" in told
    attested = read_attestations(run / "records")["ls.sample-mse"]
    assert "computed here on another kind of device" in attested.remarks
    own.write_text(own.read_text().replace("sigma**2", "sigma**2 + 1e-3"))
    assert "scaled (denoiser-mse): 0 of 7 items agree" in verify(run, status=1)


def test_other_networks_and_data_are_named_with_what_gives_them(run: Path) -> None:
    edited(run, "ls.sample-mse", teachers={"tuning": "a" * 64, "evaluation": "b" * 64})
    told = " ".join(verify(run, "--entry", "ls", status=1).split())
    assert 'ls (sample-mse): it is not of what is here: tuning teacher is "aaaa' in told
    assert "evaluation teacher is" in told
    assert "what it was computed with is given by --teacher" in told


def test_without_records_there_is_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no records"):
        verify_records(tmp_path)
    with pytest.raises(UsageError, match="there is nothing"):
        verify_records(tmp_path / "none")


@pytest.mark.slow
def test_processes_share_the_work(run: Path) -> None:
    told = verify(run, "--all", "--processes", 2)
    assert told.count("7 of 7 items agree") == 10
    (one, *_) = read_attestations(run / "records").values()
    assert one.environment.processes == 2


def test_differences_are_those_of_errors() -> None:
    """By hand: references of variance 1 and 0.25; the lower noise counts by its sigma."""
    images = np.array([[[1.0, -1.0]], [[0.5, -0.5]]], np.float32).reshape(2, 1, 1, 1, 2)
    scales = Scales.of(np.repeat(images, 2, axis=1), (4.0, 0.1))
    assert scales.spread == pytest.approx([0.625, 0.625])
    assert scales.error == pytest.approx([0.625, 0.01])
    recorded = {
        "mse@1": np.array([[0.5, 0.002], [0.5, 0.002]]),
        "r2@1": np.array([[0.5, 0.5], [0.5, 0.5]]),
        "r2-pooled@1": np.array([[1.0, 1.0], [0.25, 0.25]]),
    }
    anew = {name: array.copy() for name, array in recorded.items()}
    assert compared(recorded, anew, scales).by_item.tolist() == [0, 0]
    anew["mse@1"][0, 1] += 1e-5
    anew["mse@1"][1, 1] = 0.2
    anew["r2@1"][1, 0] -= 0.1
    anew["r2-pooled@1"][0, 0] += 0.0625
    comparison = compared(recorded, anew, scales)
    assert comparison.differences["mse@1"][0, 1] == pytest.approx(1e-3)
    assert comparison.differences["r2@1"][1, 0] == pytest.approx(0.1 * 0.25 / 0.625)
    assert comparison.by_item == pytest.approx([0.1, 0.198 / 0.2])
    assert [comparison.worst(item) for item in (0, 1)] == [("r2-pooled@1", 0), ("mse@1", 1)]
    with pytest.raises(RunError, match="new@1 can't be verified"):
        compared({**recorded, "new@1": images}, {**anew, "new@1": images}, scales)


def test_what_is_no_number_agrees_with_itself_alone() -> None:
    scales = Scales(np.ones(3), np.array(1.0), np.array(1.0))
    recorded = {"mse@1": np.array([np.nan, np.inf, 1.0])}
    assert compared(recorded, recorded, scales).by_item.tolist() == [0, 0, 0]
    other = {"mse@1": np.array([1.0, np.nan, np.inf])}
    assert compared(recorded, other, scales).by_item.tolist() == [np.inf] * 3


def test_a_long_list_of_items_is_cut() -> None:
    row = VerifiedRow("ls", "sample-mse", tuple(range(40)), tuple(range(15)), 0.5, "mse@1 is so")
    assert row.line.endswith("not 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 5 more: mse@1 is so")
    assert ranges_of([range(2), range(2, 4), range(6, 7)]) == ((0, 4), (6, 7))
