"""A GPU that is not there: ordinary tensors that pretend to lie on `cuda:0`, and what that costs.

Within `pretending()` a tensor that is sent to or made on `cuda:0` computes on the CPU as always,
but says that it lies on the GPU, and is held to what would be true there:

- tensors of both devices don't mix, and a CPU tensor isn't indexed by one on the GPU;
- one on the GPU has no numpy array;
- what is copied, each way, is counted in bytes, and so is every place in the code that has to wait
  for the GPU: `item`, `bool`, `tolist`, `nonzero`, a mask as an index, a copy to the host;
- more than `largest_bytes` in one tensor is out of memory.

Autograd works, and backward passes are counted like all else. Not seen: kernels, what is compiled,
streams, TF32, and the order in which a real GPU adds up.

Below the surface such a tensor wraps another. torch takes it for one on the `meta` device, the
only kind without memory for which autograd needs no driver.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from fpmc_bench.engine import searches
from fpmc_bench.engine.machine import fused, halving

GPU = torch.device("cuda", 0)
INSIDE = torch.device("meta")
"""What torch is told instead."""
PROJECT = ("fpmc_bench", "fpmc_plugins")
aten = torch.ops.aten
WAITING = {
    aten._local_scalar_dense.default,
    aten.bincount.default,
    aten.equal.default,
    aten.masked_select.default,
    aten.nonzero.default,
    aten.repeat_interleave.Tensor,
    aten._unique2.default,
}
"""Their results decide what the host does next, or how large they are."""
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}
INDEXING |= {aten._index_put_impl_.default}


@dataclass
class PretendGPU:
    """What has happened on it since `reset`, and how much memory it has."""

    free_bytes: int = 2**34
    """As its driver says."""
    largest_bytes: int | None = None
    """Of one tensor; None: any. A larger one raises `fault`."""
    fault: Callable[[], Exception] = lambda: torch.OutOfMemoryError("CUDA out of memory")
    to_device_bytes: int = 0
    to_host_bytes: int = 0
    waits: Counter[str] = field(default_factory=Counter)
    """How often the host waited, by file and line of this project."""

    def reset(self) -> None:
        self.to_device_bytes = self.to_host_bytes = 0
        self.waits.clear()

    @property
    def waited(self) -> int:
        return self.waits.total()

    def wait(self) -> None:
        self.waits[_place()] += 1


_gpu = PretendGPU()
_run_backward = torch.autograd._engine_run_backward  # type: ignore[attr-defined]


class PretendTensor(Tensor):
    """`inner`, on the CPU, under another name."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: Tensor) -> "PretendTensor":
        made: PretendTensor = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=INSIDE,
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatched(func, args, kwargs or {})

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.inner.untyped_storage()

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu()")

    def __repr__(self, **_: Any) -> str:
        return f"PretendTensor({self.inner!r})"


def _dispatched(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One operation of torch's core, on what is inside of its arguments."""
    leaves = list(_leaves((args, tuple(kwargs.values()))))
    wrapped = {id(one.inner): one for one in leaves if isinstance(one, PretendTensor)}
    target = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
    there = bool(wrapped) if target is None else target.type != "cpu"
    _check_devices(func, args, leaves, bool(wrapped))
    _count(func, args, there)
    if target is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    plain_args = _mapped(_inner, args)
    plain_kwargs = {name: _mapped(_inner, value) for name, value in kwargs.items()}
    if func is aten.mm.dtype:  # which the CPU has not
        found = torch.mm(*(one.float() for one in plain_args[:2]))
    else:
        found = func(*plain_args, **plain_kwargs)
    if not there:
        return found
    return _mapped(lambda t: wrapped[id(t)] if id(t) in wrapped else _made(t), found)


def _leaves(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)


def _mapped(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """The tensors in a value changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_mapped(change, part) for part in value)
    return value


def _inner(tensor: Tensor) -> Tensor:
    return tensor.inner if isinstance(tensor, PretendTensor) else tensor


def _made(inner: Tensor) -> PretendTensor:
    if _gpu.largest_bytes is not None and inner.untyped_storage().nbytes() > _gpu.largest_bytes:
        raise _gpu.fault()
    return PretendTensor(inner)


def _check_devices(func: Any, args: tuple[Any, ...], leaves: list[Tensor], there: bool) -> None:
    if not there or func in (aten.copy_.default, aten._to_copy.default):
        return
    if func in INDEXING and isinstance(args[0], PretendTensor):
        leaves = list(_leaves(args[2:]))  # indices may lie on the CPU
    here = [one for one in leaves if not isinstance(one, PretendTensor)]
    if any(one.is_meta for one in here):
        raise RuntimeError(f"the pretending device lost what {func} was given")
    if any(one.ndim for one in here):
        raise RuntimeError(f"expected all tensors on one device, found cuda:0 and cpu in {func}")


def _count(func: Any, args: tuple[Any, ...], there: bool) -> None:
    first = args[0] if args else None
    if func is aten._to_copy.default:
        _count_copy(first, there)
    elif func is aten.copy_.default:
        _count_copy(args[1], isinstance(first, PretendTensor))
    elif func in WAITING and isinstance(first, PretendTensor):
        _gpu.wait()
        _gpu.to_host_bytes += first.itemsize
    elif func in INDEXING and isinstance(first, PretendTensor):
        indices = [one for one in args[1] if one is not None]
        for one in indices:
            if isinstance(one, PretendTensor) and one.dtype in (torch.bool, torch.uint8):
                _gpu.wait()
            _count_copy(one, there=True)


def _count_copy(source: Tensor, there: bool) -> None:
    if isinstance(source, PretendTensor) and not there:
        _gpu.wait()
        _gpu.to_host_bytes += source.nbytes
    elif there and not isinstance(source, PretendTensor):
        _gpu.to_device_bytes += source.nbytes


def _place() -> str:
    """File and line of the project's code that is running, or of the test."""
    frame = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if any(folder in path.parts for folder in PROJECT):
            return f"{path.name}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"


class _Core(TorchDispatchMode):
    """Operations that know of no pretending tensor yet: they may make one."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatched(func, args, kwargs or {})


class _Surface(TorchFunctionMode):
    """torch's functions as they are called: `cuda:0` becomes the device that torch is told."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor):
            device = kwargs.pop("device", None)
            made = func(*args, **kwargs)
            return made if device is None else made.to(_told(device))
        if func is Tensor.cuda:
            return args[0].to(INSIDE)
        args = tuple(_told(one) if isinstance(one, torch.device) else one for one in args)
        if func is Tensor.to:
            args = (args[0], *map(_told, args[1:]))
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            args = (args[0], _with_tensors(args[1]), *args[2:])
        if "device" in kwargs:
            kwargs = {**kwargs, "device": _told(kwargs["device"])}
        return func(*args, **kwargs)


def _with_tensors(index: Any) -> Any:
    """The index, its lists as tensors: torch would put their numbers where there is no memory."""
    if isinstance(index, tuple):
        return tuple(map(_with_tensors, index))
    return torch.tensor(index) if isinstance(index, list) else index


def _backward(*args: Any, **kwargs: Any) -> Any:
    """Autograd's own, whose passes begin inside of a function of torch: beneath the surface."""
    with _Surface():
        return _run_backward(*args, **kwargs)


def _told(device: Any) -> Any:
    named = isinstance(device, str | torch.device) and str(device).startswith("cuda")
    return INSIDE if named else device


@contextmanager
def pretending() -> Iterator[PretendGPU]:
    """A GPU `cuda:0` inside the block."""
    global _gpu
    _gpu = PretendGPU()
    memory = {"mem_get_info": lambda _=None: (_gpu.free_bytes, 2**40)}
    nothing = {"memory_reserved": lambda _=None: 0, "memory_allocated": lambda _=None: 0}
    with (
        patch.multiple(torch.cuda, synchronize=lambda _=None: None, **memory, **nothing),
        patch.object(torch.autograd, "_engine_run_backward", _backward),
        patch.object(fused, "_compiles", lambda: False),
        patch.object(halving, "_affordable_bytes", None),
        _Surface(),
        _Core(),
    ):
        try:
            yield _gpu
        finally:
            searches._diagonals.cache_clear()  # or a real GPU would find what pretends
