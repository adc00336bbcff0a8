"""What every denoiser promises (the conformance kit), and what only a tempered posterior does."""

import pytest
import torch
from fpmc_bench import Source, fpmc_denoise
from fpmc_bench.contracts import ImageShape, ParameterError, Setting
from fpmc_bench.testing import check_denoiser

from soft_optimal.denoiser import SoftOptimal

SIGMAS = (80.0, 1.0, 0.1)


def images(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 3, 6, 5, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def denoise(temperature: float, z: torch.Tensor, sigma: float) -> torch.Tensor:
    source = Source(images(20, seed=0))
    model = SoftOptimal(temperature).fpmc(Setting(source, SIGMAS), sigma)
    return fpmc_denoise(model, source, z, sigma)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_it_keeps_the_promises_of_every_denoiser(temperature: float) -> None:
    check_denoiser(SoftOptimal, {"temperature": temperature})


def test_it_is_the_mean_under_the_tempered_posterior() -> None:
    z, sigma = images(4, seed=1), 1.0
    squares = (z[:, None] - images(20, seed=0)).square().flatten(2).sum(-1).double()
    posterior = torch.softmax(-squares / (2 * sigma**2), dim=1)
    tempered = posterior.sqrt() / posterior.sqrt().sum(1, keepdim=True)
    expected = torch.einsum("bn,nchw->bchw", tempered, images(20, seed=0).double())
    torch.testing.assert_close(denoise(2.0, z, sigma).double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_temperature_4_weighs_like_twice_the_noise(sigma: float) -> None:
    z = images(4, seed=1)
    torch.testing.assert_close(denoise(4.0, z, sigma), denoise(1.0, z, 2 * sigma))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_a_senseless_temperature_is_refused_by_name(temperature: float) -> None:
    with pytest.raises(ParameterError, match="temperature must be positive and finite"):
        SoftOptimal(temperature).check(ImageShape(1, 8, 8), SIGMAS)
