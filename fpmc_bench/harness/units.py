"""A plan cut into units of work, each named by the hash of all that its numbers depend on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.documents.provenance import (
    ArithmeticFacts,
    Provenance,
    SensitivityRecipe,
    TeacherFingerprints,
)
from fpmc_bench.engine import Arithmetic
from fpmc_bench.harness.plan import Contestant, Plan
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.storage.keys import content_key
from fpmc_bench.teachers.sensitivity import VERSION as SENSITIVITY_VERSION

NUMERICS_VERSION = 3
"""Raised whenever a change to fpmc_bench changes the numbers of a work unit."""


@dataclass(frozen=True, eq=False)
class WorkUnit:
    """A fixed block of items of one contestant under one protocol."""

    contestant: Contestant
    provenance: Provenance

    @cached_property
    def key(self) -> str:
        return self.provenance.key

    @property
    def items(self) -> range:
        return range(*self.provenance.items)

    @property
    def row(self) -> str:
        return f"{self.contestant.name}.{self.provenance.protocol}"


@dataclass(frozen=True, eq=False)
class Workload:
    """The units of a plan, computed with products that cost what `arithmetic` says."""

    plan: Plan
    arithmetic: Arithmetic

    def blocks(self) -> list[range]:
        """Items in blocks of fixed size, whatever the number of processes."""
        total, size = self.plan.suite.items, self.plan.suite.block_items
        return [range(start, min(start + size, total)) for start in range(0, total, size)]

    def references(self, protocol: str) -> list[WorkUnit]:
        """Predictions of the network that the protocol measures against."""
        return self._units(protocol, [self.plan.network(protocol, "reference")])

    def rows(self, protocol: str) -> list[WorkUnit]:
        """The other network first, then the entries in the order of the suite."""
        return self._units(
            protocol, [self.plan.network(protocol, "other network"), *self.plan.contestants]
        )

    @property
    def samples_test_images(self) -> bool:
        """Whether test images are samples of the tuning teacher, for the dataset has none."""
        return self.plan.context.dataset.test is None

    def sampled_images(self) -> list[tuple[range, str]]:
        """Blocks of sampled test images, and the ledger's keys for them."""
        return [(items, self._sampled_key(items)) for items in self.blocks()]

    @property
    def test_fingerprint(self) -> str:
        """Of the test images; where they are sampled, of everything that determines them."""
        test = self.plan.context.dataset.test
        return self._sampled_key(range(self.plan.suite.items)) if test is None else test.fingerprint

    def provenance(self, contestant: Contestant, protocol: str) -> Provenance:
        """Of all items of a row."""
        plan, suite, context = self.plan, self.plan.suite, self.plan.context
        sensitivity = None
        if "sensitivity" in contestant.needs:
            sensitivity = SensitivityRecipe(
                samples=suite.sensitivity.samples, version=SENSITIVITY_VERSION
            )
        return Provenance(
            numerics=NUMERICS_VERSION,
            protocol=protocol,
            metrics=tuple(sorted(METRICS)),
            role=contestant.role,
            denoiser=contestant.entry.denoiser,
            params=contestant.entry.params,
            plugin=contestant.origin,
            files=contestant.files,
            source=contestant.source.recipe,
            test=self.test_fingerprint,
            teachers=TeacherFingerprints(
                tuning=context.tuning.fingerprint, evaluation=context.evaluation.fingerprint
            ),
            sensitivity=sensitivity,
            sigmas=context.sigmas,
            levels=plan.levels(protocol),
            seed=suite.seed,
            block_items=suite.block_items,
            items=(0, suite.items),
            device=self._device_kind,
            arithmetic=ArithmeticFacts(**asdict(self.arithmetic)),
        )

    def groups(self, protocol: str) -> NDArray[np.int64] | None:
        """[items]: what group each item is of, as the dataset says of its test images."""
        test = self.plan.context.dataset.test
        if not protocol_facts(protocol).on_test_images or test is None or test.groups is None:
            return None
        groups: NDArray[np.int64] = test.groups[: self.plan.suite.items].numpy()
        return groups

    def evaluations(self, protocol: str) -> int:
        """Calls of the denoiser per item."""
        return protocol_facts(protocol).evaluations(len(self.plan.levels(protocol)))

    def _units(self, protocol: str, contestants: Sequence[Contestant]) -> list[WorkUnit]:
        return [
            WorkUnit(contestant, whole.of(items))
            for contestant in contestants
            for whole in [self.provenance(contestant, protocol)]
            for items in self.blocks()
        ]

    def _sampled_key(self, items: range) -> str:
        context = self.plan.context
        content: dict[str, Any] = {
            "numerics": NUMERICS_VERSION,
            "samples of": context.tuning.fingerprint,
            "shape": list(context.dataset.shape),
            "sigmas": context.sigmas,
            "seed": self.plan.suite.seed,
            "device": self._device_kind,
            "items": [items.start, items.stop],
        }
        return content_key(content)

    @property
    def _device_kind(self) -> str:
        return torch.device(self.plan.context.device).type


def rows_of(workload: Workload, protocol: str) -> dict[Contestant, list[WorkUnit]]:
    """The units of each row, the other network first."""
    rows: dict[Contestant, list[WorkUnit]] = {}
    for unit in workload.rows(protocol):
        rows.setdefault(unit.contestant, []).append(unit)
    return rows
