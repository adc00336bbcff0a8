"""NetworkTeacher: a trained SongUNet as a denoiser, and reading one from whatever holds it."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from fpmc_bench.contracts import TeacherModel
from fpmc_bench.engine.evaluate import check_query
from fpmc_bench.engine.machine.tf32 import without_tf32
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.sigmas import AnySigma
from fpmc_bench.teachers.files.diffusers_folder import read_pipeline
from fpmc_bench.teachers.files.teacher_file import TeacherCard, read_edm, read_teacher
from fpmc_bench.teachers.labels import Label, answer_for, labelled_name, refuse_label
from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond


@dataclass(frozen=True, eq=False)
class NetworkTeacher:
    """A preconditioned SongUNet as a denoiser: (z [B,C,H,W], sigma) -> [B,C,H,W] like z.

    Differentiable in z where gradients are enabled; weights are frozen. Equal calls give equal
    bits. An image's result does not depend on the rest of its batch beyond the last bits of a
    convolution (about 1e-6), whose order of summation may follow the batch size.
    """

    name: str
    network: EDMPrecond
    card: TeacherCard
    label: Label | None = None
    """Of a network that is conditioned on classes; None: it isn't, or is asked without one."""

    def __repr__(self) -> str:
        return f"NetworkTeacher({self.name}: {self.parameters} parameters, {self.shape})"

    @property
    def config(self) -> NetworkConfig:
        return self.card.config

    @property
    def shape(self) -> ImageShape:
        """Of the images that it takes and returns."""
        return ImageShape(self.config.channels, self.config.side_px, self.config.side_px)

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over architecture, weights and label, whatever device they are on."""
        digest = hashlib.sha256(self.config.model_dump_json().encode())
        if self.label is not None:
            digest.update(f"label {self.label}".encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {list(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @without_tf32()
    def __call__(self, z: Tensor, sigma: AnySigma) -> Tensor:
        """D(z [B,C,H,W], sigma) [B,C,H,W], of z's type and device.

        Raises InputError for a z or sigma that no denoiser can answer.
        """
        sigma = check_query(z, sigma, self.shape)
        weight = next(self.network.parameters())
        # the cast differentiates, so that a float64 z gets float64 gradients
        sigmas = torch.full((len(z),), sigma, dtype=weight.dtype, device=weight.device)
        images = z.to(weight)
        denoised = answer_for(
            lambda label: self.network(images, sigmas, label), self.label, self.config.label_dim
        )
        return denoised.to(z)


def read_network(path: Path, device: str = "cpu", label: Label | None = None) -> TeacherModel:
    """The network at a path: a diffusers folder, an EDM .pkl or a teacher file, by what is there.

    CheckpointError says what is wrong with others; UsageError where a folder needs diffusers and
    it isn't installed, where the network needs a `label`, and where it has none such.
    """
    if path.is_dir():
        return read_pipeline(path, device, label)
    network, card = (read_edm if path.suffix == ".pkl" else read_teacher)(path)
    refuse_label(str(path), label, card.config.label_dim, none=card.label_dropout > 0)
    return NetworkTeacher(labelled_name(path.stem, label), network.to(device), card, label)
