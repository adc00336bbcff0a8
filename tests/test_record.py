"""Records: written whole or not at all, read back as they were, refused where altered."""

import json
import math
import os
import pickle
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_records import ENVIRONMENT, PUBLICATION, synthetic_provenance

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import (
    MOST_BYTES,
    Figure,
    Record,
    Share,
    SigmaFigures,
    read_record,
    read_records,
    write_record,
)
from fpmc_bench.errors import RunError
from fpmc_bench.storage.arrays import OVERHEAD_BYTES, write_arrays
from fpmc_bench.storage.atomic import write_atomically


@pytest.fixture
def values() -> ItemValues:
    return ItemValues({"mse@1": np.arange(6.0).reshape(3, 2), "r2@1": np.ones((3, 2))})


@pytest.fixture
def record(values: ItemValues) -> Record:
    figure = Figure(mean=2.5, standard_error=0.5, n=3)
    sigmas = (80.0, 0.002)
    return Record(
        suite="small",
        suite_fingerprint="5" * 64,
        entry="first",
        reference="digits-ddpmpp",
        figures={"mse@1": figure},
        per_sigma=tuple(SigmaFigures(sigma=s, figures={"mse@1": figure}) for s in sigmas),
        items_sha256=values.digest,
        provenance=synthetic_provenance(
            sigmas=sigmas, items=3, params={"patch_sizes": [3, 5], "width": math.inf}
        ),
        seconds_per_query=0.01,
        computed=(Share(environment=ENVIRONMENT, units=1, queries=6, seconds_per_query=0.01),),
        publication=PUBLICATION,
    )


def test_a_record_comes_back_as_it_was(tmp_path: Path, record: Record, values: ItemValues) -> None:
    path = write_record(tmp_path / "new" / "folder", record, values)
    assert path.name == "first.denoiser-mse.json"
    again, items = read_record(path)
    # JSON has no infinity, so that a parameter's comes back as text; all else is as it was
    params = {"patch_sizes": [3, 5], "width": "Infinity"}
    provenance = record.provenance.model_copy(update={"params": params})
    assert again == record.model_copy(update={"provenance": provenance})
    assert again.provenance.key == record.provenance.key
    assert items.keys() == values.keys()
    assert all(np.array_equal(items[metric], values[metric]) for metric in values)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "first.denoiser-mse.json",
        "first.denoiser-mse.npz",
    ]


def test_all_records_of_a_folder_are_read(
    tmp_path: Path, record: Record, values: ItemValues
) -> None:
    for name in ("b", "a"):
        write_record(tmp_path, record.model_copy(update={"entry": name}), values)
    assert [found.entry for found, _ in read_records(tmp_path)] == ["a", "b"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no records"):
        read_records(tmp_path)


def test_altered_items_are_detected(tmp_path: Path, record: Record, values: ItemValues) -> None:
    path = write_record(tmp_path, record, values)
    better = {**values, "mse@1": values["mse@1"] * (1 - 1e-12)}
    np.savez_compressed(path.with_suffix(".npz"), **better)  # type: ignore[arg-type]
    with pytest.raises(RunError, match=r"does not hold the values that .* was made from"):
        read_record(path)


def test_the_digest_tells_names_shapes_and_values_apart(values: ItemValues) -> None:
    flat = {metric: array.reshape(-1) for metric, array in values.items()}
    renamed = {"mse@2": values["mse@1"], "r2@1": values["r2@1"]}
    reordered = dict(reversed(list(values.items())))
    assert ItemValues(reordered).digest == values.digest
    cases = [
        values,
        ItemValues(flat),
        ItemValues(renamed),
        *(ItemValues(dict(values), np.array(groups)) for groups in ([0, 0, 1], [0, 1, 0])),
    ]
    assert len({case.digest for case in cases}) == len(cases)


def test_groups_are_read_as_they_were_written_and_altered_ones_found(
    tmp_path: Path, record: Record, values: ItemValues
) -> None:
    grouped = ItemValues(dict(values), np.array([4, 4, -1]))
    known = record.model_copy(update={"groups": 2, "items_sha256": grouped.digest})
    path = write_record(tmp_path, known, grouped)
    again, items = read_record(path)
    assert (again.groups, items.group_count) == (2, 2)
    assert items.groups is not None
    assert items.groups.tolist() == [4, 4, -1]
    assert "groups" not in items
    write_arrays(path.with_suffix(".npz"), {**grouped.arrays, "groups": np.array([4, -1, -1])})
    with pytest.raises(RunError, match="does not hold the values"):
        read_record(path)
    write_arrays(path.with_suffix(".npz"), dict(values))
    with pytest.raises(RunError, match="does not hold the values"):
        read_record(path)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (np.array([0.0, 0.0, 1.0]), "whole numbers of 64 bits, one an item, got float64"),
        (np.array([[0, 0, 1]]), r"got int64 of shape \(1, 3\)"),
        (np.array([0, 1]), r"got 2 groups and values of \[3\] items"),
    ],
)
def test_groups_that_are_none_are_refused(
    tmp_path: Path, record: Record, values: ItemValues, groups: np.ndarray, said: str
) -> None:
    path = write_record(tmp_path, record, values)
    write_arrays(path.with_suffix(".npz"), {**values.arrays, "groups": groups})
    with pytest.raises(RunError, match=rf"\.npz is not what lies beside a record: .*{said}"):
        read_record(path)


@pytest.mark.parametrize("damage", ["gone", "empty", "truncated", "text"])
def test_damaged_items_are_refused(
    tmp_path: Path, record: Record, values: ItemValues, damage: str
) -> None:
    path = write_record(tmp_path, record, values)
    sidecar = path.with_suffix(".npz")
    whole = sidecar.read_bytes()
    if damage == "gone":
        sidecar.unlink()
    else:
        content = {"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"<html>"}
        sidecar.write_bytes(content[damage])
    with pytest.raises(RunError, match=r"\.npz can't be read"):
        read_record(path)


@pytest.mark.parametrize(
    ("field", "value"), [("items", [3, 3]), ("items", [-1, 3]), ("levels", [0, 2]), ("levels", [])]
)
def test_items_and_levels_that_there_can_t_be_are_refused(
    tmp_path: Path, record: Record, values: ItemValues, field: str, value: list[int]
) -> None:
    path = write_record(tmp_path, record, values)
    content = json.loads(path.read_text())
    content["provenance"][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=rf"is not a record: provenance: .*{field} must be"):
        read_record(path)


def test_brackets_nested_too_deep_are_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text('{"figures": ' + "[" * 100_000)
    with pytest.raises(RunError, match="its brackets are nested too deep"):
        read_record(tmp_path / "deep.json")


@pytest.mark.parametrize("stated", [3, 10**12])
def test_items_that_would_take_more_than_a_record_can_are_refused_unread(
    tmp_path: Path, record: Record, values: ItemValues, stated: int
) -> None:
    """What is plausible follows from the items that a record states, up to a limit."""
    path = write_record(tmp_path, record, values)
    content = json.loads(path.read_text())
    content["provenance"]["items"] = [0, stated]
    path.write_text(json.dumps(content))
    sidecar = path.with_suffix(".npz")
    write_arrays(sidecar, {"mse@1": np.zeros(10**6)}, compressed=True)
    if stated > 3:  # a size that is only stated will do
        packed = bytearray(sidecar.read_bytes())
        at = packed.rfind(b"PK\x01\x02")
        packed[at + 24 : at + 28] = (MOST_BYTES + OVERHEAD_BYTES + 1).to_bytes(4, "little")
        sidecar.write_bytes(packed)
    tracemalloc.start()
    with pytest.raises(RunError, match=r"\.npz would take \d+ bytes, and \d+ is the most"):
        read_record(path)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def test_items_never_run_code(tmp_path: Path, record: Record, values: ItemValues) -> None:
    path = write_record(tmp_path, record, values)
    sprung = tmp_path / "sprung"
    trap = {"mse@1": np.array([Trap(sprung)], dtype=object)}
    np.savez(path.with_suffix(".npz"), **trap)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="can't be read"):
        read_record(path)
    path.with_suffix(".npz").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(RunError, match="can't be read"):
        read_record(path)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"extra": 1}, "extra"),
        ({"seconds_per_query": "long"}, "seconds_per_query"),
        ({"seconds_per_query": "0.5"}, "seconds_per_query"),
        ({"seconds_per_query": math.inf}, "seconds_per_query"),
        ({"provenance": {}}, "provenance.numerics"),
        ({"figures": {"mse@1": {"mean": [1.0]}}}, "figures.mse@1.mean"),
        ({"figures": {"mse@1": {"mean": 1.0}}}, "figures.mse@1.standard_error"),
    ],
)
def test_a_document_that_is_no_record_is_named_by_its_field(
    tmp_path: Path, record: Record, values: ItemValues, change: dict[str, Any], field: str
) -> None:
    path = write_record(tmp_path, record, values)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RunError, match=f"is not a record: {field}:"):
        read_record(path)


def test_a_protocol_that_nobody_knows_is_refused_with_suggestions(
    tmp_path: Path, record: Record, values: ItemValues
) -> None:
    path = write_record(tmp_path, record, values)
    content = json.loads(path.read_text())
    content["provenance"]["protocol"] = "denoiser-mae"
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"provenance\.protocol: .*Did you mean 'denoiser-mse'"):
        read_record(path)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (1, "schema version 1, .* make it anew with 'fpmc-bench run small --run-dir .* --fresh'"),
        (2, "schema version 2, "),
        (4, "schema version 4"),
        (None, "has no schema_version"),
        ("3", "has no schema_version"),
    ],
)
def test_a_record_of_another_version_is_refused_with_the_way_to_make_it_anew(
    tmp_path: Path, record: Record, values: ItemValues, version: object, said: str
) -> None:
    path = write_record(tmp_path / "records", record, values)
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": version}))
    with pytest.raises(RunError, match=said):
        read_record(path)


@pytest.mark.parametrize("seconds", ["Infinity", "-Infinity", "NaN", "1e999", '"Infinity"'])
@pytest.mark.parametrize("where", ["record", "share"])
def test_endless_seconds_are_refused_by_name(
    tmp_path: Path, record: Record, values: ItemValues, seconds: str, where: str
) -> None:
    path = write_record(tmp_path, record, values)
    field = '"seconds_per_query": '
    start, middle, end = path.read_text().split(f"{field}0.01")
    found = [seconds, "0.01"] if where == "record" else ["0.01", seconds]
    path.write_text(f"{start}{field}{found[0]}{middle}{field}{found[1]}{end}")
    with pytest.raises(RunError, match=rf"{path.name} is not a record: .*seconds_per_query"):
        read_record(path)


def test_a_figure_that_is_no_number_is_written_and_read(
    tmp_path: Path, record: Record, values: ItemValues
) -> None:
    figure = Figure(mean=math.nan, standard_error=math.inf, n=3)
    path = write_record(tmp_path, record.model_copy(update={"figures": {"mse@1": figure}}), values)
    assert json.loads(path.read_text())["figures"]["mse@1"]["mean"] == "NaN"
    again = read_record(path)[0].figures["mse@1"]
    assert math.isnan(again.mean)
    assert again.standard_error == math.inf


def test_a_file_that_is_gone_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none\.json can't be read"):
        read_record(tmp_path / "none.json")
    (tmp_path / "page.json").write_text("<html>")
    with pytest.raises(RunError, match=r"page\.json is not a record"):
        read_record(tmp_path / "page.json")


def test_the_json_schema_forbids_what_it_does_not_name() -> None:
    schema = Record.model_json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == set(Record.model_fields) - {
        "schema_version",
        "groups",
        "remarks",
    }


WRITER = """
import sys
from pathlib import Path
from fpmc_bench.storage.atomic import write_atomically
path = Path(sys.argv[1])
for round in range(10**9):
    write_atomically(path, b"ab"[round % 2 :][:1] * 2**20)
    if round == 0:
        print("ready", flush=True)
"""


def test_a_reader_never_sees_half_a_file_even_when_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen = {path.read_bytes() for _ in range(200)}
        writer.send_signal(signal.SIGKILL)
    seen.add(path.read_bytes())
    assert seen == {b"a" * 2**20, b"b" * 2**20}


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, None)  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
