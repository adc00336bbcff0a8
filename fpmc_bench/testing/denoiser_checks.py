"""What every denoiser promises, a function each.

`build()` makes the denoiser over `source`, of `images` [12,C,H,W] of codes; `denoise` is what it
makes; z [5,C,H,W] are noisy images at `sigma`; `noise` [64,C,H,W]; `draw` a generator.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fpmc_bench import Source, fpmc_denoise
from fpmc_bench.contracts import FPMCDenoiser
from fpmc_bench.fpmc import reference_denoise
from fpmc_bench.testing.checks import CLOSE, EQUAL, Checks
from fpmc_bench.testing.watching import fresh_cache, loads, process_changes, random_changes

Denoise = Any
Build = Callable[..., Denoise]
DENOISER = Checks()
ANSWERED = ("builds", "answers", "finite")
"""What has to be in order before two answers can be compared."""
STEADY = (*ANSWERED, "repeatable", "built-anew", "source-unchanged")


@DENOISER.add()
def _builds(build: Build) -> None:
    """It can be built over images."""
    build()


@DENOISER.add("builds")
def _answers(denoise: Denoise, z: Tensor, sigma: float) -> None:
    """An answer is a tensor with an image for every image."""
    answer = denoise(z, sigma)
    found = list(getattr(answer, "shape", [])) or type(answer).__name__
    assert found == list(z.shape), f"at sigma {sigma:g} its answer is {found}, not {list(z.shape)}"


@DENOISER.add("builds", "answers")
def _dtype(denoise: Denoise, z: Tensor, sigma: float) -> None:
    """An answer is of the type of the question: float32 or float64."""
    for asked in (z, z.double()):
        found = denoise(asked, sigma).dtype
        assert found == asked.dtype, f"at sigma {sigma:g} it answers {asked.dtype} with {found}"


@DENOISER.add("builds", "answers")
def _no_gradient(denoise: Denoise, z: Tensor, sigma: float) -> None:
    """No gradient is attached to an answer, which would keep all that it was made of."""
    assert not denoise(z, sigma).requires_grad, f"at sigma {sigma:g} its answer requires grad"


@DENOISER.add("builds", "answers")
def _finite(denoise: Denoise, z: Tensor, sigma: float) -> None:
    """Answers to noisy images are finite."""
    answer = denoise(z, sigma)
    assert bool(answer.isfinite().all()), f"at sigma {sigma:g} it answers NaN or infinite values"


@DENOISER.add("builds", "answers", "finite")
def _finite_far_away(denoise: Denoise, z: Tensor, sigma: float) -> None:
    """Answers are finite however far from all images the question is."""
    for value in (0.0, 5.0, -100.0):
        answer = denoise(torch.full_like(z[:1], value), sigma)
        said = f"at sigma {sigma:g} it answers NaN or infinite values to an image of {value:g}"
        assert bool(answer.isfinite().all()), said


@DENOISER.add("builds", "answers")
def _input_unchanged(denoise: Denoise, z: Tensor, sigma: float) -> None:
    """The images that it is asked about are left as they are."""
    # a run gives each plugin a copy; whoever calls its function directly does not
    plugin, asked = denoise.plugin, z.clone()
    function = plugin.build(denoise.setting) if hasattr(plugin, "build") else denoise
    function(asked, sigma)
    assert torch.equal(asked, z), f"at sigma {sigma:g} it changes the images it is asked about"


@DENOISER.add("builds")
def _source_unchanged(
    build: Build, source: Source, images: Tensor, z: Tensor, sigma: float
) -> None:
    """The source's images are left as they are."""
    build()(z, sigma)
    assert torch.equal(source.images, images), f"at sigma {sigma:g} it has changed its source"


@DENOISER.add(*ANSWERED)
def _repeatable(denoise: Denoise, z: Tensor, sigma: float) -> None:
    """Asked twice, it answers the same: nothing depends on chance."""
    answer, again = denoise(z, sigma), denoise(z, sigma)
    moved = (again - answer).abs().max().item()
    allowed = EQUAL * max(1.0, answer.abs().max().item())
    assert moved <= allowed, f"asked twice at sigma {sigma:g}, its answers differ by {moved:.2g}"


@DENOISER.add(*ANSWERED, "repeatable", "source-unchanged")
def _built_anew(build: Build, z: Tensor, sigma: float) -> None:
    """Built twice over the same images, it answers the same."""
    with fresh_cache():
        answer = build()(z, sigma)
    with fresh_cache():
        again = build()(z, sigma)
    moved = (again - answer).abs().max().item()
    allowed = EQUAL * max(1.0, answer.abs().max().item())
    assert moved <= allowed, f"built twice, its answers at sigma {sigma:g} differ by {moved:.2g}"


@DENOISER.add(*STEADY)
def _history(build: Build, sigmas: list[float], z: Tensor, sigma: float) -> None:
    """What it was asked before moves no answer."""
    used, answer = build(), build()(z, sigma)
    for other in sigmas:
        used(z.flip(-1), other)
    moved = (used(z, sigma) - answer).abs().max().item()
    allowed = CLOSE * max(1.0, answer.abs().max().item())
    said = f"at sigma {sigma:g} other questions before this one move its answer by {moved:.2g}"
    assert moved <= allowed, said


@DENOISER.add(*STEADY)
def _batch(denoise: Denoise, z: Tensor, sigma: float) -> None:
    """The answer to an image is the same whatever images are asked with it."""
    alone = denoise(z[:1], sigma)
    moved = (denoise(z, sigma)[:1] - alone).abs().max().item()
    allowed = CLOSE * max(1.0, alone.abs().max().item())
    said = f"at sigma {sigma:g} four images beside it move the answer to an image by {moved:.2g}"
    assert moved <= allowed, said


@DENOISER.add(*STEADY, "batch")
def _large_batch(denoise: Denoise, noise: Tensor, z: Tensor, sigma: float) -> None:
    """The answer to an image is the same in a batch of 64."""
    many = torch.cat([z, sigma * noise[5:]])
    answer = denoise(z, sigma)
    moved = (denoise(many, sigma)[:5] - answer).abs().max().item()
    allowed = CLOSE * max(1.0, answer.abs().max().item())
    assert moved <= allowed, f"at sigma {sigma:g} a batch of 64 moves its answers by {moved:.2g}"


@DENOISER.add(*STEADY)
def _order(denoise: Denoise, z: Tensor, sigma: float) -> None:
    """The order of images in a batch moves no answer."""
    answer = denoise(z, sigma)
    moved = (denoise(z.flip(0), sigma).flip(0) - answer).abs().max().item()
    allowed = CLOSE * max(1.0, answer.abs().max().item())
    assert moved <= allowed, f"at sigma {sigma:g} another order moves its answers by {moved:.2g}"


@DENOISER.add(*STEADY)
def _limit_at_zero(denoise: Denoise, source: Source, sigmas: list[float]) -> None:
    """Where there is hardly any noise, an image of the source is its own answer."""
    sigma = min(*sigmas, 0.002)
    x = source.values()
    far = (denoise(x, sigma) - x).abs().max().item()
    said = f"at sigma {sigma:g} its answer to an image of the source is {far:.2g} away from that"
    assert far <= 5 * sigma, said


@DENOISER.add(*STEADY)
def _limit_at_infinity(denoise: Denoise, source: Source, noise: Tensor) -> None:
    """Where there is nothing but noise, every answer is the mean of the source."""
    sigma = 1e4
    answer, mean = denoise(sigma * noise[:5], sigma), source.values().mean(0)
    plugin = denoise.plugin
    if isinstance(plugin, FPMCDenoiser) and denoise.fpmc(sigma).translations is not None:
        answer, mean = answer.mean((2, 3)), mean.mean((1, 2))  # the mean is one of moved images
    far = (answer - mean).abs().max().item()
    assert far <= 0.02, f"at sigma {sigma:g} its answer is {far:.2g} away from the source's mean"


@DENOISER.add(*STEADY, "limit-at-infinity", may_refuse=True)
def _weights(build: Build, images: Tensor, noise: Tensor) -> None:
    """Images of the source count as much as their weights say."""
    sigma, log_weights = 1e4, torch.zeros(len(images))
    log_weights[0] = 20.0  # so that the first is all that counts
    weighted = Source(images, log_weights=log_weights)
    answer, first = build(weighted)(sigma * noise[:5], sigma), weighted.values()[0]
    far = (answer.mean((2, 3)) - first.mean((1, 2))).abs().max().item()
    said = f"at sigma {sigma:g} its answer is {far:.2g} away from the one image that has any weight"
    assert far <= 0.02, said


@DENOISER.add(*STEADY, may_refuse=True)
def _noise_level(build: Build, sigmas: list[float], noise: Tensor, draw: torch.Generator) -> None:
    """It takes sigma for what it is: of noise with that standard deviation."""
    # Pixels of independent normal noise of spread s have the posterior mean z s^2 / (s^2 + sigma^2)
    # in every pixel: from the slope of D follows which sigma it was made for.
    # A spread so small that many of the 1000 images count: where the nearest alone does, as with
    # half the sigma over 90 pixels of a third of the noise, the slope is that of another sigma.
    sigma = min(sigmas, key=lambda one: abs(one - 0.2))
    spread = min(sigma / 8, 0.25)
    source = Source((spread * torch.randn(1000, *noise.shape[1:], generator=draw)).clamp(-1, 1))
    mean = source.values().mean(0)
    z = spread * torch.randn(noise.shape, generator=draw) + sigma * noise
    answer, z = build(source)(z, sigma) - mean, z - mean
    slope = ((answer * z).sum() / z.square().sum()).item()
    taken = spread * max(1 / max(slope, 1e-9) - 1, 0) ** 0.5
    said = f"at sigma {sigma:g} its answers are those for a sigma of {taken:.2g}"
    assert 0.75 * sigma <= taken <= 1.33 * sigma, said


@DENOISER.add(*STEADY, only=FPMCDenoiser)
def _exact(denoise: Denoise, source: Source, z: Tensor, sigma: float) -> None:
    """The engine's answer is the float64 oracle's, in blocks of any size."""
    model, asked = denoise.fpmc(sigma), torch.cat([z, torch.full_like(z[:1], 5.0)])
    expected = reference_denoise(model, source, asked, sigma)
    for chunk, group in ((None, None), (1, 2), (5, 1)):
        answer = fpmc_denoise(model, source, asked, sigma, chunk_images=chunk, batch_queries=group)
        far = (answer - expected).abs().max().item()
        said = f"at sigma {sigma:g}, {chunk} images by {group} queries, it is {far:.2g} off"
        assert far <= CLOSE, said


@DENOISER.add("builds")
def _held_out_images(build: Build, z: Tensor, sigma: float) -> None:
    """It loads no images of its own accord, test images least of all."""
    with fresh_cache(), loads() as loaded:
        build()(z, sigma)
    found = ", ".join(one for one in loaded if one.startswith("images"))
    assert not found, f"beside its setting it loads {found}"


@DENOISER.add("builds")
def _evaluation_network(build: Build, z: Tensor, sigma: float) -> None:
    """It loads no registered network of its own accord: one may be what it is measured against."""
    with fresh_cache(), loads() as loaded:
        build()(z, sigma)
    found = ", ".join(one for one in loaded if one.startswith("network"))
    assert not found, f"beside its setting it loads {found}"


@DENOISER.add("builds")
def _process_state(build: Build, z: Tensor, sigma: float) -> None:
    """Settings of the process are left as they are."""
    with process_changes() as changes:
        build()(z, sigma)
    assert not changes, f"it leaves changed: {', '.join(changes)}"


@DENOISER.add("builds", "repeatable", "built-anew")
def _random_state(build: Build, z: Tensor, sigma: float) -> None:
    """The generators that everyone draws from are left as they are."""
    with fresh_cache(), random_changes() as moved:
        build()(z, sigma)
    assert not moved, f"it draws from or seeds the generator of {', '.join(moved)}; use your own"
