"""Context: what all entries of a suite share, loaded: images, networks, noise levels, device."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fpmc_bench.catalog.datasets import LoadedDataset, load_dataset, missing_dataset
from fpmc_bench.catalog.entries import without_places
from fpmc_bench.catalog.naming import check_shared
from fpmc_bench.catalog.own import OWNER
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.process_state import own_randomness
from fpmc_bench.catalog.registry import Registered, Registry
from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.catalog.teachers import load_teacher, missing_teacher
from fpmc_bench.contracts import AugmentationTask, Setting, TeacherModel
from fpmc_bench.diffusion.sigmas import sigma_grid
from fpmc_bench.documents.protocols import ROLES, Role
from fpmc_bench.documents.suite import SigmaGrid, Suite
from fpmc_bench.errors import MissingFilesError, UsageError
from fpmc_bench.fpmc.source import Source
from fpmc_bench.images.notices import notice
from fpmc_bench.storage.cache import cache_folder
from fpmc_bench.storage.names import remember_names
from fpmc_bench.teachers.given import is_function, is_path, there_is
from fpmc_bench.teachers.network import NetworkTeacher
from fpmc_bench.teachers.sensitivity import SensitivityMaps
from fpmc_bench.teachers.trial import refuse_no_denoiser


@dataclass(frozen=True, eq=False)
class Context:
    """Nothing of what a suite names is missing any more, and nothing has been computed.

    Both networks have been asked once at either end of the grid, and answered as denoisers do.

    `sigmas` descend. Entries are in `suite`, but what they name is not loaded here.
    `teacher_plugins` are those that offer the network of a role, where one does; a name of the
    user's own is none.
    """

    suite: Suite
    dataset: LoadedDataset
    tuning: TeacherModel
    evaluation: TeacherModel
    sigmas: tuple[float, ...]
    device: str
    registry: Registry
    places: Places
    teacher_plugins: Mapping[Role, Registered]

    def of(self, suite: Suite) -> "Context":
        """The same for a suite that differs in entries, protocols and measured levels alone."""
        return replace(self, suite=suite)

    def anew(self) -> "Context":
        """The same with images and networks loaded once more.

        UsageError and MissingFilesError as `load_context` has them.
        """
        return _loaded(self.suite, self.registry, self.device, self.places)

    def teacher(self, role: Role) -> TeacherModel:
        """The network in that role."""
        return self.tuning if role == "tuning" else self.evaluation

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of figures on these networks should know, a sentence each."""
        images = self.dataset.train.fingerprint
        return tuple(
            f"the {role} teacher {teacher.name} was trained on other images than rows imitate from "
            f"(those of '{teacher.card.dataset}' with fingerprint "
            f"{teacher.card.dataset_fingerprint[:12]}, not {images[:12]})"
            for role in ROLES
            if isinstance(teacher := self.teacher(role), NetworkTeacher)
            and teacher.card.dataset_fingerprint not in ("", images)
        )

    def setting(self, source: Source, *, with_sensitivity: bool = False) -> Setting:
        """What a denoiser over `source` may look at."""
        maps = self.sensitivity() if with_sensitivity else None
        return Setting(source, self.sigmas, self.tuning, maps, self.device)

    def sensitivity(self) -> SensitivityMaps:
        """Maps of the tuning teacher over the training images, each made when it is asked for."""
        return SensitivityMaps(
            self.tuning,
            self.dataset.train,
            self.sigmas,
            self.suite.sensitivity.samples,
            self.suite.seed,
            device=self.device,
        )

    def augmentation_task(self, rate: float) -> AugmentationTask:
        """To add so many images per training image."""
        return AugmentationTask(
            self.dataset.train, rate, self.suite.seed, self.sigmas, self.tuning, self.device
        )


def load_context(
    suite: Suite, registry: Registry, device: str, places: Places | None = None
) -> Context:
    """Load what a suite's entries share; raises UsageError and its kin on any fault.

    `places` say where files are that the user keeps, and may put another network in a teacher's
    role. Wrong names come first; then what is missing is listed all at once, and a cache that can't
    be written into is refused, before anything is loaded. The context's suite says names where
    `suite` says paths, and its places know them.
    """
    suite, places = without_places(suite, registry, places or Places())
    check_shared(suite, _teacher_names(suite, places), registry, places)
    return _loaded(suite, registry, device, places)


def _loaded(suite: Suite, registry: Registry, device: str, places: Places) -> Context:
    """Of a suite that has names alone."""
    names = _teacher_names(suite, places)
    _refuse_missing(suite, names, registry, places)
    cache_folder()  # what is fitted or made goes there, perhaps after hours
    with own_randomness(), strangers_code("a teacher", notice):
        tuning, evaluation = (
            load_teacher(name, device, places=places, registry=registry) for name in names
        )
    _refuse_alike(tuning, evaluation)
    dataset = load_dataset(
        suite.dataset.name, suite.dataset.params, places=places, registry=registry
    )
    _say_what_is_shared(dataset)
    if dataset.test is not None and suite.items > len(dataset.test):
        raise UsageError(
            f"suite '{suite.name}' asks for {suite.items} items, but the test split of "
            f"'{dataset.name}' has {len(dataset.test)} images; lower --items"
        )
    for teacher in (tuning, evaluation):
        shape = getattr(teacher, "shape", dataset.shape)
        if shape != dataset.shape:
            raise UsageError(
                f"teacher '{teacher.name}' is for images {shape}, but dataset '{dataset.name}' "
                f"has {dataset.shape}"
            )
    remember_names({**dataset.called, **{t.fingerprint: t.name for t in (tuning, evaluation)}})
    sigmas = grid_of(suite.sigmas)
    for teacher in (tuning, evaluation):
        with own_randomness(), strangers_code(f"teacher '{teacher.name}'", notice):
            refuse_no_denoiser(teacher, dataset.train, sigmas, suite.seed, device=device)
    plugins = {
        role: offered
        for role, name in zip(ROLES, names, strict=True)
        if (offered := registry.items["teachers"].get(name)) and offered.distribution != OWNER
    }
    context = Context(suite, dataset, tuning, evaluation, sigmas, device, registry, places, plugins)
    for remark in context.remarks:
        notice(remark)
    return context


def grid_of(grid: SigmaGrid) -> tuple[float, ...]:
    """The noise levels of a suite, descending."""
    return tuple(sigma_grid(grid.steps, grid.smin, grid.smax, grid.rho).tolist())


def _teacher_names(suite: Suite, places: Places) -> tuple[str, str]:
    """What tunes and what evaluates: as the suite says, or else as the user does."""
    own, given = suite.teachers, places.teacher
    return given.get("tuning", own.tuning), given.get("evaluation", own.evaluation)


def _refuse_missing(
    suite: Suite, teachers: tuple[str, ...], registry: Registry, places: Places
) -> None:
    """MissingFilesError with everything that the user has to provide and has not."""
    missing = [missing_dataset(registry.get("datasets", suite.dataset.name).item, places)]
    for role, name in zip(ROLES, teachers, strict=True):
        if is_path(name):
            there = there_is(name)
            missing.append(None if there else f"{role} teacher: there is nothing at {name}")
        elif not is_function(name) and name in registry.items["teachers"]:
            missing.append(missing_teacher(registry.items["teachers"][name].item, places, role))
    if found := [one for one in missing if one]:
        raise MissingFilesError(found)


def _say_what_is_shared(dataset: LoadedDataset) -> None:
    """A notice of test images that a method may simply have remembered."""
    if dataset.test is not None and (shared := dataset.test_images_in_train):
        notice(
            f"dataset '{dataset.name}': {shared} of {len(dataset.test)} test images are training "
            f"images too, pixel for pixel; errors on these measure no generalization"
        )


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
