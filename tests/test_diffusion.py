"""Noise levels, keyed noise and the sampler: the paper's grid, an exact solution, a known cost."""

import math

import pytest
import torch
from torch import Tensor

from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.diffusion.sigmas import sigma_grid
from fpmc_bench.errors import InputError, ParameterError

TABLE_5 = """
    80.0 57.6 40.8 28.4 19.4 12.9 8.40 5.32 3.26 1.92
    1.09 0.585 0.296 0.140 0.060 0.023 0.008 0.002
"""


def test_the_grid_is_the_paper_s_to_the_printed_digits() -> None:
    decimals = [len(text.partition(".")[2]) for text in TABLE_5.split()]
    printed = [f"{sigma:.{n}f}" for sigma, n in zip(sigma_grid(18).tolist(), decimals, strict=True)]
    assert printed == TABLE_5.split()


@pytest.mark.parametrize("steps", [2, 18, 40])
def test_the_grid_descends_between_its_ends_exactly(steps: int) -> None:
    grid = sigma_grid(steps, smin=0.01, smax=50.0)
    assert (len(grid), grid[0].item(), grid[-1].item()) == (steps, 50.0, 0.01)
    assert bool((grid.diff() < 0).all())


@pytest.mark.parametrize(
    "arguments",
    [{"steps": 1}, {"steps": 18, "smin": 0.0}, {"steps": 18, "smin": 90.0}, {"steps": 9, "rho": 0}],
)
def test_a_senseless_grid_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="steps >= 2, 0 < smin < smax and rho > 0"):
        sigma_grid(**arguments)  # type: ignore[arg-type]


SPREAD = 0.5


def gaussian_denoiser(z: Tensor, sigma: float) -> Tensor:
    """The optimal denoiser of N(0, SPREAD^2): the flow then has a closed solution."""
    return z * SPREAD**2 / (SPREAD**2 + sigma**2)


def sampling_error(steps: int) -> float:
    """Of the sampler against z(0) = z(smax) SPREAD / sqrt(SPREAD^2 + smax^2)."""
    noise = unit_noise(0, "test", range(4), (1, 3, 3)).double()
    exact = noise * 80.0 * SPREAD / math.sqrt(SPREAD**2 + 80.0**2)
    return float((heun_sample(gaussian_denoiser, noise, sigma_grid(steps)) - exact).abs().max())


def test_the_sampler_is_of_second_order() -> None:
    coarse, middle, fine = (sampling_error(steps) for steps in (20, 40, 80))
    assert 3.4 < coarse / middle < 4.8
    assert 3.4 < middle / fine < 4.8
    assert fine < 2e-3


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (18, [-0.9848247198785002, -0.9827030497186606, -0.9650276899244816, 0.7099521358822816]),
        (40, [-0.9846169953033638, -0.9804538873319746, -0.9381108936636608, 0.7340309117033502]),
    ],
)
def test_the_sampler_is_edm_s(steps: int, expected: list[float]) -> None:
    """Numbers that `edm_sampler` of the original's generate.py gave for this denoiser."""

    def bent(z: Tensor, sigma: float) -> Tensor:
        return torch.tanh(1.3 * z - 0.2) / (1 + 0.3 * sigma) + 0.1 * torch.sin(z / (1 + sigma))

    noise = torch.tensor([-1.5, -0.3, 0.1, 2.0]).double().reshape(1, 1, 2, 2)
    sample = heun_sample(bent, noise, sigma_grid(steps)).flatten()
    torch.testing.assert_close(
        sample, torch.tensor(expected, dtype=torch.float64), atol=1e-12, rtol=0
    )


def test_the_last_step_is_euler_s() -> None:
    noise = torch.ones(1, 1, 1, 1)
    sample = heun_sample(lambda z, sigma: z * 0.25, noise, [2.0])
    assert sample.item() == 0.5  # z = 2, D = z / 4: an Euler step to 0 ends at D


@pytest.mark.parametrize("steps", [1, 2, 18, 40])
def test_it_evaluates_twice_per_step_less_one_from_the_top_down(steps: int) -> None:
    seen: list[float] = []

    def recording(z: Tensor, sigma: float) -> Tensor:
        seen.append(sigma)
        return torch.zeros_like(z)

    levels = sigma_grid(max(steps, 2)).tolist()[:steps]
    heun_sample(recording, torch.ones(1, 1, 2, 2), levels)
    assert len(seen) == 2 * steps - 1
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == set(levels)


@pytest.mark.parametrize("sigmas", [[], [1.0, 2.0], [2.0, 2.0], [1.0, 0.0], [1.0, -1.0]])
def test_levels_out_of_order_are_refused(sigmas: list[float]) -> None:
    with pytest.raises(InputError, match=r"positive and (finite|strictly descending)"):
        heun_sample(gaussian_denoiser, torch.ones(1, 1, 2, 2), sigmas)


def test_a_sample_has_the_type_of_its_noise() -> None:
    sample = heun_sample(gaussian_denoiser, torch.ones(2, 1, 2, 2), sigma_grid(4))
    assert (sample.dtype, sample.shape) == (torch.float32, (2, 1, 2, 2))


def test_an_item_has_the_same_noise_in_every_batch() -> None:
    together = unit_noise(3, "stream", range(10), (3, 4, 4))
    alone = torch.cat([unit_noise(3, "stream", [item], (3, 4, 4)) for item in range(10)])
    assert torch.equal(together, alone)
    assert torch.equal(unit_noise(3, "stream", [7, 2], (3, 4, 4)), together[[7, 2]])
    assert unit_noise(3, "stream", [], (3, 4, 4)).shape == (0, 3, 4, 4)


@pytest.mark.parametrize("key", [(1, "stream", 0), (0, "other", 0), (0, "stream", 1)])
def test_other_keys_give_unrelated_noise(key: tuple[int, str, int]) -> None:
    base = unit_noise(0, "stream", [0], (100_000,))
    other = unit_noise(key[0], key[1], [key[2]], (100_000,))
    # the correlation of independent draws is N(0, 1/100000): five standard deviations
    assert abs(torch.corrcoef(torch.cat([base, other]))[0, 1]) < 5 / math.sqrt(100_000)


def test_keys_do_not_run_into_each_other() -> None:
    assert not torch.equal(unit_noise(1, "1a", [0], (4,)), unit_noise(11, "a", [0], (4,)))


def test_noise_is_standard_normal() -> None:
    noise = unit_noise(0, "stream", range(100), (1000,)).double()
    assert abs(noise.mean()) < 5 / math.sqrt(noise.numel())
    assert abs(noise.var() - 1) < 5 * math.sqrt(2 / noise.numel())


def test_noise_follows_no_default_of_the_process() -> None:
    expected = unit_noise(3, "stream", range(4), (1, 3, 3))
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        found = unit_noise(3, "stream", range(4), (1, 3, 3))
        none = unit_noise(3, "stream", (), (1, 3, 3))
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert torch.equal(found, expected)
    assert (none.dtype, none.device, none.shape) == (torch.float32, expected.device, (0, 1, 3, 3))
