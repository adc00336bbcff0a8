"""What an adapter offers: a peer's denoiser, set up for a case, and what it should compute."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cases import Case, Problem
from torch import Tensor

from fpmc_bench import FPMC
from fpmc_bench.errors import InputError


@dataclass(frozen=True, eq=False)
class Contest:
    """Their function and our collection. What either fits once is fitted before, and not timed."""

    theirs: Callable[[Tensor], Tensor]
    """z [B,C,H,W] -> D(z) at the case's sigma."""
    model: FPMC
    """What ours evaluates: the collection that theirs should be the answer of."""
    inexact: str = ""
    """Why the peer's answer is not the posterior mean; empty where answers must agree."""
    note: str = ""


class Peer(ABC):
    """Another implementation. `contest` is asked for cases of its `methods` alone."""

    name: ClassVar[str]
    methods: ClassVar[frozenset[str]]
    fastest_batches: bool = False
    """Whether batches are what a trial finds fastest, not what the peer's own scripts say."""

    @abstractmethod
    def contest(self, case: Case, problem: Problem) -> Contest: ...


class CheckedOut(Peer):
    """A peer whose repository lies at `checkout`; importing waits until a case needs it.

    Raises InputError where the folder is not a checkout of it.
    """

    marker: ClassVar[str]
    """A file of the repository by which a checkout is known."""
    import_root: ClassVar[str] = "."

    def __init__(self, checkout: Path) -> None:
        if not (checkout / self.marker).is_file():
            raise InputError(
                f"--peer {self.name}: {checkout} has no {self.marker}; expected a checkout of "
                f"the peer's repository"
            )
        sys.path.append(str((checkout / self.import_root).resolve()))
