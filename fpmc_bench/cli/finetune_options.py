"""The options of `fpmc-bench finetune` that say what is learned and how.

None of them has a default of its own: what is not asked for is as in `FinetuneSettings`.
"""

import click

from fpmc_bench.cli.common import Command
from fpmc_bench.finetune.settings import LARGEST_ZERO, MOST_VALIDATION_ITEMS, FinetuneSettings

DEFAULTS = FinetuneSettings()
COUNT = click.IntRange(min=1)
POSITIVE = click.FloatRange(min=0, min_open=True)


def _axes(text: str) -> tuple[str, ...]:
    """Turn "r,q" into ("q", "r"); what else it may be is for FinetuneSettings to say."""
    return tuple(sorted(part.strip() for part in text.split(",")))


def _default(name: str) -> str:
    value = getattr(DEFAULTS, name)
    return f"[default: {'all' if value is None else value}]"


WHAT = (
    click.option("--axes", type=_axes, metavar="q,r", help="What is learned: q, r or q,r."),
    click.option("--kernels", type=click.Choice(["free", "shared"]),
                 help="free: a vector for every estimator; shared: one kernel for all pixels "
                 f"{_default('kernels')}."),
)  # fmt: skip
SETTINGS = (
    click.option("--tie-channels", is_flag=True, default=None,
                 help="One value for all channels of a pixel where the base tells them apart."),
    click.option("--steps", type=click.IntRange(min=0), help=f"At most {_default('steps')}."),
    click.option("--batch", type=COUNT, help=f"Noisy images a step {_default('batch')}."),
    click.option("--learning-rate", type=POSITIVE, help=f"Constant {_default('learning_rate')}."),
    click.option("--weight-decay", type=click.FloatRange(min=0),
                 help=f"Towards log q = log r = 0 {_default('weight_decay')}."),
    click.option("--zero-precision", type=POSITIVE,
                 help="Where the base has zeros q starts at this times sigma^2 / D, at most "
                 f"{LARGEST_ZERO} {_default('zero_precision')}."),
    click.option("--zero-response", type=POSITIVE,
                 help="Part of its response that an estimator's zeros start with, together "
                 f"{_default('zero_response')}."),
    click.option("--source-images", type=COUNT,
                 help="Random source images that a step compares with "
                 f"{_default('source_images')}."),
    click.option("--validation-items", type=click.IntRange(1, MOST_VALIDATION_ITEMS),
                 help=f"Teacher samples to judge by {_default('validation_items')}."),
    click.option("--evaluate-every", type=COUNT,
                 help=f"Steps between measurements {_default('evaluate_every')}."),
    click.option("--patience", type=COUNT,
                 help=f"Measurements without progress that end it {_default('patience')}."),
    click.option("--seed", type=click.IntRange(min=0), help=f"{_default('seed')}"),
)  # fmt: skip


def finetune_options(command: Command) -> Command:
    """Add all of the above, in their order."""
    for option in reversed((*WHAT, *SETTINGS)):
        command = option(command)
    return command


def settings_options(command: Command) -> Command:
    """Add those that say how, but not what is learned."""
    for option in reversed(SETTINGS):
        command = option(command)
    return command
