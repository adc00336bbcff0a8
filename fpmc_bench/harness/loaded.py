"""What units compute on, as one process has it: images, networks, and the denoiser built last.

Rows share it. It is sealed while one computes (`shared.py`), and loaded anew if that changed it.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import cast

import torch

from fpmc_bench.catalog.built import BuiltDenoiser
from fpmc_bench.contracts import DenoiseFunction, TeacherModel
from fpmc_bench.errors import PluginError, RunError
from fpmc_bench.fpmc.source import Source
from fpmc_bench.harness.ledger import PREDICTION, Ledger
from fpmc_bench.harness.shared import Shared, Thing
from fpmc_bench.harness.units import Workload, WorkUnit


@dataclass
class Loaded:
    """Of a workload, whose test images, where the dataset has none, are units of the ledger.

    `workload` is another one after a row has spoiled what is shared: the same, loaded anew.
    """

    workload: Workload
    ledger: Ledger
    _built: tuple[str, BuiltDenoiser] | None = None
    _test: Source | None = None
    _shared: Shared = field(default_factory=Shared)

    def seal(self) -> None:
        """Whatever is there now is to be as it is; what was sealed before is to be as it was."""
        self._shared.hold(self._things())

    def refuse_changes(self, name: str) -> None:
        """PluginError, of an entry of that name, where anything is not as it was sealed."""
        if changed := self._shared.changed():
            raise PluginError(f"'{name}' changed {' and '.join(changed)}, which rows share")

    def mend(self, rows: Collection[str]) -> None:
        """Load anew what these rows have changed, if anything; RunError where that can't be."""
        if not (changed := self._shared.changed()):
            return
        self.workload = replace(self.workload, plan=self.workload.plan.anew())
        self._built = self._test = None
        if not self._shared.same_as(self._things()):
            raise RunError(
                f"{' and '.join(rows)} changed {' and '.join(changed)}, and what was loaded anew "
                f"is not as it was; run again without it: what is finished is kept"
            )
        self._shared = Shared()

    def test_images(self) -> Source:
        """The dataset's, or those that were sampled."""
        if self._test is None:
            self._test = self.workload.plan.context.dataset.test or self._sampled()
        return self._test

    def denoiser(self, unit: WorkUnit) -> DenoiseFunction:
        """Built once per contestant; only the last is kept, for units come contestant by one."""
        plan, name, role = self.workload.plan, unit.contestant.name, unit.contestant.role
        if role != "entry":
            return cast(TeacherModel, plan.network(unit.provenance.protocol, role).denoiser)
        if self._built is None or self._built[0] != name:
            self._built = None  # gone before another is made
            self._built = (name, plan.built(plan.contestant(name)))
        return self._built[1]

    def _sampled(self) -> Source:
        parts = [
            torch.from_numpy(self.ledger.required(key, "sampled test images").arrays[PREDICTION])
            for _, key in self.workload.sampled_images()
        ]
        return Source(torch.cat(parts))

    def _things(self) -> dict[str, Thing]:
        """What units may not change, by what a user would call it."""
        context = self.workload.plan.context
        test = context.dataset.test or self._test
        things: dict[str, Thing] = {
            "the training images": context.dataset.train,
            **({} if test is None else {"the test images": test}),
            f"the network '{context.tuning.name}'": context.tuning,
            f"the network '{context.evaluation.name}'": context.evaluation,
        }
        if self._built and self._built[1].source is not context.dataset.train:
            things["its augmented source"] = self._built[1].source
        return things
