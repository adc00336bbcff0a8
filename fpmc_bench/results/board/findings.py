"""What is found in a leaderboard's folder, a file and a sentence each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fpmc_bench.documents.text import one_line
from fpmc_bench.errors import FpmcBenchError

AS_PUBLISHED = "bring back what was published, or run this row again"


@dataclass(frozen=True)
class Finding:
    """`file` below the folder, with slashes; `text` says what is wrong with it and what to do."""

    file: str
    text: str

    def __str__(self) -> str:
        return one_line(f"{self.file}: {self.text}")


Findings = list[Finding]
"""In the order in which they were found."""


@contextmanager
def noted(found: Findings, directory: Path, file: str) -> Iterator[None]:
    """An error of ours within the block is one more finding, of `file`."""
    try:
        yield
    except FpmcBenchError as error:
        text = " ".join(str(error).split()).replace(f"{directory}/", "")
        for start in (f"{file}: ", f"{file} ", f"{Path(file).name}: "):
            text = text.removeprefix(start)
        found.append(Finding(file, text))
