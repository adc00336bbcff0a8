"""The running state of a softmax whose energies arrive a chunk of the source at a time.

Energies are negative logits, E / 2 sigma^2 - log p, so the smallest has the largest weight.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.engine.elementwise import relative_weights


@dataclass
class RunningSoftmax:
    """Smallest energy and total weight so far, per estimator and query: [M,b] each.

    `minimum` keeps the dtype of the energies, `total` has that of the weights: relative to the
    minimum they lie in [0, 1] and need no more than float32 even where energies are huge.
    """

    minimum: Tensor
    total: Tensor
    floored: bool = True
    """Whether no weight is less than exp(-80), which no sum can tell from nothing. An optimiser
    measures a gradient by its own size, so there nothing has to be nothing."""

    @classmethod
    def start(
        cls,
        estimators: int,
        queries: int,
        like: Tensor,
        dtype: torch.dtype = torch.float32,
        *,
        floored: bool = True,
    ) -> "RunningSoftmax":
        """Nothing seen yet, [M,b]: energies like `like`, on its device, and weights of `dtype`."""
        largest = torch.finfo(like.dtype).max
        minimum = like.new_full((estimators, queries), largest)
        return cls(minimum, torch.zeros_like(minimum, dtype=dtype), floored)

    def update(self, energies: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Take energies [M,b,n]: (weights [M,b,n], factor [M,b] on whatever came before).

        Weights are relative to the new minimum, and lie where `relative` puts them.
        """
        factor = self.lower(torch.minimum(self.minimum, energies.amin(-1)))
        weights = self.relative(energies, out)
        self.total = self.total + weights.sum(-1)
        return weights, factor

    def lower(self, minimum: Tensor) -> Tensor:
        """Go on relative to a `minimum` [M,b] no larger: the factor [M,b] on what came before."""
        factor = (minimum - self.minimum).exp_().to(self.total.dtype)
        self.minimum, self.total = minimum, self.total * factor
        return factor

    def relative(self, energies: Tensor, out: Tensor | None = None) -> Tensor:
        """exp(minimum - energies) [M,b,n], in `out` if given, or else where the energies were.

        Energies of another dtype than weights stay what they are.
        """
        if out is None:
            dtype = self.total.dtype
            out = energies if energies.dtype == dtype else torch.empty_like(energies, dtype=dtype)
        return relative_weights(energies, self.minimum, out, self.floored)
