"""Chains of elementwise operations as one kernel, on GPUs, where each costs a trip to memory.

On a processor the arrays stay in the cache between operations, and a compiler's start would take
longer than many runs do, so there nothing is compiled. Where a GPU has no compiler at hand, the
operations run one by one, after one line in the log.
"""

import importlib.util
import logging
from collections.abc import Callable, Hashable
from functools import cache, wraps
from types import FunctionType
from typing import ParamSpec

import torch
from torch import Tensor

from fpmc_bench.engine.machine.halving import is_out_of_memory

P = ParamSpec("P")

log = logging.getLogger(__name__)

_failed = False
"""Whether something could not be compiled: then nothing more is, in this process."""


def fused_on_gpu(
    chain: Callable[P, Tensor],
) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Compile `chain` for a function's calls whose first argument, [...], lies on a GPU.

    It does what the function does, to rounding, as one expression: of arrays it is given it writes
    none but the result's, at the end, so that compilers have nothing to write back. Every variant
    (dtypes, what is None, flags, axes of length 1) is compiled by itself: together they would pass
    the number after which torch's compiler gives a function up.
    """
    variants: dict[Hashable, Callable[P, Tensor]] = {}

    def compiled(variant: Hashable) -> Callable[P, Tensor]:
        if variant not in variants:
            # a copy, because torch counts by code; dynamic: whatever the sizes
            variants[variant] = torch.compile(copy_of(chain, len(variants)), dynamic=True)
            log.debug("%s is compiled for %d variants", chain.__name__, len(variants))
        return variants[variant]

    def decorate(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
        @wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> Tensor:
            first = arguments[0]
            if not (isinstance(first, Tensor) and first.is_cuda and _compiles()):
                return function(*arguments, **named)
            try:
                return compiled(variant_of(arguments))(*arguments, **named)
            except Exception as error:  # whatever a compiler raises, the operations still work
                if is_out_of_memory(error):
                    raise
                _give_up(str(error).strip().partition("\n")[0])
            return function(*arguments, **named)

        return call

    return decorate


def _compiles() -> bool:
    return _has_compiler() and not _failed


@cache
def _has_compiler() -> bool:
    """Whether there is what torch compiles with for GPUs; says so once where there is not."""
    found = importlib.util.find_spec("triton") is not None
    if not found:
        log.warning("no triton: GPU kernels are not fused, which is slower and otherwise the same")
    return found


def _give_up(reason: str) -> None:
    """Compile nothing more in this process, and say so."""
    global _failed
    _failed = True
    log.warning("GPU kernels are not fused, which is slower and otherwise the same: %s", reason)


def copy_of(function: Callable[P, Tensor], number: int) -> Callable[P, Tensor]:
    """The same function of arrays [...], with code of its own by a name of its own."""
    assert isinstance(function, FunctionType)
    name = f"{function.__name__}_{number}"
    return FunctionType(function.__code__.replace(co_name=name), function.__globals__, name)


def variant_of(argument: object) -> Hashable:
    """What torch's compiler makes other code for: all of an argument but sizes of 2 and more."""
    if isinstance(argument, Tensor):
        ones = tuple(length == 1 for length in argument.shape)
        return argument.dtype, argument.device, ones, argument.is_contiguous()
    if isinstance(argument, tuple):
        return tuple(map(variant_of, argument))
    return argument if isinstance(argument, Hashable) else None
