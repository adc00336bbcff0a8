"""Failures: the rows of a run directory that were asked for last and have no record, and why.

failures.json lies beside records/, so that tables made later show these rows too.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, ValidationError

from fpmc_bench.documents.names import ROW_NAME
from fpmc_bench.documents.reading import Document, Protocol, first_fault
from fpmc_bench.errors import RunError
from fpmc_bench.storage.atomic import write_atomically

FAILURES = "failures.json"
LONGEST_REASON = 200
PLACES = re.compile(r"(?<![\w/.~-])(?:/[^\s/'\":,]+)+/(?=[^\s/'\"])")
"""Folders above a file, which are nobody's business in a table."""

OWN_ERROR = re.compile(r"fpmc_bench\.errors\.\w+: ")
"""Before what such an error says, which is meant for users as it is."""


class Failure(Document):
    """A row without figures, and the reason in a line."""

    entry: str = Field(pattern=ROW_NAME)
    protocol: Protocol
    reason: str

    @property
    def stem(self) -> str:
        return f"{self.entry}.{self.protocol}"


class Failures(Document):
    """All of a run directory."""

    failures: tuple[Failure, ...] = ()


def failure_of(stem: str, report: str) -> Failure:
    """Of the row ENTRY.PROTOCOL, and of a traceback or any other text about it."""
    entry, _, protocol = stem.rpartition(".")
    return Failure.model_validate({"entry": entry, "protocol": protocol, "reason": _reason(report)})


def read_failures(run_dir: Path) -> tuple[Failure, ...]:
    """Those of a run directory, or of a folder of records, which has none; RunError for damage."""
    path = run_dir / FAILURES
    try:
        return Failures.model_validate_json(path.read_bytes()).failures
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise RunError(f"{path} can't be read ({error.strerror or error})") from error
    except ValidationError as error:
        raise RunError(
            f"{path} is damaged: {first_fault(error, 'failures')}; bring it back, or remove it: a "
            f"run writes it anew"
        ) from error


def write_failures(run_dir: Path, failures: Iterable[Failure]) -> None:
    """Keep them for whoever renders tables later; without any there is no file."""
    path, content = run_dir / FAILURES, Failures(failures=tuple(failures))
    if content.failures:
        write_atomically(path, (content.model_dump_json(indent=2) + "\n").encode())
    else:
        path.unlink(missing_ok=True)


def _reason(report: str) -> str:
    """The line of a traceback that names the error, or else the first line, without places."""
    lines = [line for line in report.splitlines() if line.strip()] or ["no reason was given"]
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    tail = lines[frames[-1] + 1 :] if frames else lines
    reason = next((line for line in tail if not line.startswith("  ")), tail[-1] if tail else "")
    reason = PLACES.sub("", " ".join(OWN_ERROR.sub("", reason, count=1).split()))
    return reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 3]}..."
