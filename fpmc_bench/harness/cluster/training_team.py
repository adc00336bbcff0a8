"""Processes that train one network together: sums over all of them, through accelerate."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.errors import RunError
from fpmc_bench.harness.cluster.processes import Processes


@dataclass(frozen=True)
class ProcessTeam:
    """Several processes, each with a share of every batch, as `teachers.training` wants them.

    Unlike the units of a run these processes depend on one another: where one dies, its launcher
    ends the others, and the training goes on from its checkpoint.
    """

    processes: Processes

    @property
    def rank(self) -> int:
        return self.processes.rank

    @property
    def world(self) -> int:
        return self.processes.world

    def add_up(self, values: Tensor) -> Tensor:
        """The sum over all processes of values of one shape [...], with the same bits in each."""
        if self.world == 1:
            return values
        from accelerate.utils import reduce

        total: Tensor = reduce(values, reduction="sum")
        return total

    def agree_on(self, step: int) -> None:
        """Raises RunError, in every process, where the processes start from different steps."""
        steps = torch.zeros(self.world, device=self.processes.device)
        steps[self.rank] = step
        found = [int(one) for one in self.add_up(steps).tolist()]
        if set(found) != {step}:
            raise RunError(
                f"the processes would start from different steps, {found}: the "
                f"checkpoint was replaced while they began; give the same command again"
            )
