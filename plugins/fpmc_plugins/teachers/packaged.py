"""A teacher whose weights lie in this folder, in a file of its name."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fpmc_bench import load_teacher
from fpmc_bench.contracts import Teacher, TeacherModel
from fpmc_plugins.shipped import shipped_file

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class PackagedTeacher(Teacher):
    """Subclasses say only what they are; `load` reads `<name>.safetensors`, if it is as shipped."""

    url: ClassVar[str] = "https://arxiv.org/abs/2011.13456"

    def load(self, device: str) -> TeacherModel:
        return load_teacher(shipped_file(FOLDER / f"{self.name}.safetensors"), device)
