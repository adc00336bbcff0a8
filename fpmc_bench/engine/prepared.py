"""An FPMC made ready for one device: its two linear maps, and what every pixel's responses add to.

Prepared once per model and device and kept as long as the model lives.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.engine.machine.arithmetic import Arithmetic
from fpmc_bench.engine.machine.settings import current_settings
from fpmc_bench.engine.maps.base import LinearMap
from fpmc_bench.engine.maps.choose import linear_map
from fpmc_bench.errors import InputError
from fpmc_bench.fpmc import FPMC, SharedByChannels
from fpmc_bench.fpmc.filters import Filter


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """Maps of Q and R over `planes` pixels (K = H*W) or, channel by channel, dimensions (K = D).

    `precision_channels` and `response_channels` say how many planes share one row of the map.
    """

    model: FPMC
    precision: LinearMap
    response: LinearMap
    coverage: Tensor
    """R^T 1: the responses that each row of the response's map adds up, [K]."""
    mass: Tensor
    """Q 1: about how many dimensions each estimator looks at, [M], at least 1."""

    @property
    def precision_channels(self) -> int:
        return _sharing(self.model.precision)

    @property
    def response_channels(self) -> int:
        return _sharing(self.model.response)

    @property
    def one_pass(self) -> bool:
        """Whether each pixel has a single normaliser."""
        return self.model.response.partitions


def prepare(model: FPMC, device: torch.device | str) -> PreparedModel:
    """The maps of a model; InputError where some dimension gets no response at all."""
    arithmetic = current_settings().arithmetic_on(device)
    # on the model itself, so that both go together: a weak table would hold the model by its value
    kept: dict[tuple[str, Arithmetic], PreparedModel] = model.__dict__.setdefault("_prepared", {})
    key = (str(device), arithmetic)
    if key not in kept:
        kept[key] = _prepare(model, device, arithmetic)
    return kept[key]


def _prepare(model: FPMC, device: torch.device | str, arithmetic: Arithmetic) -> PreparedModel:
    precision = linear_map(model.precision, device, arithmetic)
    response = precision
    if model.response is not model.precision:
        response = linear_map(model.response, device, arithmetic)
    coverage = response.adjoint(torch.ones(model.estimators, 1, device=device))[:, 0]
    uncovered = int((coverage <= 0).sum()) * _sharing(model.response)
    if uncovered:
        raise InputError(
            f"{uncovered} of {model.shape.dimensions} dimensions get no response from any "
            f"estimator, so their value is undefined"
        )
    ones = torch.ones(precision.columns, 1, device=device)
    mass = precision.apply(ones)[:, 0] * _sharing(model.precision)
    return PreparedModel(model, precision, response, coverage, mass.clamp(min=1))


def _sharing(filter_: Filter) -> int:
    """Channels that one row of a filter's map stands for."""
    return filter_.shape.channels if isinstance(filter_, SharedByChannels) else 1
