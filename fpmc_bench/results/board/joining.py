"""Which rows of a run may join a leaderboard: nothing shared differs, and none is there already.

A row that is there with the same provenance, and was measured again, is left as it is where its
items agree: the other network's, which every run measures, is so compared each time.
"""

from collections.abc import Collection
from dataclasses import dataclass

from fpmc_bench.documents.attestation import TOLERANCE, UNIT
from fpmc_bench.documents.record import Record
from fpmc_bench.errors import RunError, UnknownNameError
from fpmc_bench.results.anew import errors_apart
from fpmc_bench.results.board.folder import Folder, Row
from fpmc_bench.results.checks import SHARED_BY_PROTOCOL
from fpmc_bench.results.table import RANKED_BY
from fpmc_bench.storage.notations import short_json


@dataclass(frozen=True)
class Joining:
    """Rows ENTRY.PROTOCOL that are `added`, that take the place of others (`replaced`), that are
    there byte by byte (`same`), and that are left as they are or left out (`kept`), with why."""

    added: tuple[str, ...]
    replaced: tuple[str, ...]
    same: tuple[str, ...]
    kept: dict[str, str]

    @property
    def taken(self) -> tuple[str, ...]:
        return (*self.added, *self.replaced)


def joining(
    run: Folder, board: Folder | None, entries: Collection[str], replace: Collection[str]
) -> Joining:
    """What becomes of the rows of a run that are of these entries, or of all; and of its networks.

    UnknownNameError for an entry that the run has no record of. RunError, naming every field or row
    with both of what they have, where the run is of something else than the leaderboard, or has
    another record of a row that stands there, which `replace` doesn't name.
    """
    known = {row.record.entry for row in run.rows.values() if not row.record.is_other_network}
    for name in (*entries, *replace):
        if name not in known:
            raise UnknownNameError("entry", name, known)
    if board is not None:
        _refuse_unlike(run, board)
    added, replaced, same, refused = [], [], [], []
    kept: dict[str, str] = {}
    for stem, row in run.rows.items():
        entry, other = row.record.entry, row.record.is_other_network
        if entries and not other and entry not in {*entries, *replace}:
            continue
        there = board.rows.get(stem) if board is not None else None
        if board is None or there is None:
            added.append(stem)
        elif _same_files(run, board, stem):
            same.append(stem)
        elif entry in replace:
            replaced.append(stem)
        elif difference := _difference(row, there):
            refused.append(f"{stem}: {difference}")
        else:
            apart = largest_difference(row, there)
            kept[stem] = f"is there already, and agrees with this one (to {apart:.1g})"
    if refused and board is not None:
        raise RunError(
            f"{board.path} has other records of rows that {run.path} has: {'; '.join(refused)}; "
            f"take theirs by --replace ENTRY, or leave them out: --entry chooses rows"
        )
    for failure in run.failures:
        if failure.stem not in run.rows and (not entries or failure.entry in entries):
            kept[failure.stem] = f"failed there, and is not added ({failure.reason})"
    return Joining(tuple(added), tuple(replaced), tuple(same), kept)


def largest_difference(one: Row, other: Row) -> float:
    """Of their items' squared errors, in the unit of attestations; infinite where not known."""
    return float(errors_apart(other.record, other.values, one.values[RANKED_BY]).max())


def _refuse_unlike(run: Folder, board: Folder) -> None:
    there, asked = board.shared, run.shared
    fields = [name for name in {**there, **asked} if there.get(name) != asked.get(name)]
    said = [
        f"{name} is {short_json(there.get(name))} there and {short_json(asked.get(name))} here"
        for name in fields
        if name in there and name in asked
    ]
    for stem, row in run.rows.items():
        others = [one.record for one in board.rows.values() if _protocol(one) == _protocol(row)]
        for name, value in SHARED_BY_PROTOCOL.items() if others and not said else ():
            if value(others[0]) != value(row.record):
                said.append(f"{name} of {stem} is {value(row.record)}, there {value(others[0])}")
    if said:
        raise RunError(
            f"{run.path} can't join {board.path}, for its rows were measured otherwise: "
            f"{'; '.join(said)}; run the suite again as it is there, on the same kind of device"
        )


def _difference(row: Row, there: Row) -> str | None:
    """In what a row that is there differs from one that was measured again; None for agreement."""
    before, now = _comparable(there.record), _comparable(row.record)
    if fields := [name for name in now if now[name] != before[name]]:
        return ", ".join(
            f"{name} is {short_json(before[name])} there and {short_json(now[name])} here"
            for name in fields
        )
    apart = largest_difference(row, there)
    if apart <= TOLERANCE:
        return None
    return f"its items differ by up to {apart:.0e} of {UNIT}"


def _comparable(record: Record) -> dict[str, object]:
    """A provenance but for the costs by which products are chosen, which move last bits."""
    return record.provenance.model_dump(mode="json", exclude={"arithmetic"})


def _protocol(row: Row) -> str:
    return row.record.protocol


def _same_files(run: Folder, board: Folder, stem: str) -> bool:
    names = [f"{stem}.json", f"{stem}.npz"]
    contents = [
        [(one.path / "records" / name).read_bytes() for name in names] for one in (run, board)
    ]
    return contents[0] == contents[1]
