"""The first few predictions of every row, beside the records, for the grid of samples."""

import json
from collections.abc import Collection, Mapping

import numpy as np

from fpmc_bench.errors import RunError
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.units import Workload
from fpmc_bench.harness.workers import PREDICTION
from fpmc_bench.results.render.sample_grid import GRID_SAMPLES, ORDER, read_samples
from fpmc_bench.storage.arrays import write_arrays


def keep_samples(
    workload: Workload, protocol: str, directory: RunDirectory, failures: Collection[str]
) -> None:
    """The first samples of every row, the reference's on top; those that are there are kept."""
    path = directory.samples(protocol)
    try:
        held = read_samples(path)
    except RunError:  # none yet, or damaged
        held = {}
    rows = {name: images for name, images in held.items() if f"{name}.{protocol}" not in failures}
    for unit in [*workload.references(protocol), *workload.rows(protocol)]:
        if unit.items.start > 0 or unit.row in failures:
            continue
        if found := directory.ledger.read(unit.key):
            rows[unit.contestant.name] = found.arrays[PREDICTION][:GRID_SAMPLES]
    if not _same(rows, held):
        order = {ORDER: np.array(json.dumps(list(rows)))}
        write_arrays(path, {**rows, **order}, compressed=True)


def _same(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)
