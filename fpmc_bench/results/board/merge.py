"""What lies beside the records of two run directories, put together row by row."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fpmc_bench.documents.failure import read_failures, write_failures
from fpmc_bench.documents.manifest import MANIFEST, united_suites
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.errors import RunError
from fpmc_bench.results.board.folder import Folder
from fpmc_bench.results.render.sample_grid import ORDER, read_samples
from fpmc_bench.results.trajectories import (
    TRAJECTORIES,
    Trajectories,
    read_trajectories,
    write_trajectories,
)
from fpmc_bench.storage.arrays import write_arrays
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.folders import DIGEST, manifest_bytes
from fpmc_bench.storage.notations import parsed_json

Image = TypeVar("Image")


def merge_manifest(run: Folder, target: Path, entries: Collection[str]) -> None:
    """run.json of `target` with these entries of the run, in place of those of the same name."""
    path = target / MANIFEST
    held: dict[str, Any] = parsed_json(path.read_bytes()) if path.is_file() else {}
    suite = json.loads(run.manifest.suite.model_dump_json())
    suite["entries"] = [one for one in suite["entries"] if one["name"] in entries]
    if not held:
        identity = run.manifest.identity
    elif suite["entries"]:
        identity = held.get("identity") or run.manifest.identity
        suite["description"] = held["suite"].get("description", "")
    else:
        return
    content = {
        "fingerprint": run.manifest.fingerprint,
        "identity": identity,
        "suite": united_suites(held.get("suite", {}), suite),
    }
    if content != {name: value for name, value in held.items() if name != DIGEST}:
        write_atomically(path, manifest_bytes(content))


def merge_failures(target: Path, taken: Collection[str]) -> None:
    """Rows that have a record now are no failures any more."""
    known = read_failures(target)
    if rest := [one for one in known if one.stem not in taken]:
        if len(rest) < len(known):
            write_failures(target, rest)
    elif known:
        write_failures(target, ())


def merge_samples(run: Path, target: Path, taken: Collection[str]) -> None:
    """Samples of these rows, ENTRY.PROTOCOL, behind those that are there; each protocol's file."""
    for protocol in PROTOCOLS:
        name = f"samples/{protocol}.npz"
        rows = {stem.rpartition(".")[0] for stem in taken if stem.endswith(f".{protocol}")}
        if not rows or not (run / name).is_file():
            continue
        found = read_samples(run / name)
        held = read_samples(target / name) if (target / name).is_file() else {}
        united = _united(held, found, rows)
        order = {ORDER: np.array(json.dumps(list(united)))}
        write_arrays(target / name, {**united, **order}, compressed=True)


def merge_trajectories(run: Path, target: Path, taken: Collection[str]) -> None:
    """The same of trajectories; RunError where those of the run are at other noise levels."""
    name = f"samples/{TRAJECTORIES}"
    rows = {
        entry
        for entry, _, protocol in (stem.rpartition(".") for stem in taken)
        if PROTOCOLS[protocol].keeps_predictions
    }
    if not rows or not (run / name).is_file():
        return
    found = read_trajectories(run / name)
    if not (target / name).is_file():
        held = replace(found, rows={})
    else:
        held = read_trajectories(target / name)
    if held.sigmas != found.sigmas:
        raise RunError(f"{run / name} is at other noise levels than {target / name}")
    united = _united(held.rows, found.rows, rows)
    write_trajectories(target / name, Trajectories(held.sigmas, united))


def _united(
    held: Mapping[str, Image], found: Mapping[str, Image], rows: Collection[str]
) -> dict[str, Image]:
    """Of an empty file the reference, which comes first, is the run's."""
    first = [] if held else [next(iter(found))]
    return {**held, **{name: found[name] for name in found if name in rows or name in first}}
