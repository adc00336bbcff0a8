"""An FPMC made ready for one device: its two linear maps, and what every pixel's responses add to.

Prepared once per model and device and kept as long as the model lives. Whoever keeps many models
asks `prepared_storages` what that takes.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from fpmc_bench.engine.machine.arithmetic import Arithmetic
from fpmc_bench.engine.machine.settings import current_settings
from fpmc_bench.engine.maps.base import LinearMap
from fpmc_bench.engine.maps.choose import linear_map
from fpmc_bench.errors import InputError
from fpmc_bench.fpmc import FPMC, SharedByChannels
from fpmc_bench.fpmc.filters import Filter
from fpmc_bench.fpmc.held import held_bytes, held_checksum, held_storages


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """Maps of Q and R over pixels, all channels alike (K = H*W), or over dimensions (K = D)."""

    model: FPMC
    precision: LinearMap
    response: LinearMap
    coverage: Tensor
    """R^T 1: the responses that each row of the response's map adds up, [K]."""
    mass: Tensor
    """Q 1: about how many dimensions each estimator looks at, [M], at least 1."""

    @property
    def precision_channels(self) -> int:
        """How many channels share one row of the precision's map."""
        return _sharing(self.model.precision)

    @property
    def response_channels(self) -> int:
        """How many channels share one row of the response's map."""
        return _sharing(self.model.response)

    @property
    def one_pass(self) -> bool:
        """Whether each pixel has a single normaliser."""
        return self.model.response.partitions

    @cached_property
    def checksum(self) -> int:
        """Of the content of Q and R."""
        return held_checksum(self.model.precision, self.model.response)

    @property
    def nbytes(self) -> int:
        """Of the tensors that the maps hold, those that they share with the model among them."""
        return held_bytes(self._held)

    @property
    def _held(self) -> tuple[object, ...]:
        return vars(self.precision), vars(self.response), self.coverage, self.mass


def prepare(model: FPMC, device: torch.device | str) -> PreparedModel:
    """The maps of a model, as the current settings take products on `device`.

    InputError where some dimension gets no response at all.
    """
    arithmetic = current_settings().arithmetic_on(device)
    # on the model itself, so that both go together: a weak table would hold the model by its value
    kept: dict[tuple[str, Arithmetic], PreparedModel] = model.__dict__.setdefault("_prepared", {})
    key = (str(device), arithmetic)
    if key not in kept:
        kept[key] = _prepare(model, device, arithmetic)
    return kept[key]


def prepared_of(model: FPMC) -> tuple[PreparedModel, ...]:
    """All that has been prepared of a model: once for every device and arithmetic it met."""
    return tuple(model.__dict__.get("_prepared", {}).values())


def prepared_storages(model: FPMC) -> dict[tuple[str, int], int]:
    """Bytes of each storage that a model and all that has been prepared of it hold, by place."""
    maps = [prepared._held for prepared in prepared_of(model)]
    return held_storages(model.precision, model.response, maps)


def _prepare(model: FPMC, device: torch.device | str, arithmetic: Arithmetic) -> PreparedModel:
    precision = linear_map(model.precision, device, arithmetic)
    response = precision
    if model.response is not model.precision:
        response = linear_map(model.response, device, arithmetic)
    coverage = response.adjoint(_ones(model.estimators, device))[:, 0]
    uncovered = int((coverage <= 0).sum()) * _sharing(model.response)
    if uncovered:
        raise InputError(
            f"{uncovered} of {model.shape.dimensions} dimensions get no response from any "
            f"estimator, so their value is undefined"
        )
    mass = precision.apply(_ones(precision.columns, device))[:, 0] * _sharing(model.precision)
    # a copy: in a circle with the model that keeps it neither would go before a collection
    return PreparedModel(replace(model), precision, response, coverage, mass.clamp(min=1))


def _ones(rows: int, device: torch.device | str) -> Tensor:
    return torch.ones(rows, 1, device=device, dtype=torch.float32)


def _sharing(filter_: Filter) -> int:
    """Channels that one row of a filter's map stands for."""
    return filter_.shape.channels if isinstance(filter_, SharedByChannels) else 1
