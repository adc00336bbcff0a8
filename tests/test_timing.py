"""Seconds per query are said to be of a machine, or of several that can't be compared."""

from pathlib import Path

from synthetic_records import ENVIRONMENT, write_synthetic

from fpmc_bench.documents.record import Share, read_records
from fpmc_bench.results.render.markdown import render_markdown
from fpmc_bench.results.table import build_tables
from fpmc_bench.results.timing import MEASURED, machine

GPU = ENVIRONMENT.model_copy(update={"device": "NVIDIA H200", "cpu_count": 16, "processes": 8})


def share(environment: object) -> Share:
    return Share(environment=environment, units=1, queries=1, seconds_per_query=1.0)  # type: ignore[arg-type]


def notes(folder: Path) -> str:
    (table,) = build_tables(read_records(folder))
    return render_markdown(table).replace("\\", "")


def test_one_machine_is_named_once(tmp_path: Path) -> None:
    for entry in ("ls", "els"):
        write_synthetic(tmp_path, entry, {"mse@1": [[1.0] * 4, [2.0] * 4]})  # type: ignore[dict-item]
    said = "all on a CPU of 2 cores (Linux x86_64; processes: 1, threads each: 1)."
    assert f"{MEASURED}; {said}" in notes(tmp_path)


def test_rows_of_several_machines_are_said_not_to_compare(tmp_path: Path) -> None:
    """A row may itself be of two."""
    shares = {"ls": (ENVIRONMENT,), "els": (GPU,), "both": (ENVIRONMENT, GPU), "wiener": (GPU, GPU)}
    for entry, environments in shares.items():
        write_synthetic(
            tmp_path,
            entry,
            {"mse@1": [[1.0] * 4, [2.0] * 4]},  # type: ignore[dict-item]
            computed=tuple(map(share, environments)),
        )
    said = notes(tmp_path)
    gpu = "one NVIDIA H200, CPU of 16 cores (Linux x86_64; processes: 8, threads each: 1)"
    assert machine(GPU) == gpu
    assert "rows are of several machines, and their seconds can't be compared." in said
    assert f"- On {gpu}: els, wiener." in said
    assert f"- On {machine(ENVIRONMENT)} and {gpu}: both." in said
