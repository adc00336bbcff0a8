"""The shape of an image, and the letters that docstrings use for the axes of tensors.

N source images, B queries, M estimators, C channels, H x W pixels, D = C*H*W dimensions,
S noise levels (sigmas).
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class ImageShape(NamedTuple):
    """Channels, height and width of one image, in that order."""

    channels: int
    height_px: int
    width_px: int

    @property
    def pixels(self) -> int:
        return self.height_px * self.width_px

    @property
    def dimensions(self) -> int:
        return self.channels * self.pixels

    def __str__(self) -> str:
        return f"{self.channels}x{self.height_px}x{self.width_px}"


def image_shape(images: "Tensor") -> ImageShape:
    """The shape of one image of a batch [N,C,H,W]; TypeError for another number of axes."""
    return ImageShape(*images.shape[1:])
