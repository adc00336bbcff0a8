"""Noise levels in whatever numbers come in: floats, numpy's, tensors; one or a grid of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpmc_bench import (
    Places,
    Source,
    build_denoiser,
    file_fingerprint,
    fpmc_denoise,
    heun_sample,
    load_finetuned,
    load_teacher,
    run_suite,
    sensitivity_maps,
)
from fpmc_bench.contracts import Setting
from fpmc_bench.errors import CheckpointError, InputError, MissingFilesError
from fpmc_bench.fpmc import reference_denoise
from fpmc_bench.teachers.function import FunctionTeacher
from fpmc_bench.testing import check_denoiser
from fpmc_plugins.denoisers.optimal import Optimal

GRID = [8.0, 1.0, 0.5]
GRIDS = [
    GRID,
    tuple(GRID),
    np.array(GRID),
    np.array(GRID, dtype=np.float32),
    torch.tensor(GRID),
    torch.tensor(GRID, dtype=torch.float64, requires_grad=True),
    [np.float32(8), torch.tensor(1.0), 0.5],
    iter(GRID),
]
NO_GRIDS = [1.0, None, "1.0", [], np.array([]), [[1.0]], np.ones((2, 2)), torch.ones(2, 2),
            torch.tensor(1.0), [1.0, "x"], [float("nan")], [1.0, -1.0], [np.inf], [1j]]  # fmt: skip
ONES = [1, 1.0, np.float64(1), np.float32(1), np.int64(1), np.array(1.0), np.array([1.0]),
        torch.tensor(1.0), torch.tensor([1.0]), torch.tensor(1.0, requires_grad=True)]  # fmt: skip
NO_ONES = [None, "1.0", 1j, [1.0], np.ones(2), torch.ones(2), 0, -1.0, float("nan"), np.inf]


def teacher() -> FunctionTeacher:
    return FunctionTeacher("halves", lambda z, sigma: z * 0.5 * sigma / sigma, "cpu")


def grid_takers() -> dict[str, Callable[[Any], object]]:
    """Every public function that takes noise levels; each gives what shows them."""
    images, noise = Source(torch.zeros(2, 1, 2, 2)), torch.ones(1, 1, 2, 2)
    return {
        "build_denoiser": lambda s: build_denoiser("optimal", images, sigmas=s).setting.sigmas,
        "Setting": lambda s: Setting(images, s).sigmas,
        "heun_sample": lambda s: heun_sample(teacher(), noise, s).tolist(),
        "sensitivity_maps": lambda s: sensitivity_maps(teacher(), images, s, 1).tolist(),
        "check_denoiser": lambda s: check_denoiser(Optimal, sigmas=s).setting.sigmas,
    }


def one_takers(digits: Source) -> dict[str, Callable[[Any], torch.Tensor]]:
    """Every public function that takes one; each gives an image."""
    images, z = Source(digits.images[:3], scale=digits.scale), torch.ones(1, 1, 8, 8)
    built = build_denoiser("optimal", images, sigmas=GRID)
    model, network = built.fpmc(1.0), load_teacher("digits-ncsnpp")
    return {
        "fpmc_denoise": lambda s: fpmc_denoise(model, images, z, s),
        "reference_denoise": lambda s: reference_denoise(model, images, z, s).float(),
        "a denoiser": lambda s: built(z, s),
        "its fpmc": lambda s: fpmc_denoise(built.fpmc(s), images, z, 1.0),
        "nearest": lambda s: torch.tensor(built.setting.nearest(s)),
        "a network": lambda s: network(z, s),
        "a function": lambda s: teacher()(z, s),
    }


@pytest.mark.parametrize("name", grid_takers())
def test_a_grid_of_any_numbers(name: str) -> None:
    take = grid_takers()[name]
    expected = take(GRID)
    for grid in GRIDS:
        again = iter(GRID) if grid is GRIDS[-1] else grid
        assert take(again) == expected
    for grid in NO_GRIDS:
        with pytest.raises(InputError, match="sigmas must be positive and finite, a list"):
            take(grid)


@torch.no_grad()
def test_one_of_any_kind(digits: Source) -> None:
    for name, take in one_takers(digits).items():
        expected = take(1.0)
        for one in ONES:
            assert torch.equal(take(one), expected), (name, one)
        for one in NO_ONES:
            with pytest.raises(InputError, match="sigma must be a positive, finite number"):
                take(one)


def test_z_is_a_tensor(digits: Source) -> None:
    built = build_denoiser("optimal", digits, sigmas=GRID)
    with pytest.raises(InputError, match=r"z must be a torch tensor \[B,C,H,W\], got ndarray"):
        built(np.zeros((1, 1, 8, 8)), 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [str, Path])
def test_paths_are_text_or_paths(
    tmp_path: Path, kind: type, digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"content")
    assert file_fingerprint(kind("file")) == file_fingerprint(tmp_path / "file")
    for load in (
        lambda: load_finetuned(kind("none.safetensors")),
        lambda: load_teacher(kind("none.safetensors")),
        lambda: build_denoiser("optimal", digits, sigmas=GRID, teacher=kind("none.safetensors")),
    ):
        with pytest.raises(CheckpointError, match=r"none\.safetensors"):
            load()
    assert Places(teacher={"tuning": kind("x.pkl")}).find("teacher", "tuning") == "x.pkl"
    places = Places(teacher={"tuning": kind("x.pkl")})
    with pytest.raises(MissingFilesError, match=r"nothing at x\.pkl"):
        run_suite("digits", run_dir=kind("run"), places=places)
