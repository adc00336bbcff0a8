"""trackio (https://github.com/gradio-app/trackio), which has the calls of wandb, kept locally."""

from dataclasses import dataclass
from typing import ClassVar

from fpmc_plugins.listeners.tracker import Tracker


@dataclass(frozen=True)
class Trackio(Tracker):
    """trackio: runs in a file of this machine, shown by `trackio show`."""

    name: ClassVar[str] = "trackio"
    url: ClassVar[str] = "https://github.com/gradio-app/trackio"
    package: ClassVar[str] = "trackio"
