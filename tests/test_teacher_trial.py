"""Teachers asked at both ends of the grid before any work: what is no denoiser is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from plans import loaded, small_suite
from runs import figures, fpmc_bench, write_suite
from torch import Tensor

from fpmc_bench import Source, load_dataset, load_teacher
from fpmc_bench.catalog import context as context_module
from fpmc_bench.catalog.context import load_context
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.contracts import TeacherModel
from fpmc_bench.errors import UsageError
from fpmc_bench.teachers.trial import refuse_no_denoiser

SIGMAS = (80.0, 1.0, 0.002)


@dataclass(frozen=True)
class Stub:
    """A function in a teacher's role."""

    function: Callable[[Tensor, float], object]
    name: str = "stub"
    fingerprint: str = "stub"

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        return self.function(z, sigma)  # type: ignore[return-value]


def shrunk(z: Tensor, sigma: float) -> Tensor:
    """The posterior mean of pixels of variance 0.5: a denoiser, if a poor one."""
    return z / (1 + 2 * sigma**2)


def test_denoisers_are_let_through(digits: Source) -> None:
    refuse_no_denoiser(Stub(shrunk), digits, SIGMAS, 0)
    for name in ("digits-ddpmpp", "digits-ncsnpp"):
        refuse_no_denoiser(load_teacher(name), digits, SIGMAS, 0)
    photos = load_dataset("photos").train
    for name in ("photos-ddpmpp", "photos-ncsnpp"):
        refuse_no_denoiser(load_teacher(name), photos, SIGMAS, 0)


def test_a_grid_that_ends_in_much_noise_asks_no_more_than_a_denoiser_gives(digits: Source) -> None:
    """There the answer is far from z, and right."""
    for least in (0.3, 1.0, 5.0):
        refuse_no_denoiser(Stub(shrunk), digits, (80.0, least), 0)
        refuse_no_denoiser(load_teacher("digits-ddpmpp"), digits, (80.0, least), 0)


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (lambda z, sigma: shrunk(z, sigma) / 2 + 0.5, "no denoiser of these images"),
        (lambda z, sigma: shrunk(z, sigma) / 2, "no denoiser of these images"),
        (lambda z, sigma: 127.5 * (1 + shrunk(z, sigma)), "no denoiser of these images"),
        (lambda z, sigma: 2 * shrunk(z, sigma), "no denoiser of these images"),
        (lambda z, sigma: (z - shrunk(z, sigma)) / sigma, "no denoiser of these images"),
        (lambda z, sigma: torch.zeros_like(z), "at sigma 0.002 .* away from the noisy image"),
        (lambda z, sigma: z, "at sigma 80 .* away from the image under the noise"),
        (lambda z, sigma: z - 1e-3 * sigma * torch.ones_like(z).cumsum(3), "at sigma 80"),
        (lambda z, sigma: z * (torch.nan if sigma < 0.01 else 1), "NaN .* at sigma 0.002"),
        (lambda z, sigma: z * (torch.inf if sigma > 10 else 1), "infinite values at sigma 80"),
        (lambda z, sigma: z[:, :, 1:], r"float32 \[1, 1, 7, 8\] on cpu for z .*\[1, 1, 8, 8\]"),
        (lambda z, sigma: z.double(), "returned torch.float64"),
        (lambda z, sigma: z.half(), "returned torch.float16"),
        (lambda z, sigma: z.numpy(), "returned a ndarray; expected a tensor"),
        (lambda z, sigma: z.to("meta"), "on meta for z"),
        (lambda z, sigma: z.mul_(1 / (1 + sigma**2)), "changes the images"),
        (lambda z, sigma: [][0], r"can't be asked .* \(IndexError: list index out of range\)"),
    ],
)
def test_what_is_none_is_refused(
    function: Callable[[Tensor, float], object], complaint: str, digits: Source
) -> None:
    with pytest.raises(UsageError, match=f"teacher 'stub'.*{complaint}"):
        refuse_no_denoiser(Stub(function), digits, SIGMAS, 0)


def test_torch_s_generator_is_left_as_it_was(digits: Source) -> None:
    def noisy(z: Tensor, sigma: float) -> Tensor:
        return shrunk(z, sigma) + 1e-4 * torch.randn_like(z)

    before = torch.get_rng_state()
    refuse_no_denoiser(Stub(noisy), digits, SIGMAS, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_context_asks_each_of_its_two_networks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command on a suite begins with its context; entries that come later ask no more."""
    asked: list[tuple[str, tuple[float, ...]]] = []

    def noted(
        teacher: TeacherModel, source: Source, sigmas: tuple[float, ...], seed: int, *, device: str
    ) -> None:
        asked.append((teacher.name, (max(sigmas), min(sigmas))))

    monkeypatch.setattr(context_module, "refuse_no_denoiser", noted)
    context = load_context(small_suite(), installed_registry(), "cpu")
    context.of(small_suite(protocols=["denoiser-mse"]))
    ends = (context.sigmas[0], context.sigmas[-1])
    assert asked == [("digits-ddpmpp", ends), ("digits-ncsnpp", ends)]
    assert context.sigmas == loaded().sigmas


def test_what_is_asked_moves_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_suite(tmp_path)
    found = []
    for folder in ("asked", "not-asked"):
        done = fpmc_bench(
            *("run", "small.toml", "-d", "optimal", "--quiet", "--run-dir", folder), cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        found.append(figures(tmp_path / folder))
        monkeypatch.setattr(context_module, "refuse_no_denoiser", lambda *_, **__: None)
    assert found[0] == found[1]
    assert len(found[0]) == 8, "two rows under two protocols, and their items"
