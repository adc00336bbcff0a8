"""The first few predictions of every row, and how the first came to be, beside the records."""

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from fpmc_bench.errors import RunError
from fpmc_bench.harness.ledger import PREDICTION, TRAJECTORY
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.units import Workload
from fpmc_bench.results.render.sample_grid import GRID_SAMPLES, ORDER, read_samples
from fpmc_bench.results.trajectories import Trajectories, read_trajectories, write_trajectories
from fpmc_bench.storage.arrays import Arrays, write_arrays

Held = TypeVar("Held")

log = logging.getLogger(__name__)


def keep_samples(
    workload: Workload, protocol: str, directory: RunDirectory, failures: Collection[str]
) -> None:
    """The first samples of every row, the reference's on top; those that are there are kept."""
    path = directory.samples(protocol)
    held = _held(path, read_samples) or {}
    rows = {name: images for name, images in held.items() if f"{name}.{protocol}" not in failures}
    for name, arrays in _first_blocks(workload, protocol, directory, failures):
        rows[name] = arrays[PREDICTION][:GRID_SAMPLES]
    if not _same(rows, held):
        order = {ORDER: np.array(json.dumps(list(rows)))}
        write_arrays(path, {**rows, **order}, compressed=True)


def keep_trajectories(
    workload: Workload, protocol: str, directory: RunDirectory, failures: Collection[str]
) -> None:
    """The same of trajectories. A line of the log names rows whose units have none."""
    path, sigmas = directory.trajectories, workload.plan.context.sigmas
    held = _held(path, read_trajectories) or Trajectories(sigmas, {})
    rows = {
        name: codes for name, codes in held.rows.items() if f"{name}.{protocol}" not in failures
    }
    without = []
    for name, arrays in _first_blocks(workload, protocol, directory, failures):
        if TRAJECTORY in arrays:
            rows[name] = arrays[TRAJECTORY]
        else:
            rows.pop(name, None)  # of units that have been computed otherwise
            without.append(name)
    if without:
        log.warning(
            "no trajectories of %s: units of an earlier version of fpmc_bench have none; "
            "--fresh computes them anew",
            ", ".join(without),
        )
    if not _same(rows, held.rows):
        write_trajectories(path, Trajectories(sigmas, rows))


def _held(path: Path, read: Callable[[Path], Held]) -> Held | None:
    """What is there; None where there is nothing, or what is damaged, which a line says."""
    if not path.exists():
        return None
    try:
        return read(path)
    except RunError as error:
        log.warning("%s; it is made anew of what the ledger has", error)
        return None


def _first_blocks(
    workload: Workload, protocol: str, directory: RunDirectory, failures: Collection[str]
) -> Iterator[tuple[str, Arrays]]:
    """What the ledger has of every row's first items, by the row's name, the reference first."""
    for unit in [*workload.references(protocol), *workload.rows(protocol)]:
        if unit.items.start > 0 or unit.row in failures:
            continue
        if found := directory.ledger.read(unit.key):
            yield unit.contestant.name, found.arrays


def _same(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)
