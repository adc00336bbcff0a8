"""Teachers: trained networks that denoisers are measured against, by name or from a file."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from fpmc_bench.contracts import FileTeacher, Teacher, TeacherModel
from fpmc_bench.engine.evaluate import check_query
from fpmc_bench.errors import MissingFilesError, UnknownNameError
from fpmc_bench.networks.config import NetworkConfig
from fpmc_bench.networks.diffusers_teacher import read_pipeline
from fpmc_bench.networks.function_teacher import FunctionTeacher
from fpmc_bench.networks.preconditioning import EDMPrecond
from fpmc_bench.networks.teacher_file import TeacherCard, read_edm, read_teacher
from fpmc_bench.parameters import make_plugin
from fpmc_bench.places import Places
from fpmc_bench.registry import Registry, installed_registry
from fpmc_bench.shapes import ImageShape


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
    name_or_path: str | Path,
    device: str = "cpu",
    *,
    places: Places | None = None,
    registry: Registry | None = None,
) -> TeacherModel:
    """A network as a denoiser, by a registered name or by what holds it.

    `name_or_path` is a registered teacher's name, `module:function`, or a path, which ends in
    .safetensors or .pkl or holds a separator. Raises UnknownNameError with near names,
    MissingFilesError where a registered teacher is one that its user has to provide (`places` say
    where), or CheckpointError for a file that is missing, damaged or holds another network.
    """
    text = str(name_or_path)
    if is_path(text):
        return read_network(Path(text).expanduser(), device)
    if is_function(text):
        return FunctionTeacher.named(text, device)
    places = places or Places()
    known = registry or installed_registry()
    try:
        registered = known.get("teachers", text)
    except UnknownNameError as error:
        error.args = (
            f"{error} A network of your own: give its path, ending in .safetensors or .pkl, the "
            f"path of a diffusers folder, or module:function.",
        )
        raise
    if missing := missing_teacher(registered.item, places):
        raise MissingFilesError([missing])
    plugin = make_plugin(registered.item)
    if not isinstance(plugin, FileTeacher):
        return cast(TeacherModel, plugin.load(device))
    place = places.find("teacher", text)
    assert place is not None  # missing_teacher has looked
    return plugin.load_from(Path(place).expanduser(), device)


def missing_teacher(cls: type[Teacher], places: Places, role: str | None = None) -> str | None:
    """What a user has to do before the teacher can be loaded, in a suite's role; None: nothing."""
    if not issubclass(cls, FileTeacher):
        return None
    place = places.find("teacher", cls.name)
    if place is None:
        return f"teacher '{cls.name}': give {places.ways('teacher', cls.name, role)}; {cls.expects}"
    if not Path(place).expanduser().exists():
        return f"teacher '{cls.name}': there is nothing at {place}; {cls.expects}"
    return None


def is_path(text: str) -> bool:
    """Whether this is to be looked for among files, and not among names."""
    return text.endswith((".safetensors", ".pkl")) or "/" in text or "\\" in text


def is_function(text: str) -> bool:
    """Whether this is module:function."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text) is not None


def read_network(path: Path, device: str = "cpu") -> TeacherModel:
    """The network at a path, by what is there. CheckpointError says what is wrong with others."""
    if path.is_dir():
        return read_pipeline(path, device)
    network, card = (read_edm if path.suffix == ".pkl" else read_teacher)(path)
    return NetworkTeacher(path.stem, network.to(device), card)
