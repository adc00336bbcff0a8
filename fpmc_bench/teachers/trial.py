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
NOISE_SHARE, SPREAD_SHARE = 3.0, 0.25
"""How far an answer at the least sigma may be from z, as a root mean square over its pixels: so
many sigmas and so much of the standard deviation of the images' pixels together.

The posterior mean is about 2 sigma from z at most: z is sigma from its image x, and the posterior
mean no farther. A network that returns images instead of corrections adds its own error, which is
far below the spread of pixels, the error of one grey for all images: a quarter of it is 6% of
their variance. Images in [0, 1], or half or double the scale, are half the spread or more away;
so is predicted noise, where sigma is small.
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
    device, and at the least sigma near z (`SPREAD_SHARE`). Leaves torch's generators as they were.
    """
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    images = source.chunk(0, min(IMAGES_OF_SPREAD, len(source)), device, torch.float32)[0]
    spread = float(images.std(correction=0))
    noise = unit_noise(seed, "teacher-trial", range(1), tuple(source.shape)).to(device)
    largest, least = max(sigmas), min(sigmas)
    with torch.random.fork_rng(devices=cuda):
        for sigma in (largest, least):
            z = images[:1] + sigma * noise
            answer = _answer(teacher, z, sigma)
            if sigma == least:
                _refuse_far(teacher.name, answer - z, sigma, spread)


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


def _refuse_far(name: str, difference: Tensor, sigma: float, spread: float) -> None:
    far = float(difference.square().mean().sqrt())
    allowed = NOISE_SHARE * sigma + SPREAD_SHARE * spread
    if far > allowed:
        raise UsageError(
            f"teacher '{name}' is no denoiser of these images: at the least noise level, sigma "
            f"{sigma:g}, its answer is {far:.3g} away from the noisy image (root mean square), "
            f"allowed are {allowed:.3g}. Expected are denoised images with values in [-1, 1], as "
            f"z has them, and not noise, codes or images in [0, 1]"
        )
