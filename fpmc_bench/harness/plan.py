"""From a suite to its work units: everything loaded and checked before any work starts."""

import hashlib
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

import fpmc_bench
from fpmc_bench.contracts import Augmentation, Denoiser, Setting, TeacherModel
from fpmc_bench.datasets import LoadedDataset, load_dataset, missing_dataset
from fpmc_bench.diffusion.sigmas import sigma_grid
from fpmc_bench.errors import MissingFilesError, UsageError
from fpmc_bench.harness.ledger import content_key
from fpmc_bench.parameters import make_plugin
from fpmc_bench.places import Places
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.protocols.problem import Problem
from fpmc_bench.record import PluginOrigin
from fpmc_bench.registry import Registry
from fpmc_bench.source import Source
from fpmc_bench.suite import Entry, Protocol, SourceAugmentation, Suite
from fpmc_bench.teachers import is_function, is_path, load_teacher, missing_teacher

ROLES = ("tuning", "evaluation")
NUMERICS_VERSION = 2
"""Raised whenever a change to fpmc_bench changes the numbers of a work unit."""


@dataclass(frozen=True, eq=False)
class Contestant:
    """One row of a protocol's table: an entry of the suite, or a teacher network."""

    name: str
    role: Literal["entry", "ceiling", "reference"]
    denoiser: Denoiser | TeacherModel
    source: Source
    origin: PluginOrigin
    entry: Entry
    code: str
    """Hash of the plugin's package, so that an edited plugin is never mixed with old units."""

    @property
    def needs(self) -> frozenset[str]:
        return self.denoiser.needs if isinstance(self.denoiser, Denoiser) else frozenset()


@dataclass(frozen=True, eq=False)
class WorkUnit:
    """A fixed block of items of one contestant under one protocol."""

    protocol: Protocol
    contestant: Contestant
    items: range
    key: str

    @property
    def row(self) -> str:
        return f"{self.contestant.name}.{self.protocol}"


@dataclass(frozen=True, eq=False)
class Plan:
    """A suite with everything it names loaded: nothing is left that could be missing."""

    suite: Suite
    dataset: LoadedDataset
    tuning: TeacherModel
    evaluation: TeacherModel
    contestants: tuple[Contestant, ...]
    sigmas: tuple[float, ...]
    device: str

    @property
    def samples_held_out(self) -> bool:
        """Whether test images are samples of the tuning teacher, for the dataset has none."""
        return self.dataset.test is None

    @cached_property
    def test_fingerprint(self) -> str:
        """Of the test images; where they are sampled, of everything that determines them."""
        if self.dataset.test is not None:
            return self.dataset.test.fingerprint
        return content_key({**self._held_out(), "items": self.suite.items})

    def problem(self, test: Source) -> Problem:
        return Problem(test, self.sigmas, self.suite.seed, self.device)

    def setting(self, source: Source, sensitivity: torch.Tensor | None) -> Setting:
        """What a denoiser over `source` may look at."""
        return Setting(source, self.sigmas, self.tuning, sensitivity, self.device)

    def reference(self, protocol: Protocol) -> TeacherModel:
        """The network that a protocol measures against."""
        return self.tuning if protocol == "denoiser-mse" else self.evaluation

    def ceiling(self, protocol: Protocol) -> TeacherModel:
        """The other network: how well two networks agree bounds what imitation can mean."""
        return self.evaluation if protocol == "denoiser-mse" else self.tuning

    def held_out_keys(self) -> list[tuple[range, str]]:
        """Blocks of sampled test images, and the ledger's keys for them."""
        return [
            (items, content_key({**self._held_out(), "items": [items.start, items.stop]}))
            for items in self.blocks()
        ]

    def _held_out(self) -> dict[str, Any]:
        return {
            "numerics": NUMERICS_VERSION,
            "held-out samples of": self.tuning.fingerprint,
            "shape": list(self.dataset.shape),
            "sigmas": self.sigmas,
            "seed": self.suite.seed,
            "device": torch.device(self.device).type,
        }

    def reference_units(self, protocol: Protocol) -> list[WorkUnit]:
        return self._units(protocol, self._teacher(self.reference(protocol), "reference"))

    def units(self, protocol: Protocol) -> list[WorkUnit]:
        """Ceiling first, then the entries in the order of the suite."""
        ceiling = self._teacher(self.ceiling(protocol), "ceiling")
        rows = [ceiling, *self.contestants]
        return [unit for row in rows for unit in self._units(protocol, row)]

    def blocks(self) -> list[range]:
        """Items in blocks of fixed size, whatever the number of processes."""
        total, size = self.suite.items, self.suite.block_items
        return [range(start, min(start + size, total)) for start in range(0, total, size)]

    def _teacher(self, model: TeacherModel, role: Literal["ceiling", "reference"]) -> Contestant:
        origin = PluginOrigin(distribution="fpmc-bench", version=fpmc_bench.__version__)
        entry = Entry(name=model.name, denoiser=model.name)
        return Contestant(
            model.name, role, model, self.dataset.train, origin, entry, model.fingerprint
        )

    def _units(self, protocol: Protocol, contestant: Contestant) -> list[WorkUnit]:
        content: dict[str, Any] = {
            "numerics": NUMERICS_VERSION,
            "protocol": protocol,
            "metrics": sorted(METRICS),
            "role": contestant.role,
            "denoiser": contestant.entry.denoiser,
            "params": contestant.entry.params,
            "origin": contestant.origin.model_dump(),
            "code": contestant.code,
            "source": contestant.source.fingerprint,
            "test": self.test_fingerprint,
            "reference": self.reference(protocol).fingerprint,
            "sigmas": self.sigmas,
            "seed": self.suite.seed,
            "device": torch.device(self.device).type,
        }
        if contestant.needs:
            content["tuning"] = self.tuning.fingerprint
            content["sensitivity"] = self.suite.sensitivity.model_dump()
        return [
            WorkUnit(
                protocol,
                contestant,
                items,
                content_key({**content, "items": [items.start, items.stop]}),
            )
            for items in self.blocks()
        ]


def make_plan(suite: Suite, registry: Registry, device: str, places: Places | None = None) -> Plan:
    """Load and check everything a suite names; raises UsageError and its kin on any fault.

    `places` say where files are that the user keeps, and may put another network in a teacher's
    role. What is missing is listed all at once, before anything is loaded.
    """
    places = places or Places()
    names = _teacher_names(suite, places)
    _refuse_missing(suite, names, registry, places)
    dataset = load_dataset(
        suite.dataset.name, suite.dataset.params, places=places, registry=registry
    )
    if dataset.test is not None and suite.items > len(dataset.test):
        raise UsageError(
            f"suite '{suite.name}' asks for {suite.items} items, but the test split of "
            f"'{dataset.name}' has {len(dataset.test)} images; lower --items"
        )
    grid = suite.sigmas
    sigmas = tuple(sigma_grid(grid.steps, grid.smin, grid.smax, grid.rho).tolist())
    tuning, evaluation = (
        load_teacher(name, device, places=places, registry=registry) for name in names
    )
    for teacher in (tuning, evaluation):
        if getattr(teacher, "shape", dataset.shape) != dataset.shape:
            raise UsageError(
                f"teacher '{teacher.name}' is for images {teacher.shape}, but dataset "  # type: ignore[attr-defined]
                f"'{dataset.name}' has {dataset.shape}"
            )
    if tuning.name == evaluation.name:
        raise UsageError(
            f"'{tuning.name}' is both the tuning and the evaluation teacher; samples must be "
            f"measured against a network that tuned nothing"
        )
    contestants = tuple(
        _contestant(entry, dataset, sigmas, suite.seed, registry) for entry in suite.entries
    )
    return Plan(suite, dataset, tuning, evaluation, contestants, sigmas, device)


def _teacher_names(suite: Suite, places: Places) -> tuple[str, str]:
    """What tunes and what evaluates: as the suite says, or else as the user does."""
    given = {role: name for role, name in places.teacher.items() if role in ROLES}
    roles = {**suite.teachers.model_dump(), **given}
    return roles["tuning"], roles["evaluation"]


def _refuse_missing(
    suite: Suite, teachers: tuple[str, ...], registry: Registry, places: Places
) -> None:
    """MissingFilesError with everything that the user has to provide and has not."""
    missing = [missing_dataset(registry.get("datasets", suite.dataset.name).item, places)]
    for name in teachers:
        if is_path(name):
            exists = Path(name).expanduser().exists()
            missing.append(None if exists else f"teacher: there is nothing at {name}")
        elif not is_function(name) and name in registry.items["teachers"]:
            missing.append(missing_teacher(registry.items["teachers"][name].item, places))
    if found := [one for one in missing if one]:
        raise MissingFilesError(found)


def _contestant(
    entry: Entry,
    dataset: LoadedDataset,
    sigmas: tuple[float, ...],
    seed: int,
    registry: Registry,
) -> Contestant:
    registered = registry.get("denoisers", entry.denoiser)
    denoiser: Denoiser = make_plugin(registered.item, entry.params)
    denoiser.check(dataset.shape, sigmas)
    source = augmented(dataset.train, entry.augmentations, seed, registry)
    origin = PluginOrigin(distribution=registered.distribution, version=registered.version)
    code = _code_fingerprint(registered.item)
    return Contestant(entry.name, "entry", denoiser, source, origin, entry, code)


def _code_fingerprint(cls: type) -> str:
    """sha256 over the source of a plugin's whole top-level package, or of its one module."""
    top = sys.modules[cls.__module__.partition(".")[0]]
    file = Path(inspect.getfile(top))
    paths = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(file.parent).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def augmented(
    source: Source, augmentations: Sequence[SourceAugmentation], seed: int, registry: Registry
) -> Source:
    """The union of a source with what each augmentation adds to it."""
    parts = [source]
    for choice in augmentations:
        plugin: Augmentation = make_plugin(
            registry.get("augmentations", choice.name).item, choice.params
        )
        parts.append(plugin.augment(source, choice.rate, seed))
    if len(parts) == 1:
        return source
    weights = None
    if any(part.log_weights is not None for part in parts):
        weights = torch.cat([_log_weights(part) for part in parts])
    if all((p.images.dtype, p.scale) == (source.images.dtype, source.scale) for p in parts):
        return Source(torch.cat([part.images for part in parts]), weights, source.scale)
    return Source(torch.cat([part.values() for part in parts]), weights)


def _log_weights(source: Source) -> torch.Tensor:
    """[N], zeros where the source is uniform."""
    return torch.zeros(len(source)) if source.log_weights is None else source.log_weights
