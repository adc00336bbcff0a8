"""A run directory: one configuration, one writer at a time, and nothing in it is ever lost.

run.json          what all its records share, and the suite with every entry that was run here
ledger/           finished work units and failures
records/          one JSON and one npz per entry and protocol, and what attests them
earlier/          records that a later run has replaced, or whose row has failed since
failures.json     rows that have no record, and why
logs/             what plugins that aren't built in have printed, a file a row
status.json       how far the run is, or was when it ended
tables/ figures/  rendered from the records
samples/          the first few predictions of every row, for protocols that keep them, and
                  trajectories.npz: how the first of them came to be
predictions/      all of them, and what they are measured against, where that was asked for
"""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fpmc_bench.documents.earlier import set_aside
from fpmc_bench.documents.failure import FAILURES
from fpmc_bench.documents.identity import of_record
from fpmc_bench.documents.manifest import MANIFEST, united_suites
from fpmc_bench.documents.record import read_record
from fpmc_bench.documents.status import STATUS
from fpmc_bench.documents.suite import Suite
from fpmc_bench.errors import RunError
from fpmc_bench.harness.cluster.attempts import begins
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.results.trajectories import TRAJECTORIES
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.folders import differences, locked, manifest_bytes, read_manifest

CONTENTS = (
    *(MANIFEST, FAILURES, STATUS),
    *("samples", "predictions", "ledger", "logs", "records", "earlier", "tables", "figures"),
)

log = logging.getLogger(__name__)


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
    def trajectories(self) -> Path:
        """Of the protocol that keeps them."""
        return self.path / "samples" / TRAJECTORIES

    @property
    def manifest(self) -> Path:
        return self.path / MANIFEST

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for one run; RunError where another run holds it."""
        with locked(self.path, "run", "--run-dir"):
            yield

    def open(self, suite: Suite, identity: Mapping[str, Any], *, fresh: bool) -> None:
        """Claim the directory for a run of `suite`, whose records are to share `identity`.

        `fresh` discards what an earlier run left there. What failed then is to be tried again,
        unless a launcher has started this one again. RunError where that was a run with other
        settings, networks or images. Where run.json is damaged it is written anew: units are known
        by their keys, and records say what they are of.
        """
        new = begins(self.path)
        if fresh and new:
            self._discard()
        held = self._held()
        there = {**held.get("suite", {}), **held.get("identity", {})}
        asked = {
            **suite.model_dump(mode="json", exclude={"description", "entries", "protocols"}),
            **identity,
            "fingerprint": suite.fingerprint,
        }
        if changed := differences(there, {k: v for k, v in asked.items() if k in there}):
            raise RunError(
                f"{self.path} holds a run of suite '{there.get('name', '?')}' with other settings "
                f"({changed}); choose another --run-dir, or discard it with --fresh"
            )
        content = {
            "fingerprint": suite.fingerprint,
            "identity": identity,
            "suite": united_suites(held.get("suite", {}), json.loads(suite.model_dump_json())),
        }
        if content != held:
            write_atomically(self.manifest, manifest_bytes(content))
        if new:
            self.ledger.forget_failures()

    def set_aside(self, stem: str) -> None:
        """Move the record of a row, where there is one, to a name of its own in `earlier`.

        A line of the log says so.
        """
        if folder := set_aside(self.path, stem):
            record = self.records / f"{stem}.json"
            log.warning("%s is not of this run, or damaged: it lies in %s now", record, folder)

    def _held(self) -> dict[str, Any]:
        """What the directory is for: by its manifest, else by any of its records; {} by nothing."""
        manifest = read_manifest(self.manifest, fingerprint=str, suite=dict) or {}
        if isinstance(manifest.get("identity"), dict):
            return manifest
        return {**manifest, "identity": self._identity_of_records()}

    def _identity_of_records(self) -> dict[str, Any]:
        """That of the first that can be read; others are written anew."""
        for path in sorted(self.records.glob("*.json")):
            with suppress(RunError):
                return of_record(read_record(path)[0])
        return {}

    def _discard(self) -> None:
        for name in CONTENTS:
            target = self.path / name
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
