"""Which augmented images a rate asks for (paper appendix B).

Every image has 20 candidates, each with parameters of its own. Equal parameters of one image are
one candidate. A rate that is a whole number takes that many of every image; what is left over, or
a rate below 1, takes one more of a random subset.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.contracts import ParameterError

CANDIDATES = 20


@dataclass(frozen=True, eq=False)
class Candidates:
    """`rows` [A] of the source, ascending, and the `parameters` [A,P] that each is augmented by."""

    rows: Tensor
    parameters: Tensor


def chosen_candidates(
    images: int,
    rate: float,
    draw: Callable[[torch.Generator, tuple[int, int]], Tensor],
    seed: int,
    name: str,
) -> Candidates:
    """About `rate` * `images` candidates; the same for equal seeds, whoever asks.

    `draw(generator, (images, CANDIDATES))` gives parameters [images,CANDIDATES,P] float64. Fewer
    come back where an image has fewer than asked for that differ. Raises ParameterError for a rate
    outside (0, 20].
    """
    if not 0 < rate <= CANDIDATES:
        raise ParameterError(
            f"{name}: every image has {CANDIDATES} candidates, so 0 < rate <= {CANDIDATES}, "
            f"got {rate}"
        )
    generator = torch.Generator().manual_seed(seed)
    parameters = draw(generator, (images, CANDIDATES))
    # the order in which an image's candidates are taken, those that repeat an earlier one last
    order = torch.rand(images, CANDIDATES, generator=generator) + _repeats(parameters)
    whole = int(rate)
    counts = torch.full((images,), whole)
    rest = max(round((rate - whole) * images), 0 if whole else 1)
    counts[torch.randperm(images, generator=generator)[:rest]] += 1
    counts = torch.minimum(counts, (order < 1).sum(1))
    taken = order.argsort(1)[torch.arange(CANDIDATES) < counts[:, None]]
    rows = torch.arange(images).repeat_interleave(counts)
    return Candidates(rows, parameters[rows, taken])


def _repeats(parameters: Tensor) -> Tensor:
    """[N,CANDIDATES]: whether a candidate has the parameters of an earlier one of its image."""
    found = torch.zeros(parameters.shape[:2], dtype=torch.bool)
    for later in range(1, CANDIDATES):
        same = (parameters[:, :later] == parameters[:, later, None]).all(2)
        found[:, later] = same.any(1)
    return found
