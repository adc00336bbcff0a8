"""Hostile pickles: whatever is in a file, nothing runs, nothing crashes, memory stays bounded."""

import io
import os
import pickle
import random
import struct
import subprocess
import time
import tracemalloc
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from edm_files import SMALL, Persistent, edm_object, network_of, write_edm
from hostile_pickles import RAW, Calls
from runs import fpmc_bench_process

from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.restricted_pickle import LONGEST_KEY, read_pickle
from fpmc_bench.teachers.files.edm_pickle import KNOWN_NAMES, read_edm_pickle
from fpmc_bench.teachers.files.edm_storage import read_storage


@pytest.mark.parametrize("case", RAW)
def test_hostile_bytes_are_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pkl"
    path.write_bytes(RAW[case])
    with pytest.raises(CheckpointError) as caught:
        read_edm_pickle(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600
    assert [p.name for p in tmp_path.iterdir()] == ["bad.pkl"]


@pytest.mark.parametrize(
    "where", ["arguments", "weights", "module", "bias", "beside", "state", "items"]
)
@pytest.mark.parametrize("function", [os.system, eval, subprocess.check_output, getattr])
def test_a_call_anywhere_in_a_whole_file_is_refused_by_name(
    where: str, function: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bomb: Any = Calls(function, "touch executed")
    ema = edm_object(network_of(SMALL))
    state, others = ema.meta["state"], {}
    if where == "arguments":
        state["_init_kwargs"]["dropout"] = bomb
    elif where in ("weights", "bias"):
        state["_parameters"]["weight"] = bomb
    elif where == "module":
        state["_modules"]["model"] = bomb
    elif where == "state":
        state["x"] = Calls(OrderedDict, more=({"y": bomb},))
    elif where == "items":
        state["x"] = Calls(OrderedDict, more=(None, None, iter([("k", bomb)])))
    else:
        others["loss_fn"] = [bomb]
    path = write_edm(tmp_path / "bad.pkl", ema, **others)
    with pytest.raises(CheckpointError, match=function.__name__):
        read_edm_pickle(path)
    assert not Path("executed").exists()


def test_the_source_text_of_a_file_is_not_executed(tmp_path: Path) -> None:
    ema = edm_object(network_of(SMALL))
    ema.meta["module_src"] = "import pathlib; pathlib.Path('executed').touch()"
    read_edm_pickle(write_edm(tmp_path / "a.pkl", ema))
    assert not Path("executed").exists()


def test_truncation_at_any_byte_is_refused(tmp_path: Path) -> None:
    whole = write_edm(tmp_path / "a.pkl", edm_object(network_of(SMALL))).read_bytes()
    path = tmp_path / "cut.pkl"
    for length in [1, 2, 3, 10, 50, 100, *range(1000, len(whole), len(whole) // 40)]:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="truncated"):
            read_edm_pickle(path)


def test_damage_is_refused_or_read_but_never_another_error(tmp_path: Path) -> None:
    whole = write_edm(tmp_path / "a.pkl", edm_object(network_of(SMALL))).read_bytes()
    path, random_ = tmp_path / "damaged.pkl", random.Random(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(random_.choice([1, 3, 30])):
            damaged[random_.randrange(len(whole))] = random_.randrange(256)
        path.write_bytes(damaged)
        with suppress(CheckpointError):
            read_edm_pickle(path)


def test_a_tree_that_doubles_at_each_level_ends_soon(tmp_path: Path) -> None:
    node: Any = Persistent("L", {"_parameters": {}, "_buffers": {}, "_modules": {}})
    for _ in range(30):
        inside = {"a": node, "b": node}
        node = Persistent("L", {"_parameters": {}, "_buffers": {}, "_modules": inside})
    ema = edm_object(network_of(SMALL))
    ema.meta["state"]["_modules"] = {"model": node}
    path, start = write_edm(tmp_path / "bad.pkl", ema), time.monotonic()
    with pytest.raises(CheckpointError, match="more than 20000 modules"):
        read_edm_pickle(path)
    assert time.monotonic() - start < 20


def doubling() -> list[Any]:
    """A list whose text would have 2^60 elements."""
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    "name", ["img_resolution", "model_type", "resample_filter", "channel_mult", "dropout", "wings"]
)
def test_an_argument_without_end_is_refused_soon(name: str, tmp_path: Path) -> None:
    ema = edm_object(network_of(SMALL), **{name: doubling()})
    with pytest.raises(CheckpointError) as caught:
        read_edm_pickle(write_edm(tmp_path / "bad.pkl", ema))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("place", ["_init_args", "_parameters", "_modules", "_buffers"])
@pytest.mark.parametrize("content", [doubling(), {"a": doubling()}, {"x" * 10**6: 1}, (1,), 3])
def test_state_of_another_kind_is_refused_soon(place: str, content: Any, tmp_path: Path) -> None:
    ema = edm_object(network_of(SMALL))
    ema.meta["state"][place] = content
    with pytest.raises(CheckpointError) as caught:
        read_edm_pickle(write_edm(tmp_path / "bad.pkl", ema))
    assert len(str(caught.value)) < 600


def test_a_chain_of_modules_is_refused(tmp_path: Path) -> None:
    node: Any = Persistent("L", {"_parameters": {}, "_buffers": {}, "_modules": {}})
    for _ in range(60):
        node = Persistent("L", {"_parameters": {}, "_buffers": {}, "_modules": {"a": node}})
    ema = edm_object(network_of(SMALL))
    ema.meta["state"]["_modules"] = {"model": node}
    with pytest.raises(CheckpointError, match="nests modules"):
        read_edm_pickle(write_edm(tmp_path / "bad.pkl", ema))


def test_tensors_that_share_a_storage_can_not_ask_for_more_than_the_file(tmp_path: Path) -> None:
    storage = torch.zeros(100_000).__reduce_ex__(4)[1][0]
    rebuild = torch._utils._rebuild_tensor_v2
    ema = edm_object(network_of(SMALL))
    ema.meta["state"]["_buffers"] = {
        f"b{i}": Calls(rebuild, storage, i, (90_000,), (1,), False, OrderedDict())
        for i in range(1000)
    }
    with pytest.raises(CheckpointError, match="larger than the file"):
        read_edm_pickle(write_edm(tmp_path / "bad.pkl", ema))


def test_storages_of_the_same_bytes_can_not_hold_more_than_the_file(tmp_path: Path) -> None:
    content = storage_bytes(torch.zeros(100_000))
    rebuild = torch._utils._rebuild_tensor_v2
    ema = edm_object(network_of(SMALL))
    ema.meta["state"]["_buffers"] = {
        f"b{i}": Calls(
            rebuild,
            Calls(torch.storage._load_from_bytes, content),
            0,
            (10,),
            (1,),
            False,
            OrderedDict(),
        )
        for i in range(1000)
    }
    with pytest.raises(CheckpointError, match="larger than the file"):
        read_edm_pickle(write_edm(tmp_path / "bad.pkl", ema))


def test_keys_that_could_be_chosen_to_collide_are_refused(tmp_path: Path) -> None:
    ema = edm_object(network_of(SMALL))
    ema.meta["state"]["_buffers"] = {number: number for number in range(10)}
    with pytest.raises(CheckpointError, match="int is used as a key"):
        read_edm_pickle(write_edm(tmp_path / "bad.pkl", ema))


def test_keys_that_take_long_to_read_are_refused(tmp_path: Path) -> None:
    for key in ("k" * (LONGEST_KEY + 1), b"k" * (LONGEST_KEY + 1)):
        ema = edm_object(network_of(SMALL))
        ema.meta["state"]["_buffers"] = {key: 1}
        with pytest.raises(CheckpointError, match="a key has more than"):
            read_edm_pickle(write_edm(tmp_path / "bad.pkl", ema))


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_keys_of_bytes_are_text(protocol: int) -> None:
    content = pickle.dumps({b"a\xff": {b"b": "c"}}, protocol)
    read = read_pickle(io.BytesIO(content), {"_codecs.encode"}, "a", "file")
    assert read == {"a\xff": {"b": "c"}}


def test_a_tensor_that_expands_a_number_is_refused(tmp_path: Path) -> None:
    ema = edm_object(network_of(SMALL))
    ema.meta["state"]["_buffers"] = {"b": torch.zeros(1).expand(2**36)}
    with pytest.raises(CheckpointError, match="asks for 68719476736 numbers"):
        read_edm_pickle(write_edm(tmp_path / "bad.pkl", ema))


def storage_bytes(tensor: torch.Tensor) -> bytes:
    """The stream that a pickled tensor holds."""
    content: bytes = tensor.__reduce_ex__(4)[1][0].__reduce__()[1][0]
    return content


def test_a_storage_is_read_as_torch_wrote_it() -> None:
    for dtype in (torch.float32, torch.float16):
        tensor = torch.randn(1000).to(dtype)
        assert torch.equal(read_storage(storage_bytes(tensor), "a"), tensor)


def test_a_storage_that_claims_a_petabyte_costs_nothing() -> None:
    content = storage_bytes(torch.zeros(7))
    count, claimed = struct.pack("<q", 7), struct.pack("<q", 2**47)
    assert content.count(count) == 1
    tracemalloc.start()
    for bad in (content.replace(count, claimed), content.replace(b"K\x07", b"K\x09")):
        with pytest.raises(CheckpointError, match="claims"):
            read_storage(bad, "a")
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated"),
        (b"PK\x03\x04", "zip format"),
        (pickle.dumps(1, 2) * 5, "not a stream of torch.save"),
        (storage_bytes(torch.zeros(3, dtype=torch.int64)), "torch.LongStorage"),
        (storage_bytes(torch.zeros(3))[:-1], "claims"),
        (storage_bytes(torch.zeros(3)) + b"x", "claims"),
        (storage_bytes(torch.zeros(3)).replace(b"ctorch\nFloat", b"cposix\nFloat"), "posix"),
    ],
)
def test_other_storages_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_storage(content, "a")


def test_nothing_is_called_even_by_a_known_name() -> None:
    """Known names become inert: their call is data, and torch's loader never sees the bytes."""
    content = pickle.dumps(Calls(torch.storage._load_from_bytes, b"rubbish"))
    node = read_pickle(io.BytesIO(content), KNOWN_NAMES, "a", "file")
    assert (node.name, node.args) == ("torch.storage._load_from_bytes", (b"rubbish",))


@pytest.mark.parametrize("case", ["nested 300000 deep", "key is a nested tuple", "os.system"])
def test_the_interpreter_survives_and_says_one_line(case: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(RAW[case])
    result = fpmc_bench_process(
        "teacher", "convert", path, tmp_path / "o.safetensors", cwd=tmp_path
    )
    assert result.returncode == 1, result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["bad.pkl"]
