"""This project as it was at another commit: what a change has done to its speed and its answers.

Its package has the same name, so it runs in a process of its own, which gets the queries of every
call and gives the answers through a pipe (a tenth of a millisecond beside what is measured).
"""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

import numpy as np
import torch
from cases import METHODS, Case, Problem
from torch import Tensor

from fpmc_bench.errors import InputError
from peers.contest import Contest, Peer

SERVER = """
import io, json, sys
from pathlib import Path
import numpy as np, torch
import fpmc_bench
from fpmc_bench import build_denoiser

source, target = sys.stdin.buffer, sys.stdout.buffer

def received():
    size = int.from_bytes(source.read(8), "little")
    return torch.from_numpy(np.load(io.BytesIO(source.read(size)), allow_pickle=False))

asked = json.loads(source.readline())
here = Path(fpmc_bench.__file__).parents[1]
assert here == Path(asked["checkout"]), f"{here} was imported"
torch.set_num_threads(asked["threads"])
images, maps = received(), received()
maps = maps[None] if asked["method"] == "pspc-flex" else None
denoise = build_denoiser(asked["method"], images, sigmas=[asked["sigma"]], params=asked["params"],
                         sensitivity=maps)
while True:
    with torch.no_grad():
        answer = denoise(received(), asked["sigma"])
    buffer = io.BytesIO()
    np.save(buffer, answer.numpy())
    target.write(len(buffer.getvalue()).to_bytes(8, "little") + buffer.getvalue())
    target.flush()
"""


class Previous(Peer):
    """A checkout of this project, by the public names that all of its versions have."""

    name = "previous"
    methods = frozenset(METHODS)

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout.resolve()
        if not (self.checkout / "fpmc_bench" / "__init__.py").is_file():
            raise InputError(
                f"--peer {self.name}: {checkout} has no fpmc_bench; expected a checkout"
            )

    def contest(self, case: Case, problem: Problem) -> Contest:
        return Contest(_Process(self.checkout, case, problem), case.model(problem))


class _Process:
    """A denoiser of the other version, which ends with this object."""

    def __init__(self, checkout: Path, case: Case, problem: Problem) -> None:
        path = os.pathsep.join([str(checkout), str(checkout / "plugins")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env={**os.environ, "PYTHONPATH": path},
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.into = cast(IO[bytes], self.process.stdin)
        self.out = cast(IO[bytes], self.process.stdout)
        asked = {
            "checkout": str(checkout),
            "threads": torch.get_num_threads(),
            "method": case.method,
            "params": dict(case.params),
            "sigma": case.sigma,
        }
        self.into.write(json.dumps(asked).encode() + b"\n")
        for tensor in (problem.source.images, problem.maps):
            self._send(tensor)

    def __call__(self, z: Tensor) -> Tensor:
        """D(z) of z [B,C,H,W] at the case's sigma."""
        self._send(z)
        self.into.flush()
        size = int.from_bytes(self.out.read(8), "little")
        answer: np.ndarray = np.load(io.BytesIO(self.out.read(size)), allow_pickle=False)
        return torch.from_numpy(answer)

    def _send(self, tensor: Tensor) -> None:
        """As numpy saves it, after its length."""
        buffer = io.BytesIO()
        np.save(buffer, tensor.contiguous().numpy())
        self.into.write(len(buffer.getvalue()).to_bytes(8, "little") + buffer.getvalue())

    def __del__(self) -> None:
        self.process.kill()
        self.process.communicate()
