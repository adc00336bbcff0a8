"""The differentiable collection: its value and gradients against plain autograd in float64."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fpmc_bench import FPMC, Source
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.engine.gradient import Comparison, soft_posterior
from fpmc_bench.finetune.relaxation import learned_filter

IMAGES, QUERIES, ESTIMATORS = 9, 4, 5
SHAPE = (2, 3, 4)
PIXELS, DIMENSIONS = 12, 24
PLENTY = 2**30
KEEPS_SOME, KEEPS_NONE = 9000, 2000
"""Budgets in bytes with room for the weights of one query of these, and of none."""


def source_of(seed: int = 0, log_weights: Tensor | None = None) -> Source:
    draw = torch.Generator().manual_seed(seed)
    values = torch.rand(IMAGES, *SHAPE, generator=draw, dtype=torch.float64) * 2 - 1
    return Source(values, log_weights)


def queries_of(sigma: float, source: Source, seed: int = 1) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(QUERIES, *SHAPE, generator=draw, dtype=torch.float64)
    return source.values(torch.float64)[:QUERIES] + sigma * noise


def matrices_of(precision: int, response: int, seed: int = 2) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return (
        torch.rand(ESTIMATORS, precision, generator=draw, dtype=torch.float64).requires_grad_(),
        torch.rand(ESTIMATORS, response, generator=draw, dtype=torch.float64).requires_grad_(),
    )


def plainly(precision: Tensor, response: Tensor, comparison: Comparison) -> Tensor:
    """Equations 7-10 as they stand, nothing clever, differentiated by autograd."""
    images = comparison.source.values(torch.float64)[comparison.rows].flatten(1)
    z = comparison.queries.double().flatten(1)
    squares = (z[:, None] - images).square()
    q, r = (m.repeat(1, DIMENSIONS // m.shape[1]) for m in (precision, response))
    logits = -torch.einsum("md,bnd->mbn", q, squares) / (2 * comparison.sigma**2)
    if comparison.source.log_weights is not None:
        logits = logits + comparison.source.log_weights[comparison.rows]
    mean = torch.einsum("mbn,nd->mbd", logits.softmax(2), images)
    answer = torch.einsum("md,mbd->bd", r, mean) / r.sum(0)
    return answer.reshape(comparison.queries.shape)


@pytest.mark.parametrize("budget", [PLENTY, KEEPS_SOME, KEEPS_NONE])
@pytest.mark.parametrize("precision", [PIXELS, DIMENSIONS])
@pytest.mark.parametrize("response", [PIXELS, DIMENSIONS])
@pytest.mark.parametrize(
    "weights", [None, (0.3, 0, -1, 1, 2, -2, 0.5, 0, 1), (-math.inf, 0, 1) * 3]
)
def test_value_and_gradients_are_those_of_autograd(
    budget: int, precision: int, response: int, weights: tuple[float, ...] | None
) -> None:
    source = source_of(log_weights=None if weights is None else torch.tensor(weights))
    rows = torch.tensor([0, 2, 3, 5, 6, 7, 8])
    comparison = Comparison(source, rows, queries_of(0.8, source), 0.8, budget)
    q, r = matrices_of(precision, response)
    upstream = torch.randn(QUERIES, *SHAPE, dtype=torch.float64)
    expected = plainly(q, r, comparison)
    wanted = torch.autograd.grad((expected * upstream).sum(), (q, r))
    found = soft_posterior(q, r, comparison)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad((found * upstream).sum(), (q, r)), wanted)


@pytest.mark.parametrize("budget", [PLENTY, KEEPS_NONE])
def test_gradcheck(budget: int) -> None:
    source = source_of()
    comparison = Comparison(source, torch.arange(IMAGES), queries_of(1.0, source), 1.0, budget)
    assert torch.autograd.gradcheck(
        lambda q, r: soft_posterior(q, r, comparison), matrices_of(PIXELS, DIMENSIONS)
    )


def test_only_what_is_asked_for_is_differentiated() -> None:
    source = source_of()
    comparison = Comparison(source, torch.arange(IMAGES), queries_of(1.0, source), 1.0, PLENTY)
    q, r = matrices_of(PIXELS, PIXELS)
    both = torch.autograd.grad(soft_posterior(q, r, comparison).square().sum(), (q, r))
    for index in (0, 1):
        matrices = [q.detach(), r.detach()]
        matrices[index].requires_grad_()
        soft_posterior(*matrices, comparison).square().sum().backward()
        torch.testing.assert_close(matrices[index].grad, both[index])
        assert matrices[1 - index].grad is None


@pytest.mark.parametrize("budget", [PLENTY, KEEPS_NONE])
def test_where_one_image_has_all_weight_the_gradient_is_that_of_the_others(budget: int) -> None:
    """However small: an optimiser divides by it."""
    source = source_of()
    queries = source.values(torch.float64)[:QUERIES]
    comparison = Comparison(source, torch.arange(IMAGES), queries, 0.1, budget)
    q, r = matrices_of(PIXELS, PIXELS)
    (wanted,) = torch.autograd.grad(plainly(q, r, comparison).sum(), q)
    (found,) = torch.autograd.grad(soft_posterior(q, r, comparison).sum(), q)
    assert 0 < float(wanted.abs().max()) < 1e-40
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)


def test_backward_twice_gives_the_same() -> None:
    source = source_of()
    comparison = Comparison(source, torch.arange(IMAGES), queries_of(1.0, source), 1.0, PLENTY)
    q, r = matrices_of(PIXELS, PIXELS)
    loss = soft_posterior(q, r, comparison).square().sum()
    first = torch.autograd.grad(loss, (q, r), retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, (q, r)), first)


any_noise = given(
    log_sigma=st.floats(math.log(0.002), math.log(80)),
    seed=st.integers(0, 2**16),
    budget=st.sampled_from([PLENTY, KEEPS_SOME, KEEPS_NONE]),
)


@settings(max_examples=60, deadline=None)
@any_noise
def test_float32_is_near_the_engine_at_any_noise(log_sigma: float, seed: int, budget: int) -> None:
    """Training is in float32 throughout; queries lie where noisy images do."""
    sigma = math.exp(log_sigma)
    source = source_of(seed)
    log_q, log_r = (m.detach().log() for m in matrices_of(PIXELS, PIXELS, seed + 1))
    queries = queries_of(sigma, source, seed + 2).float()
    comparison = Comparison(source, torch.arange(IMAGES), queries, sigma, budget)
    shape = source.shape
    model = FPMC(learned_filter(log_q, shape), learned_filter(log_r, shape))
    expected = fpmc_denoise(model, source, queries.double(), sigma)
    found = soft_posterior(log_q.exp().float(), log_r.exp().float(), comparison)
    assert (found - expected).abs().max() < 2e-4


@pytest.mark.slow
@settings(max_examples=5000, deadline=None)
@any_noise
def test_float32_is_near_the_engine_wherever_one_looks(**problem: Any) -> None:
    test_float32_is_near_the_engine_at_any_noise.hypothesis.inner_test(**problem)  # type: ignore[attr-defined]
