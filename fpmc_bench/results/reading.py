"""The tables of a run directory or of a folder of records: all that is read to make them."""

from pathlib import Path

from fpmc_bench.documents.attestation import read_attestations
from fpmc_bench.documents.failure import read_failures
from fpmc_bench.documents.record import read_records, records_folder
from fpmc_bench.errors import RunError
from fpmc_bench.results.table import Table, build_tables


def read_tables(directory: Path, protocol: str | None = None) -> tuple[Table, ...]:
    """One a protocol, or of one protocol alone, with the rows that have failed.

    RunError where there are no records, where one can't be read, and as `build_tables`.
    """
    folder = records_folder(directory)
    records = read_records(folder)
    if protocol is not None:
        records = [pair for pair in records if pair[0].protocol == protocol]
        if not records:
            raise RunError(f"no records of {protocol} in {folder}")
    return build_tables(records, read_failures(directory), read_attestations(folder))
