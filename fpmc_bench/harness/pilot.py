"""A pilot: whatever of a run was never timed here is timed, in a bounded time.

Units that are affordable are the run's own: they stay in its ledger, and nothing of them is wasted.
Longer ones are guessed from a probe. What a denoiser fits for that stays in the cache.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.contracts import DenoiseFunction, TeacherModel
from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.harness.costs import (
    Costs,
    Taken,
    Timings,
    map_facts,
    sampled_facts,
    unit_facts,
)
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.loaded import Loaded
from fpmc_bench.harness.peaks import peak_memory
from fpmc_bench.harness.plan import Contestant, Plan
from fpmc_bench.harness.probe import LEVELS, Probe, probed
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.harness.workers import Workbench
from fpmc_bench.images.made import images_in
from fpmc_bench.protocols import prediction_of
from fpmc_bench.protocols.metrics import mse_1
from fpmc_bench.protocols.problem import checked
from fpmc_bench.storage.cache import looked_up
from fpmc_bench.teachers.sensitivity import KIND as MAPS
from fpmc_bench.teachers.sensitivity import (
    SensitivityMaps,
    mean_absolute_jacobian,
    sensitivity_queries,
)

TIMED_UNITS = 2
PROBE = 2
"""A probe takes this part of the seconds that a row may take."""
GROWTH = 4
"""From one number of images, that are made to see what that takes, to the next."""
FEWEST_ITEMS = 4
"""By which the spread of a row's items is told."""
FEW_SAMPLES = 4
"""Of a sensitivity map that is made for no other use."""

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
            if self.costs.of(facts).seconds(1) is None:
                self.told("sensitivity maps")
                guess = Taken(items=1, seconds=_map_seconds(maps, lacking[len(lacking) // 2]))
                self.costs.add(facts, Timings(guessed=(guess, guess)))
            bench = self._bench()
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

    @torch.no_grad()
    def _ask_a_few(self, denoise: DenoiseFunction, probe: Probe, unit: WorkUnit) -> None:
        """The first items of a row whose units are long, as many as are affordable, if any."""
        plan, facts = self.workload.plan, unit.provenance
        protocol, test = facts.protocol, plan.context.dataset.test
        guess = probe.units(protocol, facts.levels, self._block_items)
        reference = cast(TeacherModel, plan.network(protocol, "reference").denoiser)
        networks = self._probe_of(reference).units(protocol, facts.levels, self._block_items)
        each = max(guess[1].seconds, networks[1].seconds) / self._block_items
        count = min(self._block_items, int(self.seconds / max(each, 1e-9)))
        needs_test = protocol_facts(protocol).on_test_images
        if self._affords(guess) or count < FEWEST_ITEMS or (needs_test and test is None):
            return
        problem = plan.problem(protocol, test or plan.context.dataset.train)
        answers = [
            prediction_of(protocol)(asked, problem, range(count))
            for asked in (checked(denoise, unit.contestant.name), reference)
        ]
        self.few[unit.row] = mse_1(*answers).numpy()

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
        """Calls of an entry's denoiser; None where what it needs would be long work.

        A second time where something was fitted at first, which units won't wait for.
        """
        contestant = plan.contestant(name)
        if "sensitivity" in contestant.needs and not self._maps_are_cheap():
            self.used[name] = "sensitivity maps come first"
            return None
        with looked_up() as seen:
            making = self._make_images(contestant)
            source = contestant.over_plain_images() if making else contestant
            probe = self._probe_once(plan, source, {} if making else rows)
        if not all(seen.values()):
            probe = self._probe_once(plan, source, {})
        self.used[name] = _used(seen)
        if making:
            self.used[name] += f"{', ' if seen else ''}images to be made"
            images = 1 + sum(added.rate for added in contestant.source.added)
            probe = probe.times(images)
            probe = replace(probe, building=probe.building + making)
        return probe

    def _make_images(self, contestant: Contestant) -> float:
        """What augmentations add, where that is affordable; else the seconds that the rest takes.

        A few at first, then more; they stay in the cache, where whole blocks of them may be made.
        """
        context, lacking = contestant.source.context, 0.0
        for plugin, added in zip(contestant.source.plugins, contestant.source.added, strict=True):
            whole = max(1, round(added.rate * len(context.dataset.train)))
            asked, there, spent = 1, 0, 0.0
            while there < whole and spent < self.seconds / PROBE:
                started = time.perf_counter()
                with looked_up() as seen:
                    plugin.augment(context.augmentation_task(added.rate * asked / whole))
                spent += time.perf_counter() - started
                made = [images_in(path) for path in seen if path.suffix == ".npy"]
                there = max([asked, *made])
                asked = min(whole, GROWTH * there)
            lacking += spent / there * max(0, whole - there)
        return lacking

    def _probe_once(self, plan: Plan, contestant: Contestant, rows: Rows) -> Probe:
        """And a few items of these rows, where their units are long."""
        started = time.perf_counter()
        built = plan.built(contestant)
        probe = probed(
            built,
            plan.context.dataset.train,
            plan.context.sigmas,
            self._block_items,
            plan.context.device,
            self.seconds / PROBE,
            building=time.perf_counter() - started,
        )
        for units in rows.values():
            self._ask_a_few(built, probe, units[0])
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


def _map_seconds(maps: SensitivityMaps, level: int) -> float:
    """Of a sensitivity map, from maps of few samples: seconds grow with these along a line."""
    sigma, seconds = maps.sigmas[level], []
    few = min(FEW_SAMPLES, maps.samples)
    for samples in (1, 1, few):  # the first warms up
        z = sensitivity_queries(maps.source, sigma, samples, maps.seed).to(maps.device)
        started = time.perf_counter()
        with strangers_code(f"network '{maps.teacher.name}'"):
            mean_absolute_jacobian(maps.teacher, z, sigma)
        seconds.append(time.perf_counter() - started)
    each = max(seconds[2] - seconds[1], 0.0) / max(few - 1, 1)
    return seconds[2] + each * (maps.samples - few)


def _used(seen: Mapping[Path, bool]) -> str:
    """What was looked for in the cache, by its folders: "spectrum", "2 synthetic (1 made now)".

    Sensitivity maps have a line of their own.
    """
    kinds = Counter(kind for path in seen if (kind := path.parent.name) != MAPS)
    made = Counter(path.parent.name for path, there in seen.items() if not there)
    said = []
    for kind, count in sorted(kinds.items()):
        number = f"{count} " if count > 1 else ""
        new = f" ({made[kind]} made now)" if 0 < made[kind] < count else ""
        said.append(f"{number}{kind}{' (made now)' if made[kind] == count else new}")
    return ", ".join(said)
