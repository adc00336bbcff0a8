"""What a run is going to take: its parts, what each still lacks, and what is known of such units.

A part is a row, or what rows need: test images, references, sensitivity maps. The stages are those
of `harness/stages.py`, between which processes meet.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.harness.forecast.costs import Costs, Timings, map_facts, sampled_facts, unit_facts
from fpmc_bench.harness.forecast.makespan import Alike, makespan
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.units import Workload, WorkUnit, rows_of
from fpmc_bench.protocols.metrics import METRICS

TEST_IMAGES, NEEDS, ROWS = range(3)
"""Stages."""
FLOAT_BYTES, ERROR_BYTES = 4, 8
UNIT_BYTES = 2**13
"""Of a unit's file beside its arrays: note, key, digest and whatever a block of a disk leaves."""


@dataclass(frozen=True, eq=False)
class Part:
    """Units of one kind: `lacking` are the items of each that is still to be computed.

    `block_items` are those of a whole unit, `facts` what its timings are known by. `run_bytes` and
    `cache_bytes` are what it will write.
    """

    stage: int
    name: str
    protocol: str
    block_items: int
    units: int
    lacking: tuple[int, ...]
    facts: Mapping[str, Any]
    timings: Timings
    run_bytes: int = 0
    cache_bytes: int = 0

    @property
    def unit_seconds(self) -> float | None:
        """Of a whole unit; None where none was ever timed."""
        return self.timings.seconds(self.block_items)

    @property
    def beginning(self) -> float:
        """Seconds that each process takes to build and prepare what its units need."""
        return self.timings.beginning(self.block_items)

    @property
    def is_row(self) -> bool:
        """Whether a table is going to have it."""
        return self.stage == ROWS

    @property
    def is_unknown(self) -> bool:
        return bool(self.lacking) and self.unit_seconds is None

    def seconds_of(self, items: int) -> float:
        """Of one of its units; 0 where nothing is known."""
        return self.timings.seconds(items) or 0.0

    @property
    def alike(self) -> tuple[Alike, ...]:
        """Units that lack, by their size: whole ones, and a last one that may be smaller."""
        counts = Counter(self.lacking)
        begins = {max(counts, default=0): self.beginning}
        return tuple(
            Alike(self.seconds_of(items), count, begins.get(items, 0.0))
            for items, count in counts.items()
        )

    @property
    def seconds(self) -> float:
        """Of all that lack, in one process; 0 where nothing is known."""
        begins = self.beginning if self.lacking else 0.0
        return begins + sum(map(self.seconds_of, self.lacking))


def parts_of(
    workload: Workload,
    ledger: Ledger,
    remaining: Mapping[str, Sequence[WorkUnit]],
    costs: Costs,
    *,
    keep_predictions: bool = False,
) -> tuple[Part, ...]:
    """All parts of a run, in the order in which they come; `remaining` units are to be computed.

    What the ledger has of these is not lacking.
    """
    units = [unit for own in remaining.values() for unit in own]
    asked = {(unit.provenance.protocol, unit.items) for unit in units}
    found: list[Part] = []
    if workload.samples_test_images:
        found.append(_test_images(workload, ledger, costs, needed=bool(units)))
    for protocol in workload.plan.suite.protocols:
        reference = workload.references(protocol)
        needed = [one for one in reference if (protocol, one.items) in asked]
        found.append(
            _row(
                NEEDS,
                workload,
                ledger,
                costs,
                reference,
                needed,
                kept=True,
                joined=keep_predictions,
            )
        )
    if any("sensitivity" in one.needs for one in workload.plan.contestants):
        needs_maps = any("sensitivity" in unit.contestant.needs for unit in units)
        found.append(_maps(workload, costs, needed=needs_maps))
    for protocol in workload.plan.suite.protocols:
        kept = keep_predictions or protocol_facts(protocol).keeps_predictions
        left = {unit.key for unit in remaining.get(protocol, ())}
        for own in rows_of(workload, protocol).values():
            needed = [unit for unit in own if unit.key in left]
            found.append(
                _row(ROWS, workload, ledger, costs, own, needed, kept=kept, joined=keep_predictions)
            )
    return tuple(found)


def wall_seconds(parts: Collection[Part], processes: int, *, together: bool = False) -> float:
    """Until all parts are there: the longest first, each unit by whichever process is free.

    `together`: units of rows by all processes at once.
    """
    total = 0.0
    for stage in sorted({part.stage for part in parts}):
        own = [part for part in parts if part.stage == stage]
        takers = 1 if together and stage == ROWS else processes
        total += makespan([one for part in own for one in part.alike], [0.0] * takers)
    return total


def _test_images(workload: Workload, ledger: Ledger, costs: Costs, *, needed: bool) -> Part:
    blocks, facts = workload.sampled_images(), sampled_facts(workload)
    lacking = [len(items) for items, key in blocks if needed and not ledger.has(key)]
    pixels = math.prod(workload.plan.context.dataset.shape)
    return Part(
        TEST_IMAGES,
        "test images",
        "",
        _whole(workload),
        len(blocks),
        tuple(lacking),
        facts,
        costs.of(facts),
        run_bytes=sum(items * pixels * FLOAT_BYTES + UNIT_BYTES for items in lacking),
    )


def _maps(workload: Workload, costs: Costs, *, needed: bool) -> Part:
    maps, facts = workload.plan.context.sensitivity(), map_facts(workload)
    lacking = [1 for path in maps.files if needed and not path.is_file()]
    _, height, width = workload.plan.context.dataset.shape
    return Part(
        NEEDS,
        "sensitivity maps",
        "",
        1,
        len(maps),
        tuple(lacking),
        facts,
        costs.of(facts),
        cache_bytes=len(lacking) * (height * width) ** 2 * FLOAT_BYTES,
    )


def _row(
    stage: int,
    workload: Workload,
    ledger: Ledger,
    costs: Costs,
    units: Sequence[WorkUnit],
    needed: Sequence[WorkUnit],
    *,
    kept: bool,
    joined: bool,
) -> Part:
    """`needed` are the units that are to be there at the end, unless the row has failed.

    Their predictions are `kept` in the ledger; `joined` to a file beside the records, too.
    """
    protocol, facts = units[0].provenance.protocol, unit_facts(units[0])
    levels = len(workload.plan.levels(protocol)) if protocol_facts(protocol).by_sigma else 1
    lacking = [len(unit.items) for unit in needed if not ledger.has(unit.key)]
    prediction = math.prod(workload.plan.context.dataset.shape) * FLOAT_BYTES
    errors = len(METRICS) * ERROR_BYTES * (stage == ROWS)
    of_items = sum(lacking) * levels * (prediction * kept + errors)
    recorded = sum(len(unit.items) for unit in needed) * levels * (prediction * joined + errors)
    return Part(
        stage,
        units[0].contestant.name,
        protocol,
        _whole(workload),
        len(units),
        tuple(lacking),
        facts,
        costs.of(facts),
        run_bytes=of_items + len(lacking) * UNIT_BYTES + recorded,
    )


def _whole(workload: Workload) -> int:
    """Items of a unit that is not the last."""
    suite = workload.plan.suite
    return min(suite.block_items, suite.items)
