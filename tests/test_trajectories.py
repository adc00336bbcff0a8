"""Trajectories: what a run keeps of the way to its first samples, and how that is read."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from plans import measure, measure_all, refer, small_bench, small_workload
from runs import fpmc_bench, write_suite

from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.errors import RunError
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.samples import keep_trajectories
from fpmc_bench.protocols import prediction_of
from fpmc_bench.protocols.problem import Problem
from fpmc_bench.protocols.trajectory import Observed
from fpmc_bench.results.render.sample_grid import read_samples
from fpmc_bench.results.trajectories import (
    Trajectories,
    read_trajectories,
    trajectory_codes,
    write_trajectories,
)
from fpmc_bench.storage.arrays import write_arrays

ROWS = ["digits-ncsnpp", "digits-ddpmpp", "optimal", "ls", "pspc-flex"]
SIGMAS = (80.0, 2.0, 0.3)


def shrink(z: torch.Tensor, sigma: float) -> torch.Tensor:
    return z / (1 + sigma**2)


def test_what_is_seen_is_z_on_its_way_and_what_is_made_of_it() -> None:
    """By Heun's formulas, written down once more: the trial steps are no part of the way."""
    problem = Problem(None, SIGMAS, 5, "cpu", (0, 1, 2))  # type: ignore[arg-type]
    object.__setattr__(problem, "test", type("Test", (), {"shape": (1, 4, 3)}))
    observed = Observed(shrink)
    prediction = prediction_of("sample-mse")(observed, problem, range(5))
    assert torch.equal(prediction, prediction_of("sample-mse")(shrink, problem, range(5)))
    z = 80 * unit_noise(5, "sample-mse", range(3), (1, 4, 3)).double()
    way = [z]
    for sigma, following in pairwise(SIGMAS):
        slope = (z - shrink(z, sigma)) / sigma
        trial = z + (following - sigma) * slope
        z = z + (following - sigma) * (slope + (trial - shrink(trial, following)) / following) / 2
        way.append(z)
    answers = [shrink(one, sigma) for one, sigma in zip(way, SIGMAS, strict=True)]
    expected = trajectory_codes(
        torch.stack(way, dim=1).numpy(), torch.stack(answers, dim=1).numpy(), SIGMAS
    )
    assert observed.codes(SIGMAS).shape == (2, 3, 3, 1, 4, 3)
    assert np.abs(observed.codes(SIGMAS).astype(int) - expected).max() <= 1, "of rounding"


@pytest.mark.parametrize(
    ("noisy", "denoised", "codes"),
    [
        (0.0, 0.0, (128, 128)),
        (5.0, 3.0, (255, 255)),
        (-(5**0.5), -1.0, (0, 0)),
        (1, 0.5, (185, 191)),
    ],
)
def test_codes_are_of_values_of_like_spread(
    noisy: float, denoised: float, codes: tuple[int, int]
) -> None:
    image = np.ones((1, 1, 1, 1, 1))
    found = trajectory_codes(noisy * image, denoised * image, [2.0])
    assert (found.dtype, found.flatten().tolist()) == (np.uint8, list(codes))


def test_a_run_keeps_them_for_every_row_and_another_run_adds_its_own(tmp_path: Path) -> None:
    suite, run_dir = write_suite(tmp_path), tmp_path / "run"

    def kept(*options: str) -> Trajectories:
        arguments = ("run", suite, "-p", "sample-mse", "--run-dir", run_dir, "--quiet")
        assert fpmc_bench(*arguments, *options, cwd=tmp_path).returncode == 0
        return read_trajectories(RunDirectory(run_dir).trajectories)

    first = kept("-d", "optimal")
    assert list(first.rows) == ROWS[:3]
    whole = kept()
    assert list(whole.rows) == ROWS
    assert whole.sigmas == small_workload().plan.context.sigmas
    assert all(np.array_equal(whole.rows[name], first.rows[name]) for name in ROWS[:3])
    samples = read_samples(run_dir / "samples" / "sample-mse.npz")
    for name, (noisy, denoised) in whole.rows.items():
        assert noisy.shape == denoised.shape == (2, 4, 1, 8, 8), "the first block is of two items"
        assert np.array_equal(noisy[:, 0], whole.rows[ROWS[0]][0][:, 0]), "the noise is shared"
        # the last step, Euler's, ends at what is denoised there
        last = np.rint((np.clip(samples[name][:2], -1, 1) + 1) * 127.5)
        assert np.abs(denoised[:, -1] - last).max() <= 1
        assert not np.array_equal(noisy[:, -1], noisy[:, 0])


def test_any_number_of_processes_sees_the_same(tmp_path: Path) -> None:
    workload, found = small_workload(), []
    for world in (1, 2):
        directory = RunDirectory(tmp_path / str(world))
        measure_all(directory.ledger.directory, workload, "sample-mse", world)
        keep_trajectories(workload, "sample-mse", directory, failures=())
        found.append(directory.trajectories.read_bytes())
    assert found[0] == found[1]


def test_units_of_before_give_none_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workload, directory = small_workload(), RunDirectory(tmp_path)
    bench = small_bench(directory.ledger, workload)
    references, rows = workload.references("sample-mse"), workload.rows("sample-mse")
    refer(bench, references)
    measure(bench, rows, references)
    keep_trajectories(workload, "sample-mse", directory, failures=())
    assert caplog.messages == []
    _forget(directory.ledger, rows[0].key)
    keep_trajectories(workload, "sample-mse", directory, failures=["optimal.sample-mse"])
    assert list(read_trajectories(directory.trajectories).rows) == ["digits-ncsnpp"]
    (said,) = caplog.messages
    assert said.startswith("no trajectories of digits-ddpmpp: units of an earlier version")


def _forget(ledger: Ledger, key: str) -> None:
    unit = ledger.required(key, "it")
    ledger.write(
        key, {name: a for name, a in unit.arrays.items() if name != "trajectory"}, unit.note
    )


CODES = np.zeros((2, 3, 2, 1, 4, 4), np.uint8)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"mine": CODES.astype(np.float32)}, r"'mine' is float32 \[2, 3, 2, 1, 4, 4\]"),
        ({"mine": CODES[:1]}, "expected uint8"),
        ({"mine": np.repeat(CODES, 2, axis=1)}, "n from 1 to 3"),
        ({"mine": CODES[:, :, :1]}, r"\[2,n,2,C,H,W\]"),
        ({"mine": CODES, "other": CODES[..., :2]}, "as of all rows"),
        ({"a\nb": CODES}, "no row is called"),
        ({"mine": np.zeros((2, 3, 2, 3, 800, 800), np.uint8)}, "would take"),
    ],
)
def test_what_can_be_no_trajectories_is_refused(
    rows: dict[str, np.ndarray], said: str, tmp_path: Path
) -> None:
    write_trajectories(tmp_path / "trajectories.npz", Trajectories((2.0, 1.0), rows))
    with pytest.raises(RunError, match=said):
        read_trajectories(tmp_path / "trajectories.npz")


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="can't be read"):
        read_trajectories(tmp_path / "none.npz")
    write_arrays(tmp_path / "samples.npz", {".order": np.array('["ls"]'), "ls": CODES})
    with pytest.raises(RunError, match="not a file of trajectories: KeyError"):
        read_trajectories(tmp_path / "samples.npz")
