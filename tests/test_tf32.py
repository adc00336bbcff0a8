"""No product of teachers or of the engine is rounded to TF32, whoever calls them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from gpu_cases import denoiser_of, queries_of, rand, source_of, teacher_on
from torch import Tensor

from fpmc_bench.catalog.process_state import ProcessState
from fpmc_bench.engine import evaluate
from fpmc_bench.engine.gradient import Comparison, soft_posterior
from fpmc_bench.engine.machine.tf32 import refuse_tf32, without_tf32
from fpmc_bench.teachers.function import FunctionTeacher
from fpmc_bench.teachers.sensitivity import mean_absolute_jacobian

cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul


def settings() -> tuple[object, ...]:
    """As they are now; the last is an older name, and an error where it says otherwise."""
    newer = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, products.fp32_precision  # type: ignore[attr-defined]
    return *newer, cudnn.allow_tf32


REFUSED = ("ieee", "ieee", "ieee", False)


@pytest.fixture(params=["torch's own", "all allowed"])
def before(request: pytest.FixtureRequest) -> Iterator[tuple[object, ...]]:
    """What a user has set, and afterwards what was there."""
    own, process = settings(), ProcessState.now()
    if request.param == "all allowed":
        torch.set_float32_matmul_precision("high")
    yield settings()
    assert products.allow_tf32 == (request.param == "all allowed")
    process.put_back()
    assert settings() == own


def test_refused_inside_and_as_before_afterwards(before: tuple[object, ...]) -> None:
    with without_tf32():
        assert settings() == REFUSED
        with without_tf32():
            pass
        assert settings() == REFUSED
    assert settings() == before
    with pytest.raises(ZeroDivisionError), without_tf32():
        raise ZeroDivisionError
    assert settings() == before


def test_refused_from_now_on() -> None:
    with without_tf32():  # which puts back what is set here
        refuse_tf32()
        assert settings() == REFUSED


def test_a_thread_that_leaves_first_leaves_it_refused_for_the_other(
    before: tuple[object, ...],
) -> None:
    first, second = without_tf32(), without_tf32()
    first.__enter__()
    with ThreadPoolExecutor(1) as other:
        other.submit(second.__enter__).result()
    first.__exit__(None, None, None)
    assert settings() == REFUSED
    second.__exit__(None, None, None)
    assert settings() == before


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The settings under which anything was computed."""
    found: list[tuple[object, ...]] = []
    for owner, name in ((torch.nn.functional, "conv2d"), (torch, "einsum")):
        real = getattr(owner, name)

        def spy(*args: Tensor, real: Callable[..., Tensor] = real, **named: Tensor) -> Tensor:
            found.append(settings())
            return real(*args, **named)

        monkeypatch.setattr(owner, name, spy)
    return found


def test_networks(seen: list[tuple[object, ...]]) -> None:
    teacher_on("cpu")(torch.zeros(1, 1, 6, 6), 1.0)
    assert set(seen) == {REFUSED}


def test_functions(before: tuple[object, ...], tmp_path: Path) -> None:
    seen = []

    def function(z: Tensor, sigma: float) -> Tensor:
        seen.append(settings())
        return z

    FunctionTeacher("own", function, "cpu")(torch.zeros(1, 1, 6, 6), 1.0)
    assert seen == [REFUSED]
    assert settings() == before


def test_both_passes_of_a_sensitivity_map() -> None:
    """The teacher is a stranger's, who says nothing of TF32."""
    seen = []

    class Squares(torch.autograd.Function):
        @staticmethod
        def forward(ctx: torch.autograd.function.FunctionCtx, z: Tensor) -> Tensor:
            seen.append(settings())
            return 2 * z

        @staticmethod
        def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
            seen.append(settings())
            return 2 * gradient

    class Stranger:
        name = fingerprint = "a stranger's"

        def __call__(self, z: Tensor, sigma: float) -> Tensor:
            found: Tensor = Squares.apply(z)
            return found

    mean_absolute_jacobian(Stranger(), torch.zeros(1, 1, 2, 2), 1.0)
    assert len(seen) == 1 + 4
    assert set(seen) == {REFUSED}


def test_the_engine(seen: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "placed", lambda source, _: seen.append(settings()) or source)
    built = denoiser_of("ls", "plain", "cpu")
    built(queries_of(built.source, 1.0), 1.0)
    assert set(seen) == {REFUSED}
    seen.clear()
    source = source_of("plain")
    q = rand(0, 5, source.shape.pixels).requires_grad_()
    comparison = Comparison(source, torch.arange(9), queries_of(source, 1.0), 1.0, 2**30)
    soft_posterior(q, q.detach(), comparison).sum().backward()
    assert len(seen) >= 2
    assert set(seen) == {REFUSED}
