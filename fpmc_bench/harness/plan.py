"""A suite with everything it names, cut into work units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch

import fpmc_bench
from fpmc_bench.catalog.datasets import LoadedDataset
from fpmc_bench.contracts import Denoiser, Setting, TeacherModel
from fpmc_bench.documents.names import row_name
from fpmc_bench.documents.record import PluginOrigin
from fpmc_bench.documents.suite import Entry, Protocol, Suite
from fpmc_bench.fpmc.source import Source
from fpmc_bench.harness.ledger import content_key
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.protocols.problem import Problem
from fpmc_bench.teachers.sensitivity import sensitivity_maps

NUMERICS_VERSION = 3
"""Raised whenever a change to fpmc_bench changes the numbers of a work unit."""


@dataclass(frozen=True, eq=False)
class Contestant:
    """One row of a protocol's table: an entry of the suite, or a teacher network."""

    name: str
    role: Literal["entry", "ceiling", "reference"]
    denoiser: Denoiser | TeacherModel
    source: Source
    origin: PluginOrigin
    entry: Entry
    code: str
    """Hash of the plugin's package, so that an edited plugin is never mixed with old units."""

    @property
    def needs(self) -> frozenset[str]:
        return self.denoiser.needs if isinstance(self.denoiser, Denoiser) else frozenset()


@dataclass(frozen=True, eq=False)
class WorkUnit:
    """A fixed block of items of one contestant under one protocol."""

    protocol: Protocol
    contestant: Contestant
    items: range
    key: str

    @property
    def row(self) -> str:
        return f"{self.contestant.name}.{self.protocol}"


@dataclass(frozen=True, eq=False)
class Plan:
    """A suite with everything it names loaded: nothing is left that could be missing."""

    suite: Suite
    dataset: LoadedDataset
    tuning: TeacherModel
    evaluation: TeacherModel
    contestants: tuple[Contestant, ...]
    sigmas: tuple[float, ...]
    device: str
    failures: Mapping[str, str] = field(default_factory=dict)
    """Entries whose source could not be made, which are no contestants -> traceback."""

    @property
    def samples_held_out(self) -> bool:
        """Whether test images are samples of the tuning teacher, for the dataset has none."""
        return self.dataset.test is None

    @cached_property
    def test_fingerprint(self) -> str:
        """Of the test images; where they are sampled, of everything that determines them."""
        if self.dataset.test is not None:
            return self.dataset.test.fingerprint
        return content_key({**self._held_out(), "items": self.suite.items})

    def problem(self, test: Source) -> Problem:
        return Problem(test, self.sigmas, self.suite.seed, self.device, self.levels)

    @property
    def levels(self) -> tuple[int, ...]:
        """Indices of the noise levels that denoiser-mse is measured at."""
        return self.suite.levels or tuple(range(len(self.sigmas)))

    def measured_sigmas(self, protocol: Protocol) -> tuple[float, ...]:
        """The noise levels that a protocol looks at."""
        if protocol == "sample-mse":
            return self.sigmas
        return tuple(self.sigmas[level] for level in self.levels)

    def setting(self, source: Source, sensitivity: torch.Tensor | None) -> Setting:
        """What a denoiser over `source` may look at."""
        return Setting(source, self.sigmas, self.tuning, sensitivity, self.device)

    def sensitivity(self, levels: Sequence[int] | None = None) -> torch.Tensor:
        """Maps of the tuning teacher at noise levels number `levels` (None: all), [S,H,W,H,W]."""
        chosen = range(len(self.sigmas)) if levels is None else levels
        return sensitivity_maps(
            self.tuning,
            self.dataset.train,
            [self.sigmas[level] for level in chosen],
            self.suite.sensitivity.samples,
            self.suite.seed,
            device=self.device,
        )

    def reference(self, protocol: Protocol) -> TeacherModel:
        """The network that a protocol measures against."""
        return self.tuning if protocol == "denoiser-mse" else self.evaluation

    def ceiling(self, protocol: Protocol) -> TeacherModel:
        """The other network: how well two networks agree bounds what imitation can mean."""
        return self.evaluation if protocol == "denoiser-mse" else self.tuning

    def held_out_keys(self) -> list[tuple[range, str]]:
        """Blocks of sampled test images, and the ledger's keys for them."""
        return [
            (items, content_key({**self._held_out(), "items": [items.start, items.stop]}))
            for items in self.blocks()
        ]

    def _held_out(self) -> dict[str, Any]:
        return {
            "numerics": NUMERICS_VERSION,
            "held-out samples of": self.tuning.fingerprint,
            "shape": list(self.dataset.shape),
            "sigmas": self.sigmas,
            "seed": self.suite.seed,
            "device": torch.device(self.device).type,
        }

    def reference_units(self, protocol: Protocol) -> list[WorkUnit]:
        return self._units(protocol, self._teacher(self.reference(protocol), "reference"))

    def units(self, protocol: Protocol) -> list[WorkUnit]:
        """Ceiling first, then the entries in the order of the suite."""
        ceiling = self._teacher(self.ceiling(protocol), "ceiling")
        rows = [ceiling, *self.contestants]
        return [unit for row in rows for unit in self._units(protocol, row)]

    def blocks(self) -> list[range]:
        """Items in blocks of fixed size, whatever the number of processes."""
        total, size = self.suite.items, self.suite.block_items
        return [range(start, min(start + size, total)) for start in range(0, total, size)]

    def _teacher(self, model: TeacherModel, role: Literal["ceiling", "reference"]) -> Contestant:
        origin = PluginOrigin(distribution="fpmc-bench", version=fpmc_bench.__version__)
        entry = Entry(name=row_name(model.name), denoiser=model.name)
        return Contestant(
            entry.name, role, model, self.dataset.train, origin, entry, model.fingerprint
        )

    def _units(self, protocol: Protocol, contestant: Contestant) -> list[WorkUnit]:
        content: dict[str, Any] = {
            "numerics": NUMERICS_VERSION,
            "protocol": protocol,
            "metrics": sorted(METRICS),
            "role": contestant.role,
            "denoiser": contestant.entry.denoiser,
            "params": contestant.entry.params,
            "origin": contestant.origin.model_dump(),
            "code": contestant.code,
            "source": contestant.source.fingerprint,
            "test": self.test_fingerprint,
            "reference": self.reference(protocol).fingerprint,
            "sigmas": self.sigmas,
            "seed": self.suite.seed,
            "device": torch.device(self.device).type,
        }
        if isinstance(contestant.denoiser, Denoiser) and contestant.denoiser.fingerprint:
            content["files"] = contestant.denoiser.fingerprint
        if protocol == "denoiser-mse" and self.suite.levels is not None:
            content["levels"] = self.suite.levels
        if contestant.needs:
            content["tuning"] = self.tuning.fingerprint
            content["sensitivity"] = self.suite.sensitivity.model_dump()
        return [
            WorkUnit(
                protocol,
                contestant,
                items,
                content_key({**content, "items": [items.start, items.stop]}),
            )
            for items in self.blocks()
        ]
