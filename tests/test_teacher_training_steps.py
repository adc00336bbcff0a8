"""Batches and steps: the same to rounding however a batch is cut, and exact when repeated."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from trainings import PLAN, TINY, assert_close, weights_after

from fpmc_bench import FPMC, Source
from fpmc_bench.errors import ParameterError
from fpmc_bench.fpmc import Uniform
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.teachers.training import denoising_loss
from fpmc_bench.teachers.training.batches import draw_batch, pixel_spread
from fpmc_bench.teachers.training.denoising_loss import posterior_mean
from fpmc_bench.teachers.training.sliced_dropout import SlicedDropout
from fpmc_bench.teachers.training.trainer import Trainer


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


# --- batches


@pytest.mark.parametrize("hflip", [False, True])
def test_rows_of_a_batch_do_not_depend_on_who_draws_them(digits: Source, hflip: bool) -> None:
    plan = replace(PLAN, hflip=hflip)
    whole = draw_batch(plan, digits, 3, slice(0, 10))
    parts = [draw_batch(plan, digits, 3, rows) for rows in (slice(0, 3), slice(3, 10))]
    for name in ("x", "noise", "sigma"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(whole, name))
    assert {part.dropout_seed for part in parts} == {whole.dropout_seed}


def test_mirroring_turns_about_half_of_the_images_and_changes_nothing_else(digits: Source) -> None:
    plan = replace(PLAN, batch=400)
    plain, mirrored = (
        draw_batch(replace(plan, hflip=hflip), digits, 0, slice(0, 400)) for hflip in (False, True)
    )
    assert torch.equal(plain.noise, mirrored.noise)
    assert torch.equal(plain.sigma, mirrored.sigma)
    same = (plain.x == mirrored.x).flatten(1).all(1)
    turned = (plain.x.flip(-1) == mirrored.x).flatten(1).all(1)
    assert bool((same | turned).all())
    assert 140 < int(turned.sum()) < 260


def test_images_stay_levels_until_a_batch_has_them(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the posterior mean over all of them turns them to floats at once."""

    def all_at_once(*_: object) -> Tensor:
        raise AssertionError("all images as floats")

    monkeypatch.setattr(Source, "values", all_at_once)
    monkeypatch.setattr(denoising_loss, "CHUNK_IMAGES", 500)
    trainer = Trainer(TINY, replace(PLAN, stable_target_sigma=0.5), digits)
    weights_after(trainer, 2)
    assert trainer.source.images.dtype == torch.uint8
    assert 0.7 < pixel_spread(digits) < 0.8


def test_chunks_change_neither_the_spread_nor_the_stable_target(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    z = digits.values()[:5] + 4 * torch.randn(5, 1, 8, 8)
    sigma = torch.full((5,), 4.0)
    whole = posterior_mean(digits.values(), z, sigma)
    monkeypatch.setattr(denoising_loss, "CHUNK_IMAGES", 100)
    monkeypatch.setattr("fpmc_bench.teachers.training.batches.CHUNK_IMAGES", 100)
    torch.testing.assert_close(posterior_mean(digits, z, sigma), whole, atol=1e-5, rtol=0)
    assert pixel_spread(digits) == pytest.approx(digits.values().double().std().item(), rel=1e-9)


def weighted(digits: Source) -> Source:
    draw = torch.Generator().manual_seed(0)
    log_weights = 3 * torch.randn(40, dtype=torch.float64, generator=draw)
    log_weights[7] = -torch.inf
    return Source(digits.values(torch.float64)[:40], log_weights)


@pytest.mark.parametrize("chunk", [7, 4096])
def test_the_posterior_mean_of_a_weighted_source_is_the_oracle_s(
    digits: Source, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoising_loss, "CHUNK_IMAGES", chunk)
    source = weighted(digits)
    optimal = FPMC(Uniform(source.shape), Uniform(source.shape))
    for sigma in (0.05, 1.0, 80.0):
        z = source.images[5:8] + sigma * torch.randn(3, 1, 8, 8, dtype=torch.float64)
        expected = reference_denoise(optimal, source, z, sigma)
        levels = torch.full((3,), sigma, dtype=torch.float64)
        torch.testing.assert_close(posterior_mean(source, z, levels), expected)
        unweighted = posterior_mean(source.images, z, levels)
        torch.testing.assert_close(
            unweighted, reference_denoise(optimal, Source(source.images), z, sigma)
        )
        equal = Source(source.images, torch.zeros(40))
        assert torch.equal(posterior_mean(equal, z, levels), unweighted)
        assert sigma < 0.1 or not torch.allclose(unweighted, expected)


def test_batches_of_a_weighted_source_follow_its_weights(digits: Source) -> None:
    source = weighted(digits)
    plan = replace(PLAN, batch=4000)
    x = draw_batch(plan, source, 0, slice(0, 4000)).x
    drawn = (x[:, None] == source.values()).flatten(2).all(2).double().mean(0)
    assert source.log_weights is not None
    assert torch.allclose(drawn, source.log_weights.softmax(0), atol=0.03)
    assert drawn[7] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_sliced_dropout_is_torch_s_own_on_the_whole_batch(dtype: torch.dtype) -> None:
    x = torch.randn(10, 4, 8, 8).to(dtype)
    torch.manual_seed(5)
    whole = [functional.dropout(x, 0.13) for _ in range(2)]
    for rows in (slice(0, 10), slice(0, 4), slice(4, 10)):
        torch.manual_seed(5)
        with SlicedDropout(rows, 10):
            found = [functional.dropout(x[rows], p=0.13, training=True) for _ in range(2)]
            assert torch.equal(functional.dropout(x[rows], 0.13, training=False), x[rows])
        assert torch.equal(found[0], whole[0][rows])
        assert torch.equal(found[1], whole[1][rows])


@pytest.mark.parametrize("change", [{}, {"hflip": True, "stable_target_sigma": 2.0}])
def test_a_batch_in_parts_gives_the_same_steps_to_rounding(
    change: dict[str, Any], digits: Source
) -> None:
    """Dropout included: TINY has its default, 0.1."""
    plan = replace(PLAN, **change)
    whole, parts = Trainer(TINY, plan, digits), Trainer(TINY, plan, digits, part_images=3)
    losses = [[loss for _, loss in trainer.run(4)] for trainer in (whole, parts)]
    assert losses[1] == pytest.approx(losses[0], rel=2e-4)
    assert_close(weights_after(parts, 4), weights_after(whole, 4), atol=1e-4)


# --- steps


def test_mixed_precision_trains_like_single_precision(digits: Source) -> None:
    plan = replace(PLAN, steps=40, batch=32, learning_rate=3e-3)
    losses = {
        precision: [
            loss for _, loss in Trainer(TINY, replace(plan, precision=precision), digits).run()
        ]
        for precision in ("fp32", "bf16")
    }
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.1)
    trainer = Trainer(TINY, replace(plan, precision="bf16"), digits)
    assert {tensor.dtype for tensor in weights_after(trainer, 1).values()} == {torch.float32}


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "bf16"},
        {"hflip": True, "ema_halflife_images": 50.0, "max_gradient_norm": None},
        {"learning_rate_decay": "none", "adam_beta2": 0.999, "weight_decay": 0.0},
    ],
)
def test_every_kind_of_plan_resumes_exactly(
    change: dict[str, Any], digits: Source, tmp_path: Path
) -> None:
    plan = replace(PLAN, **change)
    whole = weights_after(Trainer(TINY, plan, digits), 7)
    assert any(
        not torch.equal(whole[k], v)
        for k, v in weights_after(Trainer(TINY, PLAN, digits), 7).items()
    ), "the setting does something"
    first = Trainer(TINY, plan, digits)
    weights_after(first, 3)
    first.save(tmp_path / "a.checkpoint", {"note": 1.5})
    second = Trainer(TINY, plan, digits)
    assert second.load(tmp_path / "a.checkpoint") == {"note": 1.5}
    torch.rand(7)
    assert_equal(weights_after(second, 7), whole)


def test_a_gradient_that_is_not_finite_is_met_at_its_own_step(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss before it is finite, the weights after it would be saved as good ones."""
    trainer = Trainer(TINY, PLAN, digits)
    last = list(trainer.network.parameters())[-1]
    last.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(ParameterError, match=r"gradient's norm became (nan|inf) at step 0"):
        weights_after(trainer, 1)
