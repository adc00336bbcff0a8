"""`fpmc-bench data`: fetch, prepare and look at the images that a user keeps."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import data_option, json_option, print_json, registry_with_warnings
from fpmc_bench.cli.printing import PrintingGroup, echo
from fpmc_bench.interruptions import keeping

if TYPE_CHECKING:
    from fpmc_bench.catalog.places import Places
    from fpmc_bench.catalog.registry import Registry
    from fpmc_bench.contracts import Split
    from fpmc_bench.fpmc.source import Source


@click.group(cls=PrintingGroup)
def data() -> None:
    """Fetch, prepare or show the images of a dataset."""


@data.command()
@click.argument("dataset")
@data_option
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False),
              help="Where the contact sheet goes [default: DATASET.png].")  # fmt: skip
@json_option
def info(dataset: str, data: tuple[str, ...], sheet: Path | None, as_json: bool) -> None:
    """Count the images of DATASET, hash them, and put some on a contact sheet.

    "repeated" are images that equal an earlier one of their split, "in_train" test images that are
    training images too, pixel for pixel.
    """
    from tabulate import tabulate

    from fpmc_bench.catalog.datasets import load_dataset
    from fpmc_bench.catalog.places import Places
    from fpmc_bench.images.contact_sheet import write_contact_sheet
    from fpmc_bench.images.twins import repeated_images
    from fpmc_bench.storage.folders import refuse_unwritable

    sheet = sheet or Path(f"{dataset}.png")
    refuse_unwritable(sheet.parent, "--sheet")
    registry = registry_with_warnings()
    places = Places.given(data)
    loaded = load_dataset(dataset, places=places, registry=registry)
    splits: dict[Split, Source] = {"train": loaded.train}
    if loaded.test:
        splits["test"] = loaded.test
    facts = [
        {
            "split": split,
            **_facts(source),
            **_labels(registry, places, dataset, split),
            "repeated": repeated_images(source.images),
            **({"in_train": loaded.test_images_in_train} if split == "test" else {}),
        }
        for split, source in splits.items()
    ]
    shown = write_contact_sheet(loaded.train.images, loaded.train.scale, sheet)
    if as_json:
        print_json({"dataset": dataset, "splits": facts, "sheet": str(sheet)})
        return
    echo(tabulate(facts, headers="keys", tablefmt="simple", floatfmt=".4f"))
    echo(f"\nwrote {sheet}: {shown} of the training images")


def _facts(source: "Source") -> dict[str, Any]:
    """Mean and standard deviation in [-1,1], over all pixels, a part at a time."""
    import torch

    total = square = torch.zeros((), dtype=torch.float64)
    for images, _ in source.chunks(1024, "cpu", torch.float64):
        total = total + images.sum()
        square = square + images.square().sum()
    values = len(source) * source.shape.dimensions
    mean = float(total) / values
    return {
        "images": len(source),
        "shape": str(source.shape),
        "mean": mean,
        "std": (float(square) / values - mean**2) ** 0.5,
        "fingerprint": source.fingerprint[:16],
    }


def _labels(registry: "Registry", places: "Places", dataset: str, split: "Split") -> dict[str, str]:
    """How many images each class has, where the files say so."""
    from fpmc_bench.catalog.parameters import make_plugin
    from fpmc_bench.contracts import FileDataset
    from fpmc_bench.images.labels import label_counts

    plugin = make_plugin(registry.get("datasets", dataset).item)
    place = places.find("data", dataset)
    if place is None or not isinstance(plugin, FileDataset):
        return {}
    labels = plugin.images(Path(place).expanduser(), split).labels
    if labels is None:
        return {"classes": "none"}
    counts = label_counts(labels)
    few, many = min(counts.values()), max(counts.values())
    each = str(few) if few == many else f"{few} to {many}"
    return {"classes": f"{len(counts)} of {each} images"}


@data.command()
@click.argument("dataset", type=click.Choice(["cifar10"]))
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), default=".",
              show_default=True, help="The folder it goes to.")  # fmt: skip
@click.option("--url", help="Another place to get it from.")
@click.option("--sha256", help="Of what is there; for a file that is not the published one.")
def fetch(dataset: str, folder: Path, url: str | None, sha256: str | None) -> None:
    """Download the published archive of DATASET (163 MB) and check it.

    An interrupted download goes on when the same command is given again.
    """
    from fpmc_bench.images.fetch import CIFAR10_SHA256, CIFAR10_URL
    from fpmc_bench.images.fetch import fetch as fetch_file

    with keeping():
        path = fetch_file(url or CIFAR10_URL, sha256 or CIFAR10_SHA256, folder)
    echo(f"{path} is there and is what was published; use it as --data {dataset}={path}")


@data.command()
@click.argument("pictures", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--side-px", type=click.IntRange(min=1), default=64, show_default=True,
              help="Height and width of the small images.")  # fmt: skip
@click.option("--skip-damaged", is_flag=True,
              help="Leave out pictures that can't be used, and say which.")  # fmt: skip
def prepare(pictures: Path, out: Path, side_px: int, skip_damaged: bool) -> None:
    """Make a zip OUT of small square images of PICTURES, a folder or a zip.

    Each is turned upright as its EXIF orientation says, cropped to the square in its middle and
    resized with a Lanczos filter; the same pictures always give the same bytes.
    """
    from fpmc_bench.images.prepare import prepare_zip

    done = prepare_zip(pictures, out, side_px, skip_damaged=skip_damaged)
    for reason in done.left_out:
        echo(f"left out: {reason}", err=True)
    left_out = f"; {len(done.left_out)} pictures were left out" if done.left_out else ""
    echo(f"wrote {out}: {done.images} images of {side_px}x{side_px} pixels{left_out}")
