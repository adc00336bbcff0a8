"""The facts of the protocols: all that anybody but the protocol itself has to know of it.

A protocol is a line here and a file of its name in `fpmc_bench/protocols`. Nothing else asks which
protocol it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fpmc_bench.errors import UnknownNameError

Role = Literal["tuning", "evaluation"]
"""Of a suite's two networks."""
ROLES: tuple[Role, Role] = ("tuning", "evaluation")


@dataclass(frozen=True)
class ProtocolFacts:
    """One protocol.

    `reference`: the network that it measures against; `other` is the other one. `by_sigma`: it
    measures an item at every noise level that the suite chose; else an item is one thing, made with
    all of them. `evaluations`: how often an item asks the denoiser, from the number of noise levels
    that are looked at. `keeps_predictions`: what was predicted is worth looking at, and so is
    `keeps_trajectories`, of one protocol at most, what leads there: every call is of all items, in
    order, and the last one at each noise level is on the way.
    `on_test_images`: item k is of test image k, and in its group; else of noise alone.
    """

    name: str
    reference: Role
    by_sigma: bool
    evaluations: Callable[[int], int]
    keeps_predictions: bool
    on_test_images: bool
    keeps_trajectories: bool = False

    @property
    def other(self) -> Role:
        return "evaluation" if self.reference == "tuning" else "tuning"


PROTOCOLS: dict[str, ProtocolFacts] = {
    facts.name: facts
    for facts in (
        ProtocolFacts("denoiser-mse", "tuning", True, lambda levels: levels, False, True),
        # Heun's steps, of which the last is Euler's
        ProtocolFacts(
            "sample-mse", "evaluation", False, lambda levels: 2 * levels - 1, True, False, True
        ),
    )
}
"""By name, in the order of tables."""


def protocol_facts(name: str) -> ProtocolFacts:
    """UnknownNameError where there is no such protocol."""
    if name not in PROTOCOLS:
        raise UnknownNameError("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
