"""What a plugin is: a frozen dataclass whose fields are its parameters, derived from one of these.

Denoiser, of one kind or the other: FPMCDenoiser, FunctionDenoiser. Augmentation. Dataset, or
FileDataset for images that their user keeps. Teacher, or FileTeacher. Class attributes say its
`name`, `citation` and `url`; `needs` says what a denoiser must be given.

The exceptions of `fpmc_bench.errors` are here too, so that a plugin imports from four modules at
most: `fpmc_bench`, `fpmc_bench.contracts`, `fpmc_bench.fpmc` and `fpmc_bench.testing`.
"""

from fpmc_bench.contracts.augmentations import Augmentation, AugmentationTask
from fpmc_bench.contracts.datasets import (
    BYTE_SCALE,
    Dataset,
    FileDataset,
    Split,
    StoredImages,
)
from fpmc_bench.contracts.denoisers import (
    DenoiseFunction,
    Denoiser,
    FPMCDenoiser,
    FunctionDenoiser,
    Maps,
    Need,
    Setting,
)
from fpmc_bench.contracts.listeners import Listener, UnitFinished
from fpmc_bench.contracts.plugin import Place, Plugin
from fpmc_bench.contracts.teachers import FileTeacher, Teacher, TeacherModel
from fpmc_bench.errors import (
    CheckpointError,
    DiskError,
    FpmcBenchError,
    InputError,
    MissingFilesError,
    ParameterError,
    PluginError,
    RunError,
    SuiteError,
    UnknownNameError,
    UsageError,
)
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.source import Source

__all__ = [
    "BYTE_SCALE",
    "Augmentation",
    "AugmentationTask",
    "CheckpointError",
    "Dataset",
    "DenoiseFunction",
    "Denoiser",
    "DiskError",
    "FPMCDenoiser",
    "FileDataset",
    "FileTeacher",
    "FpmcBenchError",
    "FunctionDenoiser",
    "ImageShape",
    "InputError",
    "Listener",
    "Maps",
    "MissingFilesError",
    "Need",
    "ParameterError",
    "Place",
    "Plugin",
    "PluginError",
    "RunError",
    "Setting",
    "Source",
    "Split",
    "StoredImages",
    "SuiteError",
    "Teacher",
    "TeacherModel",
    "UnitFinished",
    "UnknownNameError",
    "UsageError",
]
