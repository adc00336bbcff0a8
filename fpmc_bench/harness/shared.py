"""What all rows of a run share, sealed: whoever changes it is noticed after his unit.

A version of a tensor would not do: writing through `.data` or a view of numpy's raises none. So
content is summed up after every unit: 20 to 50 ms for 50 000 images of CIFAR-10, beside units
that take seconds with as many images, and 5 ms for a network of the digits.
"""

import inspect
import zlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from fpmc_bench.contracts import TeacherModel
from fpmc_bench.fpmc.source import Source
from fpmc_bench.fpmc.union import Union

Thing = Source | TeacherModel
Seal = Mapping[str, Any]
"""Part of a thing -> its checksum."""


class Shared:
    """Things under seal, by what a user would call them."""

    def __init__(self) -> None:
        self._things: dict[str, tuple[Thing, Seal]] = {}

    def hold(self, things: Mapping[str, Thing]) -> None:
        """These and no others; one that was held already keeps its seal."""
        held = self._things
        self._things = {
            name: held[name] if name in held and held[name][0] is thing else (thing, sealed(thing))
            for name, thing in things.items()
        }

    def changed(self) -> list[str]:
        """Names of things that are not what they were."""
        return [name for name, (thing, seal) in self._things.items() if broken(seal, thing)]

    def same_as(self, things: Mapping[str, Thing]) -> bool:
        """Whether things of the same names, loaded anew, have the content of those held."""
        return not any(
            broken(seal, things[name]) for name, (_, seal) in self._things.items() if name in things
        )


def sealed(thing: Thing) -> Seal:
    """Checksums of a source's tensors, or of what a network is made of: weights, modes, hooks.

    Of a network whose tensors are nowhere in its object or its function the seal is empty.
    """
    return dict(_parts_of_source(thing) if isinstance(thing, Source) else _parts_of_network(thing))


def broken(seal: Seal, thing: Thing) -> bool:
    """Whether any part of the thing is not what it was; more parts than before are none of it."""
    now = sealed(thing)
    return any(now.get(part) != checksum for part, checksum in seal.items())


def checksum(tensor: Tensor) -> int:
    """Of the content of a tensor [...], wherever it lies; for chance, not against forgery."""
    values = tensor.detach().contiguous().flatten().view(torch.uint8)
    if values.device.type == "cpu":
        return zlib.crc32(values.numpy().data)
    return int(summed(values))


def summed(values: Tensor) -> Tensor:
    """A checksum [] int64 of bytes [n], made where they lie: each has a weight of its own."""
    weights = torch.arange(1, 2 * len(values), 2, device=values.device, dtype=torch.int64)
    return weights.mul_(values).sum()


def _parts_of_source(source: Source) -> Iterator[tuple[str, Any]]:
    for number, part in enumerate(source.parts if isinstance(source, Union) else (source,)):
        for name in ("images", "log_weights", "made_from", "groups"):
            tensor = getattr(part, name)
            yield f"{number}/{name}", None if tensor is None else checksum(tensor)


def _parts_of_network(network: TeacherModel) -> Iterator[tuple[str, Any]]:
    for name, value in _held_by(network, "", 3):
        if isinstance(value, Tensor):
            yield name, checksum(value)
        elif isinstance(value, nn.Module):
            for place, module in value.named_modules(prefix=name):
                yield f"{place}/mode", (type(module), module.training, _overrides(module))
            for place, tensor in (*value.named_parameters(name), *value.named_buffers(name)):
                yield place, checksum(tensor)


def _held_by(value: object, name: str, depth: int) -> Iterator[tuple[str, object]]:
    """A thing and what it holds; a function holds the variables that it reads beside its own."""
    yield name, value
    if depth == 0 or isinstance(value, type | ModuleType | nn.Module | Tensor):
        return
    held = dict(getattr(value, "__dict__", {}))
    if inspect.ismethod(value):
        held["self"] = value.__self__
    elif inspect.isfunction(value) and inspect.isfunction(inner := inspect.unwrap(value)):
        read = inspect.getclosurevars(inner)
        held |= {**read.globals, **read.nonlocals}
    for own, one in held.items():
        yield from _held_by(one, f"{name}.{own}", depth - 1)


def _overrides(module: nn.Module) -> tuple[object, ...]:
    """What makes a module compute something else than its class says."""
    hooks = (*module._forward_pre_hooks, *module._forward_hooks)
    return hooks, vars(module).get("forward")
