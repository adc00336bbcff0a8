"""Lukoianov et al.'s locality denoiser (github.com/ottogin/locality-in-diffusion-models), 2025.

The softmax runs within each data batch and batches are averaged, so that only a source of one
batch gives the posterior mean: it gets one. The mask comes from their float32 singular value
decomposition, which no other library reproduces entry by entry, and they multiply by its columns:
ours is given their mask, transposed. To the peer's advantage the mask is made once, where their
code makes it every call.
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


class Locality(CheckedOut):
    name = "locality"
    methods = frozenset({"lukoianov"})
    marker = "src/local_diffusion/models/pca_locality.py"
    import_root = "src"

    def __init__(self, checkout: Path) -> None:
        super().__init__(checkout)
        self._fitted = scratch_folder()  # they save what they fit, and find it again

    def contest(self, case: Case, problem: Problem) -> Contest:
        stub_imports()
        from local_diffusion.models import pca_locality

        without_progress_bars(pca_locality)
        params = {
            "mask_threshold": case.params["threshold"],
            "wiener_path": str(self._fitted / problem.source.fingerprint),
        }
        data = one_batch(problem)
        theirs = pca_locality.PCALocalityDenoiser(data, "cpu", 1, params=params)
        theirs.scheduler = Scheduler.at(case.sigma)
        theirs.train(data)
        made = theirs._projection_mask(0)
        theirs._projection_mask = lambda _: made
        shape = problem.source.shape
        columns = Dense(shape, made[0].T.bool())
        return Contest(
            rescaled(theirs, case.sigma, queries_at_once(problem)),
            FPMC(columns, DimensionOneHot(shape)),
            note="their mask",
        )
