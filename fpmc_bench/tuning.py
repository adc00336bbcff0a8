"""Choosing schedules: at each sigma the value with the least error against the tuning teacher.

As the paper did (C.1), but on samples of the tuning teacher rather than on test images, so that
no test image decides a parameter that it is later measured with.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray

from fpmc_bench.contracts import Denoiser
from fpmc_bench.denoise import assemble
from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.errors import InputError, UsageError
from fpmc_bench.harness.plan import Plan
from fpmc_bench.parameters import make_plugin
from fpmc_bench.protocols.metrics import mse_1
from fpmc_bench.sensitivity import sensitivity_maps


@dataclass(frozen=True, eq=False)
class Tuning:
    """Errors of every candidate value of one parameter, and the values chosen from them."""

    denoiser: str
    parameter: str
    is_schedule: bool
    sigmas: tuple[float, ...]
    candidates: tuple[Any, ...]
    errors: NDArray[np.float64]
    """MSE against the tuning teacher, [S, candidates, items]; inf where undefined."""

    @property
    def mean_errors(self) -> NDArray[np.float64]:
        """[S, candidates]."""
        means: NDArray[np.float64] = self.errors.mean(axis=2)
        return means

    @property
    def chosen(self) -> Any:
        """One value per sigma, or one value for all. Of equal errors the earliest candidate."""
        if self.is_schedule:
            return [self.candidates[index] for index in self.mean_errors.argmin(axis=1)]
        return self.candidates[int(self.mean_errors.mean(axis=0).argmin())]


def tune(
    plan: Plan,
    denoiser: type[Denoiser],
    *,
    params: Mapping[str, Any] | None = None,
    items: int = 128,
    values: Sequence[Any] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Tuning:
    """Tune the one tunable parameter of a denoiser on `items` validation items of a plan's suite.

    `params` fixes other parameters; `values` replaces the plugin's own candidates. `progress` is
    called after every (candidate, sigma).
    """
    shape = plan.dataset.shape
    offered = denoiser.candidates(shape)
    if not offered:
        raise UsageError(f"denoiser '{denoiser.name}' has no parameter to tune")
    parameter, own_values = next(iter(offered.items()))
    candidates = tuple(values or own_values)
    is_schedule = "tuple" in str(get_type_hints(denoiser)[parameter])
    plugins = []
    for value in candidates:
        choice = [value] * len(plan.sigmas) if is_schedule else value
        plugin = make_plugin(denoiser, {**(params or {}), parameter: choice})
        plugin.check(shape, plan.sigmas)
        plugins.append(plugin)

    sensitivity = None
    if "sensitivity" in denoiser.needs:
        samples, seed = plan.suite.sensitivity.samples, plan.suite.seed
        sensitivity = sensitivity_maps(
            plan.tuning,
            plan.dataset.train,
            plan.sigmas,
            samples=samples,
            seed=seed,
            device=plan.device,
        )
    setting = plan.setting(plan.dataset.train, sensitivity)
    queries, targets = _validation(plan, items)
    errors = np.empty((len(plan.sigmas), len(candidates), items))
    for column, plugin in enumerate(plugins):
        built = assemble(plugin, setting)
        for level, sigma in enumerate(plan.sigmas):
            try:
                with torch.no_grad():
                    answer = built(queries[level], sigma)
                errors[level, column] = mse_1(answer, targets[level]).cpu()
            except InputError:
                # a value at which the method is undefined (masks that leave a pixel out, say)
                errors[level, column] = np.inf
            progress()
    return Tuning(denoiser.name, parameter, is_schedule, plan.sigmas, candidates, errors)


def _validation(plan: Plan, items: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Noisy teacher samples and the teacher's answers, one [items,C,H,W] per sigma."""
    seed, shape = plan.suite.seed, plan.dataset.shape
    queries, targets = [], []
    with torch.no_grad():
        start = unit_noise(seed, "tune-samples", range(items), shape).to(plan.device)
        clean = heun_sample(plan.tuning, start, plan.sigmas)
        for level, sigma in enumerate(plan.sigmas):
            noise = unit_noise(seed, f"tune-noise/{level}", range(items), shape)
            queries.append(clean + sigma * noise.to(plan.device))
            targets.append(plan.tuning(queries[-1], sigma))
    return queries, targets
