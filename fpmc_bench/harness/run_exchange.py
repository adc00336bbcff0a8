"""What the stages of a run send between islands: units, failures, and what the cache keeps.

The run directory and the cache may each be one for all processes or one a machine. What all rows
read goes to every island, and rows' units to the main process, which makes records of them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpmc_bench.harness.cluster.exchange import Exchange, kept_state, unit_state
from fpmc_bench.harness.cluster.islands import Islands, islands_of
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.images.made import blocks_taken_by, images_in
from fpmc_bench.storage.cache import cache_folder


@dataclass(frozen=True)
class RunExchange:
    """Between the islands of a run directory, whose `ledger` is this one here, and of the cache.

    Where there is one island, nothing is asked and nothing sent. Else all processes call alike what
    brings something, and go on when it is there.
    """

    processes: Processes
    ledger: Ledger
    runs: Islands
    caches: Islands

    def bring_units(self, keys: Sequence[str], *, everywhere: bool = False) -> None:
        """Finished units, to the main process's ledger or to all."""
        names = [f"{key}.npz" for key in keys]
        self._units.bring(names, unit_state(self.ledger), everywhere=everywhere)

    def bring_cached(self, paths: Sequence[Path]) -> None:
        """Files of tensors, of one kind, that lie in any cache, to all caches."""
        if paths:
            folder = paths[0].parent
            exchange = Exchange(self.processes, self.caches, folder)
            exchange.bring([one.name for one in paths], kept_state(folder), everywhere=True)

    def make_images(self, make: Callable[[], Mapping[Path, int]]) -> None:
        """Images that the cache keeps, by all processes, which `make` the blocks they take.

        It is called again while any process wants files of other caches, as it returns them.
        """
        sent: set[Path] | None = None if self.caches.shared else set()
        while True:
            with blocks_taken_by(self.processes.take, sent):
                wanted = make()
            if sent is None or not self._bring_images(wanted):
                return
            sent |= wanted.keys()

    def _bring_images(self, wanted: Mapping[Path, int]) -> bool:
        """Files of so many images that any process wants, to all caches; whether any did."""
        root = cache_folder()
        own = {str(path.relative_to(root)): images for path, images in wanted.items()}
        needed: dict[str, int] = {}
        for text in self.processes.gather(json.dumps(own)):
            needed |= json.loads(text)

        def state(name: str) -> str | None:
            return "enough" if images_in(root / name) >= needed[name] else None

        Exchange(self.processes, self.caches, root).bring(sorted(needed), state, everywhere=True)
        return bool(needed)

    def bring_failures(self) -> None:
        """Note everywhere what has failed anywhere."""
        self._units.bring_failures(self.ledger)

    def fail(self, row: str) -> None:
        """Tell the others that a row has failed, before what it raised is brought to them."""
        if not self.runs.shared:
            self.processes.count(self._failure(row), 1)

    def failed(self, row: str) -> bool:
        """Whether a row has failed at any island."""
        if self.ledger.failed(row):
            return True
        return not self.runs.shared and self.processes.count(self._failure(row)) > 0

    def _failure(self, row: str) -> str:
        return f"failed/{self.runs.look}/{row}"

    @property
    def _units(self) -> Exchange:
        return Exchange(self.processes, self.runs, self.ledger.directory)


def run_exchange(processes: Processes, folder: Path, ledger: Ledger) -> RunExchange:
    """Of a ledger in `folder`, and of the cache, once all processes have found who sees whose.

    RunError and DiskError as `islands_of`; UsageError where the cache can't be written into.
    """
    return RunExchange(processes, ledger, *islands_of(processes, folder, cache_folder()))
