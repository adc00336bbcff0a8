"""verify: blocks of items that records have, computed anew here and compared one by one."""

import json
import random
import secrets
import tempfile
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from fpmc_bench.catalog.context import load_context
from fpmc_bench.catalog.entries import Selection, with_own_denoisers
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.catalog.suite_of_records import suite_of_records
from fpmc_bench.documents.attestation import (
    SUFFIX,
    TOLERANCE,
    Attestation,
    record_digest,
    write_attestation,
)
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.suite import Suite
from fpmc_bench.engine import DEFAULT_BUDGET_BYTES, EngineSettings
from fpmc_bench.errors import FpmcBenchError, RunError, UnknownNameError, UsageError
from fpmc_bench.harness.claimed import Claim
from fpmc_bench.harness.cluster.endings import watched_by
from fpmc_bench.harness.cluster.islands import islands_of
from fpmc_bench.harness.cluster.processes import Processes, join_processes
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.run_exchange import RunExchange
from fpmc_bench.harness.verifying import Trial, verify_protocol
from fpmc_bench.results.verified import Verification, VerifiedRow, ranges_of
from fpmc_bench.storage.cache import cache_folder
from fpmc_bench.storage.temporary import temporary_folder

DEFAULT_ITEMS = 32
Plain = TypeVar("Plain", int, str)


def verify_records(
    records: str | Path,
    *,
    entries: Collection[str] = (),
    suite: str | Path | None = None,
    items: int | None = DEFAULT_ITEMS,
    seed: int | None = None,
    tolerance: float = TOLERANCE,
    attest: bool = True,
    unit_timeout_s: float | None = None,
    denoisers: Sequence[Selection] = (),
    device: str = "auto",
    progress: bool = True,
    memory_budget: int = DEFAULT_BUDGET_BYTES,
    places: Places | None = None,
    registry: Registry | None = None,
) -> Verification:
    """Whether `records` (a run directory, a folder of records, or one file) are what they say.

    Whole blocks of at least so many `items` (None: all), chosen by `seed` (else by chance), are
    computed with this machine's plugins, data and networks, the reference among them. A row agrees
    where no item is further apart than `tolerance`, as `fpmc_bench.results.anew` defines it, and
    where its record says nothing that can change a figure otherwise than it is here. With `attest`
    it gets an attestation beside its record, in place of an earlier one; a row whose items do not
    agree loses what it had.

    `unit_timeout_s` as in `run_suite`, UsageError among it.

    `suite`: a name or path, where no run.json lies beside the records. `denoisers`: classes, or
    files of code, that are not installed. A row that can't be read, found or computed is a fault of
    its own. UsageError and its kin where the suite, its data or its networks are not there;
    RunError where there are no records.
    """
    registry = registry or installed_registry()
    claims, faults = _claims(Path(records), entries)
    processes = join_processes(device)
    watched = watched_by(processes, unit_timeout_s)
    seed = _agreed(processes, secrets.randbelow(2**32) if seed is None else seed)
    if not claims:
        return Verification("", seed, (), tolerance, tuple(faults), processes.is_main)
    known = [claim.record for claim in claims]
    stated = suite_of_records(claims[0].path.parent, known, registry, suite)
    # whose names are in the suite already, where a run has stated it
    nameless = stated.model_copy(update={"entries": ()})
    _, registry = with_own_denoisers(nameless, denoisers, registry)
    context = load_context(_with_rows(stated, claims), registry, processes.device, places)
    settings = EngineSettings(memory_budget)
    notary = Notary.of(processes, settings)
    blocks = _chosen(stated, items, seed)
    rows: list[VerifiedRow] = []
    with ExitStack() as stack:
        islands, caches = islands_of(processes, Path(tempfile.gettempdir()), cache_folder())
        own = str(stack.enter_context(temporary_folder())) if islands.leads else ""
        ledger = Ledger(Path(processes.gather(own)[islands.leader]))
        exchange = RunExchange(processes, ledger, islands, caches)
        told = stack.enter_context(Progress(processes, progress, "verification", stated.name))
        for row, report in watched.failed.items() if islands.leads else ():
            ledger.fail(row, report)
        trial = Trial(blocks, tolerance, exchange, settings, notary, told, watched)
        for protocol in PROTOCOLS:
            if mine := [claim for claim in claims if claim.record.protocol == protocol]:
                found, context = verify_protocol(mine, context, trial)
                rows += found
        processes.wait()
    written = _attested(claims, rows, trial, seed) if attest and processes.is_main else ()
    return Verification(
        stated.name,
        seed,
        ranges_of(blocks),
        tolerance,
        (*rows, *faults),
        processes.is_main,
        written,
    )


def _claims(records: Path, entries: Collection[str]) -> tuple[list[Claim], list[VerifiedRow]]:
    """Those that could be read, and the others; UnknownNameError for an entry without a record."""
    if not records.exists():
        raise UsageError(f"there is nothing at {records}; give a run directory, or records")
    folder = records / "records" if (records / "records").is_dir() else records
    paths = [records] if records.is_file() else sorted(folder.glob("*.json"))
    stems = {path: path.stem.rpartition(".") for path in paths}
    names = {entry for entry, _, _ in stems.values()}
    for name in entries:
        if name not in names:
            raise UnknownNameError("entry", name, names)
    claims, faults = [], []
    for path, (entry, _, protocol) in stems.items():
        if not entries or entry in entries:
            try:
                claims.append(Claim.read(path))
            except RunError as error:
                faults.append(VerifiedRow(entry, protocol, fault=str(error)))
    if not claims and not faults:
        raise RunError(f"no records (*.json) in {folder}")
    return claims, faults


def _with_rows(stated: Suite, claims: Sequence[Claim]) -> Suite:
    """The suite with the rows that it does not state itself, as their records have them."""
    there = {entry.name: entry for entry in stated.entries}
    for claim in claims:
        if not claim.record.is_other_network:
            try:
                there.setdefault(claim.record.entry, claim.entry)
            except FpmcBenchError:  # which is said when the row is planned
                continue
    return stated.model_copy(update={"entries": tuple(there.values())})


def _chosen(suite: Suite, items: int | None, seed: int) -> list[range]:
    """Whole blocks of at least so many items, ascending: a part of one may differ in last bits."""
    size, total = suite.block_items, suite.items
    blocks = [range(start, min(start + size, total)) for start in range(0, total, size)]
    chosen: list[range] = []
    for block in random.Random(seed).sample(blocks, len(blocks)):
        if items is None or sum(map(len, chosen)) < items:
            chosen.append(block)
    return sorted(chosen, key=lambda block: block.start)


def _attested(
    claims: Sequence[Claim], rows: Sequence[VerifiedRow], trial: Trial, seed: int
) -> tuple[str, ...]:
    """Write what agrees beside the records; what does not agree is no longer attested."""
    paths = {(claim.record.entry, claim.record.protocol): claim.path for claim in claims}
    written = []
    for row in rows:
        record = paths[row.entry, row.protocol]
        if row.agrees:
            note = trial.notary.note(0)
            attestation = Attestation(
                row=record.stem,
                record_sha256=record_digest(record),
                date_utc=note.date_utc,
                environment=note.environment,
                commit=note.commit,
                seed=seed,
                items=ranges_of(trial.blocks),
                largest_difference=row.largest_difference,
                tolerance=trial.tolerance,
                remarks=row.remarks,
            )
            written.append(str(write_attestation(record, attestation)))
        elif row.apart:
            record.with_suffix(SUFFIX).unlink(missing_ok=True)
    return tuple(written)


def _agreed(processes: Processes, own: Plain) -> Plain:
    """What the main process has, in all."""
    everyone = processes.gather(json.dumps(own))
    agreed: Plain = json.loads(everyone[0])
    return agreed
