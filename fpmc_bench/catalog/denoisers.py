"""build_denoiser: a registered denoiser over images of one's own."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from fpmc_bench.catalog.built import BuiltDenoiser, assemble
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.plugin_file import denoiser_of_file, is_plugin_file
from fpmc_bench.catalog.registry import name_of_offer
from fpmc_bench.catalog.teachers import load_teacher
from fpmc_bench.contracts import Denoiser, Maps, Setting, TeacherModel
from fpmc_bench.errors import InputError, UsageError
from fpmc_bench.fpmc.sigmas import AnySigmas, sigmas_of
from fpmc_bench.fpmc.source import Source
from fpmc_bench.teachers.sensitivity import SensitivityMaps


def build_denoiser(
    method: str | type[Denoiser],
    images: Tensor | Source,
    *,
    sigmas: AnySigmas,
    params: Mapping[str, Any] | None = None,
    teacher: TeacherModel | str | Path | None = None,
    sensitivity: Tensor | None = None,
    device: str = "cpu",
) -> BuiltDenoiser:
    """A denoiser over a source of your own: a registered name, a file's class, or a class.

    `method`: as "ls", "./mine.py:Laplace" or Laplace.
    `images`: a Source, floats [N,C,H,W] in [-1,1], or uint8 codes. `sigmas` [S]: the grid that
    schedules in `params` refer to; an off-grid sigma uses the nearest grid value. `teacher`: a
    model, a registered name or a path. `sensitivity` [S,H,W,H,W], [s,y,x] the map of output pixel
    (y,x): finite and not negative, computed from the teacher where it is needed and not given.

    Raises UnknownNameError for a name that is not registered, PluginError for a class that is no
    denoiser and for a file that can't be imported, ParameterError for `params` that are
    unknown, ill-typed or unfit for images or grid, InputError for images or maps of another shape
    or range, UsageError where the method needs a teacher or maps and has none, and what
    `load_teacher` raises.
    """
    plugin = make_plugin(_class_of(method), params, Places())
    source = images if isinstance(images, Source) else Source(images)
    grid = sigmas_of(sigmas)
    plugin.check(source.shape, grid)
    model = load_teacher(teacher, device) if isinstance(teacher, str | Path) else teacher
    maps: Maps | None = sensitivity
    if "sensitivity" in plugin.needs:
        maps = _sensitivity(plugin, source, grid, model, sensitivity, device)
    return assemble(plugin, Setting(source, grid, model, maps, device))


def _class_of(method: str | type[Denoiser]) -> type[Denoiser]:
    if not isinstance(method, str):
        name_of_offer("denoisers", method)
        return method
    if is_plugin_file(method):
        found: type[Denoiser] = denoiser_of_file(method).item
    else:
        found = installed_registry().get("denoisers", method).item
    return found


def _sensitivity(
    plugin: Denoiser,
    source: Source,
    sigmas: tuple[float, ...],
    teacher: TeacherModel | None,
    given: Tensor | None,
    device: str,
) -> Maps:
    _, height, width = source.shape
    expected = (len(sigmas), height, width, height, width)
    if given is not None:
        if tuple(given.shape) != expected:
            raise InputError(
                f"sensitivity must be [S,H,W,H,W] = {list(expected)}, got {list(given.shape)}"
            )
        low, high = given.aminmax()
        if not (low >= 0 and high < math.inf):  # also catches NaN
            raise InputError(
                f"sensitivity maps must be finite and non-negative, got values from "
                f"{float(low):.4g} to {float(high):.4g}"
            )
        return given
    if teacher is None:
        raise UsageError(
            f"denoiser '{plugin.name}' needs sensitivity maps: pass teacher=... to compute them, "
            f"or sensitivity=..."
        )
    maps = SensitivityMaps(teacher, source, sigmas, device=device)
    maps[0]  # a teacher that can't give any says so at once
    return maps
