"""Kamb & Ganguli's score machines (github.com/Kambm/convolutional_diffusion), 2025.

Their functions take x = alpha z under a schedule t -> beta with alpha^2 = 1 - beta, and return a
score s; in our variables sigma^2 = beta / (1 - beta) and D(z) = z + beta s / alpha.

Its data loader's batches hold as many images as its scripts' default says, or a few less: a divisor
of N, since an uneven last batch would weigh more, a known fault. With --fastest-batches they hold
as many as a short trial finds fastest. Either way they are collated before the clock runs. Queries
go one at a time: larger batches fail or give wrong answers. `els` expands |x - y|^2, which costs
digits where squares are large.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from cases import Case, Problem
from torch import Tensor

from peers.contest import CheckedOut, Contest
from peers.stubs import stub_missing

CLASSES = {
    "optimal": "IdealScoreModule",
    "ls": "LocalScoreModule",
    "els": "LocalEquivBordersScoreModule",
}
RELEASED_BATCH = 256
"""Images: the default of the repository's own sampling script."""
BATCH_LIMITS = {"optimal": (50, 100, 300), "ls": (5, 20, 100), "els": (1, 5, 10)}
"""Tried: the largest divisor of N up to each. Which is fastest depends on the side."""
TRIAL_IMAGES = {"optimal": 300, "ls": 100, "els": 10}


class ConvolutionalDiffusion(CheckedOut):
    name = "convolutional_diffusion"
    methods = frozenset(CLASSES)
    marker = "utils/idealscore.py"

    def contest(self, case: Case, problem: Problem) -> Contest:
        stub_missing("torchvision", "torchvision.transforms")
        from utils import idealscore

        images = problem.source.values(torch.float32)
        beta = torch.tensor([case.sigma**2 / (1 + case.sigma**2)])
        machine = getattr(idealscore, CLASSES[case.method])(
            torch.utils.data.TensorDataset(images, torch.zeros(len(images))),
            kernel_size=case.params.get("patch_sizes", (1,))[0],
            image_size=images.shape[-1],
            schedule=lambda _: beta,
        )
        theirs = denoiser(machine, beta)
        if not self.fastest_batches:
            size = largest_divisor(len(images), RELEASED_BATCH)
            set_batches(machine, images, size)
            return Contest(theirs, case.model(problem), note=f"their batches: {size} images")
        query = problem.queries(case.sigma)[:1]
        sizes = {largest_divisor(len(images), limit) for limit in BATCH_LIMITS[case.method]}
        seconds = {}
        for size in sorted(sizes):
            set_batches(machine, images[: max(TRIAL_IMAGES[case.method] // size, 1) * size], size)
            seconds[size] = trial_seconds(theirs, query) / len(machine.dataset)
        best = min(seconds, key=lambda size: seconds[size])
        set_batches(machine, images, best)
        return Contest(theirs, case.model(problem), note=f"their batches: {best} images")


def denoiser(machine: Any, beta: Tensor) -> Callable[[Tensor], Tensor]:
    """A score machine as a function z -> D(z)."""
    alpha, device, step = (1 - beta).sqrt(), torch.device("cpu"), torch.zeros(1)

    def denoise(z: Tensor) -> Tensor:
        scores = [machine(step, alpha * query[None], device=device) for query in z]
        return z + beta / alpha * torch.cat(scores)

    return denoise


def set_batches(machine: Any, images: Tensor, size: int) -> None:
    """Give a machine these images, in batches of one size, with labels that it doesn't read.

    For `els` the one of whole squares that it falls back to is not used: sides stay below
    the image's.
    """
    machine.dataset = images
    machine.trainloader = [(batch, torch.zeros(size)) for batch in images.split(size)]


@torch.no_grad()
def trial_seconds(work: Callable[[Tensor], Tensor], query: Tensor) -> float:
    """The shorter of two calls."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        work(query)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def largest_divisor(count: int, limit: int) -> int:
    """The largest divisor of `count` that is at most `limit`."""
    return max(size for size in range(1, limit + 1) if count % size == 0)
