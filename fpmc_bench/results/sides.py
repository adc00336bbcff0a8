"""What is to be compared with what: rows, named as a user names them, and their records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.record import Record, read_record, read_records, records_folder
from fpmc_bench.errors import RunError, UnknownNameError, UsageError


@dataclass(frozen=True)
class Side:
    """A row under the name that tells it from the others, with its records by protocol."""

    name: str
    records: Mapping[str, tuple[Record, ItemValues]]


@dataclass(frozen=True)
class Pair:
    """Two rows that are to be compared."""

    a: Side
    b: Side

    @property
    def protocols(self) -> tuple[str, ...]:
        """Those that both have, in the order of tables."""
        return tuple(one for one in PROTOCOLS if one in self.a.records and one in self.b.records)


def pairs_of(
    arguments: Sequence[str], folder: Path | None = None, protocol: str | None = None
) -> tuple[Pair, ...]:
    """All pairs of the rows that `arguments` name; of two folders, the rows that both have.

    An argument is a record's file (`runs/a/records/ls.denoiser-mse.json`), `ENTRY@FOLDER`, an entry
    of `folder`, or a folder: a run directory or one of records. `protocol`: only under this one.

    UsageError for fewer than two, for one that stands twice, under whatever name, for folders
    beside rows, and for what is none of these; UnknownNameError for an entry that a folder doesn't
    have; RunError for records that can't be read, and where no pair has a protocol in common.
    """
    if len(arguments) < 2:
        raise UsageError("there is nothing to compare with: name two rows, or two folders")
    if len({_whole(one, folder) for one in arguments}) < len(arguments):
        raise UsageError(f"nothing is compared with itself: {', '.join(arguments)}")
    folders = [one for one in arguments if folder is None and Path(one).is_dir()]
    if folders and (len(folders) < len(arguments) or len(folders) > 2):
        raise UsageError(
            f"two folders are compared row by row, or rows with each other, but not "
            f"{', '.join(arguments)}; a row of a folder is ENTRY@{folders[0]}"
        )
    if folders:
        pairs = _of_folders(*folders)
    else:
        pairs = [Pair(a, b) for a, b in combinations(_named(arguments, folder), 2)]
    known = [_only(pair, protocol) for pair in pairs]
    if not any(pair.protocols for pair in known):
        raise RunError(
            f"{' and '.join(arguments)} have no row in common under {protocol or 'any protocol'}"
        )
    return tuple(pair for pair in known if pair.protocols)


def left_out(
    pairs: Sequence[Pair], folders: Sequence[str], protocol: str | None = None
) -> tuple[str, ...]:
    """ENTRY.PROTOCOL@FOLDER of the rows of two folders that only one of them has."""
    compared = {(pair.a.name.partition("@")[0], one) for pair in pairs for one in pair.protocols}
    return tuple(
        f"{entry}.{own}@{folder}"
        for folder in folders
        for entry, records in _rows(Path(folder)).items()
        for own in PROTOCOLS
        if own in records and protocol in (None, own) and (entry, own) not in compared
    )


def rows_named(
    arguments: Sequence[str], folder: Path | None = None
) -> dict[str, tuple[Path, Mapping[str, tuple[Record, ItemValues]]]]:
    """Rows, each with its run directory and its records by protocol; of a folder, all of its rows.

    Their names are those of their entries, ENTRY@FOLDER where these don't tell them apart. As
    `pairs_of` it raises UsageError, UnknownNameError or RunError for what is no row.
    """
    found: list[tuple[str, Path, Mapping[str, tuple[Record, ItemValues]]]] = []
    for argument in arguments:
        path = Path(argument)
        if folder is None and path.is_dir():
            found += [(entry, path, own) for entry, own in _rows(path).items()]
        else:
            own = _row(argument, folder)
            _, at, place = argument.partition("@")
            is_file = argument.endswith(".json")
            directory = path.parent if is_file else Path(place) if at else folder or Path()
            found.append((next(iter(own.values()))[0].entry, directory, own))
    entries = [entry for entry, _, _ in found]
    return {
        entry if entries.count(entry) == 1 else f"{entry}@{directory}": (_run_dir(directory), own)
        for entry, directory, own in found
    }


def _whole(argument: str, folder: Path | None) -> tuple[str, Path]:
    """The entry and the folder of records that are named; of a file or a folder that alone."""
    entry, at, place = argument.partition("@")
    if argument.endswith(".json") or (not at and folder is None):
        path = Path(argument)
        return "", (records_folder(path) if path.is_dir() else path).resolve()
    return entry, records_folder(Path(place) if at else folder or Path()).resolve()


def _run_dir(directory: Path) -> Path:
    """Above a folder of records."""
    folder = records_folder(directory).resolve()
    return folder.parent if folder.name == "records" else directory


def _of_folders(first: str, second: str) -> list[Pair]:
    one, other = (_rows(Path(name)) for name in (first, second))
    return [
        Pair(Side(f"{entry}@{first}", one[entry]), Side(f"{entry}@{second}", other[entry]))
        for entry in one
        if entry in other
    ]


def _named(arguments: Sequence[str], folder: Path | None) -> list[Side]:
    """Rows by their entries' names, where these tell them apart; else with where they are."""
    found = [_row(argument, folder) for argument in arguments]
    entries = [next(iter(records.values()))[0].entry for records in found]
    plain = len(set(entries)) == len(entries)
    placed = [
        one if folder is None or "@" in one or one.endswith(".json") else f"{one}@{folder}"
        for one in arguments
    ]
    names = entries if plain else placed
    return [Side(name, records) for name, records in zip(names, found, strict=True)]


def _row(argument: str, folder: Path | None) -> Mapping[str, tuple[Record, ItemValues]]:
    """The records of one row by protocol."""
    if argument.endswith(".json"):
        record, values = read_record(Path(argument))
        return {record.protocol: (record, values)}
    entry, at, place = argument.partition("@")
    if not at and folder is None:
        raise UsageError(
            f"'{argument}' is no folder and no record's file; to say which run it is an entry of, "
            f"give --in FOLDER, or {argument}@FOLDER"
        )
    directory = Path(place) if at else folder or Path()
    if not directory.is_dir():
        raise UsageError(f"{argument}: there is no folder {directory}")
    rows = _rows(directory)
    if entry not in rows:
        raise UnknownNameError(f"entry of {directory}", entry, rows)
    return rows[entry]


def _rows(directory: Path) -> dict[str, dict[str, tuple[Record, ItemValues]]]:
    """The rows of a folder by entry, with their records by protocol."""
    rows: dict[str, dict[str, tuple[Record, ItemValues]]] = {}
    for record, values in read_records(records_folder(directory)):
        rows.setdefault(record.entry, {})[record.protocol] = record, values
    return rows


def _only(pair: Pair, protocol: str | None) -> Pair:
    if protocol is None:
        return pair
    a, b = (
        Side(side.name, {name: own for name, own in side.records.items() if name == protocol})
        for side in (pair.a, pair.b)
    )
    return Pair(a, b)
