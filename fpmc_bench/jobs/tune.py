"""tune: schedules, at each sigma the value with the least error against the tuning teacher.

As the paper did (C.1), but on samples of the tuning teacher rather than on test images, so that
no test image decides a parameter that it is later measured with.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray

from fpmc_bench.catalog.built import assemble
from fpmc_bench.catalog.context import Context
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.contracts import Denoiser
from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.errors import InputError, PluginError, UsageError
from fpmc_bench.harness.shared import Shared
from fpmc_bench.protocols.metrics import mse_1


@dataclass(frozen=True, eq=False)
class Tuning:
    """Errors of every combination of candidate values, and the values chosen from them.

    `schedules` are those of the parameters that get a value at every sigma.
    """

    denoiser: str
    schedules: frozenset[str]
    sigmas: tuple[float, ...]
    candidates: tuple[dict[str, Any], ...]
    """Each a value of every tuned parameter."""
    errors: NDArray[np.float64]
    """MSE against the tuning teacher, [S, candidates, items]; inf where undefined."""

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self.candidates[0])

    @property
    def mean_errors(self) -> NDArray[np.float64]:
        """[S, candidates]."""
        means: NDArray[np.float64] = self.errors.mean(axis=2)
        return means

    @property
    def chosen(self) -> dict[str, Any]:
        """Of each parameter one value per sigma, or one for all. Of equal errors the earliest.

        Parameters that are no schedules are chosen first, each combination of them at its best.
        """
        fixed = [name for name in self.parameters if name not in self.schedules]

        def kind(candidate: Mapping[str, Any]) -> tuple[Any, ...]:
            return tuple(candidate[name] for name in fixed)

        kinds = list(dict.fromkeys(kind(candidate) for candidate in self.candidates))
        columns = [[c for c, one in enumerate(self.candidates) if kind(one) == k] for k in kinds]
        means = self.mean_errors
        averages = [means[:, own].min(axis=1).mean() for own in columns]
        own = columns[int(np.argmin(averages))]
        best = [self.candidates[own[int(index)]] for index in means[:, own].argmin(axis=1)]
        return {
            name: [one[name] for one in best] if name in self.schedules else best[0][name]
            for name in self.parameters
        }


def tunable(context: Context, names: Sequence[str] = ()) -> list[type[Denoiser]]:
    """The denoisers of these names; without names, those of the suite that have something to tune.

    UnknownNameError with near names for one that nobody offers.
    """
    known = names or tuple(dict.fromkeys(entry.denoiser for entry in context.suite.entries))
    classes = [context.registry.get("denoisers", name).item for name in known]
    return [cls for cls in classes if names or cls.candidates(context.dataset.shape)]


def tune(
    context: Context,
    denoiser: type[Denoiser],
    *,
    params: Mapping[str, Any] | None = None,
    items: int = 128,
    values: Sequence[Any] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Tuning:
    """Tune the tunable parameters of a denoiser on `items` validation items of a loaded suite.

    Every combination of their candidates is tried. `params` fixes other parameters; `values`
    replaces the plugin's own candidates, for each of them. `progress` is called after every
    (combination, sigma). UsageError where there is nothing to tune, ParameterError for values that
    don't fit, PluginError where the denoiser changes what the next combination is tried on.
    """
    shape, sigmas = context.dataset.shape, context.sigmas
    offered = denoiser.candidates(shape)
    if not offered:
        raise UsageError(f"denoiser '{denoiser.name}' has no parameter to tune")
    choices = [tuple(values or own) for own in offered.values()]
    candidates = tuple(dict(zip(offered, one, strict=True)) for one in product(*choices))
    hints = get_type_hints(denoiser)
    schedules = frozenset(name for name in offered if "tuple" in str(hints[name]))
    plugins = []
    for candidate in candidates:
        choice = {
            name: [value] * len(sigmas) if name in schedules else value
            for name, value in candidate.items()
        }
        plugin = make_plugin(denoiser, {**(params or {}), **choice}, context.places)
        plugin.check(shape, sigmas)
        plugins.append(plugin)

    needs_maps = "sensitivity" in denoiser.needs
    setting = context.setting(context.dataset.train, with_sensitivity=needs_maps)
    queries, targets = _validation(context, items)
    errors = np.empty((len(sigmas), len(candidates), items))
    shared = Shared()
    shared.hold({"the training images": context.dataset.train, "the network": context.tuning})
    for column, plugin in enumerate(plugins):
        built = assemble(plugin, setting)
        for level, sigma in enumerate(sigmas):
            try:
                with torch.no_grad():
                    answer = built(queries[level], sigma)
                errors[level, column] = mse_1(answer, targets[level]).cpu()
            except InputError:
                # a value at which the method is undefined (masks that leave a pixel out, say)
                errors[level, column] = np.inf
            progress()
        if changed := shared.changed():
            raise PluginError(f"'{denoiser.name}' changed {' and '.join(changed)}")
    return Tuning(denoiser.name, schedules, sigmas, candidates, errors)


def _validation(context: Context, items: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Noisy teacher samples and the teacher's answers, one [items,C,H,W] per sigma."""
    seed, shape = context.suite.seed, context.dataset.shape
    queries, targets = [], []
    with torch.no_grad():
        start = unit_noise(seed, "tune-samples", range(items), shape).to(context.device)
        clean = heun_sample(context.tuning, start, context.sigmas)
        for level, sigma in enumerate(context.sigmas):
            noise = unit_noise(seed, f"tune-noise/{level}", range(items), shape)
            queries.append(clean + sigma * noise.to(context.device))
            targets.append(context.tuning(queries[-1], sigma))
    return queries, targets
