"""Named, versioned metrics: per-item functions of a prediction and its reference.

A changed definition gets a new version, so that it can never mix with old records.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor

Metric = Callable[[Tensor, Tensor], Tensor]
"""(prediction, reference), both [...,C,H,W] in [-1,1] -> [...] float64."""


def mse_1(prediction: Tensor, reference: Tensor) -> Tensor:
    """e = mean_d (D - T)^2, [...,C,H,W] -> [...], of raw values: not clamped, nor rescaled."""
    error = prediction.double() - reference.double()
    return error.square().flatten(-3).mean(-1)


def r2_1(prediction: Tensor, reference: Tensor) -> Tensor:
    """1 - sum_d (D - T)^2 / sum_d (T - mean(T))^2, [...,C,H,W] -> [...].

    The mean is over the item's own dimensions. 1 is perfect, 0 as good as the mean; no lower bound.
    """
    target = reference.double().flatten(-3)
    residual = (prediction.double().flatten(-3) - target).square().sum(-1)
    spread = (target - target.mean(-1, keepdim=True)).square().sum(-1)
    return 1 - residual / spread


def reference_variance(prediction: Tensor, reference: Tensor) -> Tensor:
    """v = mean_d (T - mean(T))^2 of each reference, [...,C,H,W] -> [...]: the items of r2-pooled@1.

    That is one ratio over all items (and noise levels), 1 - sum_k e_k / sum_k v_k with e of mse@1,
    which `results/summaries.py` takes. A flat image, whose own r2 is a quotient of two small
    numbers, counts for as little as it holds.
    """
    target = reference.double().flatten(-3)
    return (target - target.mean(-1, keepdim=True)).square().mean(-1)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {"mse@1": mse_1, "r2-pooled@1": reference_variance, "r2@1": r2_1}
)
"""What is kept of every item, by the metric that it belongs to."""
