"""Files of the shape of EDM's published pickles, written by Python's own pickler.

The classes below stand where EDM's persistence helper and dnnlib would, for as long as a file is
written, so that the pickler finds them under those names.
"""

import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond

SMALL = NetworkConfig(
    architecture="ncsnpp",
    side_px=8,
    channels=3,
    model_channels=8,
    channel_mult=(1, 2),
    num_blocks=1,
    attention_sides=(4,),
    augment_dim=9,
)
CLASSES = {"edm": "EDMPrecond", "vp": "VPPrecond", "ve": "VEPrecond"}
SOURCE = "raise SystemExit('the source text of a file was executed')\n"


class EasyDict(dict[str, Any]):
    """A dict by another name."""


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("a file was executed")


EasyDict.__module__ = "dnnlib.util"
_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"


class Persistent:
    """Pickles as an object of EDM's persistence helper does."""

    def __init__(self, class_name: str, state: Mapping[str, Any]) -> None:
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": SOURCE,
            "class_name": class_name,
            "state": dict(state),
        }

    def __reduce__(self) -> Any:
        return _reconstruct_persistent_obj, (self.meta,), None


def as_persistent(module: nn.Module, name: str = "Layer") -> Any:
    """The module and all below it, as EDM's classes would be pickled."""
    children = {key: as_persistent(child) for key, child in module._modules.items() if child}
    if isinstance(module, nn.ModuleDict):
        group = nn.ModuleDict()
        group._modules.update(children)
        return group
    state = {
        "training": False,
        "_parameters": OrderedDict(module._parameters),
        "_buffers": OrderedDict(module._buffers),
        "_non_persistent_buffers_set": set(),
        "_backward_hooks": OrderedDict(),
        "_is_full_backward_hook": None,
        "_modules": OrderedDict(children),
        "skip_scale": np.sqrt(0.5),
        "_init_args": (),
        "_init_kwargs": {"init": {"init_weight": np.sqrt(0.2)}},
    }
    return Persistent(name, state)


def arguments_of(config: NetworkConfig) -> dict[str, Any]:
    """EDM's constructor arguments of a network."""
    fourier = config.architecture == "ncsnpp"
    own = {
        "edm": {"sigma_data": config.sigma_data},
        "vp": {"beta_d": config.beta_d, "beta_min": config.beta_min, "epsilon_t": 1e-5},
        "ve": {"sigma_min": 0.02, "sigma_max": 100},
    }
    return {
        "img_resolution": config.side_px,
        "img_channels": config.channels,
        "label_dim": config.label_dim,
        "use_fp16": False,
        "model_type": "SongUNet",
        "embedding_type": config.embedding,
        "encoder_type": "residual" if fourier else "standard",
        "decoder_type": "standard",
        "channel_mult_noise": 2 if fourier else 1,
        "resample_filter": list(config.resample_filter),
        "model_channels": config.model_channels,
        "channel_mult": list(config.channel_mult),
        "num_blocks": config.num_blocks,
        "attn_resolutions": list(config.attention_sides),
        "dropout": config.dropout,
        "augment_dim": config.augment_dim,
        **own[config.preconditioning],
    }


def network_of(config: NetworkConfig) -> EDMPrecond:
    """One with weights that matter, the same each time."""
    torch.manual_seed(0)
    network = EDMPrecond(config).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith(("conv1.weight", "proj.weight", "aux_conv.weight")):
            nn.init.normal_(parameter, std=0.1)
    return network


def edm_object(network: EDMPrecond, **changed_arguments: Any) -> Persistent:
    """The `ema` of a file. An argument given as None is left out."""
    config = network.config
    arguments = {**arguments_of(config), **changed_arguments}
    ema: Persistent = as_persistent(network, CLASSES[config.preconditioning])
    ema.meta["state"]["_init_kwargs"] = EasyDict(
        {name: value for name, value in arguments.items() if value is not None}
    )
    return ema


def write_edm(path: Path, ema: Any, protocol: int = 4, **others: Any) -> Path:
    """A file with this `ema`, and with the other things that the published ones have."""
    content: dict[str, Any] = {
        "ema": ema,
        "loss_fn": Persistent("EDMLoss", {"P_mean": -1.2}),
        "augment_pipe": None,
        "dataset_kwargs": EasyDict(path="datasets/cifar10-32x32.zip", use_labels=False),
        **others,
    }
    with edm_names():
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@contextmanager
def edm_names() -> Iterator[None]:
    """EDM's modules, as far as its pickles name them."""
    modules = {name: types.ModuleType(name) for name in ("torch_utils", "dnnlib")}
    modules["torch_utils.persistence"] = types.ModuleType("torch_utils.persistence")
    modules["dnnlib.util"] = types.ModuleType("dnnlib.util")
    vars(modules["torch_utils.persistence"])["_reconstruct_persistent_obj"] = (
        _reconstruct_persistent_obj
    )
    vars(modules["dnnlib.util"])["EasyDict"] = EasyDict
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def waves(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights that any library can reproduce: cosines, scaled by their fan-in."""
    filled = dict(state)
    for index, name in enumerate(sorted(state)):
        if "resample_filter" not in name:
            count = state[name].numel()
            wave = (torch.arange(count, dtype=torch.float64) * 1.7 + index).cos()
            fan_in = count // state[name].shape[0]
            filled[name] = (wave * fan_in**-0.5).float().reshape(state[name].shape)
    return filled
