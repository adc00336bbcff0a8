"""Which process computes on which GPU, of GPUs that are not there, and by what it waits."""

from typing import Any

import accelerate
import pytest
import torch
from torch.distributed import HashStore

from fpmc_bench.errors import UsageError
from fpmc_bench.harness.cluster import processes
from fpmc_bench.harness.cluster.processes import Processes, join_processes, refuse_crowded_gpus
from fpmc_bench.jobs.train import refuse_at_once


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two GPUs; which of them is the current one, in the order they became that."""
    current: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr("fpmc_bench.harness.cluster.processes.refuse_tf32", lambda: None)
    return current


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a process of a launcher asks accelerate for: it is the last of three on its machine."""
    asked: dict[str, Any] = {}

    class State:
        process_index, local_process_index, num_processes = 2, 2, 3

        def __init__(self, **named: Any) -> None:
            asked.update(named)

    monkeypatch.setattr(accelerate, "PartialState", State)
    monkeypatch.setattr(processes, "meet", lambda rank, world: HashStore())
    for name, value in {
        "RANK": "2",
        "WORLD_SIZE": "3",
        "LOCAL_RANK": "2",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "29500",
    }.items():
        monkeypatch.setenv(name, value)
    return asked


@pytest.mark.parametrize(
    ("device", "expected"), [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1")]
)
def test_the_device_that_was_asked_for_is_the_current_one(
    device: str, expected: str, gpus: list[str]
) -> None:
    assert join_processes(device) == Processes(0, 1, expected)
    assert gpus == [expected]


@pytest.mark.parametrize(
    ("device", "expected"), [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1")]
)
def test_more_processes_than_gpus_share_them(
    device: str, expected: str, gpus: list[str], launched: dict[str, Any]
) -> None:
    """And wait on the CPU: NCCL refuses two processes of one GPU."""
    assert join_processes(device) == Processes(2, 3, expected)
    assert gpus == [expected]
    assert (launched["backend"], launched["cpu"]) == ("cpu:gloo,cuda:nccl", False)


@pytest.mark.usefixtures("gpus")
def test_on_the_cpu_gpus_are_left_alone(launched: dict[str, Any], gpus: list[str]) -> None:
    assert join_processes("cpu") == Processes(2, 3, "cpu")
    assert gpus == []
    assert launched["cpu"]
    assert "backend" not in launched


@pytest.mark.parametrize("device", ["cuda:2", "cuda:x", "cuda:-1"])
def test_a_gpu_that_is_not_there_is_named(device: str, gpus: list[str]) -> None:
    with pytest.raises(UsageError, match=f"'{device}' was asked for, but torch finds 2 CUDA GPUs"):
        join_processes(device)


def test_processes_that_train_each_need_a_gpu(gpus: list[str], tmp_path: Any) -> None:
    for device, most in (("auto", 2), ("cuda", 2), ("cuda:1", 1)):
        refuse_crowded_gpus(device, most)
        with pytest.raises(UsageError, match=f"{most + 1} processes can't train together on 2"):
            refuse_crowded_gpus(device, most + 1)
    refuse_crowded_gpus("cpu", 50)
    with pytest.raises(UsageError, match="lower --processes, or use --device cpu"):
        refuse_at_once(tmp_path / "a.safetensors", "tiny", {"device": "cuda"}, 3)
