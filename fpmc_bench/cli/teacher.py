"""`fpmc-bench teacher`: train a network to measure against, and look at one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import json_option, print_json, registry_with_warnings

if TYPE_CHECKING:
    from fpmc_bench.datasets import LoadedDataset
    from fpmc_bench.networks.config import NetworkConfig
    from fpmc_bench.networks.training import Trainer


def _integers(text: str) -> tuple[int, ...]:
    """Turn "1,2,2" into (1, 2, 2); click turns a ValueError into a usage error."""
    return tuple(int(part) for part in text.split(","))


@click.group()
def teacher() -> None:
    """Train a teacher network, or show what one is."""


@teacher.command()
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
    **plan: Any,
) -> None:
    """Train a teacher on DATASET; a killed training goes on when its command is repeated."""
    import torch

    from fpmc_bench.datasets import load_dataset
    from fpmc_bench.errors import ParameterError
    from fpmc_bench.networks.held_out import held_out_errors
    from fpmc_bench.networks.teacher_file import export_teacher
    from fpmc_bench.networks.training import Trainer, TrainingPlan
    from fpmc_bench.teachers import load_teacher

    if out.suffix != ".safetensors":
        raise ParameterError(f"--out must end in .safetensors, got {out}")
    if threads:
        torch.set_num_threads(threads)
    data = load_dataset(dataset, registry=registry_with_warnings())
    config = _network_config(
        data,
        architecture=architecture,
        model_channels=model_channels,
        channel_mult=channel_mult,
        num_blocks=num_blocks,
        attention_sides=attention_sides or (data.shape.height_px // 2,),
        dropout=dropout,
    )
    trainer = Trainer(config, TrainingPlan(**plan), data.train, device)
    checkpoint = out.with_suffix(".checkpoint")
    if checkpoint.exists():
        trainer.load(checkpoint)
        click.echo(f"going on from step {trainer.step}, {checkpoint}", err=True)
    elif out.exists():
        raise ParameterError(f"{out} exists; remove it, or choose another --out")
    _run(trainer, checkpoint, checkpoint_every)
    weights, steps = trainer.average.state_dict(), trainer.step
    export_teacher(out, weights, config, trainer.plan, dataset, data.train.fingerprint, steps)
    checkpoint.unlink(missing_ok=True)
    errors = held_out_errors(load_teacher(out, device), data.test, device=device)
    click.echo(_error_table(errors))
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


@teacher.command()
@click.argument("name_or_path")
@click.option("--device", default="cpu", show_default=True)
@json_option
def info(name_or_path: str, device: str, as_json: bool) -> None:
    """Show a teacher: architecture, training, fingerprint, and its error on held-out images."""
    from fpmc_bench.datasets import load_dataset
    from fpmc_bench.errors import UsageError
    from fpmc_bench.networks.held_out import held_out_errors
    from fpmc_bench.teachers import NetworkTeacher, load_teacher

    registry = registry_with_warnings()
    model = load_teacher(name_or_path, device, registry=registry)
    if not isinstance(model, NetworkTeacher):
        raise UsageError(
            f"teacher '{name_or_path}' is a plugin's own {type(model).__name__}, not a network "
            f"file: only its plugin knows its architecture and training"
        )
    card = model.card
    errors: dict[float, float] = {}
    if card.dataset not in registry.items["datasets"]:
        click.echo(f"no held-out errors: dataset '{card.dataset}' is not installed", err=True)
    elif (data := load_dataset(card.dataset, registry=registry)).shape != model.shape:
        click.echo(f"no held-out errors: '{card.dataset}' has {data.shape} images", err=True)
    else:
        if data.train.fingerprint != card.dataset_fingerprint:
            click.echo(f"trained on another version of '{card.dataset}'", err=True)
        errors = held_out_errors(model, data.test, device=device)
    facts = {
        "name": model.name,
        "fingerprint": model.fingerprint,
        "parameters": model.parameters,
        "images": str(model.shape),
        **card.model_dump(mode="json"),
    }
    if as_json:
        held_out = [{"sigma": sigma, "mse": mse} for sigma, mse in errors.items()]
        print_json({**facts, "held_out": held_out})
        return
    click.echo(_as_text(facts))
    if errors:
        click.echo(f"\n{_error_table(errors)}")


def _as_text(facts: Mapping[str, Any]) -> str:
    """One fact a line; those of the config and the plan are set under their heading."""
    from tabulate import tabulate

    rows: list[tuple[str, Any]] = []
    for key, value in facts.items():
        nested = value.items() if isinstance(value, dict) else None
        rows += [(key, value)] if nested is None else [(f"{key}.{k}", v) for k, v in nested]
    return str(tabulate(rows, tablefmt="plain", disable_numparse=True))


def _error_table(errors: Mapping[float, float]) -> str:
    from tabulate import tabulate

    headers = ["sigma", "held-out MSE"]
    return str(tabulate(errors.items(), headers=headers, floatfmt=("g", ".5f")))
