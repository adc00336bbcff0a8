"""What rows of a leaderboard must share, held against run.json and against each other."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from fpmc_bench.documents.failure import FAILURES, Failure
from fpmc_bench.documents.identity import of_record
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.manifest import MANIFEST, Manifest
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.record import Record
from fpmc_bench.documents.suite import Entry, Suite
from fpmc_bench.results.board.findings import AS_PUBLISHED, Finding, Findings
from fpmc_bench.results.checks import SHARED, SHARED_BY_PROTOCOL
from fpmc_bench.storage.folders import differences
from fpmc_bench.storage.notations import short_json


def unlike_the_manifest(records: Sequence[Record], manifest: Manifest) -> Findings:
    """Records of another suite, or on something else than run.json says that all share."""
    suite = {"name": manifest.suite.name, "fingerprint": manifest.fingerprint}
    found = []
    for record in records:
        says = of_record(record)
        said = (
            differences(suite, {key: says[key] for key in suite}),
            differences(_of_suite(manifest.suite), _of_items(record)),
            differences(manifest.identity, {k: says[k] for k in manifest.identity if k in says}),
        )
        if any(said):
            text = f"it does not fit {MANIFEST} ({'; '.join(filter(None, said))}); {AS_PUBLISHED}"
            found.append(Finding(f"records/{record.stem}.json", text))
    return found


def odd_ones(records: Sequence[tuple[Record, ItemValues]]) -> Findings:
    """Records that differ from most others in what all rows share; each with its items, [items]
    or [items, sigmas]."""
    known = [record for record, _ in records]
    groups = {record.stem: _groups(values) for record, values in records}
    found: Findings = []
    for name, value in SHARED.items():
        found += _odd(known, name, value)
    for protocol in PROTOCOLS:
        mine = [record for record in known if record.protocol == protocol]
        for name, value in SHARED_BY_PROTOCOL.items():
            found += _odd(mine, name, value)
        found += _odd(mine, "items' groups", lambda record: groups[record.stem])
    return found


def unlike_their_entries(records: Sequence[Record], suite: Suite) -> Findings:
    """Records of an entry that run.json states otherwise, or not at all."""
    entries = {entry.name: entry for entry in suite.entries}
    found = []
    for record in records:
        if record.is_other_network:
            continue
        entry = entries.get(record.entry)
        if entry is None:
            text = f"{MANIFEST} has no entry '{record.entry}'; remove the record, or run it here"
        elif said := differences(_of_entry(entry), _of_provenance(record)):
            text = f"it is not of the entry that {MANIFEST} states ({said}); {AS_PUBLISHED}"
        else:
            continue
        found.append(Finding(f"records/{record.stem}.json", text))
    return found


def without_rows(
    records: Collection[str], failures: Sequence[Failure], suite: Suite
) -> tuple[Findings, Findings]:
    """Entries without any row, and rows that one protocol lacks, which may not have been run.

    `records` are the stems of those that there are, ENTRY.PROTOCOL.
    """
    rows = {*records, *(failure.stem for failure in failures)}
    faults: Findings = []
    notes: Findings = []
    for entry in suite.entries:
        absent = [name for name in suite.protocols if f"{entry.name}.{name}" not in rows]
        if len(absent) == len(suite.protocols):
            text = f"entry '{entry.name}' has neither a record nor a failure; {AS_PUBLISHED}"
            faults.append(Finding(MANIFEST, text))
        else:
            notes += [
                Finding(MANIFEST, f"entry '{entry.name}' has no row under {name}")
                for name in absent
            ]
    for failure in failures:
        if failure.stem in records:
            text = f"{failure.stem} is said to have failed, and has a record; remove one of them"
            faults.append(Finding(FAILURES, text))
        if all(failure.entry != entry.name for entry in suite.entries):
            text = f"{MANIFEST} has no entry '{failure.entry}', which is said to have failed"
            faults.append(Finding(FAILURES, text))
    return faults, notes


def _groups(values: ItemValues) -> str:
    """As few letters; "none" where every item is on its own."""
    if values.groups is None:
        return "none"
    return hashlib.sha256(values.groups.tobytes()).hexdigest()[:8]


def _odd(records: Sequence[Record], name: str, value: Callable[[Record], Any]) -> Findings:
    said = {record.stem: short_json(value(record)) for record in records}
    (usual, _), *others = Counter(map(repr, map(value, records))).most_common() or [("", 0)]
    if not others:
        return []
    usually = next(said[one.stem] for one in records if repr(value(one)) == usual)
    return [
        Finding(
            f"records/{record.stem}.json",
            f"its {name} is {said[record.stem]}, and that of most others {usually}; {AS_PUBLISHED}",
        )
        for record in records
        if repr(value(record)) != usual
    ]


def _of_suite(suite: Suite) -> dict[str, Any]:
    grid = suite.sigmas
    return {
        "items": [0, suite.items],
        "seed": suite.seed,
        "block_items": suite.block_items,
        "noise levels": [grid.steps, grid.smax, grid.smin],
    }


def _of_items(record: Record) -> dict[str, Any]:
    provenance = record.provenance
    sigmas = provenance.sigmas
    return {
        "items": list(provenance.items),
        "seed": provenance.seed,
        "block_items": provenance.block_items,
        "noise levels": [len(sigmas), sigmas[0], sigmas[-1]],
    }


def _of_entry(entry: Entry) -> dict[str, Any]:
    added = [[one.name, one.rate, one.params] for one in entry.augmentations]
    return {"denoiser": entry.denoiser, "params": entry.params, "augmentations": added}


def _of_provenance(record: Record) -> dict[str, Any]:
    provenance = record.provenance
    added = [[one.augmentation, one.rate, one.params] for one in provenance.source.added]
    return {
        "denoiser": provenance.denoiser,
        "params": provenance.params,
        "augmentations": added,
    }
