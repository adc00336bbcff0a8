"""What is compiled for GPUs: the same numbers, a graph a variant, and plain operations otherwise.

Compiled here for the processor, without code of its own: what makes a graph is the same everywhere.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from gpu_cases import rand
from pretend_device import pretending
from torch import Tensor

from fpmc_bench.engine import elementwise
from fpmc_bench.engine.machine import fused
from fpmc_bench.engine.machine.fused import copy_of, variant_of

PIXELS = 4


def differences(
    dtype: torch.dtype, channels: int, offset: bool, queries: int, images: int
) -> tuple[Any, ...]:
    """Arguments of `squared_differences`, of images with 3 channels."""
    rows = 3 * PIXELS // channels
    return (
        rand(0, 3, PIXELS, queries, 1).to(dtype),
        rand(1, 3, PIXELS, images).to(dtype),
        channels,
        rand(2, rows, queries, 1).to(dtype) if offset else None,
        tuple(torch.empty(rows, queries, images, dtype=dtype) for _ in range(2)),
    )


def weights(dtype: torch.dtype, floored: bool, queries: int, images: int) -> tuple[Any, ...]:
    """Arguments of `relative_weights`."""
    energies = 200 * rand(3, PIXELS, queries, images).to(dtype)
    out = torch.empty_like(energies, dtype=torch.float32)
    return energies, energies.amin(-1), out, floored


@pytest.mark.parametrize(
    ("function", "chain", "variants"),
    [
        (
            elementwise.squared_differences,
            elementwise._squared_differences,
            [
                lambda b, n, choice=choice: differences(*choice, b, n)
                for choice in product((torch.float32,), (1, 3), (False, True))
            ],
        ),
        (
            elementwise.relative_weights,
            elementwise._relative_weights,
            [
                lambda b, n, choice=choice: weights(*choice, b, n)
                for choice in product((torch.float32, torch.float64), (False, True))
            ],
        ),
    ],
    ids=["differences", "weights"],
)
def test_every_variant_is_one_graph_with_the_same_numbers(
    function: Callable[..., Tensor],
    chain: Callable[..., Tensor],
    variants: list[Callable[[int, int], tuple[Any, ...]]],
) -> None:
    seen = set()
    for make in variants:
        for queries, images in ((1, 5), (3, 5)):
            seen.add(variant_of(make(queries, images)))
            compiled = torch.compile(
                copy_of(chain, len(seen)), backend="eager", fullgraph=True, dynamic=True
            )
            for more in (1, 2):  # of the same variant: not compiled for each size
                sizes = queries if queries == 1 else queries * more, images * more
                output, expected = compiled(*make(*sizes)), function(*make(*sizes))
                assert float((output - expected).abs().max()) < 1e-6
    # of one code all of them would be more than torch compiles
    assert len(seen) == 2 * len(variants) >= torch._dynamo.config.recompile_limit


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of all that is compiled, by a compiler that changes nothing, on a pretended GPU."""
    names: list[str] = []

    def compile_(function: Any, dynamic: bool) -> Any:
        assert dynamic
        names.append(function.__code__.co_name)
        return function

    with pretending():
        monkeypatch.setattr(fused, "_failed", False)
        monkeypatch.setattr(fused, "_compiles", lambda: not fused._failed)
        monkeypatch.setattr(torch, "compile", compile_)
        yield names


def on_gpu(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    def sent(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(sent, value))
        return value.to("cuda:0") if isinstance(value, Tensor) else value

    return tuple(map(sent, arguments))


def chained(chain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of its own, so that no test meets what another has compiled."""
    return fused.fused_on_gpu(chain)(elementwise.squared_differences.__wrapped__)  # type: ignore[attr-defined]


def test_a_variant_is_compiled_once_and_for_itself(compiler: list[str]) -> None:
    call = chained(elementwise._squared_differences)
    for queries, images in ((1, 5), (1, 9), (3, 5), (4, 9)):
        arguments = differences(torch.float32, 3, True, queries, images)
        output = call(*on_gpu(arguments))
        assert float((output.cpu() - call(*arguments)).abs().max()) < 1e-6
    assert compiler == ["_squared_differences_0", "_squared_differences_1"], "and none on the CPU"


def test_what_does_not_compile_runs_as_it_is(
    compiler: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Tensor:
        raise RuntimeError("no such instruction\nand a page about it")

    call = chained(broken)
    for _ in range(2):
        arguments = differences(torch.float32, 3, True, 2, 5)
        output = call(*on_gpu(arguments))
        assert torch.equal(output.cpu(), call(*arguments))
    assert compiler == ["broken_0"]
    assert caplog.messages == [
        "GPU kernels are not fused, which is slower and otherwise the same: no such instruction"
    ]


def test_want_of_memory_is_no_fault_of_the_compiler(compiler: list[str]) -> None:
    def large(*_: Any) -> Tensor:
        raise RuntimeError("Triton Error [CUDA]: out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        chained(large)(*on_gpu(differences(torch.float32, 3, True, 2, 5)))
    assert not fused._failed
