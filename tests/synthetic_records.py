"""Records without a run: made from per-item values, and written as any record is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fpmc_bench.documents.attestation import Attestation, record_digest, write_attestation
from fpmc_bench.documents.environment import Environment
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.documents.provenance import (
    ArithmeticFacts,
    PluginOrigin,
    Provenance,
    RowRole,
    SourceRecipe,
    TeacherFingerprints,
)
from fpmc_bench.documents.record import (
    Publication,
    Record,
    Share,
    SigmaFigures,
    write_record,
)
from fpmc_bench.results.summaries import figure_of

EXACT_SIGMAS = (80.0, 8.0, 0.5, 0.002)
ENVIRONMENT = Environment(
    system="Linux",
    machine="x86_64",
    device="cpu",
    cpu_count=2,
    threads=1,
    processes=1,
    memory_budget_bytes=2**30,
    versions={"fpmc_bench": "0.1.0", "python": "3.11.7"},
)
PUBLICATION = Publication(
    citation="nobody 2026",
    url="",
    command="fpmc-bench run synthetic",
    date_utc="2026-01-01T00:00:00Z",
    commits=(),
)


def synthetic_provenance(
    protocol: str = "denoiser-mse",
    sigmas: tuple[float, ...] = EXACT_SIGMAS,
    items: int = 8,
    role: RowRole = "entry",
    **changes: Any,
) -> Provenance:
    """Of a row that nobody computed; `changes` replace its fields."""
    known = Provenance(
        numerics=1,
        protocol=protocol,
        metrics=("mse@1", "r2@1"),
        role=role,
        denoiser="optimal",
        params={},
        plugin=PluginOrigin(distribution="synthetic", version="1.0", code="0" * 64),
        files="",
        source=SourceRecipe(images="a" * 64),
        test="b" * 64,
        teachers=TeacherFingerprints(tuning="c" * 64, evaluation="d" * 64),
        sensitivity=None,
        sigmas=sigmas,
        levels=tuple(range(len(sigmas))),
        seed=0,
        block_items=50,
        items=(0, items),
        device="cpu",
        arithmetic=ArithmeticFacts(addition=1.5, split_multiply_add=1.5, forced=None),
    )
    return known.model_copy(update=changes)


def write_synthetic(
    folder: Path,
    entry: str,
    values: Mapping[str, np.ndarray],
    *,
    protocol: str = "denoiser-mse",
    sigmas: tuple[float, ...] = EXACT_SIGMAS,
    seconds_per_query: float = 0.00125,
    role: RowRole = "entry",
    groups: Sequence[int] | None = None,
    provenance: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Write the record whose figures are those of `values`.

    `groups` are of its items. `provenance` replaces fields of its provenance, `changes` those
    of the record.
    """
    known = ItemValues(
        {metric: np.asarray(array, dtype=np.float64) for metric, array in values.items()},
        None if groups is None else np.asarray(groups, dtype=np.int64),
    )
    per_sigma: tuple[SigmaFigures, ...] = ()
    if protocol_facts(protocol).by_sigma:
        per_sigma = tuple(
            SigmaFigures(
                sigma=sigma,
                figures={name: figure_of(known, name, level) for name in known},
            )
            for level, sigma in enumerate(sigmas)
        )
    items = len(next(iter(known.values())))
    queries = items * len(sigmas)
    record = Record(
        suite="synthetic",
        suite_fingerprint="5" * 64,
        entry=entry,
        reference="teacher-a" if protocol == "denoiser-mse" else "teacher_b",
        figures={name: figure_of(known, name) for name in known},
        per_sigma=per_sigma,
        groups=known.group_count,
        items_sha256=known.digest,
        provenance=synthetic_provenance(protocol, sigmas, items, role, denoiser=entry).model_copy(
            update=dict(provenance or {})
        ),
        seconds_per_query=seconds_per_query,
        computed=(
            Share(
                environment=ENVIRONMENT,
                units=1,
                queries=queries,
                seconds_per_query=seconds_per_query,
            ),
        ),
        publication=PUBLICATION,
    )
    return write_record(folder, record.model_copy(update=changes), known)


def attest(record: Path, **changes: Any) -> Path:
    """Write what attests two items of a record; `changes` replace its fields."""
    attestation = Attestation(
        row=record.stem,
        record_sha256=record_digest(record),
        date_utc="2026-01-02T00:00:00Z",
        environment=ENVIRONMENT,
        commit=None,
        seed=0,
        items=((0, 2),),
        largest_difference=2e-5,
        tolerance=1e-4,
    )
    return write_attestation(record, attestation.model_copy(update=changes))


def write_exact_records(folder: Path) -> None:
    """Both protocols, eight items, values that are small binary fractions.

    Their sums are exact, so the figures don't depend on a machine's order of summation.
    """
    scales = {"optimal": (8, 0), "ls": (2, 1), "els": (2, 2), "pspc_50": (3, 3)}
    noise = np.array([3, -1, 2, -4, 1, 0, -3, 2])  # sums to 0
    level = np.array([1 / 64, 1 / 2, 1 / 8, 1 / 2**20])
    for entry, (size, shift) in {**scales, "teacher_b": (1, 4)}.items():
        spread = np.roll(noise, shift) / 16
        errors = (size + spread)[:, None] * level
        _write_both(folder, entry, errors, size / 16 + spread / 16)


def _write_both(folder: Path, entry: str, errors: np.ndarray, sample: np.ndarray) -> None:
    other = entry.startswith("teacher")
    role: RowRole = "other network" if other else "entry"
    pooled = {"r2-pooled@1": np.full_like(errors, 4)}
    write_synthetic(folder, entry, {"mse@1": errors, **pooled, "r2@1": 1 - errors}, role=role)
    write_synthetic(
        folder,
        "teacher-a" if other else entry,
        {"mse@1": sample, "r2-pooled@1": np.full_like(sample, 2), "r2@1": 1 - 4 * sample},
        protocol="sample-mse",
        role=role,
        seconds_per_query=0.5,
    )


def write_realistic_records(folder: Path, entries: int = 7, items: int = 64) -> None:
    """denoiser-mse as a real run looks: 18 levels, a hump near sigma 1, a teacher far below."""
    steps = np.arange(18) / 17
    sigmas = (80 ** (1 / 7) + steps * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    random = np.random.RandomState(0)  # its stream is frozen, unlike default_rng's
    names = ["optimal", "wiener", "ls", "els", "pspc-square", "pspc-flex", "lukoianov"]
    names += [f"mine-{number}" for number in range(entries - len(names))]
    for strength, name in enumerate([*names[:entries], "digits-ncsnpp"]):
        other = name == "digits-ncsnpp"
        height = 4e-4 if other else 0.09 * 0.72**strength
        centre = np.log(0.5 + 0.12 * strength)
        curve = height * np.exp(-((np.log(sigmas) - centre) ** 2) / 5) + 2e-6 * sigmas**0.7
        errors = curve * np.exp(0.8 * random.standard_normal((items, 18)))
        write_synthetic(
            folder,
            name,
            {"mse@1": errors, "r2@1": 1 - errors / 0.4},
            sigmas=tuple(map(float, sigmas)),
            suite="digits",
            reference="digits-ddpmpp",
            role="other network" if other else "entry",
        )
