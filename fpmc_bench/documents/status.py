"""status.json: how far a command is that works in a folder, written by its main process as it goes.

It says what is true at a moment (`updated_utc`), and nothing depends on it: a run goes on from its
ledger. Whether a command is at work now is said by the folder's lock.
"""

from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, Field, FiniteFloat, NonNegativeInt, ValidationError

from fpmc_bench.documents.reading import Document, first_fault
from fpmc_bench.errors import RunError

STATUS = "status.json"
"""The file's name in a run directory, a study's folder and one of unfinished fine-tuning."""
MOST_BYTES = 2**24
"""Far more than any that was written here."""
Seconds = FiniteFloat
State = Literal["running", "finished", "stopped"]


class StageStatus(Document):
    """Work of one kind, between two meetings of the processes; counted by all of them together."""

    name: str
    unit: str
    done: NonNegativeInt
    total: NonNegativeInt
    ended: bool = False


class RowStatus(Document):
    """A row, ENTRY.PROTOCOL: how many of its units are there, and why it failed where it did.

    `seconds` is the mean of the units that this run has computed, or what was predicted; None where
    neither is known.
    """

    name: str
    done: NonNegativeInt
    total: NonNegativeInt
    failed: str | None = None
    seconds: Seconds | None = Field(default=None, ge=0)


class Working(Document):
    """What a process is at, since when, and how far it says that it is.

    `items` from the first to behind the last.
    """

    host: str
    process: NonNegativeInt
    what: str
    items: tuple[NonNegativeInt, NonNegativeInt] | None = None
    since_utc: AwareDatetime
    says: str = ""


class Status(Document):
    """Of one command in one folder. `work` is what it does there, as "run".

    `seconds` since it began; `remaining_seconds` as well as finished units tell, at least that much
    where `untimed` rows have no unit yet to tell by, None where nothing is known. `ended_by` says
    what stopped it.
    """

    schema_version: Literal[1] = 1
    work: str
    name: str
    command: str
    processes: int = Field(ge=1)
    state: State
    ended_by: str = ""
    started_utc: AwareDatetime
    updated_utc: AwareDatetime
    seconds: Seconds = Field(ge=0)
    remaining_seconds: Seconds | None = Field(default=None, ge=0)
    untimed: NonNegativeInt = 0
    stages: tuple[StageStatus, ...] = ()
    rows: tuple[RowStatus, ...] = ()
    running: tuple[Working, ...] = ()

    @property
    def stage(self) -> StageStatus | None:
        """The present one, or the last."""
        return self.stages[-1] if self.stages else None

    @property
    def failed(self) -> tuple[RowStatus, ...]:
        return tuple(row for row in self.rows if row.failed is not None)


def read_status(folder: Path) -> Status | None:
    """That of a folder; None where nothing was written there. RunError for a damaged one."""
    path = folder / STATUS
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RunError(f"{path} is no status: it has more than {MOST_BYTES} bytes")
        return Status.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} can't be read ({error.strerror or error})") from error
    except ValidationError as error:
        raise RunError(f"{path} is damaged: {first_fault(error, 'status')}") from error
