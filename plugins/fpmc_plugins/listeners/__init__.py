"""Listeners: what a run does, told to services that show it."""

from fpmc_bench import hookimpl
from fpmc_bench.contracts import Listener
from fpmc_plugins.listeners.trackio import Trackio
from fpmc_plugins.listeners.wandb import WandB


@hookimpl
def fpmc_listeners() -> list[type[Listener]]:
    return [Trackio, WandB]
