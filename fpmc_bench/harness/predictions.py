"""Every prediction of a run, kept beside its records where that is asked for.

Units hold them in the ledger, and a row's are joined when its record is there; figures and keys are
what they are without. Units that hold none are computed anew.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.documents.record import Record, read_record
from fpmc_bench.harness.ledger import PREDICTION, Ledger
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.units import Workload, WorkUnit, rows_of
from fpmc_bench.results.predictions import (
    disagreeing_item,
    kept_predictions,
    predictions_path,
    reference_path,
)
from fpmc_bench.storage.atomic import atomic_path
from fpmc_bench.storage.mapped import reserved_array, seal


def has_predictions(workload: Workload, directory: RunDirectory, record: Record) -> bool:
    """Whether those of the record lie there, and what they are measured against."""
    own = predictions_path(directory.path, record.stem)
    reference = reference_path(directory.path, record.protocol)
    whole = _of_reference(workload, record.protocol)
    return (
        kept_predictions(own, record.items_sha256) is not None
        and kept_predictions(reference, whole) is not None
    )


def forget_bare_units(
    workload: Workload, ledger: Ledger, remaining: Mapping[str, Sequence[WorkUnit]]
) -> None:
    """Before the work: those that hold no predictions are computed anew."""
    for protocol, units in remaining.items():
        for unit in [*(workload.references(protocol) if units else ()), *units]:
            found = ledger.read(unit.key)
            if found and PREDICTION not in found.arrays:
                ledger.forget(unit.key)


def join_predictions(
    workload: Workload, directory: RunDirectory, records: Sequence[Record]
) -> None:
    """Those of every record, and of what it was measured against, a file each.

    A row whose predictions, computed anew, have other errors than its record fails.
    """
    for protocol in dict.fromkeys(record.protocol for record in records):
        path, of = reference_path(directory.path, protocol), _of_reference(workload, protocol)
        if kept_predictions(path, of) is None:
            _join(path, of, workload, directory, workload.references(protocol))
        lacking = {
            record.stem: record
            for record in records
            if record.protocol == protocol and not has_predictions(workload, directory, record)
        }
        for units in rows_of(workload, protocol).values():
            if record := lacking.get(units[0].row):
                if fault := _fault(directory, record, units):
                    directory.ledger.fail(record.stem, fault)
                else:
                    path = predictions_path(directory.path, record.stem)
                    _join(path, record.items_sha256, workload, directory, units)


def _join(
    path: Path, of: str, workload: Workload, directory: RunDirectory, units: Sequence[WorkUnit]
) -> None:
    """A row's predictions, block by block from the ledger."""
    whole = _shape(workload, units[0].provenance.protocol, workload.plan.suite.items)
    with atomic_path(path) as partial:
        array = reserved_array(partial, np.float32, whole)
        for unit in units:
            finished = directory.ledger.required(unit.key, f"a unit of {unit.row}")
            array[unit.items.start : unit.items.stop] = finished.arrays[PREDICTION]
        array.flush()
        seal(partial, path.name, of)


def _fault(directory: RunDirectory, record: Record, units: Sequence[WorkUnit]) -> str | None:
    """Why what the ledger holds is not of the record, in a line; None where it is."""
    _, values = read_record(directory.records / f"{record.stem}.json")
    errors = [
        directory.ledger.required(unit.key, f"a unit of {unit.row}").arrays["mse@1"]
        for unit in units
    ]
    item = disagreeing_item(record, values, np.concatenate(errors))
    if item is None:
        return None
    return (
        f"the predictions of {record.stem} as they are computed now have another error at item "
        f"{item} than its record; none were kept. 'fpmc-bench verify' says how far they are from "
        f"each other, --fresh makes records and predictions anew\n"
    )


def _of_reference(workload: Workload, protocol: str) -> str:
    """The key of all answers of the network that the protocol measures against."""
    return workload.provenance(workload.plan.network(protocol, "reference"), protocol).key


def _shape(workload: Workload, protocol: str, items: int) -> tuple[int, ...]:
    levels = len(workload.plan.levels(protocol))
    measured = (items, levels) if protocol_facts(protocol).by_sigma else (items,)
    return *measured, *workload.plan.context.dataset.shape
