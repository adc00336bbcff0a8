"""A witness: one query of a unit is asked again, alone, and twice, and told what differs.

A protocol takes it for granted that a denoiser answers equal queries alike, whatever else is in
their batch. A method that doesn't has figures that follow from the size of blocks, or from chance.
"""

from dataclasses import dataclass, field

from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction

TOLERANCE = 2e-4
"""Of answers, whose values lie in [-1,1]; of larger ones, relative. Other queries in a batch let
engine and convolutions sum in another order: each of the two answers is exact to 1e-4."""


@dataclass
class Witness:
    """A denoiser like `denoise` that remembers the last query of its first batch at `sigma`."""

    denoise: DenoiseFunction
    sigma: float
    _query: Tensor | None = field(default=None, init=False)
    _answer: Tensor | None = field(default=None, init=False)

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        """z [B,C,H,W] -> [B,C,H,W], as `denoise` answers and raises."""
        answer = self.denoise(z, sigma)
        if self._query is None and sigma == self.sigma:
            # the last, for what is drawn from a fixed seed is the same for the first in any batch
            self._query, self._answer = z[-1:].clone(), answer[-1:].clone()
        return answer

    def remarks(self) -> tuple[str, ...]:
        """What a reader of the figures should know; nothing where `sigma` was never asked for."""
        if self._query is None or self._answer is None:
            return ()
        first, second = (self.denoise(self._query, self.sigma) for _ in range(2))
        if moved := _difference(first, second):
            return (
                f"answers depend on chance: the same query twice, at sigma {self.sigma:g}, gives "
                f"values that differ by {moved:.2g}",
            )
        if moved := _difference(self._answer, first):
            return (
                f"answers depend on the batch: a query alone, at sigma {self.sigma:g}, gives "
                f"values that differ by {moved:.2g}",
            )
        return ()


def _difference(one: Tensor, other: Tensor) -> float:
    """The largest between values; 0 where it is within the tolerance."""
    moved = float((one - other).abs().max())
    return moved if moved > TOLERANCE * max(1.0, float(one.abs().max())) else 0.0
