"""float32 as it is asked for: no factor of a product is rounded to TF32's ten bits.

torch lets cuDNN do that to convolutions unless it is told otherwise, which moves a network's
output by about 1e-3; a user may have allowed it for products of matrices. It is a setting of the
process, so whoever computes asks for it around its own work.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

_cudnn, _products = torch.backends.cudnn, torch.backends.cuda.matmul
_settings = (_cudnn.conv, _cudnn.rnn, _products)  # type: ignore[attr-defined]


def refuse_tf32() -> None:
    """From now on, in this process."""
    _set("ieee", "ieee", "ieee")


@dataclass
class _Blocks:
    """Those that are open in all threads, and what was set before the first of them."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    opened: int = 0
    before: tuple[str, ...] = ()


_blocks = _Blocks()


@contextmanager
def without_tf32() -> Iterator[None]:
    """Inside the block; when no thread is in one any more, all is as it was. Decorates, too."""
    with _blocks.lock:
        if _blocks.opened == 0:
            _blocks.before = tuple(setting.fp32_precision for setting in _settings)
            refuse_tf32()
        _blocks.opened += 1
    try:
        yield
    finally:
        with _blocks.lock:
            _blocks.opened -= 1
            if _blocks.opened == 0:
                _set(*_blocks.before)


def _set(*precisions: str) -> None:
    """Of convolutions, recurrent layers and products."""
    # the older switch first: it writes the two after it, and whoever reads it where it says
    # otherwise than they do gets an error
    _cudnn.allow_tf32 = precisions[0] == "tf32"
    for setting, precision in zip(_settings, precisions, strict=True):
        setting.fp32_precision = precision
