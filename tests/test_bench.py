"""`fpmc-bench bench` as a user runs it, and what it measures with."""

import json
from pathlib import Path

import pytest
import torch
from runs import fpmc_bench, write_suite

from fpmc_bench import FPMC
from fpmc_bench.engine.prepared import prepare
from fpmc_bench.engine.ways import way_of
from fpmc_bench.fpmc import PixelOneHot, Translations
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.harness.forecast.peaks import peak_memory
from fpmc_bench.jobs.bench import spread_levels
from fpmc_plugins.denoisers.ls import squares


def test_bench_shows_every_entry_at_every_level(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    done = fpmc_bench(
        "bench", str(suite), "--levels", "2", "--queries", "3", "--repetitions", "1", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "us per pair" in lines[0]
    assert [line.split()[0] for line in lines[2:8]] == 2 * ["optimal"] + 2 * ["ls"] + 2 * [
        "pspc-flex"
    ]
    assert "3 queries at once, 1297 source images, cpu" in done.stdout


def test_bench_as_json_adds_up(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    done = fpmc_bench(
        *("bench", str(suite), "-d", "ls", "-d", "wiener", "--levels", "1"),
        *("--queries", "2", "--repetitions", "1", "--json"),
        cwd=tmp_path,
    )
    found = json.loads(done.stdout)
    assert found["yardsticks"]["product_gflops"] > 1
    assert found["yardsticks"]["bandwidth_gbytes"] > 0.1
    assert found["arithmetic"]["addition"] > 0
    ls, wiener = found["speeds"]
    assert (ls["denoiser"], ls["path"]) == ("ls", "box-sums / identity")
    assert ls["microseconds_per_pair"] == pytest.approx(ls["seconds"] * 1e6 / (2 * 1297))
    assert ls["queries_per_second"] == pytest.approx(2 / ls["seconds"])
    assert 0 < ls["product_ratio"] < 1
    assert wiener["path"] == "function"
    assert wiener["product_ratio"] is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--memory-budget", "plenty"), "'plenty' is not a size; expected a number with a unit"),
        (("--memory-budget", "12KiB"), "too little to work in; the least is 1MiB"),
        (("-d", "lss"), "Did you mean 'ls'"),
        (("--queries", "0"), "--queries"),
    ],
)
def test_bench_refuses_what_makes_no_sense(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    done = fpmc_bench("bench", "digits", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert complaint in " ".join(done.stderr.split())


def test_levels_are_spread_from_the_highest_to_the_lowest() -> None:
    sigmas = [80.0, 10.0, 1.0, 0.1, 0.002]
    assert spread_levels(sigmas, 3) == [80.0, 1.0, 0.002]
    assert spread_levels(sigmas, 1) == [80.0]
    assert spread_levels(sigmas, 9) == sigmas


def test_peak_memory_sees_what_was_there_for_a_moment() -> None:
    with peak_memory("cpu") as peak:
        held = torch.ones(2**26 // 4)
        total = float(held.exp_().sum())
        del held
    assert total > 0
    assert peak.grown_bytes > 0.8 * 2**26


def test_counted_work_is_that_of_the_structure() -> None:
    """32 x 32 RGB, ls of side 5: about 30 operations a pixel, whatever the number of images."""
    shape = ImageShape(3, 32, 32)
    model = FPMC(squares(shape, 5), PixelOneHot(shape))
    prepared = prepare(model, "cpu")
    clipped = 32 * 5 - 2 * (2 + 1)  # additions along one axis of 32, at the border fewer
    assert prepared.precision.operations == 2 * clipped * 32
    streamed = way_of(model).work(prepared)
    assert streamed.operations == 5 * 3072 + 2 * clipped * 32 + 4 * 1024
    moving = FPMC(model.precision, model.response, Translations(5))
    searching = prepare(moving, "cpu")
    assert way_of(moving).path(searching) == "row-products"
    assert way_of(moving).work(searching).operations > 100 * streamed.operations
    fixed = FPMC(squares(shape, 63), model.response, Translations(63))
    path = way_of(fixed).path(prepare(fixed, "cpu"))
    assert path == "box-sums / identity", "no square of that side can move"
