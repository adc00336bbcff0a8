"""This machine as a value, and a note of who computes here: what stands beside every unit."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch

import fpmc_bench
from fpmc_bench.documents.environment import Environment, UnitNote
from fpmc_bench.engine import EngineSettings, current_settings
from fpmc_bench.harness.cluster.processes import Processes

PACKAGES = ("torch", "numpy", "scipy")
DIRECTORIES = re.compile(r"(?:[^\s=,\[\"']*[/\\])+")
GIT_SECONDS = 10


@dataclass(frozen=True)
class Notary:
    """Writes the notes of the units that this process computes."""

    environment: Environment
    command: str
    commit: str | None

    @classmethod
    def of(cls, processes: Processes, settings: EngineSettings) -> "Notary":
        """For this process, on its device."""
        return cls(describe_environment(processes, settings), command_line(sys.argv), code_commit())

    def note(self, seconds: float, remarks: Sequence[str] = ()) -> UnitNote:
        """Of a unit that is finished now, under the engine's settings, and took so long."""
        sharing = current_settings().sharing
        parts = {"source_parts": 1 if sharing is None else sharing.world}
        return UnitNote(
            environment=self.environment.model_copy(update=parts),
            seconds=seconds,
            date_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            command=self.command,
            commit=self.commit,
            remarks=tuple(remarks),
        )


def describe_environment(processes: Processes, settings: EngineSettings) -> Environment:
    """The machine, its device and the versions that compute on it."""
    device = processes.device
    return Environment(
        system=platform.system(),
        machine=platform.machine(),
        device=torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
        cpu_count=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        processes=processes.world,
        memory_budget_bytes=settings.budget_bytes,
        versions={
            "fpmc_bench": fpmc_bench.__version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
    )


def command_line(arguments: list[str]) -> str:
    """The command as it was given, with the names of files but not the folders they lie in.

    Of another program only the name is told: its arguments are not ours to publish.
    """
    if not is_own_program(arguments[0]):
        return Path(arguments[0]).name
    given = " ".join(["fpmc-bench", *(DIRECTORIES.sub("", one) for one in arguments[1:])])
    return given.encode("utf-8", "replace").decode()  # a file's name may be no text at all


def is_own_program(started: str) -> bool:
    """Whether what was started is `fpmc-bench`, by that name or as a module."""
    program = Path(started)
    return program.name == "fpmc-bench" or program.parts[-2:] == ("fpmc_bench", "__main__.py")


@cache
def code_commit() -> str | None:
    """The commit of this code, "-dirty" where it was changed; None where it is no checkout."""
    root = Path(fpmc_bench.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}-dirty" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    """What git says, which takes no lock for it: one would stay where this process is killed."""
    found = subprocess.run(
        ["git", "--no-optional-locks", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=GIT_SECONDS,
        check=True,
    )
    return found.stdout.strip()
