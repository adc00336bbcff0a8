"""The published EDM `.pkl` files: weights and constructor arguments, read without running them.

Such a file is a pickled dict whose `ema` is a preconditioned network (Karras et al. 2022). Its
objects carry the source text of their module, to be executed as they are loaded; here that text is
never looked at. What is read: `_init_kwargs` of the network, and `_parameters` and `_buffers` of
all its modules. See `restricted_pickle` for why nothing can run, `edm_storage` for the tensors.
"""

import hashlib
import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from torch import Tensor

from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.pickled import Node, shown
from fpmc_bench.storage.restricted_pickle import DICTS, SETS, read_pickle
from fpmc_bench.teachers.files.edm_arguments import config_of, label_dropout_of
from fpmc_bench.teachers.files.edm_storage import KIND, TENSOR_NAMES, TensorReader
from fpmc_bench.teachers.unet.config import NetworkConfig

PERSISTENT = "torch_utils.persistence._reconstruct_persistent_obj"
MODULE_DICT = "torch.nn.modules.container.ModuleDict"
KNOWN_NAMES = frozenset(
    {PERSISTENT, MODULE_DICT, *SETS, *DICTS, *TENSOR_NAMES}
    # numbers that numpy computed stand among the constructor arguments of the inner layers
    | {f"numpy.{core}.multiarray.scalar" for core in ("core", "_core")}
    | {"numpy.dtype"}
)
"""Every name that a published file mentions, and no other."""
NAME = re.compile(r"[A-Za-z0-9_]{1,80}")
MOST_MEMBERS, DEEPEST = 20_000, 32
"""A published network has about 900 modules, parameters and buffers, nested five deep."""


@dataclass(frozen=True, eq=False)
class PickledNetwork:
    """What an EDM file says: the shape of its network, its weights as stored, its sha256.

    `label_dropout`: the share of images whose class its training left out.
    """

    config: NetworkConfig
    tensors: dict[str, Tensor]
    sha256: str
    label_dropout: float


def read_edm_pickle(path: Path) -> PickledNetwork:
    """The `ema` network of a published file. Nothing of the file is imported, called or executed.

    Tensors keep their type, float32 or float16. Raises CheckpointError naming what is wrong with
    a file that is anything else.
    """
    if not path.is_file():
        raise CheckpointError(
            f"no EDM checkpoint at {path}; give the path of a published .pkl file"
        )
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty, it is truncated; fetch it again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        sha256 = hashlib.sha256(view).hexdigest()
        stream = cast(IO[bytes], view)  # reads alike
        content = read_pickle(stream, KNOWN_NAMES, str(path), KIND)
        size, end = len(view), view.tell()
    if end != size:
        raise CheckpointError(f"{path} has {size - end} bytes after its pickle; fetch it again")
    if not isinstance(content, dict) or "ema" not in content:
        found = (
            f"keys [{', '.join(sorted(map(shown, content))[:5])}]"
            if isinstance(content, dict)
            else "no dict"
        )
        raise CheckpointError(
            f"{path} is not an EDM checkpoint: it has {found}; expected a dict with 'ema', as the "
            f"network-snapshot files of EDM's training and the published ones have"
        )
    class_name, state = _object(content["ema"], str(path))
    config = config_of(class_name, state, str(path))
    walk = _Walk(TensorReader(str(path), size), str(path), {}, size)
    walk.module(state, "", 0)
    return PickledNetwork(config, walk.tensors, sha256, label_dropout_of(state, str(path)))


def _object(node: Any, origin: str) -> tuple[str, dict[str, Any]]:
    """Class name and attributes of a module."""
    if isinstance(node, Node) and node.name == MODULE_DICT and isinstance(node.state, dict):
        return "ModuleDict", node.state
    if isinstance(node, Node) and node.name == PERSISTENT and len(node.args) == 1:
        meta = node.args[0]
        if (
            isinstance(meta, dict)
            and meta.get("type") == "class"
            and isinstance(meta.get("class_name"), str)
            and isinstance(meta.get("state"), dict)
        ):
            return meta["class_name"], meta["state"]
    raise CheckpointError(
        f"{origin}: expected a network module, found {shown(node)}; it is damaged or "
        f"not an EDM checkpoint"
    )


@dataclass(eq=False)
class _Walk:
    """Collects the state dict; refuses more members, depth or bytes than a network's file has.

    Modules of a pickle may share what is below them, so that a small file names a huge tree.
    """

    reader: TensorReader
    origin: str
    tensors: dict[str, Tensor]
    bytes_left: int
    members: int = 0

    def module(self, state: dict[str, Any], prefix: str, depth: int) -> None:
        if depth > DEEPEST:
            raise CheckpointError(
                f"{self.origin} nests modules more than {DEEPEST} deep; no EDM network does"
            )
        for group in ("_parameters", "_buffers"):
            for name, value in self._named(state, group, prefix):
                if value is not None:
                    self._add(prefix + name, value)
        for name, value in self._named(state, "_modules", prefix):
            if value is not None:
                self.module(_object(value, self.origin)[1], f"{prefix}{name}.", depth + 1)

    def _named(self, state: dict[str, Any], group: str, prefix: str) -> list[tuple[str, Any]]:
        members = state.get(group)
        module = prefix.rstrip(".") or "ema"
        if not isinstance(members, dict):
            raise CheckpointError(
                f"{self.origin}: module '{module}' has no {group}; it is damaged or not an EDM "
                f"checkpoint"
            )
        self.members += len(members)
        if self.members > MOST_MEMBERS:
            raise CheckpointError(
                f"{self.origin} has more than {MOST_MEMBERS} modules, parameters and buffers; no "
                f"EDM network does"
            )
        strange = next((name for name in members if not NAME.fullmatch(name)), None)
        if strange is not None:
            raise CheckpointError(
                f"{self.origin}: module '{module}' has {shown(strange)} in its {group}; expected "
                f"a name of at most 80 letters, digits and underscores"
            )
        return list(members.items())

    def _add(self, name: str, value: Any) -> None:
        tensor = self.reader.read(value, name)
        # tensors may share a storage, so that a small file could ask for more than it holds
        self.bytes_left -= tensor.numel() * tensor.element_size()
        if self.bytes_left < 0:
            raise CheckpointError(
                f"{self.origin}: its tensors are larger than the file, from '{name}' on; it is "
                f"damaged or hostile"
            )
        self.tensors[name] = tensor
