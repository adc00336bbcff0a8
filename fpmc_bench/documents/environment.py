"""Environment: the machine and the versions that a unit of work was computed with."""

from typing import Any

from pydantic import (
    FiniteFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from fpmc_bench.documents.reading import Document


class Environment(Document):
    """What may move the last bits of a figure, and decides what it takes, on one machine.

    `system` and `machine` are the host's kind, as Linux and x86_64; `device` is a GPU's name, or
    cpu; `processes` shared the work. Where they held the source together, a part in each, there are
    as many `source_parts`; a file says so only then.
    """

    system: str
    machine: str
    device: str
    cpu_count: int
    threads: int
    processes: int
    memory_budget_bytes: int
    versions: dict[str, str]
    """Of python and of the packages that compute."""
    source_parts: PositiveInt = 1

    @model_serializer(mode="wrap")
    def _without_parts_of_a_whole(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        if self.source_parts == 1:
            content.pop("source_parts", None)
        return content


class UnitNote(Document):
    """Beside the arrays of a unit: where, when and by what command it was computed.

    `seconds` it took, fitting the denoiser not counted, making models of noise levels that it had
    not met before counted; `date_utc` as 2026-11-28T12:00:00Z; `command` without places on a disk;
    `commit` of the code, where that is a checkout; `remarks` on its figures, a sentence each.
    """

    environment: Environment
    seconds: FiniteFloat
    date_utc: str
    command: str
    commit: str | None
    remarks: tuple[str, ...] = ()
