"""A run directory: one suite configuration, one writer at a time.

run.json          the suite as run, and its fingerprint
ledger/           finished work units and failures
records/          one JSON and one npz per entry and protocol
tables/ figures/  rendered from the records
samples/          the first few predictions of every row, for protocols that keep them
arithmetic.json   what products cost on the machine where the run began: all its processes, and
                  those that continue it, choose between equal ways alike
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fpmc_bench.documents.suite import Suite
from fpmc_bench.engine.machine.arithmetic import Arithmetic, measured_arithmetic
from fpmc_bench.errors import RunError
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.folders import differences, locked, read_manifest

ARITHMETIC = "arithmetic.json"
CONTENTS = ("run.json", ARITHMETIC, "samples", "ledger", "records", "tables", "figures")

RUNS = Path("runs")
"""Where run directories are made unless somewhere else is asked for."""


@dataclass(frozen=True)
class RunDirectory:
    """Paths inside one run directory."""

    path: Path

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.path / "ledger")

    @property
    def records(self) -> Path:
        return self.path / "records"

    def samples(self, protocol: str) -> Path:
        """Of a protocol that keeps predictions."""
        return self.path / "samples" / f"{protocol}.npz"

    @property
    def arithmetic(self) -> Arithmetic:
        """The one the run began with."""
        return Arithmetic(**json.loads((self.path / ARITHMETIC).read_text()))

    @property
    def manifest(self) -> Path:
        return self.path / "run.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for one run; RunError where another run holds it."""
        with locked(self.path, "run", "--run-dir"):
            yield

    def open(self, suite: Suite, device: str, *, fresh: bool) -> None:
        """Claim the directory for a run of `suite` on `device`.

        `fresh` discards what an earlier run left there. RunError where that was a run with other
        settings. Where run.json is damaged it is written anew, for units are known by their keys.
        """
        if fresh:
            for name in CONTENTS:
                target = self.path / name
                shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        held = read_manifest(self.manifest, fingerprint=str, suite=dict)
        if held and held["fingerprint"] != suite.fingerprint:
            asked = suite.model_dump(mode="json", exclude={"description", "entries", "protocols"})
            raise RunError(
                f"{self.path} holds a run of suite '{held['suite'].get('name')}' with other "
                f"settings ({differences(held['suite'], asked)}); choose another --run-dir, or "
                f"discard it with --fresh"
            )
        content = {"fingerprint": suite.fingerprint, "suite": json.loads(suite.model_dump_json())}
        write_atomically(self.manifest, (json.dumps(content, indent=2) + "\n").encode())
        self.ledger.forget_failures()
        self._keep_arithmetic(device)

    def _keep_arithmetic(self, device: str) -> None:
        target = self.path / ARITHMETIC
        if not target.is_file():
            measured = measured_arithmetic(device).describe()
            write_atomically(target, (json.dumps(measured, indent=2) + "\n").encode())


def default_run_directory(suite: Suite) -> Path:
    """runs/<suite>-<fingerprint>: another item count or seed is another directory."""
    return RUNS / f"{suite.name}-{suite.fingerprint[:8]}"
