"""A filtered posterior mean in plain torch, as one would write it in an afternoon.

Full matrices Q and R, a query at a time; the filtered distances to all images are kept for a
softmax over them. Exact up to rounding, with no attempt at speed beyond the matrix products. In
float32 it takes the place of a peer where none is at hand or where a peer has not the method; in
float64 it decides which of two answers is off.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from cases import METHODS, Case, Problem
from peers.contest import Contest, Peer
from torch import Tensor

from fpmc_bench import FPMC, Source

CHUNK_IMAGES = 100
"""Few enough that their differences [n,D] stay in the cache, enough for fast products."""


class Dense(Peer):
    """Every method, in float32."""

    name = "dense"
    methods = frozenset(METHODS)

    def contest(self, case: Case, problem: Problem) -> Contest:
        model = case.model(problem)
        return Contest(dense(model, problem.source, case.sigma, torch.float32), model)


def dense(
    model: FPMC, source: Source, sigma: float, dtype: torch.dtype
) -> Callable[[Tensor], Tensor]:
    """A function z -> D(z) of tensors of this type."""
    images = source.values(dtype)
    if model.translations is not None:
        return lambda z: equivariant(model, images, z, sigma)
    matrices = model.precision.dense().to(dtype), model.response.dense().to(dtype)
    collection = Matrices(images.flatten(1), *matrices)
    return lambda z: collection.denoise(z, sigma)


@dataclass(frozen=True, eq=False)
class Matrices:
    """Images [N,D], precision and response [M,D], all of one type."""

    images: Tensor
    precision: Tensor
    response: Tensor

    def denoise(self, z: Tensor, sigma: float) -> Tensor:
        """z [B,C,H,W] -> D(z, sigma)."""
        return torch.stack([self._mean(query, sigma) for query in z.flatten(1)]).view_as(z)

    def _mean(self, query: Tensor, sigma: float) -> Tensor:
        """[D]: two passes, because the softmax needs all distances."""
        chunks = self.images.split(CHUNK_IMAGES)
        energy = torch.cat([(query - chunk).square() @ self.precision.T for chunk in chunks])
        weights = (-energy / (2 * sigma**2)).softmax(0)  # [N,M]
        numerator = torch.zeros_like(query)
        for chunk, weight in zip(chunks, weights.split(CHUNK_IMAGES), strict=True):
            numerator += (chunk * (weight @ self.response)).sum(0)
        return numerator / self.response.sum(0)


def equivariant(model: FPMC, images: Tensor, z: Tensor, sigma: float) -> Tensor:
    """The equivariant machine: zero-padded patches of each region against those it may move to."""
    assert model.translations is not None
    side_px, (_, height, width) = model.translations.side_px, model.shape
    answer = torch.empty_like(z)
    searched = _patches(images, side_px)
    for query, target in zip(_patches(z, side_px), answer, strict=True):
        for ys, to_ys in model.translations.groups(height):
            for xs, to_xs in model.translations.groups(width):
                found = searched[:, :, _span(to_ys), _span(to_xs)]
                found = found.movedim(1, -1).flatten(0, 2)  # [N*T,L]
                asked = query[:, _span(ys), _span(xs)].flatten(1).T  # [P,L]
                energy = torch.cdist(asked, found).square()
                weights = (-energy / (2 * sigma**2)).softmax(1)
                centres = images[:, :, _span(to_ys), _span(to_xs)].movedim(1, -1).flatten(0, 2)
                mean = (weights @ centres).T
                target[:, _span(ys), _span(xs)] = mean.reshape(-1, len(ys), len(xs))
    return answer


def _patches(images: Tensor, side_px: int) -> Tensor:
    """[N,C*side*side,H,W]: zero-padded, because what lies outside is outside for both."""
    columns = torch.nn.functional.unfold(images, side_px, padding=side_px // 2)
    return columns.view(len(images), -1, *images.shape[2:])


def _span(coordinates: range) -> slice:
    return slice(coordinates.start, coordinates.stop)
