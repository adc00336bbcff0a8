"""What is measured: a file a protocol, pure functions of a denoiser and a problem; and metrics.

A protocol's file offers `predict`; its facts are in `fpmc_bench.documents.protocols`.
"""

import importlib
from collections.abc import Callable
from typing import cast

from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction
from fpmc_bench.protocols.problem import Problem

Predict = Callable[[DenoiseFunction, Problem, range], Tensor]
"""(denoiser, problem, items) -> predictions [n,...,C,H,W] float32 on the CPU."""


def prediction_of(protocol: str) -> Predict:
    """The `predict` of a protocol: of the module that has its name."""
    module = importlib.import_module(f"{__name__}.{protocol.replace('-', '_')}")
    return cast(Predict, module.predict)
