"""What is asked of a GPU, pretended (`test_pretended_gpu.py`) or real (`test_gpu.py`): small cases
of every built-in method, over every kind of source, at both ends of the noise levels."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from fpmc_bench import Source, build_denoiser, load_dataset
from fpmc_bench.catalog.built import BuiltDenoiser
from fpmc_bench.engine import Arithmetic, EngineSettings
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.union import Union
from fpmc_bench.teachers.files.teacher_file import TeacherCard
from fpmc_bench.teachers.network import NetworkTeacher
from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond

SHAPE = ImageShape(3, 5, 6)
SIGMAS = (80.0, 0.6, 0.002)
QUERIES, IMAGES = 5, 40
METHODS: Mapping[str, Mapping[str, Any]] = {
    "optimal": {},
    "wiener": {},
    "ls": {"patch_sizes": (5, 3, 1)},
    "els": {"patch_sizes": (5, 3, 3)},
    "pspc-square": {"patch_sizes": (5, 4, 2)},
    "pspc-flex": {"thresholds": (0.9, 0.6, 0.3)},
    "lukoianov": {"threshold": 0.05},
    "windows": {"query_widths": (math.inf, 2.0, 1.0), "response_widths": (1.0, 1.5, 0.0)},
    "finetuned": {"weights": "digits-pspc-flex"},
}
KINDS = ("plain", "floats", "weights", "union")
CASES = [(name, kind) for name in METHODS for kind in KINDS if name != "finetuned"]
"""The fine-tuned method has one source, that which it was made for."""
CASES.append(("finetuned", "plain"))
PATHS = ("float32", "subset-sums", "bfloat16x3")


def rand(seed: int, *size: int) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def source_of(kind: str, seed: int = 0) -> Source:
    """New at each call, so that nobody has placed it yet. A few images are there twice."""
    codes = (rand(seed, IMAGES, *SHAPE) * 256).to(torch.uint8)
    codes[-3:] = codes[:3]
    weights = 4 * rand(seed + 1, IMAGES)
    weights[5::7] = -math.inf
    if kind == "floats":
        return Source(codes / 127.5 - 1)
    if kind == "weights":
        return Source(codes, weights)
    plain = Source(codes)
    return Union([plain, Source(codes.flip(-1), weights)]) if kind == "union" else plain


@cache
def _digits() -> Source:
    return load_dataset("digits").train


def denoiser_of(name: str, kind: str, device: str) -> BuiltDenoiser:
    """A method over a new source; the fine-tuned one over the digits that it was made for."""
    if name == "finetuned":
        digits = _digits()
        source = Source(digits.images, digits.log_weights, digits.scale)
        return build_denoiser(name, source, sigmas=_tuned_sigmas(), params=METHODS[name])
    maps = rand(2, len(SIGMAS), *SHAPE[1:], *SHAPE[1:]) if name == "pspc-flex" else None
    return build_denoiser(
        name,
        source_of(kind),
        sigmas=SIGMAS,
        params=METHODS[name],
        sensitivity=maps,
        device=device,
    )


def _tuned_sigmas() -> tuple[float, ...]:
    from fpmc_plugins.denoisers.finetuned import Finetuned

    return tuple(Finetuned("digits-pspc-flex").file.card.sigmas)


def queries_of(source: Source, sigma: float) -> Tensor:
    """Noised images, and last one that is far from all of them."""
    noise = torch.randn(QUERIES, *source.shape, generator=torch.Generator().manual_seed(3))
    z = source.values()[:QUERIES] + sigma * noise
    z[-1] = 3 + noise[-1]
    return z


def taking(path: str, budget_bytes: int = 2**30) -> EngineSettings:
    """Products with binary matrices on a path of `PATHS`."""
    return EngineSettings(budget_bytes, Arithmetic(1, 1, forced=path))


def teacher_on(device: str) -> NetworkTeacher:
    """An untrained network for images of 1x6x6, the same each time."""
    config = NetworkConfig(
        architecture="ddpmpp",
        side_px=6,
        channels=1,
        model_channels=8,
        channel_mult=(1, 2),
        num_blocks=1,
        attention_sides=(3,),
    )
    torch.manual_seed(0)
    network = EDMPrecond(config)
    for parameter in network.parameters():  # the last layers of a new network are zeros
        torch.nn.init.normal_(parameter, std=0.1)
    network = network.to(device).eval().requires_grad_(False)
    return NetworkTeacher("untrained", network, TeacherCard.model_construct(config=config))
