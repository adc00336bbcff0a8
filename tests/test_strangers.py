"""Calling strangers' code: what they change is put back and named; they can't end the process."""

import os
import random
import signal
from collections.abc import Callable

import numpy as np
import pytest
import torch

from fpmc_bench.catalog.process_state import ProcessState, own_randomness
from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.errors import PluginError


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: torch.set_default_device("meta"), r"default device \(from cpu to meta\)"),
        (lambda: torch.use_deterministic_algorithms(True), "torch's deterministic algorithms"),
        (lambda: setattr(torch.backends.mkldnn.matmul, "fp32_precision", "bf16"),
         r"mkldnn.matmul.fp32_precision \(from none to bf16\)"),
        (lambda: setattr(torch.backends, "fp32_precision", "tf32"), "backends.fp32_precision"),
        (lambda: setattr(torch.backends.cudnn, "benchmark", True), "backends.cudnn.benchmark"),
        (lambda: torch.autocast("cpu").__enter__(), "torch's autocast on cpu"),
        (lambda: np.seterr(all="raise"), "numpy's handling of errors, which"),
        (lambda: os.environ.pop("PATH"), "the environment's variable PATH"),
        (lambda: os.environ.update(PATH="/nowhere"), "the environment's variable PATH"),
    ],
)  # fmt: skip
def test_a_change_is_put_back_and_named(change: Callable[[], object], named: str) -> None:
    before, precision = ProcessState.now(), torch.get_float32_matmul_precision()
    with (
        pytest.raises(PluginError, match=f"denoiser 'x' changed .*{named}"),
        strangers_code("denoiser 'x'"),
    ):
        change()
    assert ProcessState.now() == before
    assert torch.get_float32_matmul_precision() == precision


def test_a_mode_that_was_left_entered_is_left() -> None:
    mode = torch.inference_mode()
    with pytest.raises(PluginError, match="torch's inference mode"), strangers_code("x"):
        mode.__enter__()
    assert torch.zeros(1, requires_grad=True).exp().requires_grad


def test_weights_that_were_cast_are_not_kept_for_ever() -> None:
    """As they would be while a block of autocast is open: a later training would learn nothing."""
    with pytest.raises(PluginError, match="blocks of torch's autocast"), strangers_code("x"):
        torch.autocast("cpu", torch.bfloat16).__enter__()
    layer, ones = torch.nn.Linear(2, 2, bias=False), torch.ones(1, 2)
    answers = []
    for value in (1.0, 2.0):
        torch.nn.init.constant_(layer.weight, value)
        with torch.autocast("cpu", torch.bfloat16):
            answers.append(layer(ones)[0, 0].item())
    assert answers == [2, 4]


def test_what_libraries_add_as_they_are_loaded_is_nobodys_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("KMP_INIT_AT_FORK", raising=False)
    with strangers_code("x"):
        os.environ["KMP_INIT_AT_FORK"] = "FALSE"  # as scikit-learn does
    assert os.environ["KMP_INIT_AT_FORK"] == "FALSE"


def test_an_error_passes_and_what_was_changed_is_put_back_all_the_same() -> None:
    def work() -> None:
        torch.set_default_dtype(torch.float64)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), strangers_code("x"):
        work()
    assert torch.get_default_dtype() == torch.float32


def test_a_real_interrupt_ends_and_its_own_does_not() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), strangers_code("x"), strangers_code("y"):
        signal.raise_signal(signal.SIGINT)
    own = pytest.raises(PluginError, match="x raised KeyboardInterrupt; to fail")
    with own, strangers_code("x"), strangers_code("y"):
        raise KeyboardInterrupt
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("action", [signal.SIG_DFL, signal.SIG_IGN])
def test_where_no_interrupt_is_raised_each_is_its_own(action: signal.Handlers) -> None:
    """In a process of several, or one that a shell started with `&`."""
    handler = signal.signal(signal.SIGINT, action)
    try:
        with pytest.raises(PluginError, match="raised KeyboardInterrupt"), strangers_code("x"):
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, handler)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # from Python 3.12 on
def test_what_it_forks_may_exit() -> None:
    leave = os._exit
    with strangers_code("x"):
        child = os.fork()
        if not child:
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert os._exit is leave


def test_randomness_within_follows_from_a_seed_and_moves_none_without() -> None:
    def drawn() -> tuple[float, float, float]:
        return float(torch.rand(1)), float(np.random.rand()), random.random()

    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    found = []
    for _ in range(2):
        with own_randomness(2**40 + 1):
            found.append(drawn())
    assert found[0] == found[1]
    after = torch.get_rng_state(), np.random.get_state(), random.getstate()
    assert torch.equal(states[0], after[0])
    assert np.array_equal(states[1][1], after[1][1])
    assert states[2] == after[2]
