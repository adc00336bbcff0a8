"""How the engine is to work, never what it computes: memory, and which products it takes.

Set around a whole run, so that all its processes decide alike and its records can say so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch

from fpmc_bench.engine.machine.arithmetic import Arithmetic, arithmetic_on
from fpmc_bench.engine.machine.sharing import Sharing

DEFAULT_BUDGET_BYTES = 2**30
"""Working memory beside the source."""


@dataclass(frozen=True)
class EngineSettings:
    """`budget_bytes` bounds the working memory beside the source; `arithmetic` None is that
    of the processor. With a `sharing` each of its processes holds a part of every source, and all
    evaluate the same together."""

    budget_bytes: int = DEFAULT_BUDGET_BYTES
    arithmetic: Arithmetic | None = None
    sharing: Sharing | None = None

    def arithmetic_on(self, device: torch.device | str) -> Arithmetic:
        """What products cost: as given, or on a processor of this kind."""
        return self.arithmetic or arithmetic_on(device)


_current: ContextVar[EngineSettings] = ContextVar("engine_settings", default=EngineSettings())  # noqa: B039 - frozen


def current_settings() -> EngineSettings:
    """What the innermost `using` set, or the defaults."""
    return _current.get()


@contextmanager
def using(settings: EngineSettings) -> Iterator[None]:
    """Evaluate with these settings inside the block."""
    token = _current.set(settings)
    try:
        yield
    finally:
        _current.reset(token)
