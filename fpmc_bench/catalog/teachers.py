"""Loading a teacher: by its registered name, by a path, or as module:function.

Behind a path may stand which class a class-conditional network is asked about (`teachers.labels`).
"""

from pathlib import Path
from typing import cast

from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registered, Registry
from fpmc_bench.contracts import FileTeacher, Teacher, TeacherModel
from fpmc_bench.errors import MissingFilesError, UnknownNameError, UsageError
from fpmc_bench.teachers.function import FunctionTeacher
from fpmc_bench.teachers.given import is_function, is_path, network_at
from fpmc_bench.teachers.labels import label_of


def load_teacher(
    name_or_path: str | Path,
    device: str = "cpu",
    *,
    places: Places | None = None,
    registry: Registry | None = None,
) -> TeacherModel:
    """A network as a denoiser, by a registered name or by what holds it.

    `name_or_path` is a registered teacher's name, `module:function`, or a path: a `Path`, or text
    that ends in .safetensors or .pkl or holds a separator; a network that is conditioned on classes
    needs PATH[label=3], [label=mean], or [label=none] where its training left labels out. Raises
    UnknownNameError with near names, MissingFilesError where a registered teacher is one that its
    user has to provide (`places` say where), CheckpointError for a file that is missing, damaged or
    holds another network, or UsageError for a label that it needs or has not.
    """
    text, places, known = str(name_or_path), places or Places(), registry or installed_registry()
    places.refuse_unknown(known)
    if isinstance(name_or_path, Path) or is_path(text):
        return network_at(text, device)
    if label_of(text) is not None:
        raise UsageError(f"teacher '{text}': only the network at a path can be given a label")
    if is_function(text):
        return FunctionTeacher.named(text, device)
    registered = registered_teacher(text, known)
    if missing := missing_teacher(registered.item, places):
        raise MissingFilesError([missing])
    plugin = make_plugin(registered.item)
    if not isinstance(plugin, FileTeacher):
        return cast(TeacherModel, plugin.load(device))
    return plugin.load_from(places.path("teacher", text), device)


def registered_teacher(name: str, registry: Registry) -> Registered:
    """What offers the teacher; UnknownNameError with how to name a network of one's own."""
    try:
        return registry.get("teachers", name)
    except UnknownNameError as error:
        error.args = (
            f"{error} A network of your own: give its path, ending in .safetensors or .pkl, the "
            f"path of a diffusers folder, or module:function.",
        )
        raise


def missing_teacher(cls: type[Teacher], places: Places, role: str | None = None) -> str | None:
    """What a user has to do before the teacher can be loaded, in a suite's role; None: nothing."""
    if not issubclass(cls, FileTeacher):
        return None
    return places.missing("teacher", "teacher", cls.name, cls.expects, role)
