"""The running state of a softmax whose logits arrive a chunk at a time."""

from dataclasses import dataclass

import torch
from torch import Tensor

NEGLIGIBLE = -80.0
"""exp(-80) = 2e-35 of the largest weight: nothing beside it, but still a normal float32 number.
Anything lower would be a denormal, which processors multiply a hundred times more slowly."""


def relative_weights(logits: Tensor, reference: Tensor) -> Tensor:
    """exp(logits - reference) as float32: logits [B,n,M], reference [B,M].

    The difference is taken in the dtype of the logits, which holds it exactly enough.
    """
    weights = torch.empty(logits.shape, dtype=torch.float32, device=logits.device)
    torch.sub(logits, reference[:, None], out=weights)
    return weights.clamp_(min=NEGLIGIBLE).exp_()


@dataclass
class RunningSoftmax:
    """Maximum and total weight so far, per query and estimator: [B,M] each.

    `maximum` keeps the dtype of the logits (float64 at low noise, where they are huge);
    weights relative to it lie in [0, 1] and need no more than float32.
    """

    maximum: Tensor
    total: Tensor

    @classmethod
    def start(cls, queries: int, estimators: int, like: Tensor) -> "RunningSoftmax":
        floor = torch.finfo(like.dtype).min
        maximum = torch.full((queries, estimators), floor, dtype=like.dtype, device=like.device)
        return cls(maximum, torch.zeros_like(maximum, dtype=torch.float32))

    def update(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Take logits [B,n,M]; returns (weights [B,n,M], factor [B,M] on what came before)."""
        maximum = torch.maximum(self.maximum, logits.amax(1))
        factor = (self.maximum - maximum).exp_().float()
        weights = relative_weights(logits, maximum)
        self.maximum = maximum
        self.total = self.total * factor + weights.sum(1)
        return weights, factor

    def log_normaliser(self) -> Tensor:
        """log sum exp of all logits so far, [B,M], in the dtype of the logits."""
        return self.maximum + self.total.to(self.maximum.dtype).log()
