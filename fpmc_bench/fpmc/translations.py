"""Translation sets: the source of each pixel's estimator in the equivariant score machine.

Paper eq. 62-67 (Kamb & Ganguli 2025, boundary-broken ELS). With k = (side - 1) / 2 a coordinate
y of `interior` (k <= y < size - k) may move to every other interior coordinate; one nearer to the
border stays. T_i is the product over the two axes.
"""

from dataclasses import dataclass

from fpmc_bench.errors import InputError


@dataclass(frozen=True)
class Translations:
    """Every training image at every translation that squares of `side_px` can take unclipped.

    Raises InputError for a side that is even or below 1.
    """

    side_px: int

    def __post_init__(self) -> None:
        if self.side_px < 1 or self.side_px % 2 == 0:
            raise InputError(f"side_px must be odd and positive, got {self.side_px}")

    @property
    def radius_px(self) -> int:
        return (self.side_px - 1) // 2

    def groups(self, size_px: int) -> list[tuple[range, range]]:
        """Coordinates of one axis that share a search range: (coordinates, where they may go).

        The interior is one group; every border coordinate is a group of its own.
        """
        k = self.radius_px
        interior = range(k, max(size_px - k, k))
        border = [y for y in range(size_px) if y not in interior]
        groups = [(range(y, y + 1), range(y, y + 1)) for y in border]
        return [*groups, (interior, interior)] if len(interior) else groups

    def targets(self, coordinate: int, size_px: int) -> range:
        """Where one coordinate of an axis of `size_px` pixels may move to, itself among them."""
        k = self.radius_px
        if k <= coordinate < size_px - k:
            return range(k, size_px - k)
        return range(coordinate, coordinate + 1)
