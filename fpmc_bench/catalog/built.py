"""From a denoiser plugin and its setting to a function (z, sigma) -> image."""

from dataclasses import dataclass, field, fields
from typing import Any, cast

from torch import Tensor

from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.contracts import (
    DenoiseFunction,
    Denoiser,
    FPMCDenoiser,
    FunctionDenoiser,
    Setting,
)
from fpmc_bench.engine import current_settings, fpmc_denoise
from fpmc_bench.engine.evaluate import check_query
from fpmc_bench.engine.machine.keeping import KeptModels
from fpmc_bench.errors import PluginError, UsageError
from fpmc_bench.fpmc import FPMC
from fpmc_bench.fpmc.sigmas import AnySigma, sigma_of
from fpmc_bench.fpmc.source import Source


@dataclass(eq=False)
class BuiltDenoiser:
    """A denoiser ready to call: (z [B,C,H,W], sigma) -> [B,C,H,W] like z.

    Keeps the FPMCs of the sigmas it has met as far as the memory budget goes that the engine had
    when it was built. Raises InputError for a sigma that is not positive and finite, for NaN in z,
    and for images of another shape.
    """

    plugin: Denoiser
    setting: Setting
    _function: DenoiseFunction | None = None
    _models: KeptModels = field(
        default_factory=lambda: KeptModels(current_settings().budget_bytes), init=False
    )

    def __repr__(self) -> str:
        return f"BuiltDenoiser({self.name} over {self.source!r})"

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

    def fpmc(self, sigma: AnySigma) -> FPMC:
        """The collection at one noise level; PluginError where the method is not an FPMC."""
        plugin, setting, known = self.plugin, self.setting, sigma_of(sigma)
        if not isinstance(plugin, FPMCDenoiser):
            raise PluginError(f"'{self.name}' is not a filtered posterior mean collection")

        def made() -> FPMC:
            with strangers_code(f"denoiser '{self.name}'"):
                model = plugin.fpmc(setting, known)
            if not isinstance(model, FPMC):
                raise PluginError(f"fpmc() of '{self.name}' returned {model!r}; expected an FPMC")
            return model

        return self._models.get(known, made)

    def __call__(self, z: Tensor, sigma: AnySigma) -> Tensor:
        sigma = check_query(z, sigma, self.setting.shape)
        if self._function is not None:
            with strangers_code(f"denoiser '{self.name}'"):
                # a copy: what it does to z is its own affair
                return self._function(z.clone(), sigma)
        return fpmc_denoise(self.fpmc(sigma), self.source, z, sigma)


def assemble(plugin: Denoiser, setting: Setting) -> BuiltDenoiser:
    """Check the plugin's parameters and needs against the setting, fit what must be fitted.

    Raises ParameterError for parameters that don't fit, UsageError for something that the plugin
    needs and the setting lacks, PluginError for a plugin that returns something else than its
    contract says, tries to end the process or changes its settings.
    """
    with strangers_code(f"denoiser '{plugin.name}'"):
        plugin.check(setting.shape, setting.sigmas)
        plugin.check_setting(setting)
        for need in sorted(plugin.needs):
            if getattr(setting, need) is None:
                raise UsageError(f"denoiser '{plugin.name}' needs a {need}: pass {need}=...")
        if not isinstance(plugin, FunctionDenoiser):
            return BuiltDenoiser(plugin, setting)
        function = plugin.build(setting)
    if not callable(function):
        raise PluginError(
            f"build() of '{plugin.name}' returned {function!r}; expected a function (z, sigma) -> "
            f"image"
        )
    return BuiltDenoiser(plugin, setting, function)
