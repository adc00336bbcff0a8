"""Provenance: all that the figures of a row depend on, and nothing else.

A unit of work is named by the hash of its provenance, and the record of its row carries it: whoever
has the record knows what it takes to compute its figures anew. What may move their last bits alone
(versions, threads) is in the `Environment` of every unit; who computed it and when is said beside.
"""

import hashlib
from typing import Any, Literal, Self

from pydantic import FiniteFloat, model_validator

from fpmc_bench.documents.reading import AnyFloat, Document, Protocol
from fpmc_bench.storage.keys import KEY_LETTERS

NOTEBOOK = "notebook"
"""The distribution of a class that no file defines."""
RowRole = Literal["entry", "other network", "reference"]


class PluginOrigin(Document):
    """Where a plugin came from: its distribution, and a sha256 over the code of its package.

    Of a class without one: the name of its file, or `NOTEBOOK`.
    """

    distribution: str
    version: str
    code: str

    @property
    def is_file(self) -> bool:
        """Whether it is a class of a file, `-d ./FILE.py`."""
        return self.distribution.endswith(".py")

    @property
    def is_notebook(self) -> bool:
        """Whether it is a class that no file defines."""
        return self.distribution == NOTEBOOK


class AddedImages(Document):
    """What one augmentation adds to a source: `rate` images per image."""

    augmentation: str
    params: dict[str, Any]
    rate: float
    plugin: PluginOrigin


class SourceRecipe(Document):
    """The source of a row: training images by the sha256 of their content, and what is added.

    Added images follow from these, the seed, the sigma grid, the tuning teacher and the device.
    """

    images: str
    added: tuple[AddedImages, ...] = ()


class TeacherFingerprints(Document):
    """Of both networks: architecture and weights."""

    tuning: str
    evaluation: str


class SensitivityRecipe(Document):
    """How maps of the tuning teacher are estimated, for a denoiser that asks for them."""

    samples: int
    version: int


class ArithmeticFacts(Document):
    """Costs by which the engine chooses between equal ways, which differ in last bits.

    They follow from what the processor is, and from no measurement.
    Fields as `fpmc_bench.engine.Arithmetic` has them.
    """

    addition: AnyFloat
    split_multiply_add: AnyFloat
    forced: str | None


class Provenance(Document):
    """Of items `items[0]`..`items[1]` (less one) of one row under one protocol.

    `files`: fingerprint of whatever the denoiser reads beside source and teachers, as weights; ""
    where it reads nothing. `levels`: indices of the noise levels in `sigmas` that the protocol
    looks at. `block_items`: items that are computed together, for a batch can move last bits.
    """

    numerics: int
    protocol: Protocol
    metrics: tuple[str, ...]
    role: RowRole
    denoiser: str
    params: dict[str, Any]
    plugin: PluginOrigin
    files: str
    source: SourceRecipe
    test: str
    teachers: TeacherFingerprints
    sensitivity: SensitivityRecipe | None
    sigmas: tuple[FiniteFloat, ...]
    levels: tuple[int, ...]
    seed: int
    block_items: int
    items: tuple[int, int]
    device: str
    dtype: Literal["float32"] = "float32"
    arithmetic: ArithmeticFacts

    @model_validator(mode="after")
    def _of_what_there_is(self) -> Self:
        start, stop = self.items
        if not 0 <= start < stop:
            raise ValueError(
                f"items must be a range from 0 upwards that holds some, got {self.items}"
            )
        if not self.levels or not all(0 <= level < len(self.sigmas) for level in self.levels):
            raise ValueError(f"levels must be indices of the {len(self.sigmas)} sigmas")
        return self

    def of(self, items: range) -> "Provenance":
        """The same for other items: a block of them, or all."""
        return self.model_copy(update={"items": (items.start, items.stop)})

    @property
    def key(self) -> str:
        """What a unit of work with this provenance is named by: a short sha256 of all of it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:KEY_LETTERS]
