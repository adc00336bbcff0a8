"""Record: the published outcome of one entry under one protocol, a frozen JSON document.

Beside `<entry>.<protocol>.json` lies `<entry>.<protocol>.npz` with the per-item values of every
metric: [items, sigmas] where the protocol measures by noise level, else [items]
(`documents/items.py`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, FiniteFloat, ValidationError

from fpmc_bench.documents.environment import Environment
from fpmc_bench.documents.items import ItemValues, most_bytes
from fpmc_bench.documents.names import METRIC_NAME, ROW_NAME, SUITE_NAME
from fpmc_bench.documents.protocols import ProtocolFacts, protocol_facts
from fpmc_bench.documents.provenance import Provenance
from fpmc_bench.documents.reading import AnyFloat, Document, first_fault
from fpmc_bench.errors import InputError, RunError
from fpmc_bench.storage.arrays import read_arrays, write_arrays
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.notations import parsed_json

SCHEMA_VERSION: Final = 3
MOST_BYTES = 2**28
"""Of per-item values: a hundred thousand items have two metrics at 160 noise levels in so much."""

Metric = Annotated[str, Field(pattern=METRIC_NAME)]


class Figure(Document):
    """What `n` items have together, as their mean, and its standard error."""

    mean: AnyFloat
    standard_error: AnyFloat
    n: int


class SigmaFigures(Document):
    """The figures of one noise level, metric by metric."""

    sigma: FiniteFloat
    figures: dict[Metric, Figure]

    def __repr__(self) -> str:
        return f"SigmaFigures(sigma {self.sigma:.3g}: {_listed(self.figures)})"

    __str__ = __repr__


class Share(Document):
    """What one machine computed of a row: `seconds_per_query` is the median over its units."""

    environment: Environment
    units: int
    queries: int
    seconds_per_query: FiniteFloat


class Publication(Document):
    """Who and when: nothing that a figure depends on.

    `citation`, `url` and `formula` (plain text) are the plugin's. `command`, `commits` and
    `date_utc` are those of the units: the command and the date of the last one, and every commit of
    the code that computed any.
    """

    citation: str
    url: str
    formula: str = ""
    command: str
    date_utc: str
    commits: tuple[str, ...]


class Record(Document):
    """Figures of one entry under one protocol. Metrics are named `metric@version`.

    `figures` averages over items and, where the protocol measures by noise level, over those;
    `per_sigma` is empty where it doesn't. `seconds_per_query` is the median over all units,
    `computed` says which machines those were. `reference` is the name of the network that it was
    measured against. `groups`: how many groups (pictures, patients) the items are of, by which
    standard errors are clustered; None where every item is on its own. `remarks` say what a reader
    of the figures should know, a sentence each.
    """

    schema_version: Literal[3] = SCHEMA_VERSION
    suite: str = Field(pattern=SUITE_NAME)
    suite_fingerprint: str
    entry: str = Field(pattern=ROW_NAME)
    reference: str
    figures: dict[Metric, Figure]
    per_sigma: tuple[SigmaFigures, ...]
    groups: int | None = None
    items_sha256: str
    provenance: Provenance
    seconds_per_query: FiniteFloat
    computed: tuple[Share, ...]
    publication: Publication
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Record({self.stem} of {self.suite}, {self.items} items: {_listed(self.figures)})"

    __str__ = __repr__

    @property
    def protocol(self) -> str:
        return self.provenance.protocol

    @property
    def facts(self) -> ProtocolFacts:
        return protocol_facts(self.provenance.protocol)

    @property
    def is_other_network(self) -> bool:
        """Whether this is the other network's row, which has no rank."""
        return self.provenance.role == "other network"

    @property
    def items(self) -> int:
        """How many were measured."""
        start, stop = self.provenance.items
        return stop - start

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The noise levels that the protocol looked at."""
        return tuple(self.provenance.sigmas[level] for level in self.provenance.levels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values of a metric: [items, sigmas], or [items]."""
        return (self.items, len(self.sigmas)) if self.facts.by_sigma else (self.items,)

    @property
    def stem(self) -> str:
        return f"{self.entry}.{self.protocol}"


def _listed(figures: Mapping[str, Figure]) -> str:
    return ", ".join(
        f"{metric} {figure.mean:.3g} ± {figure.standard_error:.2g}"
        for metric, figure in figures.items()
    )


def write_record(directory: Path, record: Record, values: ItemValues) -> Path:
    """Write the record and its sidecar, each whole or not at all; returns the record's path.

    `values` are [items] or [items, sigmas], by metric.
    """
    write_arrays(directory / f"{record.stem}.npz", values.arrays, compressed=True)
    text = record.model_dump_json(indent=2) + "\n"
    path = directory / f"{record.stem}.json"
    write_atomically(path, text.encode())
    return path


def read_record(path: Path) -> tuple[Record, ItemValues]:
    """A record and its per-item values, [items] or [items, sigmas] by metric.

    RunError where either is missing, damaged or altered, or of another schema version.
    """
    try:
        content = path.read_bytes()
        _refuse_other_version(path, parsed_json(content))
        record = Record.model_validate_json(content, strict=True)
    except OSError as error:
        raise RunError(f"record {path} can't be read: {error}") from error
    except ValidationError as error:
        raise RunError(f"{path} is not a record: {first_fault(error, 'record')}") from error
    except ValueError as error:
        raise RunError(f"{path} is not a record: it is no JSON ({error})") from error
    sidecar = path.with_suffix(".npz")
    most = most_bytes(record.shape, len(record.figures))
    try:
        values = ItemValues.of(read_arrays(sidecar, min(MOST_BYTES, most)))
    except InputError as error:
        raise RunError(f"{sidecar} is not what lies beside a record: {error}") from error
    if values.digest != record.items_sha256:
        raise RunError(
            f"{sidecar} does not hold the values that {path.name} was made from; run this row "
            f"again, which keeps them aside, or remove both"
        )
    return record, values


def records_folder(directory: Path) -> Path:
    """Where the records are of a run directory, or of a folder of records, which is its own."""
    inside = directory / "records"
    return inside if inside.is_dir() else directory


def read_records(directory: Path) -> list[tuple[Record, ItemValues]]:
    """All records of a folder, by file name, each as `read_record` gives it.

    RunError where there is none, and for those that can't be read.
    """
    paths = sorted(directory.glob("*.json"))
    if not paths:
        raise RunError(f"no records (*.json) in {directory}")
    return [read_record(path) for path in paths]


def _refuse_other_version(path: Path, content: Any) -> None:
    """RunError for a record of another schema version, with how to make it anew."""
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version == SCHEMA_VERSION:
        return
    if not isinstance(version, int):
        raise RunError(f"{path} is not a record: it has no schema_version {SCHEMA_VERSION}")
    suite = content.get("suite", "SUITE")
    raise RunError(
        f"{path} is a record of schema version {version}, and this fpmc-bench reads "
        f"{SCHEMA_VERSION}: make it anew with 'fpmc-bench run {suite} --run-dir "
        f"{path.parent.parent} --fresh'"
    )
