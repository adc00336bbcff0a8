"""The spectrum of a source's covariance, in float64, fitted once and cached by content."""

from collections.abc import Iterator

import torch
from torch import Tensor

from fpmc_bench import Source, cached_tensors
from fpmc_bench.contracts import InputError

CHUNK_IMAGES = 1024
VERSION = 1


def spectrum(source: Source, *, ddof: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [D], eigenvalues [D] >= 0 and eigenvectors [D,D] (columns) of the covariance, float64.

    `ddof` 0 divides by N, 1 by N - 1. Weighted sources count each image by its weight; a source
    of one image has no covariance with divisor N - 1 and is refused with InputError.
    """
    if len(source) <= ddof:
        raise InputError(
            f"a covariance with divisor N - {ddof} needs at least {ddof + 1} images, got "
            f"{len(source)}"
        )
    key = {"source": source.fingerprint, "ddof": ddof, "version": VERSION}
    fitted = cached_tensors("spectrum", key, lambda: _fit(source, ddof))
    return fitted["mean"], fitted["eigenvalues"], fitted["eigenvectors"]


def _fit(source: Source, ddof: int) -> dict[str, Tensor]:
    """Two passes in chunks of fixed size: the mean first, so that nothing cancels."""
    dimensions = source.shape.dimensions
    weights = torch.ones(len(source), dtype=torch.float64)
    if source.log_weights is not None:
        weights = source.log_weights.double().softmax(0) * len(source)
    mean = torch.zeros(dimensions, dtype=torch.float64)
    covariance = torch.zeros(dimensions, dimensions, dtype=torch.float64)
    for weight, x in _rows(source, weights):
        mean += weight @ x / len(source)
    for weight, x in _rows(source, weights):
        centred = x - mean
        covariance += (centred * weight[:, None]).T @ centred
    values, vectors = torch.linalg.eigh(covariance / (len(source) - ddof))
    return {"mean": mean, "eigenvalues": values.clamp(min=0), "eigenvectors": vectors}


def _rows(source: Source, weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(weights [n], images [n,D]) a chunk at a time."""
    chunks = source.chunks(CHUNK_IMAGES, "cpu", torch.float64)
    for weight, (images, _) in zip(weights.split(CHUNK_IMAGES), chunks, strict=True):
        yield weight, images.flatten(1)
