"""Whether a leaderboard's folder is what its items say: every fault of it, not only the first.

Everything is computed anew from the items: figures, digests, tables and pictures. That the items
themselves are what a method gives is for `fpmc-bench verify`, which computes with its plugin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fpmc_bench.documents.attestation import SUFFIX, read_attestation, verification
from fpmc_bench.documents.failure import FAILURES, Failure, read_failures
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.manifest import MANIFEST, read_run_manifest
from fpmc_bench.documents.record import Record, read_record
from fpmc_bench.documents.suite import Suite
from fpmc_bench.errors import FpmcBenchError
from fpmc_bench.results.board.files import files_of, links, strangers
from fpmc_bench.results.board.findings import AS_PUBLISHED, Finding, Findings, noted
from fpmc_bench.results.board.pictures import look_at_pictures
from fpmc_bench.results.board.registered import registered_suite
from fpmc_bench.results.board.rendered import figure_finding, table_fault
from fpmc_bench.results.board.shared import (
    odd_ones,
    unlike_the_manifest,
    unlike_their_entries,
    without_rows,
)
from fpmc_bench.results.checks import refuse_altered
from fpmc_bench.results.reading import read_tables
from fpmc_bench.results.render.write import figures_of, rendered_tables
from fpmc_bench.results.table import RANKED_BY


@dataclass
class Check:
    """What was looked at in `directory`, what is wrong (`faults`), and what a reader should know
    (`notes`)."""

    directory: Path
    records: int = 0
    figures: int = 0
    """Means with their errors that were computed anew."""
    items: int = 0
    attestations: int = 0
    samples: int = 0
    """Images whose error is that of their item."""
    rendered: int = 0
    """Files of tables and figures."""
    faults: Findings = field(default_factory=list)
    notes: Findings = field(default_factory=list)

    @property
    def remedy(self) -> str:
        """Of what was rendered of other records."""
        return f"'fpmc-bench leaderboard render {self.directory} --write' makes it anew"


def check(directory: Path) -> Check:
    """All that is to be found in a run directory that is published, or any other.

    InputError where the folder itself can't be read; whatever is wrong inside is a finding.
    """
    done = Check(directory)
    files = files_of(directory)
    done.faults += links(directory, files)
    records = _records(done, files)
    failures: Sequence[Failure] = ()
    with noted(done.faults, directory, FAILURES):
        failures = read_failures(directory)
    stems = [Path(name).stem for name in files if _is_record(name)]
    with noted(done.faults, directory, MANIFEST):
        manifest = read_run_manifest(directory)
        _settings(done, manifest.suite)
        done.faults += unlike_the_manifest([record for record, _ in records], manifest)
        done.faults += unlike_their_entries([record for record, _ in records], manifest.suite)
        found, notes = without_rows(stems, failures, manifest.suite)
        done.faults += found
        done.notes += notes
    done.faults += odd_ones(records)
    _attestations(done, {f"records/{one.stem}{SUFFIX}": one for one, _ in records})
    pictures = look_at_pictures(directory, records, stems)
    done.faults += pictures.faults
    done.notes += pictures.notes
    done.samples = pictures.images
    rendered = _rendered(done, files)
    done.faults += strangers(files, rendered)
    return done


def _records(done: Check, files: Sequence[str]) -> list[tuple[Record, ItemValues]]:
    """Those that can be read, their figures computed anew."""
    records = []
    for name in files:
        path = done.directory / name
        if not _is_record(name) or f"{name.removesuffix('.json')}.npz" not in files:
            continue  # the latter is a finding of its own
        with noted(done.faults, done.directory, name):
            record, values = read_record(path)
            if record.stem != path.stem:
                text = f"it is the record of {record.stem}; remove it, or give it that name"
                done.faults.append(Finding(name, text))
                continue
            records.append((record, values))
            refuse_altered(record, values, RANKED_BY)
            done.figures += len(record.figures) * (1 + len(record.per_sigma))
            done.items += record.items
    done.records = len(records)
    if not records:
        done.faults.append(Finding("records", f"there is none that can be read; {AS_PUBLISHED}"))
    return records


def _is_record(name: str) -> bool:
    return name.startswith("records/") and name.endswith(".json")


def _attestations(done: Check, records: Mapping[str, Record]) -> None:
    """Those of records that can be read, by the names that their files would have."""
    for name, record in records.items():
        path = done.directory / name
        if path.is_file():
            with noted(done.faults, done.directory, name):
                verification(record, read_attestation(path))
                done.attestations += 1


def _settings(done: Check, suite: Suite) -> None:
    """Whether the suite is the one that this machine knows by its name."""
    known = registered_suite(suite.name)
    if known is not None and known.fingerprint != suite.fingerprint:
        text = (
            f"a suite '{known.name}' is installed here with other settings "
            f"({known.fingerprint[:12]}, and this is {suite.fingerprint[:12]}): these are not its "
            f"figures"
        )
        done.notes.append(Finding(MANIFEST, text))


def _rendered(done: Check, files: Sequence[str]) -> list[str]:
    """Compare tables and figures; the names that there should be."""
    try:
        tables = read_tables(done.directory)
        texts, figures = rendered_tables(tables), figures_of(done.directory, tables)
    except FpmcBenchError:  # which is a finding of the records, or of the samples
        text = "not compared, for there are no tables of these records as they are"
        done.notes.append(Finding("tables, figures", text))
        return [name for name in files if name.startswith(("tables/", "figures/"))]
    for name, content in texts.items():
        if said := table_fault(content, done.directory / name, done.remedy):
            done.faults.append(Finding(name, said))
    for name, draw in figures.items():
        fault, note = figure_finding(name, draw, done.directory, done.remedy)
        done.faults += [fault] if fault else []
        done.notes += [note] if note else []
    done.rendered = len(texts) + len(figures)
    return [*texts, *figures]
