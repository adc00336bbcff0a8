"""Weights & Biases (https://wandb.ai): WANDB_MODE=offline keeps a run on this machine."""

from dataclasses import dataclass
from typing import ClassVar

from fpmc_plugins.listeners.tracker import Tracker


@dataclass(frozen=True)
class WandB(Tracker):
    """Weights & Biases; its own variables say who and where, as WANDB_MODE and WANDB_DIR."""

    name: ClassVar[str] = "wandb"
    url: ClassVar[str] = "https://wandb.ai"
    package: ClassVar[str] = "wandb"
