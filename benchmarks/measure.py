"""One row of the comparison: both answers, and times taken in turn.

Where answers differ by more than the tolerance, float64 decides which of them is off: distances
over thousands of dimensions have few digits left in float32, in anyone's code.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from cases import Case, Problem
from dense import dense
from peers.contest import Contest
from torch import Tensor

from fpmc_bench.engine import fpmc_denoise

TOLERANCE = 1e-4
"""Of answers on images in [-1,1]."""
ROUNDING = 1e-3
"""What float32 may cost a peer at low sigma, where logits are large; more is another answer."""


@dataclass(frozen=True)
class Row:
    """Times in microseconds per (query, source image); a ratio above 1 says that ours is faster."""

    method: str
    parameter: str
    sigma: float
    peer: str
    images: int
    queries: int
    theirs_us: float
    ours_us: float
    ratio: float
    """Of the medians."""
    lowest_ratio: float
    """Of single pairs of measurements, one after the other."""
    highest_ratio: float
    largest_difference: float
    """Of their answers and ours, over all queries and dimensions."""
    our_error: float | None
    """Against float64, for the query where answers differ most; None where they agree."""
    their_error: float | None
    inexact: str
    """Why answers needn't agree; empty where they must."""
    note: str

    @property
    def wrong(self) -> bool:
        """Whether answers that must agree do not, by more than a peer's rounding; or by NaN."""
        if self.our_error is None or self.their_error is None:
            return False
        return not (self.our_error <= TOLERANCE and self.their_error <= ROUNDING)

    @property
    def verdict(self) -> str:
        if self.inexact:
            return f"peer inexact: {self.inexact}"
        if self.our_error is not None:
            errors = f"off float64: theirs {self.their_error:.1e}, ours {self.our_error:.1e}"
            return f"NO, {errors}" if self.wrong else f"peer inexact: rounding ({errors})"
        return f"yes ({self.note})" if self.note else "yes"

    @property
    def cells(self) -> list[str]:
        """As the columns of HEADERS."""
        return [
            self.method,
            self.parameter,
            f"{self.sigma:g}",
            self.peer,
            str(self.images),
            str(self.queries),
            f"{self.theirs_us:.3g}",
            f"{self.ours_us:.3g}",
            f"{self.ratio:.3g} ({self.lowest_ratio:.3g}-{self.highest_ratio:.3g})",
            f"{self.largest_difference:.1e}",
            self.verdict,
        ]


HEADERS = [
    "method",
    "parameter",
    "sigma",
    "peer",
    "N",
    "queries",
    "theirs, us per pair",
    "ours, us per pair",
    "theirs / ours (min-max)",
    "largest difference",
    f"within {TOLERANCE:g}",
]


@torch.no_grad()
def measure(peer: str, case: Case, problem: Problem, contest: Contest, repetitions: int) -> Row:
    """Both sides on the same queries: one call each to warm up, then in turn."""
    z = problem.queries(case.sigma)

    def theirs() -> Tensor:
        return contest.theirs(z)

    def ours() -> Tensor:
        return fpmc_denoise(contest.model, problem.source, z, case.sigma)

    answers = theirs(), ours()
    difference = (answers[0] - answers[1]).abs().flatten(1).amax(1)
    their_error = our_error = None
    if not contest.inexact and not bool((difference <= TOLERANCE).all()):
        worst = int(difference.nan_to_num(torch.inf).argmax())
        judge = dense(contest.model, problem.source, case.sigma, torch.float64)
        truth = judge(z[worst : worst + 1].double())
        their_error, our_error = (float((answer[worst] - truth).abs().max()) for answer in answers)
    pairs = [(_seconds(theirs), _seconds(ours)) for _ in range(repetitions)]
    theirs_s, ours_s = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    ratios = [slow / fast for slow, fast in pairs]
    images, queries = len(problem.source), len(z)
    to_us = 1e6 / (images * queries)
    return Row(
        case.method,
        case.parameter,
        case.sigma,
        peer,
        images,
        queries,
        theirs_s * to_us,
        ours_s * to_us,
        theirs_s / ours_s,
        min(ratios),
        max(ratios),
        float(difference.max()),
        our_error,
        their_error,
        contest.inexact,
        contest.note,
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
