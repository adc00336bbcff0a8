"""run.json: what a run directory is of, and the suite with every entry that was run in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.reading import Document, first_fault
from fpmc_bench.documents.suite import Suite
from fpmc_bench.errors import RunError

MANIFEST = "run.json"
"""The file's name in a run directory."""


class Manifest(Document):
    """`fingerprint` of the suite; `identity`, what records share beside it (`identity.py`).

    Of a directory of an earlier version the identity is empty: its records say it.
    """

    fingerprint: str
    identity: dict[str, Any] = Field(default_factory=dict)
    suite: Suite
    digest: str = ""
    """By which a run notices that the file was damaged; what is published need not have one."""


def united_suites(held: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The suite asked for, with the entries and protocols of another, which may be damaged.

    Both as plain data. Of an entry that both have it is the one asked for.
    """
    known = [one for one in _listed(held, "entries") if isinstance(one.get("name"), str)]
    entries = {one["name"]: one for one in (*known, *asked["entries"])}
    protocols = [*_listed(held, "protocols", str), *asked["protocols"]]
    ordered = [name for name in PROTOCOLS if name in protocols]
    return {**asked, "protocols": ordered, "entries": list(entries.values())}


def _listed(held: Mapping[str, Any], field: str, kind: type = dict) -> list[Any]:
    found = held.get(field)
    return [one for one in found if isinstance(one, kind)] if isinstance(found, list) else []


def read_run_manifest(run_dir: Path) -> Manifest:
    """RunError where there is none, where it is damaged, or has not its suite's fingerprint."""
    path = run_dir / MANIFEST
    try:
        found = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(
            f"{path} can't be read ({error.strerror or error}): it says what a run directory is "
            f"of; bring it back, or run the suite there again, which writes it"
        ) from error
    except ValidationError as error:
        raise RunError(
            f"{path} is damaged: {first_fault(error, 'manifest')}; bring it back, or run the suite "
            f"there again, which writes it"
        ) from error
    if found.fingerprint != found.suite.fingerprint:
        raise RunError(
            f"{path} states the fingerprint {found.fingerprint[:12]}, but its suite has "
            f"{found.suite.fingerprint[:12]}: one of them was altered; bring back what was "
            f"published"
        )
    return found
