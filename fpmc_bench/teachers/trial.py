"""A teacher asked once at both ends of the grid, before any work: is it a denoiser of these images?

What no file says shows there: values in [0, 1], a network that predicts the noise, codes for
pixels, NaN where a network's time ends.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fpmc_bench.contracts import TeacherModel
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.errors import FpmcBenchError, UsageError
from fpmc_bench.fpmc.source import Source

IMAGES_OF_SPREAD = 64
NEAR_Z = 3.0, 0.25
"""How far an answer at the least sigma may be from z: so many sigmas and so much of the spread.

Far: as a root mean square over pixels; the spread is the standard deviation of the images' pixels
together. The posterior mean is about 2 sigma from z at most: z is sigma from its image x, and the
posterior mean no farther. A network that returns images instead of corrections adds its own error,
which is far below the spread, the error of one grey for all images: a quarter of it is 6% of their
variance. Images in [0, 1], or half or double the scale, are half the spread or more away; so is
predicted noise, where sigma is small.
"""
NEAR_X = 0.5, 2.0
"""The same of an answer at the largest sigma, from x: there a network has to take noise away.

The mean of the images would do, which is about one spread from an image of theirs. What is left of
the noise in an answer is the network's error, of which half the noise is a multiple that no trained
one has; z itself has all of it.
"""


@torch.no_grad()
def refuse_no_denoiser(
    teacher: TeacherModel,
    source: Source,
    sigmas: Sequence[float],
    seed: int,
    *,
    device: str = "cpu",
) -> None:
    """UsageError unless it answers z = x + sigma eps as a denoiser, x being the first image.

    Asked at the largest and the least of `sigmas`: an answer is finite and of z's shape, type and
    device, free of noise at the one (`NEAR_X`) and near z at the other (`NEAR_Z`). Leaves torch's
    generators as they were.
    """
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    images = source.chunk(0, min(IMAGES_OF_SPREAD, len(source)), device, torch.float32)[0]
    x, spread = images[:1], float(images.std(correction=0))
    noise = unit_noise(seed, "teacher-trial", range(1), tuple(source.shape)).to(device)
    largest, least = max(sigmas), min(sigmas)
    with torch.random.fork_rng(devices=cuda):
        of_noise = _answer(teacher, x + largest * noise, largest)
        of_image = _answer(teacher, x + least * noise, least)
    for answer, near, what, sigma, (of_sigma, of_spread) in (
        (of_image, x + least * noise, "the noisy image", least, NEAR_Z),
        (of_noise, x, "the image under the noise", largest, NEAR_X),
    ):
        far, allowed = _far(answer, near), of_sigma * sigma + of_spread * spread
        if far > allowed:
            raise UsageError(
                f"teacher '{teacher.name}' is no denoiser of these images: at sigma {sigma:g} its "
                f"answer is {far:.3g} away from {what} (root mean square), allowed are "
                f"{allowed:.3g}. Expected are denoised images with values in [-1, 1], as z has "
                f"them, and not noise, codes or images in [0, 1]"
            )


def _answer(teacher: TeacherModel, z: Tensor, sigma: float) -> Tensor:
    name, asked = f"teacher '{teacher.name}'", z.clone()
    try:
        answer = teacher(asked, sigma)
    except FpmcBenchError:
        raise
    except Exception as error:  # whatever a stranger's network raises
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"{name} can't be asked for images {list(z.shape)} at sigma {sigma:g} "
            f"({type(error).__name__}: {reason})"
        ) from error
    if not isinstance(answer, Tensor):
        raise UsageError(f"{name} returned a {type(answer).__name__}; expected a tensor like z")
    found, expected = ((list(a.shape), a.dtype, a.device) for a in (answer, z))
    if found != expected:
        raise UsageError(
            f"{name} returned {answer.dtype} {list(answer.shape)} on {answer.device} for z "
            f"{z.dtype} {list(z.shape)} on {z.device}; expected an image like z for every image"
        )
    if not bool(answer.isfinite().all()):
        raise UsageError(f"{name} returned NaN or infinite values at sigma {sigma:g}")
    if not torch.equal(asked, z):
        raise UsageError(f"{name} changes the images that it is asked about; copy them first")
    return answer


def _far(one: Tensor, other: Tensor) -> float:
    """Root mean square of the differences."""
    return float((one - other).square().mean().sqrt())
