"""The suite that records were measured on: from the run directory, or from the installed ones."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from fpmc_bench.catalog.finding import load_suite
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.documents.manifest import MANIFEST
from fpmc_bench.documents.reading import with_numbers
from fpmc_bench.documents.record import Record
from fpmc_bench.documents.suite import Suite, validated_suite
from fpmc_bench.errors import UsageError
from fpmc_bench.storage.notations import parsed_json


def suite_of_records(
    folder: Path, records: Sequence[Record], registry: Registry, given: str | Path | None = None
) -> Suite:
    """That of records in `folder`: `given`, or run.json's beside them, or an installed one.

    One that is given or installed takes items and seed of the records. It may still be none of
    theirs, as run.json's may: the records say of which they are. UsageError where run.json is
    damaged, or where there is none and no installed suite is theirs.
    """
    if given is not None:
        found = load_suite(given, registry=registry)
        return next(_matching([found], records), found)
    if (held := _of_the_run(folder)) is not None:
        return held
    known = [load_suite(name, registry=registry) for name in registry.items["suites"]]
    if (installed := next(_matching(known, records), None)) is not None:
        return installed
    prints = sorted({f"{one.suite} ({one.suite_fingerprint[:12]})" for one in records})
    raise UsageError(
        f"there is no run.json beside the records in {folder}, and no installed suite is theirs, "
        f"{', '.join(prints)}; give it by --suite"
    )


def _of_the_run(folder: Path) -> Suite | None:
    """By run.json, in the folder above the records or in theirs; None where there is none."""
    for path in (folder.parent / MANIFEST, folder / MANIFEST):
        try:
            content = parsed_json(path.read_bytes())
            return validated_suite(with_numbers(content["suite"]), f"the suite in {path}")
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            raise UsageError(f"{path} is damaged ({error}); give the suite by --suite") from error
    return None


def _matching(suites: Sequence[Suite], records: Sequence[Record]) -> Iterator[Suite]:
    for record in records:
        for suite in suites:
            same = suite.replaced(items=record.items, seed=record.provenance.seed)
            if same.fingerprint == record.suite_fingerprint:
                yield same
