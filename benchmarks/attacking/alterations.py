"""What may be done to a leaderboard's files by somebody who wants its figures to be others.

Each is done to the row of `lukoianov` under denoiser-mse, or where it takes more to all rows.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from fpmc_bench.documents.attestation import (
    SUFFIX,
    Attestation,
    record_digest,
    write_attestation,
)
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import Record, SigmaFigures, read_record, write_record
from fpmc_bench.results.summaries import figure_of
from fpmc_bench.storage.arrays import write_arrays

Finder = Literal["reading", "check", "verify"]
"""Whatever makes a table; `fpmc-bench leaderboard check`; `fpmc-bench verify`."""
READING, CHECK, VERIFY = get_args(Finder)
ROW, OTHER_ROW, NETWORK = "lukoianov", "optimal", "digits-ncsnpp"
STEM = f"{ROW}.denoiser-mse"


@dataclass(frozen=True)
class Attack:
    """One alteration of a leaderboard's files, and the first of three that finds it."""

    altered: str
    alter: Callable[[Path], None]
    by: Finder


def changed(content: Any, path: str, value: Any) -> Any:
    """JSON with one field, as provenance.seed, set to `value` or to what that makes of it."""
    key, _, rest = path.partition(".")
    now = content[int(key) if isinstance(content, list) else key]
    new = changed(now, rest, value) if rest else value(now) if callable(value) else value
    if isinstance(content, list):
        return [*content[: int(key)], new, *content[int(key) + 1 :]]
    return {**content, key: new}


def edit(file: Path, path: str, value: Any) -> None:
    """Set one field of a JSON file."""
    file.write_text(json.dumps(changed(json.loads(file.read_text()), path, value)))


def field(path: str, value: Any, stem: str = STEM) -> Callable[[Path], None]:
    """Set one field of a record."""
    return lambda board: edit(board / "records" / f"{stem}.json", path, value)


def everywhere(path: str, value: Any) -> Callable[[Path], None]:
    """Set one field of all records of denoiser-mse."""

    def alter(board: Path) -> None:
        for record in (board / "records").glob("*.denoiser-mse.json"):
            edit(record, path, value)

    return alter


def rewritten(board: Path, values: ItemValues, stem: str = STEM, **changes: Any) -> None:
    """A record of other items in which everything fits: figures, noise levels, and digest."""
    record, _ = read_record(board / "records" / f"{stem}.json")
    levels = tuple(
        SigmaFigures(
            sigma=known.sigma, figures={name: figure_of(values, name, level) for name in values}
        )
        for level, known in enumerate(record.per_sigma)
    )
    forged = {
        "figures": {name: figure_of(values, name) for name in values},
        "per_sigma": levels,
        "items_sha256": values.digest,
        "groups": values.group_count,
    }
    write_record(board / "records", record.model_copy(update={**forged, **changes}), values)


def items(board: Path, stem: str = STEM) -> ItemValues:
    """Of a record."""
    return read_record(board / "records" / f"{stem}.json")[1]


def halved(
    values: Mapping[str, np.ndarray], of: slice | tuple[slice, slice] = np.s_[:]
) -> ItemValues:
    """Half the error in some items, [items, sigmas], and an r2 that fits it."""
    arrays = {name: array.copy() for name, array in values.items()}
    arrays["mse@1"][of] *= 0.5
    arrays["r2@1"][of] = 1 - (1 - arrays["r2@1"][of]) * 0.5
    return ItemValues(arrays)


def forge(board: Path) -> None:
    rewritten(board, halved(items(board)))


def forge_the_lowest_noise(board: Path) -> None:
    values = items(board)
    rewritten(board, halved(values, np.s_[:, -1:]))


def forge_a_percent(board: Path) -> None:
    arrays = {name: array.copy() for name, array in items(board).items()}
    error = arrays["mse@1"].copy()
    arrays["mse@1"] *= 0.99
    arrays["r2@1"] = 1 - (1 - arrays["r2@1"]) * np.divide(arrays["mse@1"], error)
    rewritten(board, ItemValues(arrays))


def regroup(board: Path) -> None:
    for record in sorted((board / "records").glob("*.denoiser-mse.json")):
        values = items(board, record.stem)
        count = len(values["mse@1"])
        rewritten(board, ItemValues(values.by_metric, np.arange(count) // 2), record.stem)


def alter_an_item(board: Path) -> None:
    arrays = {name: array.copy() for name, array in items(board).items()}
    arrays["mse@1"][0, 0] *= 0.5
    write_arrays(board / "records" / f"{STEM}.npz", arrays, compressed=True)


def alter_an_item_and_its_digest(board: Path) -> None:
    alter_an_item(board)
    arrays = dict(np.load(board / "records" / f"{STEM}.npz"))
    field("items_sha256", ItemValues.of(arrays).digest)(board)


def swap_the_items(board: Path) -> None:
    records = board / "records"
    shutil.copy(records / f"{OTHER_ROW}.denoiser-mse.npz", records / f"{STEM}.npz")


def copy_as_another_row(board: Path) -> None:
    records = board / "records"
    for suffix in (".json", ".npz"):
        shutil.copy(records / f"{STEM}{suffix}", records / f"mine.denoiser-mse{suffix}")


def rename_a_better_row(board: Path) -> None:
    """The network that is nearest, as an entry: its items are true, and not of that denoiser."""
    values = items(board, f"{NETWORK}.denoiser-mse")
    rewritten(board, ItemValues(values.by_metric))


def alter_params_in_all(board: Path) -> None:
    field("provenance.params.threshold", 0.5)(board)
    edit(board / "run.json", "suite.entries", lambda known: [_with_threshold(one) for one in known])


def _with_threshold(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "params": {"threshold": 0.5}} if entry["name"] == ROW else entry


def attest(board: Path, **changes: Any) -> Path:
    """What a machine would say that computed it anew."""
    path = board / "records" / f"{STEM}.json"
    record: Record = read_record(path)[0]
    attestation = Attestation(
        row=STEM,
        record_sha256=record_digest(path),
        date_utc="2026-01-01T00:00:00Z",
        environment=record.computed[0].environment,
        commit=None,
        seed=0,
        items=((0, 4),),
        largest_difference=2e-5,
        tolerance=1e-4,
    )
    return write_attestation(path, attestation.model_copy(update=changes))


def attestation_field(path: str, value: Any) -> Callable[[Path], None]:
    return lambda board: edit(attest(board), path, value)


def move_an_attestation(board: Path) -> None:
    attest(board).rename(board / "records" / f"{OTHER_ROW}.denoiser-mse{SUFFIX}")


def forge_under_an_attestation(board: Path) -> None:
    attest(board)
    forge(board)


def forge_and_attest(board: Path) -> None:
    forge(board)
    attest(board)


ATTACKS = (
    Attack("a figure", field("figures.mse@1.mean", lambda mean: mean / 2), READING),
    Attack("its standard error", field("figures.mse@1.standard_error", 1e-6), READING),
    Attack("a figure of one noise level", field("per_sigma.9.figures.r2@1.mean", 0.999), READING),
    Attack("an item's value", alter_an_item, READING),
    Attack("an item's value, and the digest", alter_an_item_and_its_digest, READING),
    Attack("the digest of the items", field("items_sha256", "0" * 64), READING),
    Attack("the items, by those of another row", swap_the_items, READING),
    Attack("the record, copied under another row's name", copy_as_another_row, READING),
    Attack("the seed", field("provenance.seed", 1), READING),
    Attack("the seed, in all records", everywhere("provenance.seed", 1), CHECK),
    Attack("the noise levels", field("provenance.sigmas.0", 79.0), READING),
    Attack("the tuning network", field("provenance.teachers.tuning", "0" * 64), READING),
    Attack(
        "the tuning network, in all records",
        everywhere("provenance.teachers.tuning", "0" * 64),
        CHECK,
    ),
    Attack("the reference's name, in all records", everywhere("reference", "mine"), VERIFY),
    Attack("the suite's name", field("suite", "mine"), CHECK),
    Attack("the images", field("provenance.source.images", "0" * 64), READING),
    Attack("the items that are computed together", field("provenance.block_items", 5), CHECK),
    Attack("the weights", field("provenance.files", "0" * 64), VERIFY),
    Attack("a parameter", field("provenance.params.threshold", 0.5), CHECK),
    Attack("a parameter, in run.json too", alter_params_in_all, VERIFY),
    Attack("the denoiser", field("provenance.denoiser", "optimal"), CHECK),
    Attack(
        "the other network's role, to be ranked",
        field("provenance.role", "entry", f"{NETWORK}.denoiser-mse"),
        CHECK,
    ),
    Attack("groups of items, consistently in all records", regroup, VERIFY),
    Attack("all items halved, consistently: figures, noise levels, digest", forge, VERIFY),
    Attack("the same, at the lowest noise alone", forge_the_lowest_noise, VERIFY),
    Attack("all errors less by a hundredth, consistently", forge_a_percent, VERIFY),
    Attack("the items of a better row, consistently", rename_a_better_row, VERIFY),
    Attack("an attestation's items", attestation_field("items", [[0, 8]]), READING),
    Attack("its largest difference", attestation_field("largest_difference", 0.0), READING),
    Attack("its digest", attestation_field("sha256", "0" * 64), READING),
    Attack("an attestation, moved to another row", move_an_attestation, READING),
    Attack("a record that is attested, consistently", forge_under_an_attestation, READING),
    Attack("the same, and an attestation that is made up", forge_and_attest, VERIFY),
)
