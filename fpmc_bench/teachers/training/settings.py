"""TrainingSettings: what, besides data and network, determines the weights of a teacher."""

import math
from dataclasses import dataclass
from typing import Literal

from fpmc_bench.errors import ParameterError

EMA_RAMP_UP = 0.05
"""EDM's ramp-up ratio: the average's half-life is at most this share of the images seen so far."""


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of one training. A field that comes later needs a default: files hold old ones.

    `sigma_log_mean`, `sigma_log_std`: ln(sigma) is normal (EDM, table 1: -1.2, 1.2). The default
    is wider than EDM's because the suites measure teachers up to sigma 80, which EDM's
    distribution reaches once in a million draws. `stable_target_sigma`: from this noise level up
    the regression target is the posterior mean over the training images instead of the one image
    that was noised (Xu et al. 2023, Stable Target Field): the same minimiser, without the noise of
    the target, which at high sigma is nearly all of the loss. None: never.

    `ema_halflife_images` replaces `ema_decay` by EDM's rule, in images. `hflip` mirrors each drawn
    image with probability 1/2. `precision` bf16 runs the network under autocast; weights, loss,
    optimiser and average stay float32. `max_gradient_norm` None: gradients are not clipped.
    """

    steps: int = 8000
    batch: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 300
    ema_decay: float = 0.999
    sigma_log_mean: float = 0.0
    sigma_log_std: float = 1.6
    stable_target_sigma: float | None = None
    seed: int = 0
    ema_halflife_images: float | None = None
    learning_rate_decay: Literal["cosine", "none"] = "cosine"
    adam_beta2: float = 0.99
    weight_decay: float = 0.01
    max_gradient_norm: float | None = 1.0
    hflip: bool = False
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self) -> None:
        """ParameterError naming the field that is out of its range."""
        positive = ["steps", "batch", "warmup_steps", "learning_rate", "sigma_log_std"]
        optional = ["stable_target_sigma", "ema_halflife_images", "max_gradient_norm"]
        for name in [*positive, *(name for name in optional if getattr(self, name) is not None)]:
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("ema_decay", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ParameterError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if not self.weight_decay >= 0:
            raise ParameterError(f"weight_decay must not be negative, got {self.weight_decay}")

    @property
    def remarks(self) -> tuple[str, ...]:
        """Where the training is too short for its own plan: what that means, in sentences."""
        found = []
        if self.steps <= self.warmup_steps:
            most = max(map(self.learning_rate_at, range(self.steps))) / self.learning_rate
            found.append(
                f"{self.steps} steps end within the warm-up of {self.warmup_steps}, at {most:.0%} "
                f"of the learning rate or less: the network is hardly trained; raise --steps or "
                f"lower --warmup-steps"
            )
        if self.steps < self.averaged_steps:
            found.append(
                f"{self.steps} steps are fewer than the {self.averaged_steps:.0f} that the weights "
                f"are averaged over; raise --steps, or lower --ema-decay or --ema-halflife-images"
            )
        return tuple(found)

    @property
    def averaged_steps(self) -> float:
        """How far the moving average reaches back, once it is settled."""
        if self.ema_halflife_images is None:
            return 1 / (1 - self.ema_decay)
        return self.ema_halflife_images / self.batch / math.log(2)

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up from step 0; then half a cosine down to 0 at the last, or constant."""
        warmup = min(1.0, (step + 1) / self.warmup_steps)
        if self.learning_rate_decay == "none":
            return self.learning_rate * warmup
        return self.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def ema_decay_at(self, step: int) -> float:
        """The share of the moving average that survives `step`; less at first, when all is new."""
        if self.ema_halflife_images is None:
            return min(self.ema_decay, (1 + step) / (10 + step))
        halflife = min(self.ema_halflife_images, EMA_RAMP_UP * step * self.batch)
        return 0.5 ** (self.batch / halflife) if halflife else 0.0
