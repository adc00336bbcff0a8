"""Loading and checking everything a suite names, before any work starts."""

import hashlib
import inspect
import sys
import traceback
from pathlib import Path

from fpmc_bench.catalog.augmentations import augmented, make_augmentation
from fpmc_bench.catalog.datasets import load_dataset, missing_dataset
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.catalog.teachers import is_function, is_path, load_teacher, missing_teacher
from fpmc_bench.contracts import (
    AugmentationTask,
    Denoiser,
    Setting,
    TeacherModel,
)
from fpmc_bench.diffusion.sigmas import sigma_grid
from fpmc_bench.documents.record import PluginOrigin
from fpmc_bench.documents.suite import Entry, Suite
from fpmc_bench.errors import (
    FpmcBenchError,
    MissingFilesError,
    UnknownNameError,
    UsageError,
)
from fpmc_bench.harness.plan import Contestant, Plan

ROLES = ("tuning", "evaluation")
"""Of the teachers of a suite; `--teacher ROLE=WHAT` puts another network there."""


def make_plan(
    suite: Suite,
    registry: Registry,
    device: str,
    places: Places | None = None,
    *,
    failing_alone: bool = False,
) -> Plan:
    """Load and check everything a suite names; raises UsageError and its kin on any fault.

    `places` say where files are that the user keeps, and may put another network in a teacher's
    role. What is missing is listed all at once, before anything is loaded. `failing_alone`: an
    augmentation that raises anything else costs only the entries that it was to add to.
    """
    places = places or Places()
    _refuse_unknown(registry, places)
    names = _teacher_names(suite, places)
    _refuse_missing(suite, names, registry, places)
    for entry in suite.entries:
        for choice in entry.augmentations:
            make_augmentation(choice, registry)
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
    _refuse_alike(tuning, evaluation)
    for teacher in (tuning, evaluation):
        if getattr(teacher, "shape", dataset.shape) != dataset.shape:
            raise UsageError(
                f"teacher '{teacher.name}' is for images {teacher.shape}, but dataset "  # type: ignore[attr-defined]
                f"'{dataset.name}' has {dataset.shape}"
            )
    blank = AugmentationTask(dataset.train, 1.0, suite.seed, sigmas, tuning, device)
    # all are checked before the first image is made
    denoisers = [_denoiser(entry, blank, registry) for entry in suite.entries]
    contestants, failures = [], {}
    for entry, denoiser in zip(suite.entries, denoisers, strict=True):
        try:
            contestants.append(_contestant(entry, denoiser, blank, registry))
        except Exception as error:
            if isinstance(error, FpmcBenchError) or not failing_alone:
                raise
            failures[entry.name] = traceback.format_exc()
    return Plan(suite, dataset, tuning, evaluation, tuple(contestants), sigmas, device, failures)


def _teacher_names(suite: Suite, places: Places) -> tuple[str, str]:
    """What tunes and what evaluates: as the suite says, or else as the user does."""
    given = {role: name for role, name in places.teacher.items() if role in ROLES}
    roles = {**suite.teachers.model_dump(), **given}
    return roles["tuning"], roles["evaluation"]


def _refuse_unknown(registry: Registry, places: Places) -> None:
    """UnknownNameError for a place of something that nobody asks for."""
    for name in places.data:
        registry.get("datasets", name)
    for name in places.teacher:
        if name not in (*ROLES, *registry.items["teachers"]):
            raise UnknownNameError("role or teacher", name, [*ROLES, *registry.items["teachers"]])


def _refuse_missing(
    suite: Suite, teachers: tuple[str, ...], registry: Registry, places: Places
) -> None:
    """MissingFilesError with everything that the user has to provide and has not."""
    missing = [missing_dataset(registry.get("datasets", suite.dataset.name).item, places)]
    for role, name in zip(ROLES, teachers, strict=True):
        if is_path(name):
            exists = Path(name).expanduser().exists()
            missing.append(None if exists else f"{role} teacher: there is nothing at {name}")
        elif not is_function(name) and name in registry.items["teachers"]:
            missing.append(missing_teacher(registry.items["teachers"][name].item, places, role))
    if found := [one for one in missing if one]:
        raise MissingFilesError(found)


def _refuse_alike(tuning: TeacherModel, evaluation: TeacherModel) -> None:
    """UsageError where both roles have one network, or two of the same name."""
    if tuning.fingerprint == evaluation.fingerprint:
        raise UsageError(
            f"'{tuning.name}' is both the tuning and the evaluation teacher; samples must be "
            f"measured against a network that tuned nothing"
        )
    if tuning.name == evaluation.name:
        raise UsageError(
            f"two networks are named '{tuning.name}', and rows of a table are told apart by their "
            f"names; rename one of the files"
        )


def _denoiser(entry: Entry, blank: AugmentationTask, registry: Registry) -> Denoiser:
    """An entry's plugin, its parameters checked; ParameterError and its kin."""
    denoiser: Denoiser = make_plugin(registry.get("denoisers", entry.denoiser).item, entry.params)
    denoiser.check(blank.source.shape, blank.sigmas)
    plain = Setting(blank.source, blank.sigmas, blank.teacher, None, blank.device)
    denoiser.check_setting(plain)
    return denoiser


def _contestant(
    entry: Entry, denoiser: Denoiser, blank: AugmentationTask, registry: Registry
) -> Contestant:
    registered = registry.get("denoisers", entry.denoiser)
    source = augmented(blank, entry.augmentations, registry)
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
