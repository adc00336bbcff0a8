"""Checks of schedules: one value per sigma, each fit for the image."""

from collections.abc import Sequence

from fpmc_bench.contracts import ImageShape, ParameterError


def largest_centred_side(shape: ImageShape) -> int:
    """The side at which a square centred at any pixel covers the image."""
    return 2 * max(shape.height_px, shape.width_px) - 1


def check_centred_sides(name: str, sides: Sequence[int], shape: ImageShape) -> None:
    """Odd, from 1 to the side that covers the image from every pixel; else ParameterError."""
    largest = largest_centred_side(shape)
    for side in sides:
        if side % 2 == 0:
            raise ParameterError(
                f"{name}: patch_sizes holds {side}, which is even; squares are centred at a "
                f"pixel, so their sides are odd"
            )
        if not 1 <= side <= largest:
            raise ParameterError(
                f"{name}: patch_sizes holds {side}; for images {shape} sides go from 1 to "
                f"{largest}, which covers the image from every pixel"
            )


def centred_sides(shape: ImageShape) -> tuple[int, ...]:
    """Every odd side worth trying."""
    return tuple(range(1, largest_centred_side(shape) + 1, 2))
