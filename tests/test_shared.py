"""Seals: whatever a source or a network computes with is seen, however it was written to."""

from collections.abc import Callable
from functools import wraps
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from fpmc_bench.contracts import TeacherModel
from fpmc_bench.fpmc.source import Source
from fpmc_bench.fpmc.union import Union
from fpmc_bench.harness.shared import Shared, broken, sealed, summed
from fpmc_bench.teachers.function import FunctionTeacher

GLOBAL = nn.Linear(2, 2)


def net_of_the_module(z: Tensor, sigma: float) -> Tensor:
    return cast(Tensor, GLOBAL(z))


def closed_over() -> tuple[Callable[[Tensor, float], Tensor], nn.Module]:
    net = nn.BatchNorm1d(2)
    return lambda z, sigma: cast(Tensor, net(z)), net


class Holder:
    """An object whose method is the function."""

    def __init__(self) -> None:
        self.scale = torch.ones(2)

    def denoise(self, z: Tensor, sigma: float) -> Tensor:
        return z * self.scale


CHANGES: dict[str, Callable[[nn.Module], object]] = {
    "weights": lambda net: next(net.parameters()).data.neg_(),
    "mode": lambda net: net.train(not net.training),
    "hooks": lambda net: net.register_forward_pre_hook(lambda *_: None),
    "forward": lambda net: setattr(net, "forward", lambda z: z),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
@pytest.mark.parametrize("held", ["attribute", "closure", "global", "itself"])
def test_what_makes_a_network_another_is_seen(
    change: str, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net: nn.Module = nn.Linear(2, 2)
    monkeypatch.setitem(net_of_the_module.__globals__, "GLOBAL", net)
    function: Callable[[Tensor, float], Tensor] = net_of_the_module
    if held == "closure":
        function, net = closed_over()
    known: object = FunctionTeacher("mine", net if held == "attribute" else function, "cpu")
    teacher = cast(TeacherModel, net if held == "itself" else known)
    seal = sealed(teacher)
    assert not broken(seal, teacher)
    CHANGES[change](net)
    assert broken(seal, teacher)


def test_buffers_and_an_object_s_tensors_are_seen_and_new_ones_are_no_change() -> None:
    function, net = closed_over()
    holder = Holder()
    for teacher, change in (
        (FunctionTeacher("net", function, "cpu"), lambda: function(torch.randn(3, 2), 1.0)),
        (FunctionTeacher("object", holder.denoise, "cpu"), lambda: holder.scale.numpy().fill(2)),
    ):
        seal = sealed(teacher)
        net.register_buffer("made-by-the-first-call", torch.ones(1))
        assert not broken(seal, teacher)
        change()  # of the first: it counts its batches
        assert broken(seal, teacher)


def test_a_function_that_wraps_an_object_is_looked_through() -> None:
    net = nn.Linear(2, 2)

    @wraps(net)
    def wrapping(z: Tensor, sigma: float) -> Tensor:
        return cast(Tensor, net(z))

    teacher = FunctionTeacher("wrapped", wrapping, "cpu")
    seal = sealed(teacher)
    assert not broken(seal, teacher)
    net.train(not net.training)
    assert broken(seal, teacher)


@pytest.mark.parametrize("name", ["images", "log_weights", "made_from", "groups"])
def test_every_tensor_of_every_part_of_a_source_is_seen(name: str) -> None:
    parts = [
        Source(
            torch.zeros(2, 1, 2, 2),
            torch.zeros(2),
            made_from=torch.zeros(2, dtype=torch.int64),
            groups=torch.zeros(2, dtype=torch.int64),
        )
        for _ in range(2)
    ]
    union, shared = Union(parts), Shared()
    shared.hold({"images": union, "others": parts[0]})
    getattr(parts[1], name).numpy()[1] = 1
    assert shared.changed() == ["images"]
    shared.hold({"images": union})
    assert shared.changed() == ["images"], "what is held again keeps its seal"
    assert not shared.same_as({"images": union})


def test_bytes_summed_on_a_device_show_every_kind_of_change() -> None:
    values = torch.randint(0, 256, (4096,), dtype=torch.uint8)
    values[:2] = torch.tensor([1, 2])
    swapped, flipped, one = values.clone(), values ^ 128, values.clone()
    swapped[:2] = torch.tensor([2, 1])
    one[77] += 1
    assert len({int(summed(each)) for each in (values, swapped, flipped, one)}) == 4
