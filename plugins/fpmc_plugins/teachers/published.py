"""A teacher whose weights were published with EDM (Karras et al. 2022), in a file of its name."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from fpmc_bench import NetworkTeacher, load_teacher
from fpmc_bench.contracts import CheckpointError, FileTeacher, ImageShape, TeacherModel

PUBLISHED_AT = "https://nvlabs-fi-cdn.nvidia.com/edm/pretrained"


def expected_file(name: str) -> str:
    """What a user has to have, and where to get it."""
    return (
        f"{name}.pkl from {PUBLISHED_AT}/{name}.pkl, or that file converted by "
        f"'fpmc-bench teacher convert'"
    )


@dataclass(frozen=True)
class PublishedTeacher(FileTeacher):
    """Subclasses say only what they are; `load_from` reads the published or the converted file."""

    url: ClassVar[str] = "https://github.com/NVlabs/edm"
    architecture: ClassVar[Literal["ddpmpp", "ncsnpp"]]
    shape: ClassVar[ImageShape]

    def load_from(self, path: Path, device: str) -> TeacherModel:
        """CheckpointError where the file's network is of another architecture, size or dataset."""
        model = load_teacher(path, device)
        found = (
            f"a {model.config.architecture} of {model.shape} images"
            if isinstance(model, NetworkTeacher)
            else f"a {type(model).__name__}"
        )
        expected = f"a {self.architecture} of {self.shape} images"
        if not isinstance(model, NetworkTeacher) or found != expected:
            raise CheckpointError(
                f"{path} holds {found}, teacher '{self.name}' is {expected}: {self.expects}"
            )
        # a pickle does not say its images; only the name it was published under does
        if model.card.dataset not in (self.dataset, "unknown"):
            raise CheckpointError(
                f"{path} is a network of '{model.card.dataset}', teacher '{self.name}' one of "
                f"'{self.dataset}': {self.expects}"
            )
        card = model.card.model_copy(update={"dataset": self.dataset})
        return NetworkTeacher(self.name, model.network, card)
