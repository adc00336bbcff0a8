"""Attestation: a statement that items of a record were computed anew and agree with it.

It lies beside the record that it is of, as ENTRY.PROTOCOL.attestation. Who states it is not
said, and it is not signed: whoever doubts it gives `fpmc-bench verify` again.
"""

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, FiniteFloat, ValidationError, model_validator

from fpmc_bench.documents.environment import Environment
from fpmc_bench.documents.reading import Document, first_fault
from fpmc_bench.documents.record import Record
from fpmc_bench.errors import RunError
from fpmc_bench.storage.atomic import write_atomically

SUFFIX: Final = ".attestation"
TOLERANCE: Final = 1e-4
"""Largest difference of an item that agrees, in `UNIT`, unless another is asked for."""
UNIT: Final = "the item's own error, or of the smaller of sigma^2 and the reference's variance"
CLAIMED: Final = "claimed"
ItemRange = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
"""From an item up to but not including another."""


class Attestation(Document):
    """What was computed anew of the row ENTRY.PROTOCOL, where and when, and how it agrees.

    `record_sha256` is that of the record's file as it was, whose `items_sha256` is that of its
    items. `seed` chose the blocks of `items`. `largest_difference` of their values is in `unit`, as
    `tolerance` is, which it does not exceed. `remarks` say what was otherwise than the record's
    provenance says, and may move last bits. `sha256` is that of all else here.
    """

    schema_version: Literal[1] = 1
    row: str
    record_sha256: str
    date_utc: str
    environment: Environment
    commit: str | None
    seed: int
    items: tuple[ItemRange, ...]
    largest_difference: FiniteFloat
    tolerance: FiniteFloat
    unit: str = UNIT
    remarks: tuple[str, ...] = ()
    sha256: str = ""

    @model_validator(mode="after")
    def _of_what_can_be(self) -> Self:
        ascending = all(before[1] <= after[0] for before, after in pairwise(self.items))
        if not self.items or not ascending or not all(start < stop for start, stop in self.items):
            raise ValueError("items must be ranges that hold some, ascending and apart")
        if not 0 <= self.largest_difference <= self.tolerance:
            raise ValueError(
                f"largest_difference must be from 0 to the tolerance, {self.tolerance:g}, got "
                f"{self.largest_difference:g}"
            )
        return self

    @property
    def count(self) -> int:
        """Of items that were computed anew."""
        return sum(stop - start for start, stop in self.items)

    def sealed(self) -> "Attestation":
        """The same with its own digest."""
        return self.model_copy(update={"sha256": self._digest()})

    @property
    def is_whole(self) -> bool:
        """Whether its digest is its own."""
        return self.sha256 == self._digest()

    def _digest(self) -> str:
        return hashlib.sha256(self.model_dump_json(exclude={"sha256"}).encode()).hexdigest()


def record_digest(record: Path) -> str:
    """sha256 of a record's file, as `sha256sum` has it; RunError where it can't be read."""
    return hashlib.sha256(_content(record)).hexdigest()


def write_attestation(record: Path, attestation: Attestation) -> Path:
    """Keep it beside the record's file, in place of an earlier one; DiskError where that can't be.

    Returns where it is.
    """
    path = record.with_suffix(SUFFIX)
    write_atomically(path, (attestation.sealed().model_dump_json(indent=2) + "\n").encode())
    return path


def read_attestation(path: Path) -> Attestation:
    """One that is whole and of the record beside it as that is now.

    RunError, naming the file, for one that can't be read, was altered, is another record's, or is
    of a record that is not there or no longer what it was.
    """
    record = path.with_suffix(".json")
    try:
        found = Attestation.model_validate_json(_content(path), strict=True)
    except ValidationError as error:
        raise RunError(f"{path} is no attestation: {first_fault(error, 'attestation')}") from error
    remedy = "remove it, and 'fpmc-bench verify' makes another"
    if not found.is_whole:
        raise RunError(f"{path} was altered: it does not have the digest that it states; {remedy}")
    if found.row != record.stem:
        raise RunError(f"{path} is the attestation of {found.row}, not of {record.stem}; {remedy}")
    if found.record_sha256 != record_digest(record):
        raise RunError(
            f"{path} is of another {record.name} than lies beside it, which was altered or "
            f"replaced since; {remedy}"
        )
    return found


def read_attestations(directory: Path) -> dict[str, Attestation]:
    """All of a folder of records, by the stem of their record, each as `read_attestation` does."""
    return {path.stem: read_attestation(path) for path in sorted(directory.glob(f"*{SUFFIX}"))}


def verification(record: Record, attestation: Attestation | None) -> str:
    """How far a record was checked: claimed, verified (n items), or reproduced, which is all.

    With the tolerance, where that was wider than usual. RunError for an attestation of more items
    than the record has.
    """
    if attestation is None:
        return CLAIMED
    if attestation.items[-1][1] > record.items:
        raise RunError(
            f"{record.stem}{SUFFIX} speaks of item {attestation.items[-1][1] - 1}, and the record "
            f"has {record.items}; remove it"
        )
    notes = []
    if attestation.count < record.items:
        notes.append(f"{attestation.count} items")
    if attestation.tolerance > TOLERANCE:
        notes.append(f"to {attestation.tolerance:g}")
    how = "verified" if attestation.count < record.items else "reproduced"
    return f"{how} ({', '.join(notes)})" if notes else how


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror or error}") from error
