"""A pilot: whatever of a run was never timed here is timed, in a bounded time.

Units that are affordable are the run's own: they stay in its ledger, and nothing of them is wasted.
Longer ones are guessed from a probe. What a denoiser fits for that stays in the cache.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.contracts import DenoiseFunction, TeacherModel
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.forecast.costs import (
    Costs,
    Taken,
    Timings,
    map_facts,
    sampled_facts,
    unit_facts,
)
from fpmc_bench.harness.forecast.entry_probe import probed_entry
from fpmc_bench.harness.forecast.peaks import peak_memory
from fpmc_bench.harness.forecast.probe import LEVELS, Probe, map_seconds, probed
from fpmc_bench.harness.forecast.spread import first_errors, standard_errors
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.loaded import Loaded
from fpmc_bench.harness.plan import Contestant, Plan
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.harness.workers import Workbench

TIMED_UNITS = 2
PROBE = 2
"""A probe takes this part of the seconds that a row may take."""

Rows = Mapping[str, Sequence[WorkUnit]]
"""Units of a row that are lacking, by the row's name."""


@dataclass
class Pilot:
    """Times what is unknown, into `costs` and `ledger`: about `seconds` a row.

    `used` says of every entry that was timed what of the cache it needs; `few` has mse@1 of the
    first items of rows whose units are long, [n,S] or [n], by which their spread is known. Rows
    that raise fail in the ledger, as in a run.
    """

    workload: Workload
    ledger: Ledger
    costs: Costs
    notary: Notary
    seconds: float
    keeps_predictions: bool = False
    told: Callable[[str], object] = lambda _: None
    used: dict[str, str] = field(default_factory=dict)
    few: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _networks: dict[str, Probe] = field(default_factory=dict)

    def run(self, remaining: Mapping[str, Sequence[WorkUnit]], *, spread: bool = False) -> None:
        """Time the rows of these units, and what they need.

        With `spread` also those whose time is known, but not how their items spread. Raises what a
        network raises, without which nothing can be measured.
        """
        rows: dict[str, list[WorkUnit]] = {}
        spreads = set()
        for unit in (unit for own in remaining.values() for unit in own):
            if self.ledger.has(unit.key):
                spreads.add(unit.row)
            elif self.costs.seconds(unit) is None or (spread and unit.row not in spreads):
                rows.setdefault(unit.row, []).append(unit)
        blocks = {unit.items: None for own in remaining.values() for unit in own[:TIMED_UNITS]}
        self._sample()
        for protocol, own in remaining.items():
            references = [one for one in self.workload.references(protocol) if own]
            needed = [one for one in references if one.items in blocks]
            if needed and self.costs.seconds(needed[0]) is None:
                self._time_network(needed)
        if any("sensitivity" in units[0].contestant.needs for units in rows.values()):
            self._map()
        for name in dict.fromkeys(units[0].contestant.name for units in rows.values()):
            mine = {row: units for row, units in rows.items() if units[0].contestant.name == name}
            first = next(iter(mine.values()))[0]
            self.told(name)
            if first.contestant.role == "entry":
                self._time_entry(first.contestant, mine)
            else:
                for units in mine.values():
                    self._time_network(units)

    def standard_errors(self, items: int) -> dict[str, float]:
        """By row, of a table over so many items, as far as it was seen how items spread."""
        return standard_errors(self.workload, self.ledger, self.few, items)

    def _sample(self) -> None:
        """Test images, all of them where that is affordable."""
        blocks = self._lacking_images()
        facts, size = sampled_facts(self.workload), self._block_items
        if not blocks:
            return
        with peak_memory(self.workload.plan.context.device) as peak:
            if self.costs.of(facts).seconds(size) is None:
                self.told("test images")
                probe = self._probe_of(self.workload.plan.context.tuning)
                levels = range(len(self.workload.plan.context.sigmas))
                guess = probe.units("sample-mse", levels, size)
                self.costs.add(facts, Timings(guessed=guess))
            bench = self._bench()
            if len(blocks) * (self.costs.of(facts).seconds(size) or 0) <= self.seconds:
                for items, key in blocks:
                    bench.sample(items, key)
        self.costs.add(facts, Timings(grown_bytes=peak.grown_bytes))

    def _map(self) -> None:
        """Sensitivity maps, all of them where that is affordable."""
        context, facts = self.workload.plan.context, map_facts(self.workload)
        maps = context.sensitivity()
        lacking = [level for level, path in enumerate(maps.files) if not path.is_file()]
        if not lacking:
            return
        with peak_memory(context.device) as peak:
            bench, middle = self._bench(), len(lacking) // 2
            if self.costs.of(facts).seconds(1) is None:
                self.told("sensitivity maps")
                seconds = map_seconds(maps, lacking[middle])
                if seconds <= self.seconds:  # few samples take as long as many, of small images
                    bench.map(lacking.pop(middle))
                else:
                    guess = Taken(items=1, seconds=seconds)
                    self.costs.add(facts, Timings(guessed=(guess, guess)))
            if len(lacking) * (self.costs.of(facts).seconds(1) or 0) <= self.seconds:
                for level in lacking:
                    bench.map(level)
        self.costs.add(facts, Timings(grown_bytes=peak.grown_bytes))

    def _time_network(self, units: Sequence[WorkUnit]) -> None:
        """A network's own row, or its part as a reference; all `units` are of it."""
        device = self.workload.plan.context.device
        with peak_memory(device) as peak:
            network = cast(TeacherModel, units[0].contestant.denoiser)
            probe = self._probe_of(network)
            self._time_units(units, probe)
            if units[0].contestant.role == "other network":
                self._ask_a_few(network, probe, units[0])
        self.costs.add(unit_facts(units[0]), Timings(grown_bytes=peak.grown_bytes))

    def _time_entry(self, contestant: Contestant, rows: Rows) -> None:
        with peak_memory(self.workload.plan.context.device) as peak:
            bench = self._bench()
            probe = bench.beside_units(
                contestant.name,
                list(rows),
                lambda plan: self._probe_entry(plan, contestant.name, rows),
                "its calls were timed",
            )
            self.workload = bench.workload
            if probe is None:
                return
            for units in rows.values():
                self._time_units(units, probe)
        for units in rows.values():
            self.costs.add(unit_facts(units[0]), Timings(grown_bytes=peak.grown_bytes))

    def _time_units(self, units: Sequence[WorkUnit], probe: Probe) -> None:
        """A few of these, all of one row, where they are affordable; else a guess of them."""
        facts, whole = units[0].provenance, self._block_items
        guess = probe.units(facts.protocol, facts.levels, whole)
        self.costs.add(unit_facts(units[0]), Timings(guessed=guess))
        if not self._affords(guess):
            return
        # one whose process has nothing ready
        bench = self._bench()
        lacking = [unit for unit in units if not self.ledger.has(unit.key)]
        for unit in lacking[:TIMED_UNITS]:
            if unit.contestant.role == "reference":
                bench.refer(unit)
            elif (key := self._reference(unit)) is not None:
                bench.measure(unit, key)
        self.workload = bench.workload

    def _affords(self, guess: tuple[Taken, Taken]) -> bool:
        """Whether a first and a later unit, guessed to take so long, may be computed now."""
        return sum(one.seconds for one in guess) <= self.seconds and not self._lacking_images()

    def _ask_a_few(self, denoise: DenoiseFunction, probe: Probe, unit: WorkUnit) -> None:
        """The first items of a row whose units are long, as many as are affordable, if any."""
        plan, facts = self.workload.plan, unit.provenance
        guess = probe.units(facts.protocol, facts.levels, self._block_items)
        if self._affords(guess):
            return
        network = cast(TeacherModel, plan.network(facts.protocol, "reference").denoiser)
        networks = self._probe_of(network).units(facts.protocol, facts.levels, self._block_items)
        each = max(guess[1].seconds, networks[1].seconds) / self._block_items
        count = min(self._block_items, int(self.seconds / max(each, 1e-9)))
        found = first_errors(plan, unit, denoise, count)
        if found is not None:
            self.few[unit.row] = found

    def _reference(self, unit: WorkUnit) -> str | None:
        """The key of what a unit is measured against; None where that would be long work."""
        protocol = unit.provenance.protocol
        references = self.workload.references(protocol)
        found = next(one for one in references if one.items == unit.items)
        if not self.ledger.has(found.key):
            if (self.costs.seconds(found) or 0) > self.seconds:
                return None
            self._bench().refer(found)
        return found.key

    def _probe_of(self, network: TeacherModel) -> Probe:
        """Calls of a network, timed once."""
        context = self.workload.plan.context
        if network.fingerprint not in self._networks:
            with torch.no_grad(), strangers_code(f"network '{network.name}'"):
                self._networks[network.fingerprint] = probed(
                    network,
                    context.dataset.train,
                    context.sigmas,
                    self._block_items,
                    context.device,
                    self.seconds / PROBE,
                )
        return self._networks[network.fingerprint]

    def _probe_entry(self, plan: Plan, name: str, rows: Rows) -> Probe | None:
        """Calls of an entry's denoiser; None where what it needs would be long work."""
        contestant = plan.contestant(name)
        if "sensitivity" in contestant.needs and not self._maps_are_cheap():
            self.used[name] = "sensitivity maps come first"
            return None

        def ask(denoise: DenoiseFunction, probe: Probe) -> None:
            for units in rows.values():
                self._ask_a_few(denoise, probe, units[0])

        probe, self.used[name] = probed_entry(
            plan, contestant, self._block_items, self.seconds / PROBE, ask
        )
        return probe

    def _maps_are_cheap(self) -> bool:
        """Whether all are there, or those at which a probe looks may be made for it."""
        each = self.costs.of(map_facts(self.workload)).seconds(1) or 0.0
        maps = self.workload.plan.context.sensitivity()
        return LEVELS * each <= self.seconds or all(path.is_file() for path in maps.files)

    def _lacking_images(self) -> list[tuple[range, str]]:
        """Blocks of test images that are to be sampled yet."""
        if not self.workload.samples_test_images:
            return []
        return [one for one in self.workload.sampled_images() if not self.ledger.has(one[1])]

    def _bench(self) -> Workbench:
        """With nothing ready, as that of a process which comes to a row."""
        loaded = Loaded(self.workload, self.ledger)
        return Workbench(loaded, self.notary, self.keeps_predictions, costs=self.costs)

    @property
    def _block_items(self) -> int:
        suite = self.workload.plan.suite
        return min(suite.block_items, suite.items)
