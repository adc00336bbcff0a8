"""float32 as it is asked for: no factor of a product is rounded to TF32's ten bits.

torch lets cuDNN do that to convolutions unless it is told otherwise, which moves a network's
output by about 1e-3; a user may have allowed it for products of matrices. It is a setting of the
process, so whoever computes asks for it around its own work.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_cudnn, _products = torch.backends.cudnn, torch.backends.cuda.matmul
_settings = (_cudnn.conv, _cudnn.rnn, _products)  # type: ignore[attr-defined]


def refuse_tf32() -> None:
    """From now on, in this process."""
    _set("ieee", "ieee", "ieee")


@contextmanager
def without_tf32() -> Iterator[None]:
    """Inside the block; afterwards all is as it was. Decorates functions too."""
    before = [setting.fp32_precision for setting in _settings]
    refuse_tf32()
    try:
        yield
    finally:
        _set(*before)


def _set(*precisions: str) -> None:
    """Of convolutions, recurrent layers and products."""
    # the older switch first: it writes the two after it, and whoever reads it where it says
    # otherwise than they do gets an error
    _cudnn.allow_tf32 = precisions[0] == "tf32"
    for setting, precision in zip(_settings, precisions, strict=True):
        setting.fp32_precision = precision
