"""FinetuneSettings: what, besides base, source and teacher, determines fine-tuned weights."""

import math
from dataclasses import dataclass
from typing import Literal

from fpmc_bench.errors import ParameterError

Axis = Literal["q", "r"]
AXES: tuple[Axis, ...] = ("q", "r")
LARGEST_ZERO = 0.1
MOST_VALIDATION_ITEMS = 100_000
POSITIVE = (
    "zero_precision",
    "zero_response",
    "batch",
    "validation_items",
    "evaluate_every",
    "patience",
    "learning_rate",
)


@dataclass(frozen=True)
class FinetuneSettings:
    """Settings of one fine-tuning; `benchmarks/finetune_sweep.py` moves them one at a time.

    `axes`: what is learned, log q, log r or both. `kernels`: "free" vectors, or one pair "shared"
    by all pixels, q_i[u] = q(u - i). `tie_channels`: let all channels of a pixel have one
    precision and response even where the base tells them apart.

    AdamW with a constant `learning_rate` and `weight_decay` (towards log q = log r = 0) takes up
    to `steps` batches of `batch` noisy training images; the batch itself is left out of the
    source unless `leave_batch_out` is False. `source_images`: a random part of the source that a
    step compares with; None: all of it.

    Where the base has zeros, learned values start at something small. q: at `zero_precision`
    sigma^2 / D, at most LARGEST_ZERO, so that all that the base ignores moves a logit by about 1.
    r: so that the zeros of an estimator together have the part `zero_response` of its response.

    Every `evaluate_every` steps the error on `validation_items` teacher samples is measured, over
    the whole source; the best weights are kept, and after `patience` measurements without one
    that is at least 0.1 % better the training ends.
    """

    axes: tuple[Axis, ...] = AXES
    kernels: Literal["free", "shared"] = "free"
    tie_channels: bool = False
    steps: int = 2000
    batch: int = 256
    learning_rate: float = 0.03
    weight_decay: float = 0.0
    zero_precision: float = 5.0
    zero_response: float = 0.02
    source_images: int | None = None
    leave_batch_out: bool = True
    validation_items: int = 256
    evaluate_every: int = 20
    patience: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """ParameterError naming the field that is out of its range."""
        if not self.axes or len(set(self.axes)) < len(self.axes) or set(self.axes) - set(AXES):
            raise ParameterError(f"axes must be q, r or q,r, got {','.join(self.axes) or 'none'}")
        for name in POSITIVE:
            if not 0 < getattr(self, name) < math.inf:
                raise ParameterError(
                    f"{name} must be positive and finite, got {getattr(self, name)}"
                )
        for name in ("steps", "weight_decay", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ParameterError(
                    f"{name} must be finite and not negative, got {getattr(self, name)}"
                )
        if self.source_images is not None and self.source_images < 1:
            raise ParameterError(f"source_images must be positive, got {self.source_images}")
        if self.validation_items > MOST_VALIDATION_ITEMS:
            raise ParameterError(
                f"validation_items must be at most {MOST_VALIDATION_ITEMS}, got "
                f"{self.validation_items}"
            )
