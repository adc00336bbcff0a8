"""Chains of elementwise operations as one kernel, on GPUs, where each costs a trip to memory.

On a processor the arrays stay in the cache between operations, and a compiler's start would take
longer than many runs do, so there nothing is compiled. Where a GPU has no compiler at hand, the
operations run one by one, after one line in the log.
"""

import importlib.util
import logging
from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")

log = logging.getLogger(__name__)


def fused_on_gpu(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Compile `function` when its first argument, [...], lies on a GPU; results are the same."""
    compiled: list[Callable[P, Tensor]] = []  # at the first call: torch's compiler is slow to load

    @wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> Tensor:
        first = arguments[0]
        if not (isinstance(first, Tensor) and first.is_cuda and _compiler_works()):
            return function(*arguments, **named)
        if not compiled:
            compiled.append(torch.compile(function, dynamic=True))
        return compiled[0](*arguments, **named)

    return call


@cache
def _compiler_works() -> bool:
    """Whether a kernel can be compiled here; says so once where it can't."""
    if importlib.util.find_spec("triton") is None:
        log.warning("no triton: GPU kernels are not fused, which is slower and otherwise the same")
        return False
    try:
        torch.compile(_probe, dynamic=True)(torch.zeros(4, device="cuda"))
    except Exception as error:  # whatever a compiler raises, the plain operations still work
        reason = str(error).strip().partition("\n")[0]
        log.warning("GPU kernels are not fused, which is slower and otherwise the same: %s", reason)
        return False
    return True


def _probe(values: Tensor) -> Tensor:
    return (values + 1).square()
