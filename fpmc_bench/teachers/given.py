"""What a user may name a network of their own by: its path, with a label, or module:function."""

import re
from pathlib import Path

from fpmc_bench.contracts import TeacherModel
from fpmc_bench.teachers.labels import label_of, labelled_name, without_label
from fpmc_bench.teachers.network import read_network


def network_at(path: str, device: str) -> TeacherModel:
    """The network at a path, which a label may follow; as `read_network` raises."""
    return read_network(Path(without_label(path)).expanduser(), device, label_of(path))


def is_path(text: str) -> bool:
    """Whether this is to be looked for among files, and not among names."""
    text = without_label(text)
    return text.endswith((".safetensors", ".pkl")) or "/" in text or "\\" in text


def there_is(path: str) -> bool:
    """Whether something lies at the path of a network, which a label may follow."""
    return Path(without_label(path)).expanduser().exists()


def name_of(path: str) -> str:
    """What the network at a path is called, which a label may follow."""
    return labelled_name(Path(without_label(path)).stem, label_of(path))


def is_function(text: str) -> bool:
    """Whether this is module:function."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text) is not None
