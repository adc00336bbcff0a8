"""The options of `fpmc-bench teacher train` that say what is trained, and what the sizes stand for.

None of them has a default: what is not asked for is the size's (`teachers.training.presets`).
"""

from dataclasses import asdict
from typing import Any

import click

from fpmc_bench.cli.common import Command
from fpmc_bench.teachers.training.presets import PRESETS, Preset
from fpmc_bench.teachers.training.settings import TrainingSettings


def _integers(text: str) -> tuple[int, ...]:
    """Turn "1,2,2" into (1, 2, 2); click turns a ValueError into a usage error."""
    return tuple(int(part) for part in text.split(","))


COUNT = click.IntRange(min=1)
OR_NEVER = click.IntRange(min=0)

NETWORK = (
    click.option("--model-channels", type=int),
    click.option(
        "--channel-mult", type=_integers, metavar="N,N,...", help="For each resolution: 2,2,2."
    ),
    click.option("--num-blocks", type=int, help="Residual blocks a resolution."),
    click.option(
        "--attention-sides", type=_integers, metavar="N,...", help="Sides in pixels, as 16 or 16,8."
    ),
    click.option("--dropout", type=float),
    click.option("--sigma-data", type=float, help="Spread of the pixels, for preconditioning."),
)
PLAN = (
    click.option("--steps", type=COUNT),
    click.option("--batch", type=COUNT, help="Images a step, of all processes together."),
    click.option("--learning-rate", type=float),
    click.option("--warmup-steps", type=COUNT),
    click.option("--learning-rate-decay", type=click.Choice(["cosine", "none"]),
                 help="After the warm-up: down to 0 at the last step, or constant."),
    click.option("--ema-decay", type=float, help="Of the averaged weights, a step."),
    click.option("--ema-halflife-images", type=float, help="EDM's rule instead of --ema-decay."),
    click.option("--sigma-log-mean", type=float, help="Of the noise levels: EDM's P_mean."),
    click.option("--sigma-log-std", type=float, help="EDM's P_std."),
    click.option("--stable-target-sigma", type=click.FloatRange(min=0, min_open=True),
                 help="From this sigma up learn the posterior mean (Xu et al. 2023)."),
    click.option("--adam-beta2", type=float),
    click.option("--weight-decay", type=float),
    click.option("--max-gradient-norm", type=click.FloatRange(min=0), help="0: no clipping."),
    click.option("--hflip/--no-hflip", default=None,
                 help="Mirror each drawn image with probability 1/2 [default: no]."),
    click.option("--precision", type=click.Choice(["fp32", "bf16"]),
                 help="bf16: autocast; weights stay float32 [default: fp32]."),
    click.option("--seed", type=int, help="[default: 0]"),
)  # fmt: skip
HABITS = (
    click.option("--log-every", type=COUNT, help="Steps between lines of the log."),
    click.option("--checkpoint-every", type=COUNT, help="Steps between checkpoints."),
    click.option("--held-out-every", type=OR_NEVER,
                 help="Steps between errors on held-out images; 0: never, nor at the end."),
    click.option("--grid-every", type=OR_NEVER, help="Steps between sample grids; 0: never."),
    click.option("--device", help="auto, cpu, cuda or cuda:N."),
)  # fmt: skip


def training_options(command: Command) -> Command:
    """Add all of the above, in their order."""
    for option in reversed((*NETWORK, *PLAN, *HABITS)):
        command = option(command)
    return command


def sizes_table() -> str:
    """What every size stands for, as click shows it under the options."""
    settings = {size: _settings(preset) for size, preset in PRESETS.items()}
    names = list(next(iter(settings.values())))
    table = [["", *settings]]
    table += [[name, *(_shown(name, known[name]) for known in settings.values())] for name in names]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    summaries = [f"{size}: {preset.summary}" for size, preset in PRESETS.items()]
    return "\n".join(["\b", "Sizes:", *summaries, "", "\b", *lines])


def _settings(preset: Preset) -> dict[str, Any]:
    """Name -> value, for all that a size decides; steps in images where it counts in them."""
    settings = {**asdict(TrainingSettings()), **preset.settings}
    for name, images in (("steps", preset.images), ("warmup_steps", preset.warmup_images)):
        if images is not None:
            settings[name] = f"{images / 1e6:g} M images"
    if settings["ema_halflife_images"] is not None:
        settings["ema_decay"] = None  # the other rule
    return {**preset.network, **settings, **preset.habits}


def _shown(name: str, value: Any) -> str:
    if value is None:
        absent = {"attention_sides": "side / 2", "sigma_data": "of the images"}
        return absent.get(name, "-")
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
