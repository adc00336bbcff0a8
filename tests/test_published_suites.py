"""The paper's suites: schedules of tables 5, 6 and 7, number by number, and what they ask for.

The expected numbers were read off the paper's tables by a script that also compared every value.
"""

from pathlib import Path
from typing import Any

import pytest
from runs import environment, fpmc_bench

from fpmc_bench import load_suite, sigma_grid
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.documents.suite import Suite
from fpmc_bench.fpmc.shapes import ImageShape

SIGMAS_18 = """80.0 57.6 40.8 28.4 19.4 12.9 8.40 5.32 3.26 1.92 1.09 0.585 0.296 0.140 0.060 0.023
    0.008 0.002"""
SIGMAS_40 = """80 69.5 60.1 51.9 44.6 38.3 32.7 27.8 23.6 19.9 16.8 14.1 11.7 9.72 8.03 6.59 5.38
    4.37 3.52 2.82 2.24 1.77 1.38 1.07 0.823 0.625 0.470 0.349 0.256 0.185 0.131 0.092 0.063 0.042
    0.028 0.018 0.011 0.006 0.004 0.002"""
SIGMAS = {"cifar10": SIGMAS_18, "ffhq64": SIGMAS_40, "afhqv2-64": SIGMAS_40}

SCHEDULES = {
    ("cifar10", "pspc-square"): "32*7 23 15 11 7 5 3*6",
    ("cifar10", "ls"): "31*6 29 25 15 11 7 5 3*6",
    ("cifar10", "els"): "31*7 27 19 15 9 7 5 3*5",
    ("cifar10", "pspc-flex"): "1*7 0.7*2 0.5 0.4*4 0.3*4",
    ("ffhq64", "pspc-square"): "64*12 43*3 35*2 27 23 19 15*2 11 9*2 7 5*2 3*12",
    ("ffhq64", "ls"): "63*11 55 51 45 39 35 31 29 25 21 17 15 11 7*4 5 3*12",
    ("ffhq64", "pspc-flex"): "1*11 0.8 0.7 0.6*4 0.55 0.5 0.45 0.4*3 0.35 0.3*16",
    ("afhqv2-64", "pspc-square"): "64*11 51 43*2 35 27 23 19 15*3 9*3 7 5*2 3*13",
    ("afhqv2-64", "ls"): "63*5 55 63*5 55 51 45 37 31 23 21 17 15 13 11 9 7 5 3*15",
    ("afhqv2-64", "pspc-flex"): "1*9 0.85 0.7 0.65 0.6*3 0.55 0.5 0.45 0.4 0.35 0.3*20",
}
"""`value*times`, from the largest noise level down."""

THRESHOLDS = {
    "cifar10": {"lukoianov": 0.05},
    "ffhq64": {"lukoianov": 0.02, "lukoianov-0.05": 0.05},
    "afhqv2-64": {"lukoianov": 0.02, "lukoianov-0.05": 0.05},
}
TEACHERS = {
    "cifar10": "edm-cifar10-32x32-uncond",
    "ffhq64": "edm-ffhq-64x64-uncond",
    "afhqv2-64": "edm-afhqv2-64x64-uncond",
}
NAMES = sorted(SIGMAS)


def written_out(short: str) -> list[float]:
    values: list[float] = []
    for part in short.split():
        value, _, times = part.partition("*")
        values += [float(value)] * int(times or 1)
    return values


@pytest.fixture(params=NAMES)
def suite(request: pytest.FixtureRequest) -> Suite:
    return load_suite(str(request.param))


def test_noise_levels_are_those_of_the_table(suite: Suite) -> None:
    grid = suite.sigmas
    ours = sigma_grid(grid.steps, grid.smin, grid.smax, grid.rho).tolist()
    for sigma, printed in zip(ours, SIGMAS[suite.name].split(), strict=True):
        decimals = len(printed.partition(".")[2])
        # the table rounds some of its last digits down
        assert abs(sigma - float(printed)) < 10**-decimals


@pytest.mark.parametrize(("name", "denoiser"), sorted(SCHEDULES))
def test_schedules_are_those_of_the_tables(name: str, denoiser: str) -> None:
    (schedule,) = load_suite(name).entry(denoiser).params.values()
    assert list(schedule) == written_out(SCHEDULES[name, denoiser])


def test_thresholds_are_those_of_tables_4_to_7(suite: Suite) -> None:
    found = {
        entry.name: entry.params["threshold"]
        for entry in suite.entries
        if entry.denoiser == "lukoianov"
    }
    assert found == THRESHOLDS[suite.name]


def test_the_rest_of_the_protocol(suite: Suite) -> None:
    """C.1, C.4 and table 2: 1000 items, DDPM++ tunes, NCSN++ evaluates, no els at 64 pixels."""
    assert suite.items == 1000
    assert suite.teachers.tuning == f"{TEACHERS[suite.name]}-vp"
    assert suite.teachers.evaluation == f"{TEACHERS[suite.name]}-ve"
    expected = {"optimal", "wiener", "ls", "pspc-square", "pspc-flex"} | set(THRESHOLDS[suite.name])
    if suite.name == "cifar10":
        expected.add("els")
    assert {entry.name for entry in suite.entries} == expected


def test_every_entry_fits_its_images(suite: Suite) -> None:
    registry = installed_registry()
    side_px = 32 if suite.name == "cifar10" else 64
    sigmas = tuple(sigma_grid(suite.sigmas.steps).tolist())
    for entry in suite.entries:
        plugin: Any = make_plugin(registry.get("denoisers", entry.denoiser).item, entry.params)
        plugin.check(ImageShape(3, side_px, side_px), sigmas)


@pytest.mark.parametrize("name", NAMES)
def test_whoever_lacks_the_files_is_told_of_all_at_once(name: str, tmp_path: Path) -> None:
    assert "FPMC_BENCH_CONFIG" not in environment()
    done = fpmc_bench("run", name, cwd=tmp_path)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert lines[0] == "fpmc-bench: missing files:"
    assert len(lines) == 4
    assert f"dataset '{name}'" in lines[1]
    assert f"--data {name}=PATH" in lines[1]
    assert f"teacher '{TEACHERS[name]}-vp'" in lines[2]
    assert "--teacher tuning=PATH" in lines[2]
    assert f"{TEACHERS[name]}-vp.pkl" in lines[2]
    assert f"teacher '{TEACHERS[name]}-ve'" in lines[3]
    assert "--teacher evaluation=PATH" in lines[3]
    assert list(tmp_path.iterdir()) == []
