"""GoldDiff (github.com/shangxinyi/GoldDiff), 2026: the locality denoiser on retrieved images.

It keeps between N/20 and N/10 of the images (the shares of its CIFAR-10 configuration), those
nearest to the query among candidates that are nearest at half the resolution, after a random
choice of a part of the source. So it answers another question, and only its time is comparable.
As for the locality denoiser, ours is given its mask, which is made once.
"""

from pathlib import Path

from cases import Case, Problem

from fpmc_bench.fpmc import FPMC, Dense, DimensionOneHot
from peers.contest import CheckedOut, Contest
from peers.ddim import (
    Scheduler,
    one_batch,
    queries_at_once,
    rescaled,
    scratch_folder,
    stub_imports,
    without_progress_bars,
)

SMALLEST_SHARE, LARGEST_SHARE = 20, 10
"""N divided by these: the fewest and the most images that it keeps."""


class GoldDiff(CheckedOut):
    name = "golddiff"
    methods = frozenset({"lukoianov"})
    marker = "methods/ours.py"

    def __init__(self, checkout: Path) -> None:
        super().__init__(checkout)
        self._fitted = scratch_folder()  # it saves what it fits, and finds it again

    def contest(self, case: Case, problem: Problem) -> Contest:
        stub_imports()
        from methods import base, ours

        without_progress_bars(base)
        images = len(problem.source)
        params = {
            "mask_threshold": case.params["threshold"],
            "k_min": max(images // SMALLEST_SHARE, 1),
            "k_max": max(images // LARGEST_SHARE, 1),
            "low_res_dim": problem.source.shape.height_px // 2,
            "wiener_path": str(self._fitted / problem.source.fingerprint),
        }
        data = one_batch(problem)
        theirs = ours.OursDenoiser(data, "cpu", 1, params=params)
        theirs.scheduler = Scheduler.at(case.sigma)
        theirs.train(data)
        made = theirs._compute_projection_mask(0)
        theirs._compute_projection_mask = lambda _: made
        shape = problem.source.shape
        columns = Dense(shape, made[0].T.bool())
        return Contest(
            rescaled(theirs, case.sigma, queries_at_once(problem)),
            FPMC(columns, DimensionOneHot(shape)),
            inexact="retrieves a subset",
        )
