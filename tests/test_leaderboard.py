"""Tables from records: ranking, ties, the other network, and what must not be mixed or believed."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from synthetic_records import (
    EXACT_SIGMAS,
    write_exact_records,
    write_synthetic,
)

from fpmc_bench.cli import main
from fpmc_bench.documents.provenance import (
    AddedImages,
    PluginOrigin,
    SourceRecipe,
    TeacherFingerprints,
)
from fpmc_bench.documents.record import read_records
from fpmc_bench.errors import RunError
from fpmc_bench.results.render.csv import render_csv
from fpmc_bench.results.render.json import render_json
from fpmc_bench.results.table import Table, build_tables

LEVELS = len(EXACT_SIGMAS)
TEACHERS = {"tuning": "c" * 64, "evaluation": "d" * 64}


def errors(mean: float, items: int = 8) -> np.ndarray:
    """[items, sigmas] around `mean`, spread by a fortieth of it."""
    wave = 1 + np.cos(np.arange(items * LEVELS).reshape(items, LEVELS)) / 40
    return mean * wave


def write(folder: Path, entry: str, mean: float, **changes: Any) -> Path:
    mse = errors(mean, changes.pop("count", 8))
    return write_synthetic(folder, entry, {"mse@1": mse, "r2@1": 1 - mse}, **changes)


def table(folder: Path) -> Table:
    (only,) = build_tables(read_records(folder))
    return only


def test_entries_are_ranked_and_the_other_network_stands_above(tmp_path: Path) -> None:
    write(tmp_path, "a-worst", 3.0)
    write(tmp_path, "b-best", 1.0)
    write(tmp_path, "c-middle", 2.0)
    write(tmp_path, "teacher", 5.0, role="other network")
    built = table(tmp_path)
    assert [(row.rank, row.entry) for row in built.rows] == [
        (None, "teacher"),
        (1, "b-best"),
        (2, "c-middle"),
        (3, "a-worst"),
    ]
    assert [row.entry for row in built.rows if row.best] == ["b-best"]
    best = built.rows[1]
    items = errors(1.0).mean(axis=1)
    assert best.figures["mse@1"].mean == pytest.approx(items.mean(), rel=1e-12)
    assert best.figures["mse@1"].standard_error == pytest.approx(items.std(ddof=1) / 8**0.5)
    assert best.by_sigma[2].mean == pytest.approx(errors(1.0)[:, 2].mean(), rel=1e-12)
    assert best.by_sigma[2].n == 8


def test_the_other_network_never_takes_the_mark_from_the_best_entry(tmp_path: Path) -> None:
    write(tmp_path, "only", 3.0)
    write(tmp_path, "teacher", 0.1, role="other network")
    assert [(row.entry, row.best) for row in table(tmp_path).rows] == [
        ("teacher", False),
        ("only", True),
    ]


def test_ties_are_found_item_by_item(tmp_path: Path) -> None:
    """`tied` differs from `best` by noise that averages out; `shifted` by a little, always."""
    rough = errors(1.0) + np.linspace(0, 50, 8)[:, None]
    noise = np.array([1, -1, 2, -2, 3, -3, 1, -0.9])[:, None] / 10
    for entry, mse in {"best": rough, "tied": rough + noise, "shifted": rough + 0.05}.items():
        write_synthetic(tmp_path, entry, {"mse@1": mse, "r2@1": -mse})
    rows = {row.entry: row.best for row in table(tmp_path).rows}
    assert rows == {"best": True, "tied": True, "shifted": False}


def test_one_entry_alone(tmp_path: Path) -> None:
    write(tmp_path, "only", 1.0)
    built = table(tmp_path)
    assert [(row.rank, row.best) for row in built.rows] == [(1, True)]
    assert "other network" not in " ".join(built.caption)


def test_an_entry_that_is_not_a_number_comes_last_and_is_not_tied(tmp_path: Path) -> None:
    broken = errors(1.0)
    broken[3, 1] = np.nan
    write_synthetic(tmp_path, "a-broken", {"mse@1": broken, "r2@1": broken})
    write(tmp_path, "sound", 9.0)
    assert [(row.entry, row.rank, row.best) for row in table(tmp_path).rows] == [
        ("sound", 1, True),
        ("a-broken", 2, False),
    ]


def test_a_failed_entry_is_absent_from_its_protocol_alone(tmp_path: Path) -> None:
    write_exact_records(tmp_path)
    for path in tmp_path.glob("els.sample-mse.*"):
        path.unlink()
    denoising, sampling = build_tables(read_records(tmp_path))
    assert (denoising.protocol, sampling.protocol) == ("denoiser-mse", "sample-mse")
    assert {row.entry for row in denoising.rows} - {row.entry for row in sampling.rows} == {
        "els",
        "teacher_b",
    }
    assert len(denoising.sigmas) == LEVELS
    assert sampling.sigmas == ()


def test_the_caption_says_what_was_measured(tmp_path: Path) -> None:
    write(tmp_path, "only", 1.0)
    caption = " ".join(table(tmp_path).caption)
    for said in (
        "synthetic",
        "8 items",
        "mse@1",
        "r2@1",
        "teacher-a",
        "s/sqrt(n)",
        "model confidence set",
        "80",
    ):
        assert said in caption


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("items", {"count": 9}),
        ("provenance.seed", {"provenance": {"seed": 1}}),
        ("provenance.sigmas", {"sigmas": (80.0, 8.0, 0.5, 0.003)}),
        ("reference", {"reference": "another-teacher"}),
        ("suite_fingerprint", {"suite_fingerprint": "e"}),
        ("provenance.test", {"provenance": {"test": "e"}}),
        ("provenance.source.images", {"provenance": {"source": SourceRecipe(images="e")}}),
        *[
            (
                f"provenance.teachers.{role}",
                {"provenance": {"teachers": TeacherFingerprints(**{**TEACHERS, role: "e"})}},
            )
            for role in ("tuning", "evaluation")
        ],
    ],
)
def test_records_that_can_not_be_compared_are_refused(
    tmp_path: Path, field: str, changes: dict[str, Any]
) -> None:
    write(tmp_path, "a", 1.0)
    write(tmp_path, "b", 2.0)
    build_tables(read_records(tmp_path))
    write(tmp_path, "c", 3.0, **changes)
    with pytest.raises(RunError, match=f"their {field} differ") as refusal:
        build_tables(read_records(tmp_path))
    assert "b.denoiser-mse.json and c.denoiser-mse.json" in str(refusal.value)


def test_metric_versions_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path, "a", 1.0)
    write_synthetic(tmp_path, "b", {"mse@1": errors(1.0), "r2@2": errors(1.0)})
    with pytest.raises(RunError, match="metric versions differ") as refusal:
        build_tables(read_records(tmp_path))
    assert "'r2@1'" in str(refusal.value)
    assert "'r2@2'" in str(refusal.value)


def test_a_record_of_another_source_is_another_entry_and_welcome(tmp_path: Path) -> None:
    write(tmp_path, "ls", 2.0)
    plugin = PluginOrigin(distribution="d", version="1", code="c")
    added = AddedImages(augmentation="hflip", params={}, rate=1.0, plugin=plugin)
    augmented = SourceRecipe(images="a" * 64, added=(added,))
    write(tmp_path, "ls-hflip", 1.0, provenance={"source": augmented})
    assert [row.entry for row in table(tmp_path).rows] == ["ls-hflip", "ls"]


def test_an_entry_stands_once(tmp_path: Path) -> None:
    path = write(tmp_path, "ls", 1.0)
    for suffix in (".json", ".npz"):
        original = path.with_suffix(suffix)
        (tmp_path / f"copy{suffix}").write_bytes(original.read_bytes())
    with pytest.raises(RunError, match=r"ls\.denoiser-mse"):
        build_tables(read_records(tmp_path))


def test_a_changed_sidecar_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "ls", 1.0)
    with np.load(path.with_suffix(".npz")) as file:
        values = {name: file[name] for name in file.files}
    values["mse@1"][0, 0] *= 0.5
    np.savez(path.with_suffix(".npz"), **values)
    with pytest.raises(RunError, match="does not hold the values"):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        (("figures", "mse@1", "mean"), "mse@1 is stated as"),
        (("figures", "r2@1", "standard_error"), "r2@1 is stated as"),
        (("figures", "mse@1", "n"), "mse@1 is stated as"),
        (("per_sigma", 2, "figures", "mse@1", "mean"), "mse@1 at sigma 0.5 is stated as"),
    ],
)
def test_figures_that_the_items_don_t_give_are_refused(
    tmp_path: Path, where: tuple[Any, ...], complaint: str
) -> None:
    path = write(tmp_path, "ls", 1.0)
    content = json.loads(path.read_text())
    target = content
    for key in where[:-1]:
        target = target[key]
    target[where[-1]] = 7 if where[-1] == "n" else target[where[-1]] * 0.999
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=complaint):
        build_tables(read_records(tmp_path))


def test_items_of_another_shape_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "ls", 1.0, provenance={"items": (0, 7)})
    with pytest.raises(RunError, match=r"shape \(8, 4\), expected \(7, 4\)"):
        build_tables(read_records(tmp_path))


def test_records_without_the_ranking_metric_are_refused(tmp_path: Path) -> None:
    write_synthetic(tmp_path, "ls", {"r2@1": errors(1.0)})
    with pytest.raises(RunError, match="both need mse@1"):
        build_tables(read_records(tmp_path))


def test_nothing_here_imports_torch_and_only_figures_matplotlib() -> None:
    code = """
import sys
import fpmc_bench.results.table, fpmc_bench.results.render.terminal, fpmc_bench.results.render.json
import fpmc_bench.results.render.markdown, fpmc_bench.results.render.latex
import fpmc_bench.results.render.csv
import fpmc_bench.cli.leaderboard, fpmc_bench.results.render.sample_grid
import fpmc_bench.cli.compare, fpmc_bench.results.sides, fpmc_bench.results.render.comparison
assert "matplotlib" not in sys.modules, "matplotlib"
import fpmc_bench.results.render.figures
assert "matplotlib" in sys.modules
assert "torch" not in sys.modules, "torch"
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def render(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["leaderboard", "render", *map(str, arguments)])


def test_render_takes_a_run_directory_or_its_records(tmp_path: Path) -> None:
    write_exact_records(tmp_path / "records")
    from_run, from_records = render(tmp_path), render(tmp_path / "records")
    assert from_run.exit_code == 0, from_run.output
    assert from_run.stdout == from_records.stdout
    assert "synthetic: denoiser-mse" in from_run.stdout
    assert "synthetic: sample-mse" in from_run.stdout
    assert not (tmp_path / "tables").exists()


def test_render_one_protocol_as_json(tmp_path: Path) -> None:
    write_exact_records(tmp_path)
    asked = render(tmp_path, "--protocol", "sample-mse", "--json")
    (only,) = json.loads(asked.stdout)
    assert only["protocol"] == "sample-mse"
    assert asked.stdout == render(tmp_path, "-p", "sample-mse", "-f", "json").stdout


def test_render_write_keeps_stdout_clean(tmp_path: Path) -> None:
    write_exact_records(tmp_path / "records")
    written = render(tmp_path, "--json", "--write")
    assert written.exit_code == 0, written.output
    json.loads(written.stdout)
    assert (tmp_path / "tables" / "sample-mse.md").is_file()
    assert "figures/denoiser-mse.png" in written.stderr


def test_render_says_what_is_wrong(tmp_path: Path) -> None:
    empty = render(tmp_path)
    assert empty.exit_code == 1
    assert "no records" in empty.stderr
    write(tmp_path, "a", 1.0)
    other = render(tmp_path, "--protocol", "sample-mse")
    assert other.exit_code == 1
    assert "no records of sample-mse" in other.stderr
    assert render(tmp_path, "--format", "html").exit_code == 2
    assert render(tmp_path / "nowhere").exit_code == 2


def test_items_of_few_groups_tell_nothing_apart_and_the_table_says_so(tmp_path: Path) -> None:
    write(tmp_path, "good", 1.0, groups=[0, 0, 0, 0, 1, 1, 1, 1])
    write(tmp_path, "bad", 9.0, groups=[0, 0, 0, 0, 1, 1, 1, 1])
    built = table(tmp_path)
    assert [row.best for row in built.rows] == [True, True]
    caption = " ".join(built.caption)
    assert "8 items in 2 groups" in caption
    assert "itself rough (degrees of freedom: 1)" in caption
    assert "* marks every entry: 2 groups are too few to tell any two apart" in caption
    bad = built.rows[1]
    items = errors(9.0).mean(axis=1)
    assert bad.item_errors["mse@1"] == pytest.approx(items.std(ddof=1) / 8**0.5)
    lines = pd.read_csv(io.StringIO(render_csv(built)))
    assert lines["groups"].tolist() == [2, 2]
    assert lines["mse_item_se"].tolist()[1] == bad.item_errors["mse@1"]
    assert lines["p_value"].tolist() == [1, 0.5]


def test_rows_of_other_groups_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a", 1.0, groups=[0, 0, 0, 0, 1, 1, 1, 1])
    write(tmp_path, "b", 2.0, groups=[0, 1, 0, 1, 0, 1, 0, 1])
    with pytest.raises(RunError, match="the groups of their items differ"):
        build_tables(read_records(tmp_path))


def test_rows_whose_references_vary_otherwise_are_refused(tmp_path: Path) -> None:
    """A row whose divisor was raised, consistently, would have a better r2 than it should."""
    pooled = np.full((8, LEVELS), 0.25)
    mse = errors(1.0)
    write_synthetic(tmp_path, "a", {"mse@1": mse, "r2-pooled@1": pooled})
    write_synthetic(tmp_path, "b", {"mse@1": mse, "r2-pooled@1": pooled * (1 + 1e-5)})
    build_tables(read_records(tmp_path))
    pooled[3, 2] *= 1.01
    write_synthetic(tmp_path, "b", {"mse@1": mse, "r2-pooled@1": pooled})
    with pytest.raises(
        RunError, match="references differ in 1 of 32 values of r2-pooled@1, of item 3 first"
    ):
        build_tables(read_records(tmp_path))


def test_every_row_says_how_far_it_is_from_the_best_and_whether_that_is_chance(
    tmp_path: Path,
) -> None:
    write_exact_records(tmp_path)
    built = build_tables(read_records(tmp_path))[0]
    network, best, tied, worse, _ = built.rows
    assert network.from_best is None
    assert best.from_best is not None
    assert (best.from_best.mean, best.from_best.p_value) == (0, 1)
    (plain,) = json.loads(render_json(built))
    for row, shown in ((tied, plain["rows"][2]), (worse, plain["rows"][3])):
        assert row.from_best is not None
        expected = row.figures["mse@1"].mean - best.figures["mse@1"].mean
        assert row.from_best.mean == pytest.approx(expected, abs=1e-15)
        assert row.best == (row.from_best.p_value >= 0.05) == (row is tied)
        assert shown["from_best"]["p_value"] == row.from_best.p_value
        assert shown["from_best"]["standard_error"] == row.from_best.standard_error
