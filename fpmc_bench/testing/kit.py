"""A call in a test of one's own: AssertionError with every broken promise and what shows it."""

from collections.abc import Mapping, Sequence
from typing import Any

from fpmc_bench.catalog.built import BuiltDenoiser
from fpmc_bench.catalog.places import Places
from fpmc_bench.contracts import Augmentation, Dataset, Denoiser, Teacher
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.sigmas import AnySigmas, sigmas_of
from fpmc_bench.testing.checks import SIGMAS
from fpmc_bench.testing.examination import examine
from fpmc_bench.testing.findings import complaint
from fpmc_bench.testing.programs import Conditions, DenoiserProgram
from fpmc_bench.testing.subjects import Subject, subject_of


def check_denoiser(
    cls: type[Denoiser],
    params: Mapping[str, Any] | None = None,
    *,
    shape: Sequence[int] = (3, 6, 5),
    images: int = 12,
    sigmas: AnySigmas = SIGMAS,
    seed: int = 0,
) -> BuiltDenoiser:
    """Assert what every denoiser promises; returns one that is built, for further checks.

    On `images` random images of `shape` (C, H, W), at every one of `sigmas`, which schedules in
    `params` refer to. Raises AssertionError with every broken promise that its class does not
    expect, and UsageError for an `expected_failures` that is none.
    """
    subject = subject_of("denoisers", cls, params)
    conditions = Conditions(ImageShape(*shape), images, sigmas_of(sigmas), seed)
    _assert_kept(subject, conditions)
    program = DenoiserProgram(subject, conditions)
    built = program.run(program.given(frozenset({"denoise"}), None), cls.__name__)["denoise"]
    assert isinstance(built, BuiltDenoiser)
    return built


def check_augmentation(
    cls: type[Augmentation],
    params: Mapping[str, Any] | None = None,
    *,
    shape: Sequence[int] = (3, 6, 5),
    images: int = 12,
) -> None:
    """Assert what every augmentation promises, on random images of `shape` (C, H, W).

    Raises as `check_denoiser`.
    """
    _assert_kept(subject_of("augmentations", cls, params), Conditions(ImageShape(*shape), images))


def check_teacher(
    cls: type[Teacher], params: Mapping[str, Any] | None = None, *, places: Places | None = None
) -> None:
    """Assert what every teacher promises, on images of the dataset that it was trained on.

    `places` say where its file and the dataset's are, for those that have some. Raises as
    `check_denoiser`, and MissingFilesError.
    """
    _assert_kept(subject_of("teachers", cls, params), Conditions(places=places or Places()))


def check_dataset(
    cls: type[Dataset], params: Mapping[str, Any] | None = None, *, places: Places | None = None
) -> None:
    """Assert what every dataset promises. Raises as `check_teacher`."""
    _assert_kept(subject_of("datasets", cls, params), Conditions(places=places or Places()))


def _assert_kept(subject: Subject, conditions: Conditions) -> None:
    wrong = complaint(examine(subject, conditions))
    assert not wrong, f"{subject.name}: {wrong}"
