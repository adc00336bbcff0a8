"""tune: schedules, at each sigma the value with the least error against the tuning teacher.

As the paper did (C.1), but on samples of the tuning teacher rather than on test images, so that
no test image decides a parameter that it is later measured with.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fpmc_bench.catalog.augmentations import PlannedSource, plan_source
from fpmc_bench.catalog.built import assemble
from fpmc_bench.catalog.context import Context
from fpmc_bench.catalog.parameters import is_schedule, make_plugin
from fpmc_bench.contracts import Denoiser
from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.documents.suite import Entry
from fpmc_bench.errors import InputError, PluginError, UsageError
from fpmc_bench.harness.shared import Shared
from fpmc_bench.protocols.metrics import mse_1


@dataclass(frozen=True, eq=False)
class Tuning:
    """Errors of every combination of candidate values, and the values chosen from them.

    `schedules` are those of the parameters that get a value at every sigma.
    """

    entry: str
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

        def kind(candidate: Mapping[str, Any]) -> str:
            return repr([candidate[name] for name in fixed])  # whole schedules are lists

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


@dataclass(frozen=True, eq=False)
class TuningPlan:
    """An entry with every combination of the candidates for its tunable parameters, checked."""

    entry: Entry
    source: PlannedSource
    schedules: frozenset[str]
    candidates: tuple[dict[str, Any], ...]
    plugins: tuple[Denoiser, ...]
    """One of each combination."""


def tunable(context: Context) -> list[Entry]:
    """The entries of the suite that have something to tune; of those that differ in it, the first.

    Those that only differ in what would be tuned are one.
    """
    found: list[tuple[Any, Entry]] = []
    for entry in context.suite.entries:
        cls = context.registry.get("denoisers", entry.denoiser).item
        offered = cls.candidates(context.dataset.shape)
        tuned = (entry.denoiser, _others(entry, offered), entry.augmentations)
        if offered and tuned not in [known for known, _ in found]:
            found.append((tuned, entry))
    return [entry for _, entry in found]


def plan_tuning(
    context: Context, entry: Entry, grid: Mapping[str, Sequence[Any]] | None = None
) -> TuningPlan:
    """All that is to be tried for an entry, of a loaded suite or any other; nothing is evaluated.

    `grid`: values to try for any of its parameters, in place of the plugin's own candidates for
    those that it offers. Other parameters stay as they are. A schedule gets its best value at every
    sigma, unless whole schedules are given. UsageError where there is nothing to tune,
    ParameterError for parameters and values that don't fit.
    """
    shape, sigmas = context.dataset.shape, context.sigmas
    denoiser: type[Denoiser] = context.registry.get("denoisers", entry.denoiser).item
    offered = grid or denoiser.candidates(shape)
    if not offered:
        raise UsageError(
            f"denoiser '{denoiser.name}' offers no parameter to tune; give values of one, as "
            f"'{entry.name}[param={{a,b,c}}]'"
        )
    candidates = tuple(
        dict(zip(offered, one, strict=True)) for one in product(*map(tuple, offered.values()))
    )
    schedules = frozenset(
        name
        for name, values in offered.items()
        if is_schedule(denoiser, name) and not any(isinstance(value, list) for value in values)
    )
    plugins = []
    for candidate in candidates:
        choice = {
            name: [value] * len(sigmas) if name in schedules else value
            for name, value in candidate.items()
        }
        plugin = make_plugin(denoiser, {**_others(entry, offered), **choice}, context.places)
        plugin.check(shape, sigmas)
        plugin.check_setting(context.setting(context.dataset.train))
        plugins.append(plugin)
    source = plan_source(context, entry.augmentations)
    return TuningPlan(entry, source, schedules, candidates, tuple(plugins))


def tune(
    context: Context,
    plan: TuningPlan,
    *,
    items: int = 128,
    progress: Callable[[], None] = lambda: None,
) -> Tuning:
    """Try every combination on `items` validation items of a loaded suite.

    `progress` is called after every (combination, sigma). PluginError where the denoiser changes
    what the next combination is tried on.
    """
    sigmas, entry = context.sigmas, plan.entry
    needs_maps = any("sensitivity" in plugin.needs for plugin in plan.plugins)
    setting = context.setting(plan.source.made(), with_sensitivity=needs_maps)
    queries, targets = _validation(context, items)
    errors = np.empty((len(sigmas), len(plan.candidates), items))
    shared = Shared()
    shared.hold({"the training images": context.dataset.train, "the network": context.tuning})
    for column, plugin in enumerate(plan.plugins):
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
            raise PluginError(f"'{entry.denoiser}' changed {' and '.join(changed)}")
    return Tuning(entry.name, entry.denoiser, plan.schedules, sigmas, plan.candidates, errors)


def _others(entry: Entry, offered: Collection[str]) -> dict[str, Any]:
    """Parameters of an entry that are not tuned."""
    return {key: value for key, value in entry.params.items() if key not in offered}


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
