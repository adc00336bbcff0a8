"""A Hugging Face diffusers pipeline on disk as a denoiser D(z, sigma).

Its network knows discrete times t and images x_t = sqrt(abar_t) x + sqrt(1 - abar_t) eps. In EDM's
variables that is z / sqrt(1 + sigma^2) at sigma_t = sqrt((1 - abar_t) / abar_t); for a sigma
between two times, t is interpolated in log sigma. Only files of the folder are read, no pickles.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fpmc_bench.engine.evaluate import check_query
from fpmc_bench.errors import CheckpointError, UsageError
from fpmc_bench.fpmc.shapes import ImageShape

SCHEDULERS = ("DDPMScheduler", "DDIMScheduler")
PREDICTIONS = ("epsilon", "v_prediction", "sample")


@dataclass(frozen=True, eq=False)
class DiffusersTeacher:
    """(z [B,C,H,W], sigma) -> [B,C,H,W] like z; differentiable in z, weights frozen.

    Beyond the scheduler's noise levels t stays at its end, while z is still scaled by the true
    sigma. What a sampler does to a prediction, such as clipping, is not done here.
    """

    name: str
    network: nn.Module
    shape: ImageShape
    log_sigmas: np.ndarray
    """[T] float64, ascending: of every time of the scheduler."""
    prediction: str
    settings: str
    """The configurations of network and scheduler, as JSON."""

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over configurations, noise levels and weights."""
        digest = hashlib.sha256(f"{self.settings} {self.prediction}".encode())
        digest.update(self.log_sigmas.tobytes())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {list(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.cpu().contiguous().float().numpy().tobytes())
        return digest.hexdigest()

    def time(self, sigma: float) -> float:
        """The scheduler's continuous time of a noise level sigma > 0, from 0 to T - 1."""
        return float(np.interp(np.log(sigma), self.log_sigmas, np.arange(len(self.log_sigmas))))

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        """D(z, sigma) [B,C,H,W]. InputError for a z or sigma that no denoiser can answer."""
        check_query(z, sigma, self.shape)
        weight = next(self.network.parameters())
        alpha = (1 + sigma**2) ** -0.5  # sqrt(abar)
        x_t = z * alpha
        times = torch.full((len(z),), self.time(sigma), dtype=weight.dtype, device=weight.device)
        output = self.network(x_t.to(weight), times, return_dict=False)[0].to(z)
        if self.prediction == "epsilon":
            denoised = z - sigma * output
        elif self.prediction == "v_prediction":
            denoised = alpha * x_t - alpha * sigma * output  # sqrt(1 - abar) = alpha sigma
        else:
            denoised = output
        result: Tensor = denoised
        return result


def read_pipeline(folder: Path, device: str) -> DiffusersTeacher:
    """The network and scheduler of a pipeline folder.

    CheckpointError names what is missing or unfit; UsageError where diffusers isn't installed.
    """
    index = _json(folder / "model_index.json", folder)
    unet, scheduler = (_class_of(index, part, folder) for part in ("unet", "scheduler"))
    if unet != "UNet2DModel" or scheduler not in SCHEDULERS:
        raise CheckpointError(
            f"{folder} holds a {unet} with a {scheduler}; expected an unconditional UNet2DModel "
            f"with a {' or '.join(SCHEDULERS)}"
        )
    config = _json(folder / "unet" / "config.json", folder)
    _refuse_unfit(config, folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    if not weights.is_file():
        raise CheckpointError(
            f"{folder} has no {weights.relative_to(folder)}. Weights in a .bin file are a pickle, "
            f"which is never loaded here; save the pipeline with safe_serialization=True"
        )
    network, schedule = _load(folder, scheduler)
    if schedule.config.prediction_type not in PREDICTIONS:
        raise CheckpointError(
            f"{folder} predicts '{schedule.config.prediction_type}'; expected one of "
            f"{', '.join(PREDICTIONS)}"
        )
    side = config["sample_size"]
    height, width = (side, side) if isinstance(side, int) else side
    kept = schedule.alphas_cumprod.double().numpy()
    return DiffusersTeacher(
        name=folder.resolve().name,
        network=network.to(device).eval().requires_grad_(False),
        shape=ImageShape(config["in_channels"], height, width),
        log_sigmas=0.5 * np.log((1 - kept) / np.maximum(kept, np.finfo(np.float64).tiny)),
        prediction=schedule.config.prediction_type,
        settings=json.dumps([config, dict(schedule.config)], sort_keys=True, default=str),
    )


def _load(folder: Path, scheduler: str) -> tuple[nn.Module, Any]:
    try:
        import diffusers
    except ImportError as error:
        raise UsageError(
            f"{folder} is a diffusers pipeline, and diffusers is not installed: "
            f"python -m pip install 'fpmc-bench[diffusers]'"
        ) from error
    try:
        network = diffusers.UNet2DModel.from_pretrained(
            folder / "unet", use_safetensors=True, local_files_only=True
        )
        loaded = getattr(diffusers, scheduler).from_pretrained(
            folder / "scheduler", local_files_only=True
        )
    except Exception as error:  # whatever diffusers raises for a folder that is not as it says
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"{folder} can't be loaded by diffusers ({type(error).__name__}: {reason}); save the "
            f"pipeline again"
        ) from error
    return network, loaded


def _refuse_unfit(config: dict[str, Any], folder: Path) -> None:
    channels, out = config.get("in_channels"), config.get("out_channels")
    if not config.get("sample_size") or not channels:
        raise CheckpointError(f"{folder}/unet/config.json does not say the size of its images")
    if channels != out:
        raise CheckpointError(
            f"{folder} takes images of {channels} channels and returns {out}; expected as many: "
            f"learned variances and conditions are not supported"
        )
    if config.get("class_embed_type") or config.get("num_class_embeds"):
        raise CheckpointError(
            f"{folder} is conditioned on classes; expected an unconditional model"
        )


def _class_of(index: dict[str, Any], part: str, folder: Path) -> str:
    listed = index.get(part)
    if not isinstance(listed, list) or len(listed) != 2:
        raise CheckpointError(f"{folder}/model_index.json names no {part}: expected a pipeline")
    return str(listed[1])


def _json(path: Path, folder: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no {path.relative_to(folder)}; expected a folder that a diffusers "
            f"pipeline's save_pretrained wrote"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON ({error}); save the pipeline again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object; save the pipeline again")
    return content
