"""Records: written whole or not at all, read back as they were, refused where altered."""

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpmc_bench.documents.record import (
    ItemValues,
    Record,
    items_digest,
    read_record,
    read_records,
    write_record,
)
from fpmc_bench.errors import RunError
from fpmc_bench.storage.atomic import write_atomically


@pytest.fixture
def values() -> ItemValues:
    return {"mse@1": np.arange(6.0).reshape(3, 2), "r2@1": np.ones((3, 2))}


@pytest.fixture
def record(values: ItemValues) -> Record:
    figure = {"mean": 2.5, "standard_error": 0.5, "n": 3}
    return Record.model_validate(
        {
            "suite": "small",
            "protocol": "denoiser-mse",
            "entry": "first",
            "role": "entry",
            "denoiser": "ls",
            "params": {"patch_sizes": [3, 5]},
            "augmentations": [{"name": "hflip", "rate": 1.0, "params": {}}],
            "reference": "digits-ddpmpp",
            "items": 3,
            "seed": 0,
            "sigmas": [80.0, 0.002],
            "figures": {"mse@1": figure},
            "per_sigma": [
                {"sigma": 80.0, "figures": {"mse@1": figure}},
                {"sigma": 0.002, "figures": {"mse@1": figure}},
            ],
            "items_sha256": items_digest(values),
            "plugin": {"distribution": "fpmc-bench", "version": "0.1.0"},
            "fingerprints": {
                "suite": "a",
                "dataset_train": "b",
                "dataset_test": "c",
                "source": "d",
                "tuning_teacher": "e",
                "evaluation_teacher": "f",
            },
            "environment": {"python": "3.11", "threads": 1},
            "cost": {"seconds_per_query": 0.01, "queries": 6},
        }
    )


def test_a_record_comes_back_as_it_was(tmp_path: Path, record: Record, values: ItemValues) -> None:
    path = write_record(tmp_path / "new" / "folder", record, values)
    assert path.name == "first.denoiser-mse.json"
    again, items = read_record(path)
    assert again == record
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
    reordered = dict(reversed(values.items()))
    assert items_digest(reordered) == items_digest(values)
    assert len({items_digest(case) for case in (values, flat, renamed)}) == 3


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
    with pytest.raises(RunError, match=r"per-item values .*npz can't be read"):
        read_record(path)


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
        ({"schema_version": 2}, "schema_version"),
        ({"items": "many"}, "items"),
        ({"protocol": "fid"}, "protocol"),
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


def test_a_file_that_is_gone_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none\.json can't be read"):
        read_record(tmp_path / "none.json")
    (tmp_path / "page.json").write_text("<html>")
    with pytest.raises(RunError, match=r"page\.json is not a record"):
        read_record(tmp_path / "page.json")


def test_the_json_schema_forbids_what_it_does_not_name() -> None:
    schema = Record.model_json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == set(Record.model_fields) - {"schema_version"}


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
