"""A run directory: one suite configuration, one writer at a time.

run.json          the suite as run, and its fingerprint
ledger/           finished work units and failures
records/          one JSON and one npz per entry and protocol
tables/ figures/  rendered from the records
samples/          the first few predictions of every row, for protocols that keep them
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fpmc_bench.documents.suite import Suite
from fpmc_bench.errors import RunError
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.folders import differences, locked

CONTENTS = ("run.json", "samples", "ledger", "records", "tables", "figures")


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
    def manifest(self) -> Path:
        return self.path / "run.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for one run; RunError where another run holds it."""
        with locked(self.path, "run", "--run-dir"):
            yield

    def open(self, suite: Suite, *, fresh: bool) -> None:
        """Claim the directory for a run of `suite`.

        `fresh` discards what an earlier run left there. RunError where that was a run with other
        settings.
        """
        if fresh:
            for name in CONTENTS:
                target = self.path / name
                shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        if self.manifest.is_file():
            held = json.loads(self.manifest.read_text())
            if held["fingerprint"] != suite.fingerprint:
                asked = suite.model_dump(
                    mode="json", exclude={"description", "entries", "protocols"}
                )
                raise RunError(
                    f"{self.path} holds a run of suite '{held['suite']['name']}' with other "
                    f"settings ({differences(held['suite'], asked)}); choose another --run-dir, "
                    f"or discard it with --fresh"
                )
        content = {"fingerprint": suite.fingerprint, "suite": json.loads(suite.model_dump_json())}
        write_atomically(self.manifest, (json.dumps(content, indent=2) + "\n").encode())
        self.ledger.forget_failures()


def default_run_directory(suite: Suite) -> Path:
    """runs/<suite>-<fingerprint>: another item count or seed is another directory."""
    return Path("runs") / f"{suite.name}-{suite.fingerprint[:8]}"
