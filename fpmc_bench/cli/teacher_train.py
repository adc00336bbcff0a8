"""`fpmc-bench teacher train`: train a network to measure against."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import data_option, error_table, registry_with_warnings

if TYPE_CHECKING:
    from fpmc_bench.datasets import LoadedDataset
    from fpmc_bench.networks.config import NetworkConfig
    from fpmc_bench.networks.training import Trainer


def _integers(text: str) -> tuple[int, ...]:
    """Turn "1,2,2" into (1, 2, 2); click turns a ValueError into a usage error."""
    return tuple(int(part) for part in text.split(","))


@click.command()
@click.argument("dataset")
@click.option("--architecture", type=click.Choice(["ddpmpp", "ncsnpp"]), required=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="Where the teacher goes, ending in .safetensors.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), default=8000, show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--learning-rate", type=float, default=1e-3, show_default=True)
@click.option("--warmup-steps", type=click.IntRange(min=1), default=300, show_default=True)
@click.option("--ema-decay", type=float, default=0.999, show_default=True)
@click.option("--sigma-log-mean", type=float, default=0.0, show_default=True)
@click.option("--sigma-log-std", type=float, default=1.6, show_default=True)
@click.option("--stable-target-sigma", type=click.FloatRange(min=0, min_open=True),
              help="From this sigma up learn the posterior mean (Xu et al. 2023).")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--model-channels", type=int, default=32, show_default=True)
@click.option("--channel-mult", type=_integers, default="1,2", show_default=True)
@click.option("--num-blocks", type=int, default=2, show_default=True)
@click.option("--attention-sides", type=_integers, show_default="half the image's side")
@click.option("--dropout", type=float, default=0.1, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads (default: all cores).")
@click.option("--checkpoint-every", type=click.IntRange(min=1), default=500, show_default=True,
              help="Steps between checkpoints.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True)
@data_option
def train(
    dataset: str,
    architecture: str,
    out: Path,
    model_channels: int,
    channel_mult: tuple[int, ...],
    num_blocks: int,
    attention_sides: tuple[int, ...] | None,
    dropout: float,
    threads: int | None,
    checkpoint_every: int,
    device: str,
    data: tuple[str, ...],
    **plan: Any,
) -> None:
    """Train a teacher on DATASET; a killed training goes on when its command is repeated."""
    import torch

    from fpmc_bench.datasets import load_dataset
    from fpmc_bench.errors import ParameterError
    from fpmc_bench.networks.held_out import held_out_errors
    from fpmc_bench.networks.teacher_file import export_teacher
    from fpmc_bench.networks.training import Trainer, TrainingPlan
    from fpmc_bench.places import Places
    from fpmc_bench.teachers import load_teacher

    if out.suffix != ".safetensors":
        raise ParameterError(f"--out must end in .safetensors, got {out}")
    if threads:
        torch.set_num_threads(threads)
    places = Places.given(data)
    loaded = load_dataset(dataset, places=places, registry=registry_with_warnings())
    config = _network_config(
        loaded,
        architecture=architecture,
        model_channels=model_channels,
        channel_mult=channel_mult,
        num_blocks=num_blocks,
        attention_sides=attention_sides or (loaded.shape.height_px // 2,),
        dropout=dropout,
    )
    trainer = Trainer(config, TrainingPlan(**plan), loaded.train, device)
    checkpoint = out.with_suffix(".checkpoint")
    if checkpoint.exists():
        trainer.load(checkpoint)
        click.echo(f"going on from step {trainer.step}, {checkpoint}", err=True)
    elif out.exists():
        raise ParameterError(f"{out} exists; remove it, or choose another --out")
    _run(trainer, checkpoint, checkpoint_every)
    weights, steps = trainer.average.state_dict(), trainer.step
    export_teacher(out, weights, config, trainer.plan, dataset, loaded.train.fingerprint, steps)
    checkpoint.unlink(missing_ok=True)
    if loaded.test is not None:
        errors = held_out_errors(load_teacher(out, device), loaded.test, device=device)
        click.echo(error_table(errors))
    click.echo(f"wrote {out}")


def _network_config(data: "LoadedDataset", **choices: Any) -> "NetworkConfig":
    from pydantic import ValidationError

    from fpmc_bench.errors import ParameterError
    from fpmc_bench.networks.config import NetworkConfig

    shape = data.shape
    if shape.height_px != shape.width_px:
        raise ParameterError(f"teachers are for square images, '{data.name}' has {shape}")
    # three digits: sigma_data only sets scales, and is easier to compare across trainings
    sigma_data = round(data.train.values().std().item(), 3)
    try:
        return NetworkConfig(
            side_px=shape.height_px, channels=shape.channels, sigma_data=sigma_data, **choices
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "network"
        raise ParameterError(f"{where}: {first['msg']}") from error


def _run(trainer: "Trainer", checkpoint: Path, checkpoint_every: int) -> None:
    from tqdm import tqdm

    average: float | None = None
    total = trainer.plan.steps
    with tqdm(total=total, initial=trainer.step, unit="step", disable=None) as bar:
        for step, loss in trainer.run():
            average = loss if average is None else 0.99 * average + 0.01 * loss
            bar.set_postfix(loss=f"{average:.4f}", refresh=False)
            bar.update()
            if step % checkpoint_every == 0 or step == total:
                trainer.save(checkpoint)
