"""What all records of a run directory share beside the suite: images, networks, kind of device."""

from typing import Any

from fpmc_bench.documents.provenance import Provenance
from fpmc_bench.documents.record import Record


def of_record(record: Record) -> dict[str, Any]:
    """What a record says of it, with its suite."""
    suite = {"name": record.suite, "fingerprint": record.suite_fingerprint}
    return {**suite, **of_provenance(record.provenance)}


def of_provenance(provenance: Provenance) -> dict[str, Any]:
    """Field by field, as a user would call it."""
    return {
        "numerics": provenance.numerics,
        "metrics": list(provenance.metrics),
        "device": provenance.device,
        "training images": provenance.source.images,
        "test images": provenance.test,
        "tuning teacher": provenance.teachers.tuning,
        "evaluation teacher": provenance.teachers.evaluation,
    }
