"""`fpmc-bench teacher`: train or convert a network to measure against, and look at one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import (
    data_option,
    error_table,
    json_option,
    print_json,
    registry_with_warnings,
    teacher_option,
)
from fpmc_bench.cli.printing import PrintingGroup, echo
from fpmc_bench.cli.teacher_train import train

if TYPE_CHECKING:
    from fpmc_bench.catalog.places import Places
    from fpmc_bench.catalog.registry import Registry
    from fpmc_bench.teachers.network import NetworkTeacher


@click.group(cls=PrintingGroup)
def teacher() -> None:
    """Train or convert a teacher network, or show what one is."""


teacher.add_command(train)


@teacher.command()
@click.argument("source", metavar="IN.pkl", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT.safetensors", type=click.Path(path_type=Path))
@json_option
def convert(source: Path, out: Path, as_json: bool) -> None:
    """Convert a published EDM checkpoint, without running any of the code in it.

    The weights keep their type. The network's answers to a fixed input are stored beside them, and
    checked whenever the file is loaded.
    """
    from fpmc_bench.errors import UsageError
    from fpmc_bench.storage.folders import refuse_unwritable
    from fpmc_bench.teachers.files.teacher_file import convert_edm
    from fpmc_bench.teachers.network import NetworkTeacher

    if out.suffix != ".safetensors":
        raise UsageError(f"the converted file has to end in .safetensors, got {out}")
    refuse_unwritable(out.parent, "OUT")
    if out.exists():
        raise UsageError(f"{out} already exists; remove it or give another name")
    network, card = convert_edm(out, source)
    facts = _facts(NetworkTeacher(out.stem, network, card))
    if as_json:
        print_json(facts)
    else:
        echo(_as_text(facts))


@teacher.command()
@click.argument("name_or_path")
@click.option("--device", default="cpu", show_default=True)
@data_option
@teacher_option
@json_option
def info(
    name_or_path: str,
    device: str,
    data: tuple[str, ...],
    teacher: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show a teacher: architecture, training, fingerprint, and its error on held-out images."""
    from fpmc_bench.catalog.places import Places
    from fpmc_bench.catalog.teachers import load_teacher
    from fpmc_bench.errors import UsageError
    from fpmc_bench.teachers.network import NetworkTeacher

    registry = registry_with_warnings()
    places = Places.given(data, teacher)
    model = load_teacher(name_or_path, device, places=places, registry=registry)
    if not isinstance(model, NetworkTeacher):
        raise UsageError(
            f"teacher '{name_or_path}' is a {type(model).__name__}, which runs like any other but "
            f"says nothing of its architecture and training; expected a network file"
        )
    errors = _held_out(model, places, registry, device)
    facts = _facts(model)
    if as_json:
        held_out = [{"sigma": sigma, "mse": mse} for sigma, mse in errors.items()]
        print_json({**facts, "held_out": held_out})
        return
    echo(_as_text(facts))
    if errors:
        echo(f"\n{error_table(errors)}")


def _facts(model: "NetworkTeacher") -> dict[str, Any]:
    remarks = model.card.plan.remarks if model.card.plan else ()
    return {
        "name": model.name,
        "fingerprint": model.fingerprint,
        "parameters": model.parameters,
        "images": str(model.shape),
        "preconditioning": model.config.preconditioning,
        **model.card.model_dump(mode="json"),
        **({"remarks": remarks} if remarks else {}),
    }


def _held_out(
    model: "NetworkTeacher", places: "Places", registry: "Registry", device: str
) -> dict[float, float]:
    """Its errors on the test images of its dataset; a line on stderr where there can be none."""
    from fpmc_bench.catalog.datasets import load_dataset
    from fpmc_bench.documents.names import parse_selection
    from fpmc_bench.errors import MissingFilesError
    from fpmc_bench.teachers.quality import held_out_errors

    card = model.card
    if card.dataset == "unknown":
        echo("no held-out errors: the file does not say of which dataset it is", err=True)
        return {}
    name, params = parse_selection(card.dataset)
    if name not in registry.items["datasets"]:
        echo(f"no held-out errors: dataset '{card.dataset}' is not installed", err=True)
        return {}
    try:
        data = load_dataset(name, params, places=places, registry=registry)
    except MissingFilesError as error:
        echo(f"no held-out errors: {error}", err=True)
        return {}
    if data.shape != model.shape:
        echo(f"no held-out errors: '{card.dataset}' has {data.shape} images", err=True)
        return {}
    if card.dataset_fingerprint and data.train.fingerprint != card.dataset_fingerprint:
        echo(f"trained on another version of '{card.dataset}'", err=True)
    return held_out_errors(model, data.test, device=device) if data.test else {}


def _as_text(facts: Mapping[str, Any]) -> str:
    """One fact a line; those of the config and the plan are set under their heading."""
    from tabulate import tabulate

    rows: list[tuple[str, Any]] = []
    for key, value in facts.items():
        nested = value.items() if isinstance(value, dict) else None
        rows += [(key, value)] if nested is None else [(f"{key}.{k}", v) for k, v in nested]
    return str(tabulate(rows, tablefmt="plain", disable_numparse=True))
