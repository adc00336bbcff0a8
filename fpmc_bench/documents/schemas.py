"""JSON Schemas of what is written and read: suite, study, record, attestation and status.

    python -m fpmc_bench.documents.schemas docs/schema

writes them; a test keeps the written ones current.
"""

import json
import sys
from pathlib import Path

from fpmc_bench.documents.attestation import Attestation
from fpmc_bench.documents.reading import Document
from fpmc_bench.documents.record import Record
from fpmc_bench.documents.status import Status
from fpmc_bench.documents.study import Study
from fpmc_bench.documents.suite import Suite

DOCUMENTS: dict[str, type[Document]] = {
    "suite": Suite,
    "study": Study,
    "record": Record,
    "attestation": Attestation,
    "status": Status,
}


def schema_texts() -> dict[str, str]:
    """File name -> JSON Schema (draft 2020-12) of each document."""
    return {
        f"{name}.schema.json": json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                # as a file has them, where lists stand for tuples
                **model.model_json_schema(mode="validation"),
            },
            indent=2,
        )
        + "\n"
        for name, model in DOCUMENTS.items()
    }


def main(folder: Path) -> None:
    """Write them into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_texts().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
