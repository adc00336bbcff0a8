"""From a finished ledger to records: per-item values joined in order, figures computed once."""

import io
import json
from typing import Any

import numpy as np

from fpmc_bench.documents.record import (
    Cost,
    Fingerprints,
    ItemValues,
    Record,
    SigmaFigures,
    items_digest,
    write_record,
)
from fpmc_bench.documents.suite import Protocol
from fpmc_bench.engine import EngineSettings
from fpmc_bench.harness.environment import describe_environment
from fpmc_bench.harness.ledger import Arrays
from fpmc_bench.harness.plan import Contestant, Plan, WorkUnit
from fpmc_bench.harness.processes import Processes
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.workers import evaluations
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.results.statistics import item_means, mean_and_error
from fpmc_bench.storage.atomic import write_atomically

GRID_SAMPLES = 12
"""How many samples per row are kept for the sample grid."""


def publish(
    plan: Plan, directory: RunDirectory, processes: Processes, settings: EngineSettings
) -> list[Record]:
    """Write a record for every contestant all of whose units are in the ledger."""
    records = []
    environment = describe_environment(processes, settings)
    for protocol in plan.suite.protocols:
        units = plan.units(protocol)
        rows: dict[str, list[WorkUnit]] = {}
        for unit in units:
            rows.setdefault(unit.contestant.name, []).append(unit)
        for row in rows.values():
            blocks = [directory.ledger.read(unit.key) for unit in row]
            if any(block is None for block in blocks):
                continue
            known = [block for block in blocks if block is not None]
            record, values = _record(plan, protocol, row[0].contestant, known, environment)
            write_record(directory.records, record, values)
            records.append(record)
    if "sample-mse" in plan.suite.protocols:
        _write_samples(plan, directory)
    return records


def _record(
    plan: Plan,
    protocol: Protocol,
    contestant: Contestant,
    blocks: list[Arrays],
    environment: dict[str, Any],
) -> tuple[Record, ItemValues]:
    values: ItemValues = {
        metric: np.concatenate([block[metric] for block in blocks]) for metric in METRICS
    }
    sigmas = plan.measured_sigmas(protocol)
    per_sigma = []
    if protocol == "denoiser-mse":
        per_sigma = [
            SigmaFigures(
                sigma=sigma,
                figures={metric: mean_and_error(values[metric][:, level]) for metric in METRICS},
            )
            for level, sigma in enumerate(sigmas)
        ]
    counts = [len(unit) * evaluations(protocol, len(sigmas)) for unit in plan.blocks()]
    rates = [float(block["seconds"]) / n for block, n in zip(blocks, counts, strict=True)]
    entry = contestant.entry
    record = Record(
        suite=plan.suite.name,
        protocol=protocol,
        entry=contestant.name,
        role="ceiling" if contestant.role == "ceiling" else "entry",
        denoiser=entry.denoiser,
        params=entry.params,
        augmentations=[choice.model_dump(mode="json") for choice in entry.augmentations],
        reference=plan.reference(protocol).name,
        items=plan.suite.items,
        seed=plan.suite.seed,
        sigmas=list(sigmas),
        figures={metric: mean_and_error(item_means(values[metric])) for metric in METRICS},
        per_sigma=per_sigma,
        items_sha256=items_digest(values),
        plugin=contestant.origin,
        fingerprints=Fingerprints(
            suite=plan.suite.fingerprint,
            dataset_train=plan.dataset.train.fingerprint,
            dataset_test=plan.test_fingerprint,
            source=contestant.source.fingerprint,
            tuning_teacher=plan.tuning.fingerprint,
            evaluation_teacher=plan.evaluation.fingerprint,
        ),
        environment=environment,
        cost=Cost(seconds_per_query=float(np.median(rates)), queries=sum(counts)),
    )
    return record, values


def _write_samples(plan: Plan, directory: RunDirectory) -> None:
    """The first samples of every finished row, the evaluation teacher's on top."""
    rows: dict[str, np.ndarray] = {}
    for unit in [*plan.reference_units("sample-mse"), *plan.units("sample-mse")]:
        block = directory.ledger.read(unit.key)
        if unit.items.start == 0 and block is not None:
            rows[unit.contestant.name] = block["prediction"][:GRID_SAMPLES]
    buffer = io.BytesIO()
    order = {"order": np.array(json.dumps(list(rows)))}
    np.savez_compressed(buffer, **rows, **order)  # type: ignore[arg-type]
    write_atomically(directory.samples, buffer.getvalue())
