"""The programs that checks are run as: what stands before a check's text, by kind of plugin."""

import ast
import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import torch

from fpmc_bench.catalog.datasets import load_dataset, missing_dataset
from fpmc_bench.catalog.denoisers import build_denoiser
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.teachers import missing_teacher
from fpmc_bench.contracts import AugmentationTask, FPMCDenoiser
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.errors import MissingFilesError
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.source import Source
from fpmc_bench.testing.augmentation_checks import AUGMENTATION
from fpmc_bench.testing.checks import CLOSE, EQUAL, SIGMAS, Check, Checks
from fpmc_bench.testing.dataset_checks import DATASET
from fpmc_bench.testing.denoiser_checks import DENOISER
from fpmc_bench.testing.stand_ins import GaussianTeacher
from fpmc_bench.testing.subjects import Subject
from fpmc_bench.testing.teacher_checks import TEACHER
from fpmc_bench.testing.watching import fresh_cache, loads, process_changes, random_changes

STOCK: Mapping[str, Any] = {
    "AugmentationTask": AugmentationTask,
    "CLOSE": CLOSE,
    "EQUAL": EQUAL,
    "FPMCDenoiser": FPMCDenoiser,
    "GaussianTeacher": GaussianTeacher,
    "Path": Path,
    "Source": Source,
    "build_denoiser": build_denoiser,
    "fpmc_denoise": fpmc_denoise,
    "fresh_cache": fresh_cache,
    "inf": math.inf,
    "load_dataset": cache(load_dataset),
    "loads": loads,
    "nan": math.nan,
    "process_changes": process_changes,
    "random_changes": random_changes,
    "reference_denoise": reference_denoise,
    "torch": torch,
}
"""What programs may use: that and nothing else is at hand when they are run."""
DOORS = ("fpmc_bench", "fpmc_bench.contracts", "fpmc_bench.fpmc", "fpmc_bench.testing", "math")
"""From which a program imports it."""
SHAPE = ImageShape(3, 6, 5)


@dataclass(frozen=True)
class Conditions:
    """Under which a plugin is asked: `images` many of a `shape`, at `sigmas`, drawn from `seed`.

    `places`: where a dataset or a network lies that its user keeps.
    """

    shape: ImageShape = SHAPE
    images: int = 12
    sigmas: tuple[float, ...] = SIGMAS
    seed: int = 0
    places: Places = field(default_factory=Places)


@dataclass(frozen=True)
class Program(ABC):
    """Of one kind of plugin: imports, what the checks are given, and their text."""

    checks: ClassVar[Checks]
    subject: Subject
    conditions: Conditions

    @classmethod
    def checks_of(cls, plugin: type[Any]) -> list[Check]:
        """Those that are looked at of a plugin's class, in order."""
        return [one for one in cls.checks if issubclass(plugin, one.only)]

    @abstractmethod
    def given(self, names: frozenset[str], sigma: float | None) -> str:
        """Statements that make what a check of these names needs, at a noise level."""

    def statements(self, check: Check, sigma: float | None) -> str:
        """All but imports and how the class is had."""
        return f"{self.given(frozenset(check.needs), sigma)}\n\n{check.text}"

    def whole(self, statements: str) -> str:
        """As somebody else can run it."""
        used = {node.id for node in ast.walk(ast.parse(statements)) if isinstance(node, ast.Name)}
        return f"{preamble(used)}\n\n{self.subject.header}\n\n{statements}\n"

    def run(self, statements: str, name: str) -> dict[str, Any]:
        """Carry statements out, as a program called `name` would; its variables.

        The class is the subject's own, which may be one that can't be imported.
        """
        variables = {**STOCK, self.subject.cls.__name__: self.subject.cls}
        # with its assertions, whatever `python -O` says
        exec(compile(statements, f"<{name}>", "exec", optimize=0), variables)
        return variables


def preamble(used: Set[str]) -> str:
    """How a program has what it uses of `STOCK`: imports, and constants."""
    lines = ["import torch"] if "torch" in used else []
    lines += ["from pathlib import Path"] if "Path" in used else []
    left = {name for name in STOCK if name in used}
    for door in DOORS:
        module = importlib.import_module(door)
        names = sorted(left & set(getattr(module, "__all__", dir(module))))
        left -= set(names)
        lines += [f"from {door} import {', '.join(names)}"] if names else []
    lines += [f"{name} = {STOCK[name]}" for name in ("EQUAL", "CLOSE") if name in used]
    return "\n".join(lines)


def _drawn(size: str, conditions: Conditions) -> list[str]:
    """Images of codes, brighter than grey, so that their mean is not 0."""
    return [
        f"draw = torch.Generator().manual_seed({conditions.seed})",
        f"images = torch.randint(60, 256, {size}, generator=draw, dtype=torch.uint8)",
        "source = Source(images.clone())",
    ]


class DenoiserProgram(Program):
    """Over random images, with maps of sensitivity, largest at their own pixel, where needed."""

    checks = DENOISER

    def given(self, names: frozenset[str], sigma: float | None) -> str:
        """Of a method that is built over a source."""
        conditions, cls = self.conditions, self.subject.cls
        _, height, width = conditions.shape
        settings = [f"sigmas={list(conditions.sigmas)}"]
        if self.subject.params:
            settings.append(f"params={dict(self.subject.params)!r}")
        needs: frozenset[str] = getattr(cls, "needs", frozenset())
        lines = _drawn(str((conditions.images, *conditions.shape)), conditions)
        if "teacher" in needs:
            settings.append("teacher=GaussianTeacher()")
        if "sensitivity" in needs:
            levels, pixels = len(conditions.sigmas), height * width
            shape = (levels, height, width, height, width)
            lines.append(
                f"maps = torch.rand({levels}, {pixels}, {pixels}, generator=draw) + "
                f"torch.eye({pixels})"
            )
            settings.append(f"sensitivity=maps.reshape{shape}")
        build = ["", "def build(source=source):"]
        build.append(f"    return build_denoiser({cls.__name__}, source, {', '.join(settings)})")
        lines += [*build, ""]
        if "sigmas" in names:
            lines.append(f"sigmas = {list(conditions.sigmas)}")
        if names & {"noise", "z"}:
            size = ", ".join(map(str, (64, *conditions.shape)))
            lines.append(f"noise = torch.randn({size}, generator=draw)")
        if sigma is not None:
            lines.append(f"sigma = {sigma}")
        if "z" in names:
            lines.append("z = source.values()[:5] + sigma * noise[:5]")
        if "denoise" in names:
            lines.append("denoise = build()")
        return "\n".join(lines)


class AugmentationProgram(Program):
    """To add as many images as there are."""

    checks = AUGMENTATION

    def given(self, names: frozenset[str], sigma: float | None) -> str:
        """Of a rule that has a task."""
        lines = [
            *_drawn(str((self.conditions.images, *self.conditions.shape)), self.conditions),
            "",
            "def task(rate=1.0):",
            f"    sigmas, teacher = {self.conditions.sigmas}, GaussianTeacher()",
            "    return AugmentationTask(source, rate, 0, sigmas, teacher)",
            "",
            f"augmentation = {self.subject.expression}" if names - {"build"} else "",
        ]
        if "build" in names:
            lines.append(f"def build():\n    return {self.subject.expression}")
        return "\n".join(lines)


class DatasetProgram(Program):
    """From where its files are, if it has any."""

    checks = DATASET

    def given(self, names: frozenset[str], sigma: float | None) -> str:
        """Of images by split."""
        place = _place(self.subject, "data", self.conditions.places)
        load = f"dataset.load_from(Path({place!r}), split)" if place else "dataset.load(split)"
        lines = [
            f"dataset = {self.subject.expression}",
            "",
            "def load(split):",
            f"    return {load}",
        ]
        return "\n".join(lines)


class TeacherProgram(Program):
    """About images of the dataset that it was trained on."""

    checks = TEACHER

    def given(self, names: frozenset[str], sigma: float | None) -> str:
        """Of a network that is loaded."""
        place = _place(self.subject, "teacher", self.conditions.places)
        load = "load('cpu')" if not place else f"load_from(Path({place!r}), 'cpu')"
        dataset = str(self.subject.cls.dataset)
        lines = [
            f"draw = torch.Generator().manual_seed({self.conditions.seed})",
            f"x = load_dataset({dataset!r}).train.chunk(0, 64, 'cpu', torch.float32)[0]",
            "noise = torch.randn(x.shape, generator=draw)",
            "",
            "def load():",
            f"    return {self.subject.expression}.{load}",
            "",
        ]
        if sigma is not None:
            lines.append(f"sigma = {sigma}")
        if "z" in names:
            lines.append("z = x[:5] + sigma * noise[:5]")
        if "network" in names:
            lines.append("network = load()")
        return "\n".join(lines)


def _place(subject: Subject, kind: str, places: Places) -> str | None:
    """Where the file of a plugin lies that has one; MissingFilesError where nobody says."""
    missing = missing_dataset if kind == "data" else missing_teacher
    if message := missing(subject.cls, places):
        raise MissingFilesError([message])
    place = places.find("data" if kind == "data" else "teacher", subject.name)
    return str(Path(place).expanduser()) if place else None


PROGRAMS: Mapping[str, type[Program]] = {
    "denoisers": DenoiserProgram,
    "augmentations": AugmentationProgram,
    "teachers": TeacherProgram,
    "datasets": DatasetProgram,
}
