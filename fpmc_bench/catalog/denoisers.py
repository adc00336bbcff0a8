"""From a denoiser plugin and its setting to a function (z, sigma) -> image."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, cast

from torch import Tensor

from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.registry import installed_registry
from fpmc_bench.catalog.teachers import load_teacher
from fpmc_bench.contracts import (
    DenoiseFunction,
    Denoiser,
    FPMCDenoiser,
    FunctionDenoiser,
    Setting,
    TeacherModel,
)
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.engine.evaluate import check_query
from fpmc_bench.errors import InputError, PluginError, UsageError
from fpmc_bench.fpmc import FPMC
from fpmc_bench.fpmc.source import Source
from fpmc_bench.teachers.sensitivity import sensitivity_maps


@dataclass(eq=False)
class BuiltDenoiser:
    """A denoiser ready to call: (z [B,C,H,W], sigma) -> [B,C,H,W] like z.

    Keeps the FPMC of every sigma it has met. Raises InputError for a sigma that is not positive
    and finite, for NaN in z, and for images of another shape.
    """

    plugin: Denoiser
    setting: Setting
    _function: DenoiseFunction | None = None
    _models: dict[float, FPMC] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.plugin.name

    @property
    def params(self) -> dict[str, Any]:
        """All parameters by name, defaults among them."""
        return {f.name: getattr(self.plugin, f.name) for f in fields(cast(Any, self.plugin))}

    @property
    def source(self) -> Source:
        return self.setting.source

    def fpmc(self, sigma: float) -> FPMC:
        """The collection at one noise level; PluginError where the method is not an FPMC."""
        if not isinstance(self.plugin, FPMCDenoiser):
            raise PluginError(f"'{self.name}' is not a filtered posterior mean collection")
        if sigma not in self._models:
            self._models[sigma] = self.plugin.fpmc(self.setting, sigma)
        return self._models[sigma]

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        sigma = float(sigma)
        check_query(z, sigma, self.setting.shape)
        if self._function is not None:
            return self._function(z, sigma)
        return fpmc_denoise(self.fpmc(sigma), self.source, z, sigma)


def assemble(plugin: Denoiser, setting: Setting) -> BuiltDenoiser:
    """Check the plugin's parameters and needs against the setting, fit what must be fitted.

    Raises ParameterError for parameters that don't fit, UsageError for something that the plugin
    needs and the setting lacks.
    """
    plugin.check(setting.shape, setting.sigmas)
    plugin.check_setting(setting)
    for need in sorted(plugin.needs):
        if getattr(setting, need) is None:
            raise UsageError(f"denoiser '{plugin.name}' needs a {need}: pass {need}=...")
    function = plugin.build(setting) if isinstance(plugin, FunctionDenoiser) else None
    return BuiltDenoiser(plugin, setting, function)


def build_denoiser(
    name: str,
    images: Tensor | Source,
    *,
    sigmas: Tensor | Sequence[float],
    params: Mapping[str, Any] | None = None,
    teacher: TeacherModel | str | None = None,
    sensitivity: Tensor | None = None,
    device: str = "cpu",
) -> BuiltDenoiser:
    """A registered denoiser over a source of your own.

    `images`: a Source, floats [N,C,H,W] in [-1,1], or uint8 levels. `sigmas` [S]: the grid that
    schedules in `params` refer to; an off-grid sigma uses the nearest grid value. `teacher`: a
    model, a registered name or a path. `sensitivity` [S,H,W,H,W]: computed from the teacher where
    it is needed and not given.
    """
    plugin: Denoiser = make_plugin(installed_registry().get("denoisers", name).item, params)
    source = images if isinstance(images, Source) else Source(images)
    grid = tuple(float(sigma) for sigma in sigmas)
    plugin.check(source.shape, grid)
    model = load_teacher(teacher, device) if isinstance(teacher, str) else teacher
    if "sensitivity" in plugin.needs:
        sensitivity = _sensitivity(plugin, source, grid, model, sensitivity, device)
    return assemble(plugin, Setting(source, grid, model, sensitivity, device))


def _sensitivity(
    plugin: Denoiser,
    source: Source,
    sigmas: tuple[float, ...],
    teacher: TeacherModel | None,
    given: Tensor | None,
    device: str,
) -> Tensor:
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
    return sensitivity_maps(teacher, source, sigmas, device=device)
