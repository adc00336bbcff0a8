"""Plugins of every kind that keep all promises but one, named by the check that has to find it."""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from fpmc_bench import FPMC, Source, load_dataset, load_teacher
from fpmc_bench.contracts import (
    Augmentation,
    AugmentationTask,
    Dataset,
    DenoiseFunction,
    FPMCDenoiser,
    FunctionDenoiser,
    InputError,
    Setting,
    Split,
    Teacher,
    TeacherModel,
)
from fpmc_bench.fpmc import Uniform
from fpmc_bench.testing import plugin_class

OWN = torch.Generator()
OWN.seed()


def chance() -> float:
    """From a generator that nobody has seeded and nobody else draws from."""
    return float(torch.rand(1, generator=OWN))


def sound(setting: Setting, *, weighted: bool = True) -> DenoiseFunction:
    """The posterior mean of normal images of one variance about the source's mean."""
    images, log_weights = setting.source.chunk(0, len(setting.source), "cpu", torch.float64)
    p = log_weights.softmax(0)[:, None, None, None] if weighted else 1 / len(images)
    mean = (p * images).sum(0)
    variance = (p * (images - mean).square()).sum(0).mean()

    def denoise(z: Tensor, sigma: float) -> Tensor:
        return (mean + variance / (variance + sigma**2) * (z - mean)).to(z.dtype)

    return denoise


def posterior(setting: Setting, scale: float) -> DenoiseFunction:
    """The mean of the source's images under the posterior of so many times the sigma."""
    images, log_weights = setting.source.chunk(0, len(setting.source), "cpu", torch.float32)

    def denoise(z: Tensor, sigma: float) -> Tensor:
        squares = torch.cdist(z.float().flatten(1), images.flatten(1)).square()
        weights = (log_weights - squares / (2 * (scale * sigma) ** 2)).softmax(1)
        return torch.einsum("bn,nchw->bchw", weights, images).to(z.dtype)

    return denoise


def unnormalised(d: DenoiseFunction, setting: Setting) -> DenoiseFunction:
    images = setting.source.values().flatten(1)

    def denoise(z: Tensor, sigma: float) -> Tensor:
        squares = torch.cdist(z.flatten(1).float(), images).square().amin(1) / images[0].numel()
        weight = (-squares / (2 * sigma**2)).exp()[:, None, None, None]
        return (d(z, sigma) * weight / weight).to(z.dtype)

    return denoise


def spoils(thing: Callable[[Tensor, Setting], object]) -> "Change":
    """Something done beside answering."""

    def change(d: DenoiseFunction, setting: Setting) -> DenoiseFunction:
        def denoise(z: Tensor, sigma: float) -> Tensor:
            answer = d(z, sigma)
            thing(z, setting)
            return answer

        return denoise

    return change


def adds(shift: Callable[[Tensor, float], object]) -> "Change":
    """Something added to every answer."""
    return lambda d, setting: lambda z, sigma: (d(z, sigma) + shift(z, sigma)).to(z.dtype)


def shifted_when_built(d: DenoiseFunction, setting: Setting) -> DenoiseFunction:
    by = 1e-4 * chance()
    return adds(lambda z, sigma: by)(d, setting)


def remembers(d: DenoiseFunction, setting: Setting) -> DenoiseFunction:
    seen: set[float] = set()
    return adds(lambda z, sigma: seen.add(sigma) or 0.001 * len(seen))(d, setting)


def fails(d: DenoiseFunction, setting: Setting) -> DenoiseFunction:
    raise ValueError("can't be fitted")


def load_another() -> None:
    with suppress(InputError):  # it has to be read from a place
        plugin_class("edm-cifar10-32x32-uncond-ve")().load("cpu")


def loads(load: Callable[[], object]) -> "Change":
    return lambda d, setting: (load(), d)[1]


Change = Callable[[DenoiseFunction, Setting], DenoiseFunction]
PARAMETER = nn.Parameter(torch.zeros(1))
DENOISERS: dict[str, Change] = {
    "builds": fails,
    "answers": lambda d, s: lambda z, sigma: d(z, sigma).flatten(1),
    "dtype": lambda d, s: lambda z, sigma: d(z, sigma).float(),
    "dtype: always double": lambda d, s: lambda z, sigma: d(z, sigma).double(),
    "no-gradient": adds(lambda z, sigma: PARAMETER),
    "finite": adds(lambda z, sigma: float("nan")),
    "finite-far-away": unnormalised,
    "input-unchanged": spoils(lambda z, s: z.zero_()),
    "source-unchanged": spoils(lambda z, s: s.source.images.zero_()),
    "repeatable": adds(lambda z, sigma: 1e-5 * torch.rand(z.shape, generator=OWN)),
    "built-anew": shifted_when_built,
    "history": remembers,
    "batch": adds(lambda z, sigma: 0.005 * z.mean(0).tanh()),
    "large-batch": adds(lambda z, sigma: 0.005 * (len(z) == 64)),
    "order": adds(lambda z, sigma: 5e-4 * torch.arange(len(z))[:, None, None, None]),
    "limit-at-zero": lambda d, s: lambda z, sigma: d(z, sigma) * (1 if sigma > 0.01 else 0.3),
    "limit-at-infinity": lambda d, s: lambda z, sigma: d(z, sigma) * (sigma < 1000),
    "weights": lambda d, s: sound(s, weighted=False),
    "noise-level: double": lambda d, s: lambda z, sigma: d(z, 2 * sigma),
    "noise-level: half": lambda d, s: lambda z, sigma: d(z, sigma / 2),
    "noise-level: half, of images": lambda d, s: posterior(s, 0.5),
    "noise-level: double, of images": lambda d, s: posterior(s, 2.0),
    "held-out-images": loads(lambda: plugin_class("digits")().load("test")),
    "evaluation-network": loads(load_another),
    "process-state: threads": spoils(
        lambda z, s: torch.set_num_threads(torch.get_num_threads() + 1)
    ),
    "process-state: dtype": spoils(lambda z, s: torch.set_default_dtype(torch.float64)),
    "process-state: grad": spoils(lambda z, s: torch.set_grad_enabled(False)),
    "process-state: environment": spoils(lambda z, s: os.environ.update(MINE="1")),
    "process-state: directory": spoils(lambda z, s: os.chdir("/")),
    "random-state: torch": spoils(lambda z, s: torch.manual_seed(0)),
    "random-state: numpy": spoils(lambda z, s: np.random.rand()),
    "random-state: random": spoils(lambda z, s: random.random()),
}


@dataclass(frozen=True)
class BrokenDenoiser(FunctionDenoiser):
    """Sound but for one fault; "" for none."""

    name: ClassVar[str] = "broken-denoiser"
    citation: ClassVar[str] = "none"

    fault: str = ""

    def build(self, setting: Setting) -> DenoiseFunction:
        d = sound(setting)
        return DENOISERS[self.fault](d, setting) if self.fault else d


class Misreported(Uniform):
    """A filter that says another matrix than the one it is taken for."""

    def dense(self) -> Tensor:
        return super().dense() / 2


@dataclass(frozen=True)
class Inexact(FPMCDenoiser):
    """A collection of which the engine and the oracle see different filters."""

    name: ClassVar[str] = "inexact"
    citation: ClassVar[str] = "none"

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        return FPMC(Misreported(setting.shape), Uniform(setting.shape))


Added = Callable[[AugmentationTask], Source]


def mirrored(task: AugmentationTask) -> Source:
    count = round(task.rate * len(task.source))
    rows = torch.arange(count) % len(task.source)
    return Source(task.source.stored(rows).flip(-1), made_from=rows)


def after(thing: Callable[[AugmentationTask], object]) -> Added:
    return lambda task: (thing(task), mirrored(task))[1]


AUGMENTATIONS: dict[str, Added] = {
    "builds": mirrored,
    "adds-images": lambda task: mirrored(task).mapped(lambda images: images[:, :, 1:]),
    "rate": lambda task: Source(task.source.images.flip(-1)),
    "repeatable": lambda task: (
        Source(torch.rand(12, *task.source.shape, generator=OWN))
        if task.rate == 1
        else mirrored(task)
    ),
    "source-unchanged": after(lambda task: task.source.images.zero_()),
    "made-from": lambda task: Source(
        mirrored(task).images, made_from=torch.full((len(mirrored(task)),), 99)
    ),
    "held-out-images": after(lambda task: load_dataset("digits").test),
    "evaluation-network": after(lambda task: load_teacher("digits-ncsnpp")),
    "process-state": after(lambda task: torch.set_default_dtype(torch.float64)),
    "random-state": after(lambda task: torch.manual_seed(0)),
}


@dataclass(frozen=True)
class BrokenAugmentation(Augmentation):
    """Mirrored images, but for one fault."""

    name: ClassVar[str] = "broken-augmentation"
    citation: ClassVar[str] = "none"

    fault: str = ""

    def check(self, task: AugmentationTask) -> None:
        if self.fault == "builds":
            raise ValueError("no task is good enough")

    def augment(self, task: AugmentationTask) -> Source:
        return AUGMENTATIONS.get(self.fault, mirrored)(task)


def random_images(split: Split, size: tuple[int, ...] = (20, 1, 4, 4)) -> Source:
    draw = torch.Generator().manual_seed(int(split == "train"))
    return Source(torch.rand(size, generator=draw))


DATASETS: dict[str, Callable[[Split], object]] = {
    "builds": lambda split: 1 // 0,
    "splits": lambda split: random_images(split).images,
    "splits: one image": lambda split: random_images(split, (1, 1, 4, 4)),
    "one-shape": lambda split: random_images(split, (20, 1, 4, 4 if split == "train" else 5)),
    "repeatable": lambda split: Source(torch.rand(20, 1, 4, 4, generator=OWN)),
    "held-out": lambda split: random_images("train"),
    "process-state": lambda split: (os.environ.update(MINE="1"), random_images(split))[1],
    "random-state": lambda split: (random.random(), random_images(split))[1],
}


@dataclass(frozen=True)
class BrokenDataset(Dataset):
    """Random images, but for one fault."""

    name: ClassVar[str] = "broken-dataset"
    citation: ClassVar[str] = "none"

    fault: str = ""

    def load(self, split: Split) -> Source:
        return DATASETS.get(self.fault, random_images)(split)  # type: ignore[return-value]


@dataclass(frozen=True)
class Network:
    """A denoiser of digits, as a network is one."""

    denoise: DenoiseFunction
    name: str = "broken-network"
    fingerprint: str = "1"

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        return self.denoise(z, sigma)


def untrained(d: DenoiseFunction, setting: Setting) -> DenoiseFunction:
    return lambda z, sigma: z / (1 + sigma)


TEACHERS: dict[str, Change] = {
    **{
        fault: DENOISERS[fault]
        for fault in (
            "builds",
            "answers",
            "dtype",
            "finite",
            "no-gradient",
            "repeatable",
            "large-batch",
            "order",
            "batch",
            "limit-at-zero",
            "noise-level: double",
            "noise-level: half",
            "process-state: grad",
            "random-state: torch",
        )
    },
    "differentiable": lambda d, s: lambda z, sigma: d(z.detach(), sigma),
    "input-unchanged": lambda d, s: lambda z, sigma: (d(z, sigma), z.requires_grad or z.zero_())[0],
    "limit-at-infinity": lambda d, s: lambda z, sigma: z if sigma > 50 else d(z, sigma),
}


@cache
def digits() -> Source:
    train = load_dataset("digits").train
    return Source(train.images[:200], scale=train.scale)


@dataclass(frozen=True)
class BrokenTeacher(Teacher):
    """The posterior mean of normal images like digits, but for one fault."""

    name: ClassVar[str] = "broken-teacher"
    citation: ClassVar[str] = "none"
    dataset: ClassVar[str] = "digits"

    fault: str = ""

    def load(self, device: str) -> TeacherModel:
        setting = Setting(digits(), (1.0,))
        d = sound(setting)
        if self.fault == "identity":
            return Network(d, fingerprint=str(chance()))
        return Network(TEACHERS[self.fault](d, setting) if self.fault else d)
