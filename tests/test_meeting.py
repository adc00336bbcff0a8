"""Processes that do not come: whoever waits for them learns why, at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch.distributed
from nodes import Node, ended, started
from runs import write_suite
from torch.distributed.distributed_c10d import Store

from fpmc_bench.errors import RunError
from fpmc_bench.harness.cluster.meeting import ABSENT, _answered, _called


@pytest.mark.parametrize("waits", [_called, _answered], ids=["the first", "another"])
def test_who_waits_is_told_that_one_does_not_come(waits: Callable[[Store, int], str]) -> None:
    store = torch.distributed.HashStore()
    store.set(ABSENT, "process 1 (elsewhere) has ended before that: no suite file")
    with pytest.raises(RunError, match=r"did not meet: process 1 \(elsewhere\).*no suite file"):
        waits(store, 2)


@pytest.mark.slow
def test_a_command_that_is_wrong_on_one_machine_ends_on_all(tmp_path: Path) -> None:
    right = ("run", write_suite(tmp_path), "--run-dir", tmp_path / "run", "--quiet")
    nodes = (Node(tmp_path, right), Node(tmp_path, ("run", "nowhere.toml")))
    (first, _, said), (second, _, itself) = ended(started(*nodes))
    assert (first, second) == (1, 2)
    assert "process 1" in said
    assert "no suite file at nowhere.toml" in said
    assert "no suite file at nowhere.toml" in itself
