"""Machines of one process each, as a launcher on each starts it, with folders of their own."""

import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runs import environment

from fpmc_bench.storage.cache import ENVIRONMENT_VARIABLE


@dataclass(frozen=True)
class Node:
    """A process that is started in a folder, with a command and perhaps a cache of its own."""

    home: Path
    command: Sequence[str | Path]
    cache: Path | None = None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def started(*nodes: Node, paths: Sequence[Path] = ()) -> list["subprocess.Popen[str]"]:
    """`python -m fpmc_bench COMMAND` of each, to meet; with plugins of `paths`."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "fpmc_bench", *map(str, node.command)],
            cwd=node.home,
            env={
                **environment(*paths),
                **meeting,
                **({ENVIRONMENT_VARIABLE: str(node.cache)} if node.cache else {}),
                "RANK": str(rank),
                "WORLD_SIZE": str(len(nodes)),
                "LOCAL_RANK": "0",
                "LOCAL_WORLD_SIZE": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, node in enumerate(nodes)
    ]


def ended(processes: Sequence["subprocess.Popen[str]"]) -> list[tuple[int, str, str]]:
    """(exit status, stdout, stderr) of each, once all have ended."""
    outputs = [one.communicate(timeout=120) for one in processes]
    return [(one.returncode, *output) for one, output in zip(processes, outputs, strict=True)]
