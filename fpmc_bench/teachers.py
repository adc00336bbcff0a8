"""Teachers: trained networks that denoisers are measured against, by name or from a file."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from fpmc_bench.contracts import TeacherModel
from fpmc_bench.engine.evaluate import check_query
from fpmc_bench.errors import UnknownNameError
from fpmc_bench.networks.config import NetworkConfig
from fpmc_bench.networks.preconditioning import EDMPrecond
from fpmc_bench.networks.teacher_file import TeacherCard, read_teacher
from fpmc_bench.parameters import make_plugin
from fpmc_bench.registry import Registry, installed_registry
from fpmc_bench.shapes import ImageShape


@dataclass(frozen=True, eq=False)
class NetworkTeacher:
    """An EDM-preconditioned network as a denoiser: (z [B,C,H,W], sigma) -> [B,C,H,W] like z.

    Differentiable in z where gradients are enabled; weights are frozen. Equal calls give equal
    bits. An image's result does not depend on the rest of its batch beyond the last bits of a
    convolution (about 1e-6), whose order of summation may follow the batch size.
    """

    name: str
    network: EDMPrecond
    card: TeacherCard

    @property
    def config(self) -> NetworkConfig:
        return self.card.config

    @property
    def shape(self) -> ImageShape:
        return ImageShape(self.config.channels, self.config.side_px, self.config.side_px)

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over architecture and weights, whatever device they are on."""
        digest = hashlib.sha256(self.config.model_dump_json().encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {list(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        """D(z, sigma). Raises InputError for a z or sigma that no denoiser can answer."""
        check_query(z, sigma, self.shape)
        weight = next(self.network.parameters())
        # the cast differentiates, so that a float64 z gets float64 gradients
        levels = torch.full((len(z),), sigma, dtype=weight.dtype, device=weight.device)
        denoised: Tensor = self.network(z.to(weight), levels)
        return denoised.to(z)


def load_teacher(
    name_or_path: str | Path, device: str = "cpu", *, registry: Registry | None = None
) -> TeacherModel:
    """A registered teacher's name, or a path that ends in .safetensors or holds a separator.

    Raises UnknownNameError with near names, or CheckpointError for a file that is missing,
    damaged or holds another network.
    """
    text = str(name_or_path)
    if text.endswith(".safetensors") or "/" in text or "\\" in text:
        network, card = read_teacher(Path(text))
        return NetworkTeacher(Path(text).stem, network.to(device), card)
    known = registry or installed_registry()
    try:
        registered = known.get("teachers", text)
    except UnknownNameError as error:
        error.args = (f"{error} A network of your own: give its path, ending in .safetensors.",)
        raise
    teacher: TeacherModel = make_plugin(registered.item).load(device)
    return teacher
