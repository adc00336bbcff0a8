"""Files that one island has and another lacks, sent through the process group, piece by piece.

What is sent are bytes, of a file that both ends know by its name; whether they are what belongs
under that name is for whoever reads them to say, by the file's own digest.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fpmc_bench.harness.cluster.islands import Islands
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.storage.atomic import atomic_path
from fpmc_bench.storage.kept import kept_tensors

PIECE_BYTES = 2**23
"""Of a file in memory, at either end."""
SIZE_BYTES = 8
State = Callable[[str], str | None]
"""Of a file by its name: a word that is equal for equal content; None where none is to be had."""


@dataclass(frozen=True)
class Exchange:
    """A folder that several islands have each for itself; at this one it is `folder`."""

    processes: Processes
    islands: Islands
    folder: Path

    def bring(self, names: Sequence[str], state: State, *, everywhere: bool) -> None:
        """Give the main process's island, or all, the files of these names that others have.

        All processes call it alike, and go on when the files are there. `state` is asked by the
        leaders; where two islands have other files under one name, that of the lower rank is taken.
        RunError where a process has ended; DiskError where a file can't be written.
        """
        if self.islands.shared:
            return
        mine = [state(name) for name in names] if self.islands.leads else []
        everyone = [json.loads(text) for text in self.processes.gather(json.dumps(mine))]
        leaders = self.islands.leaders
        for place, name in enumerate(names):
            held = {leader: everyone[leader][place] for leader in leaders}
            source = next((leader for leader in leaders if held[leader] is not None), 0)
            for target in leaders if everywhere else leaders[:1]:
                if held[target] != held[source]:
                    self._pass(self.folder / name, source, target)
        self.processes.wait()

    def bring_failures(self, ledger: Ledger) -> None:
        """Note everywhere what has failed anywhere."""
        if self.islands.shared:
            return
        mine = ledger.failures() if self.islands.leads else {}
        for text in self.processes.gather(json.dumps(mine)):
            for name, report in json.loads(text).items():
                if self.islands.leads and not ledger.failed(name):
                    ledger.fail(name, report)
        self.processes.wait()

    def _pass(self, path: Path, source: int, target: int) -> None:
        if self.processes.rank == source:
            self._send(path, target)
        if self.processes.rank == target:
            self._receive(path, source)

    def _send(self, path: Path, target: int) -> None:
        try:
            file = path.open("rb")
        except OSError:  # it is gone since it was looked at
            self.processes.send(bytes(SIZE_BYTES), target)
            return
        with file:
            left = os.fstat(file.fileno()).st_size
            self.processes.send(left.to_bytes(SIZE_BYTES), target)
            while left:
                piece = _piece(file, min(PIECE_BYTES, left))
                self.processes.send(piece, target)
                left -= len(piece)

    def _receive(self, path: Path, source: int) -> None:
        left = int.from_bytes(self.processes.receive(SIZE_BYTES, source))
        if not left:
            return
        with atomic_path(path) as partial, partial.open("wb") as file:
            while left:
                piece = self.processes.receive(min(PIECE_BYTES, left), source)
                file.write(piece)
                left -= len(piece)


def _piece(file: IO[bytes], size: int) -> bytes:
    """The next `size` bytes; zeros for those that can't be read, which no digest will be of."""
    try:
        return file.read(size).ljust(size, b"\0")
    except OSError:
        return bytes(size)


def unit_state(ledger: Ledger) -> State:
    """Of units' files: whether they are whole."""
    return lambda name: "whole" if ledger.has(Path(name).stem) else None


def kept_state(folder: Path) -> State:
    """Of files of tensors that are kept under their names (`storage.kept`): the same."""
    return lambda name: None if kept_tensors(folder / name) is None else "whole"


def content_state(folder: Path) -> State:
    """Of any files: a digest of what is in them."""

    def state(name: str) -> str | None:
        try:
            with (folder / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None

    return state
