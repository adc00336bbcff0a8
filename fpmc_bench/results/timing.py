"""What seconds per query are of, and of which machines: beside figures they say little alone."""

from collections.abc import Sequence

from fpmc_bench.documents.environment import Environment
from fpmc_bench.documents.record import Record

MEASURED = (
    "s/query is seconds to denoise one image at one noise level, the median over work units, "
    "without what is fitted once"
)


def timing_sentences(records: Sequence[Record]) -> tuple[str, ...]:
    """What the seconds of these rows mean: one sentence for one machine, else one a machine."""
    rows: dict[str, list[str]] = {}
    for record in records:
        kinds = dict.fromkeys(machine(share.environment) for share in record.computed)
        rows.setdefault(" and ".join(kinds), []).append(record.entry)
    if len(rows) == 1:
        return (f"{MEASURED}; all on {next(iter(rows))}.",)
    return (
        f"{MEASURED}; rows are of several machines, and their seconds can't be compared.",
        *(f"On {kind}: {', '.join(names)}." for kind, names in rows.items()),
    )


def machine(environment: Environment) -> str:
    """A kind of machine, and how much of it was used: as far as a record knows it."""
    device = "a CPU" if environment.device == "cpu" else f"one {environment.device}, CPU"
    host = f"{environment.system} {environment.machine}"
    used = f"processes: {environment.processes}, threads each: {environment.threads}"
    if environment.source_parts > 1:
        used += ", a part of the source in each, and every image denoised by all"
    return f"{device} of {environment.cpu_count} cores ({host}; {used})"
