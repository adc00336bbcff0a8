"""The conformance kit: every promise that a denoiser makes, checked on small random images."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fpmc_bench.catalog.built import BuiltDenoiser, assemble
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.contracts import Denoiser, FPMCDenoiser, Setting
from fpmc_bench.diffusion.noise import generator
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.errors import PluginError
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.sigmas import AnySigmas, sigmas_of
from fpmc_bench.fpmc.source import Source
from fpmc_bench.harness.shared import broken, sealed

SIGMAS = (80.0, 1.0, 0.1, 0.002)
ABSOLUTE_TOLERANCE = 1e-4
"""Of results against the float64 oracle and across batches, for images in [-1, 1]."""


def check_denoiser(
    cls: type[Denoiser],
    params: Mapping[str, Any] | None = None,
    *,
    shape: Sequence[int] = (3, 6, 5),
    images: int = 12,
    sigmas: AnySigmas = SIGMAS,
    seed: int = 0,
) -> BuiltDenoiser:
    """Assert what every denoiser promises; returns the built denoiser for further checks.

    On `images` random images of `shape` (C, H, W), at every sigma: an output of the shape and
    dtype of its input, finite even for queries far from any image, the same when it is asked again,
    independent of how queries are batched; and for an FPMC, equal to the dense float64 oracle
    whatever the chunk and batch size. The source and the process are left as they were.
    Raises AssertionError that says which promise was broken and where.
    """
    try:
        return _checked(cls, params, ImageShape(*shape), images, sigmas_of(sigmas), seed)
    except PluginError as error:
        raise AssertionError(str(error)) from error


def _checked(
    cls: type[Denoiser],
    params: Mapping[str, Any] | None,
    size: ImageShape,
    images: int,
    sigmas: tuple[float, ...],
    seed: int,
) -> BuiltDenoiser:
    source = Source(_uniform(seed, "conformance-source", images, size))
    plugin = make_plugin(cls, params)
    setting = Setting(source, sigmas, sensitivity=_sensitivity(size, len(sigmas), seed))
    before = sealed(source)
    built = assemble(plugin, setting)
    assert not broken(before, source), f"{built.name}: building it changes its source"
    for sigma in sigmas:
        z = _queries(source, sigma, seed)
        _check_output(built, z, sigma)
        if isinstance(plugin, FPMCDenoiser):
            _check_exact(built, source, z, sigma)
        assert not broken(before, source), f"{built.name} at sigma {sigma:g}: changes its source"
    return built


def _check_output(built: BuiltDenoiser, z: Tensor, sigma: float) -> None:
    where = f"{built.name} at sigma {sigma:g}"
    output = built(z, sigma)
    assert output.shape == z.shape, f"{where}: shape {list(output.shape)}, not {list(z.shape)}"
    assert output.dtype == z.dtype, f"{where}: dtype {output.dtype}, not {z.dtype}"
    assert bool(output.isfinite().all()), f"{where}: NaN or infinite values"
    moved = float((built(z, sigma) - output).abs().max())
    assert moved < ABSOLUTE_TOLERANCE, f"{where}: asked twice, its values differ by {moved:g}"
    double = built(z.double(), sigma)
    assert double.dtype == torch.float64, f"{where}: dtype {double.dtype}, not torch.float64"
    alone = torch.cat([built(query, sigma) for query in z.split(1)])
    difference = float((alone - output).abs().max())
    assert difference < ABSOLUTE_TOLERANCE, f"{where}: batching moves the output by {difference:g}"


def _check_exact(built: BuiltDenoiser, source: Source, z: Tensor, sigma: float) -> None:
    model = built.fpmc(sigma)
    expected = reference_denoise(model, source, z, sigma)
    for chunk_images, batch_queries in ((None, None), (1, 2), (5, 1)):
        output = fpmc_denoise(
            model, source, z, sigma, chunk_images=chunk_images, batch_queries=batch_queries
        )
        difference = float((output - expected).abs().max())
        assert difference < ABSOLUTE_TOLERANCE, (
            f"{built.name} at sigma {sigma:g}, chunk {chunk_images}, batch {batch_queries}: "
            f"differs from the oracle by {difference:g}"
        )


def _queries(source: Source, sigma: float, seed: int) -> Tensor:
    """Noisy images of the source, then noise alone and a constant far outside [-1, 1]."""
    near = source.values()[:3]
    noise = _normal(seed, "conformance-noise", 4, source.shape)
    far = torch.full((1, *source.shape), 5.0)
    return torch.cat([near + sigma * noise[:3], sigma * noise[3:], far])


def _sensitivity(shape: ImageShape, levels: int, seed: int) -> Tensor:
    """Random maps, largest at the pixel itself, as those of a real teacher are."""
    _, height, width = shape
    pixels = height * width
    draw = generator(seed, "conformance-sensitivity", 0)
    maps = torch.rand(levels, pixels, pixels, generator=draw) + torch.eye(pixels)
    return maps.reshape(levels, height, width, height, width)


def _uniform(seed: int, stream: str, count: int, shape: ImageShape) -> Tensor:
    return torch.rand(count, *shape, generator=generator(seed, stream, 0)) * 2 - 1


def _normal(seed: int, stream: str, count: int, shape: ImageShape) -> Tensor:
    return torch.randn(count, *shape, generator=generator(seed, stream, 0))
