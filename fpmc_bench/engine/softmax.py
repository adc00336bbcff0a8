"""The running state of a softmax whose energies arrive a chunk of the source at a time.

Energies are negative logits, E / 2 sigma^2 - log p, so the smallest has the largest weight.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

FURTHEST = 80.0
"""exp(-80) = 2e-35 of the largest weight: nothing beside it, but still a normal float32 number.
Anything lower would be a denormal, which processors multiply a hundred times more slowly."""


def relative_weights(energies: Tensor, reference: Tensor) -> Tensor:
    """exp(reference - energies) as float32: energies [M,b,n], reference [M,b].

    float32 energies are overwritten; the difference of float64 ones is taken before rounding.
    """
    single = energies.dtype == torch.float32
    out = energies if single else torch.empty_like(energies, dtype=torch.float32)
    torch.sub(reference[..., None], energies, out=out)
    return out.clamp_(min=-FURTHEST).exp_()


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

    def update(self, energies: Tensor) -> tuple[Tensor, Tensor]:
        """Take energies [M,b,n]: (weights [M,b,n], factor [M,b] on whatever came before)."""
        minimum = torch.minimum(self.minimum, energies.amin(-1))
        factor = (minimum - self.minimum).exp_().float()
        weights = relative_weights(energies, minimum)
        self.minimum = minimum
        self.total = self.total * factor + weights.sum(-1)
        return weights, factor
