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

    `minimum` keeps the dtype of the energies (float64 where they are huge); weights relative to
    it lie in [0, 1] and need no more than float32.
    """

    minimum: Tensor
    total: Tensor

    @classmethod
    def start(cls, estimators: int, queries: int, like: Tensor) -> "RunningSoftmax":
        ceiling = torch.finfo(like.dtype).max
        minimum = like.new_full((estimators, queries), ceiling)
        return cls(minimum, torch.zeros_like(minimum, dtype=torch.float32))

    def update(self, energies: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Take energies [M,b,n]: (weights [M,b,n], factor [M,b] on whatever came before).

        Weights go into `out` if given, or else where the energies were.
        """
        minimum = torch.minimum(self.minimum, energies.amin(-1))
        factor = (minimum - self.minimum).exp_().float()
        weights = relative_weights(energies, minimum, out)
        self.minimum = minimum
        self.total = self.total * factor + weights.sum(-1)
        return weights, factor
