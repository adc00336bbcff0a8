"""Models of the noise levels that a denoiser is called at, as far as a budget goes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fpmc_bench.engine.prepared import prepared_of, prepared_storages
from fpmc_bench.fpmc import FPMC


@dataclass(eq=False)
class KeptModels:
    """One model for each sigma, kept as long as all that are kept fit in `budget_bytes` together.

    Those that came first stay; of those that don't fit beside them only the last one does, so that
    a sampler which calls twice at one noise level has its model made once. A model counts with
    what has been prepared of it, which happens after it was handed out: at each `get` all are
    measured anew if any has been since.

    It is not the least recently used that goes: samplers and protocols pass through all noise
    levels, again and again in the same order, and with one too many for the budget they would find
    each model gone when its turn comes. So they find all but those that there is no room for.
    """

    budget_bytes: int
    _models: dict[float, FPMC] = field(default_factory=dict, init=False)
    _measured: dict[float, int] = field(default_factory=dict, init=False)
    """How many times each had been prepared when all were measured."""

    def get(self, sigma: float, make: Callable[[], FPMC]) -> FPMC:
        """The model that is kept of `sigma`, or else what `make` makes, or raises, now.

        While it is made none is held that does not fit: beside the budget there is never more than
        one model.
        """
        known = sigma in self._models
        if not known or self._measured != self._preparations():
            kept = self._fitting()
            if known:
                odd = sigma if sigma not in kept else next(reversed(self._models))
                kept.setdefault(odd, self._models[odd])
            self._models = kept
            self._measured = self._preparations()
        if not known:
            self._models[sigma] = make()
        return self._models[sigma]

    def _preparations(self) -> dict[float, int]:
        return {sigma: len(prepared_of(model)) for sigma, model in self._models.items()}

    def _fitting(self) -> dict[float, FPMC]:
        """Of those that are held, in the order they came, those that fit together."""
        fitting: dict[float, FPMC] = {}
        storages: dict[tuple[str, int], int] = {}
        for sigma, model in self._models.items():
            together = storages | prepared_storages(model)
            if sum(together.values()) <= self.budget_bytes:
                fitting[sigma], storages = model, together
        return fitting
