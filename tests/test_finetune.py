"""Fine-tuning one noise level: what it learns, what it leaves out, where it stops."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import DAMAGES
from plans import loaded
from torch import Tensor

from fpmc_bench import FPMC, Source, load_dataset, load_teacher
from fpmc_bench.catalog.augmentations import plan_source
from fpmc_bench.contracts import AugmentationTask
from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.documents.suite import SourceAugmentation
from fpmc_bench.engine.gradient import Comparison
from fpmc_bench.engine.machine import halving
from fpmc_bench.errors import ParameterError
from fpmc_bench.finetune import descent as descent_module
from fpmc_bench.finetune.checkpoint import load_descent, save_descent
from fpmc_bench.finetune.descent import Descent
from fpmc_bench.finetune.problem import LevelProblem, validation_batch, validation_images
from fpmc_bench.finetune.relaxation import (
    Relaxation,
    kernel_index,
    learned_filter,
    relaxed_model,
    starting_zeros,
)
from fpmc_bench.finetune.settings import LARGEST_ZERO, FinetuneSettings
from fpmc_bench.finetune.weights import finished_level, joined
from fpmc_bench.fpmc import Dense, DimensionOneHot, PixelOneHot, Translations, Uniform
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.union import Union
from fpmc_plugins.augmentations.flips import HorizontalFlip
from fpmc_plugins.denoisers.ls import squares
from fpmc_plugins.denoisers.windows import windows

SIGMA = 0.6
PLAN = FinetuneSettings(steps=30, batch=16, evaluate_every=10, validation_items=32)


def descent_of(
    digits: Source,
    plan: FinetuneSettings = PLAN,
    *,
    sigma: float = SIGMA,
    side_px: int = 3,
    images: int = 300,
) -> Descent:
    """On part of the digits, judged on others of them."""
    source = Source(digits.images[:images], scale=digits.scale)
    problem = LevelProblem(source, load_teacher("digits-ddpmpp"), sigma, 0, "cpu")
    patches = squares(source.shape, side_px)
    held_out = digits.values()[images : images + plan.validation_items]
    validation = validation_batch(problem, held_out, 0)
    descent = Descent(problem, FPMC(patches, PixelOneHot(source.shape)), plan, validation, 2**28)
    descent.start()
    return descent


def finish(descent: Descent) -> Descent:
    while not descent.finished:
        descent.advance()
    return descent


# --- relaxations


@pytest.mark.parametrize("tied", [False, True])
def test_relaxed_from_its_base(tied: bool) -> None:
    """Ones are exactly 1; zeros are what they were asked to be, and as small as is asked."""
    shape = ImageShape(3, 3, 4)
    masks = torch.rand(5, 36, generator=torch.Generator().manual_seed(0)) < 0.5
    base = FPMC(Dense(shape, masks), Dense(shape, ~masks))
    zeros = {"q": 1e-3, "r": 1e-2}
    relaxed = Relaxation(base, ("q", "r"), tie_channels=tied, zeros=zeros)
    q, r = relaxed.precision(), relaxed.response()
    if tied:
        expected = masks.reshape(5, 3, 12).float().mean(1)
        torch.testing.assert_close(q, expected.clamp(min=1e-3))
        return
    torch.testing.assert_close(q, torch.where(masks, 1.0, 1e-3))
    torch.testing.assert_close(r, torch.where(masks, 1e-2, 1.0))
    assert bool((q[masks] == 1).all())


def test_where_the_zeros_of_a_base_start() -> None:
    """Together they have a part of the response; a Gaussian's tails are no more than a mask's."""
    shape, plan = ImageShape(1, 8, 8), replace(PLAN, zero_precision=5.0, zero_response=0.02)
    mask = squares(shape, 3)
    zeros = starting_zeros(FPMC(mask, mask), plan, 0.1)
    ones = int(mask.planes().sum())
    assert zeros["r"] * (64 * 64 - ones) == pytest.approx(0.02 * ones)
    assert zeros["q"] == pytest.approx(5 * 0.1**2 / 64)
    assert starting_zeros(FPMC(mask, mask), plan, 80.0)["q"] == LARGEST_ZERO
    gaussian = windows(shape, 0.7)
    found = starting_zeros(FPMC(gaussian, gaussian), plan, 0.1)["r"]
    assert 0 < found < 2e-3
    whole = Uniform(shape)
    assert starting_zeros(FPMC(whole, whole), plan, 0.1)["r"] <= LARGEST_ZERO


def test_what_is_not_learned_stays_exactly() -> None:
    shape = ImageShape(1, 3, 4)
    base = FPMC(squares(shape, 3), PixelOneHot(shape))
    relaxed = Relaxation(base, ("q",), zeros={"q": 1e-3, "r": 1e-3})
    assert torch.equal(relaxed.response(), torch.eye(12))
    assert len(list(relaxed.parameters())) == 1
    assert isinstance(relaxed_model(base, relaxed.rounded()).response, PixelOneHot)


def test_a_shared_kernel_moves_with_its_pixel() -> None:
    shape = ImageShape(2, 3, 4)
    base = FPMC(windows(shape, 1.3), windows(shape, 0.8))
    relaxed = Relaxation(base, ("q", "r"), kernels="shared", zeros={"q": 1e-9, "r": 1e-9})
    assert sum(p.numel() for p in relaxed.parameters()) == 2 * 5 * 7
    torch.testing.assert_close(relaxed.precision(), base.precision.planes().float())
    kernel = torch.arange(35.0).reshape(5, 7)
    matrix = kernel.flatten()[kernel_index(shape)]
    for i in range(12):
        for u in range(12):
            down, right = u // 4 - i // 4, u % 4 - i % 4
            assert matrix[i, u] == kernel[down + 2, right + 3]
    assert torch.equal(learned_filter(kernel.log(), shape).planes(), matrix.log().exp().double())


@pytest.mark.parametrize("searching", [False, True])
def test_bases_that_have_no_relaxation(searching: bool) -> None:
    shape = ImageShape(1, 5, 5)
    if searching:
        base = FPMC(squares(shape, 3), PixelOneHot(shape), Translations(3))
        complaint = "els"
    else:
        base, complaint = FPMC(Uniform(shape), Uniform(shape)), "one estimator a pixel"
    with pytest.raises(ParameterError, match=complaint):
        Relaxation(base, ("q",), kernels="shared", zeros={"q": 1e-3, "r": 1e-3})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"axes": ()}, "axes must be q, r or q,r, got none"),
        ({"axes": ("q", "x")}, "got q,x"),
        ({"axes": ("q", "q")}, "got q,q"),
        ({"batch": 0}, "batch must be positive"),
        ({"learning_rate": math.nan}, "learning_rate must be positive"),
        ({"steps": -1}, "steps must be finite and not negative"),
        ({"source_images": 0}, "source_images"),
        ({"learning_rate": math.inf}, "learning_rate must be positive and finite"),
        ({"zero_precision": math.inf}, "zero_precision must be positive and finite"),
        ({"weight_decay": math.inf}, "weight_decay must be finite"),
        ({"validation_items": 10**6}, "validation_items must be at most 100000"),
    ],
)
def test_senseless_plans(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ParameterError, match=complaint):
        replace(PLAN, **changes)


# --- batches


def test_a_batch_is_compared_with_everything_but_itself(digits: Source) -> None:
    source = Source(digits.images[:100], scale=digits.scale)
    problem = LevelProblem(source, lambda z, sigma: z, 1e-6, 0, "cpu")
    batch = problem.batch(PLAN, 3)
    own = [
        int((source.values() - query).square().sum((1, 2, 3)).argmin()) for query in batch.queries
    ]
    assert len(set(own)) == PLAN.batch
    assert sorted([*own, *batch.rows.tolist()]) == list(range(100))
    assert torch.equal(problem.batch(PLAN, 3).queries, batch.queries)
    assert not torch.equal(problem.batch(PLAN, 4).queries, batch.queries)
    with_itself = problem.batch(replace(PLAN, leave_batch_out=False), 3)
    assert with_itself.rows.tolist() == list(range(100))
    few = problem.batch(replace(PLAN, source_images=7), 3)
    assert len(few.rows) == 7
    assert not set(few.rows.tolist()) & set(own)


def test_queries_are_training_images_and_not_what_was_added(digits: Source) -> None:
    source = Source(digits.images[:20], scale=digits.scale)
    added = Source(digits.images[20:60], scale=digits.scale)
    problem = LevelProblem(Union([source, added]), lambda z, sigma: z, 1e-6, 0, "cpu")
    batch = problem.batch(replace(PLAN, batch=20), 0)
    torch.testing.assert_close(
        batch.queries.sort(0).values, source.values().sort(0).values, atol=1e-4, rtol=0
    )
    assert batch.rows.tolist() == list(range(20, 60))


def test_what_was_made_from_a_batch_is_left_out_with_it(digits: Source) -> None:
    source = Source(digits.images[:40], scale=digits.scale)
    task = AugmentationTask(source, 0.5, seed=3)
    parts = [SourceAugmentation(name=name, rate=0.5) for name in ("hflip", "translate")]
    context = replace(loaded(), dataset=replace(loaded().dataset, train=source))
    whole = plan_source(context, parts).made()  # floats: digits have 17 codes
    problem = LevelProblem(whole, lambda z, sigma: z, 1e-6, 0, "cpu")
    batch = problem.batch(PLAN, 3)
    own = {
        int((source.values() - query).square().sum((1, 2, 3)).argmin()) for query in batch.queries
    }
    mirrored = HorizontalFlip().augment(task)
    assert mirrored.made_from is not None
    origins = whole.rows_in(source).tolist()
    assert origins[:60] == [*range(40), *mirrored.made_from.tolist()]
    left = set(range(len(whole))) - set(batch.rows.tolist())
    assert left == {row for row, origin in enumerate(origins) if origin in own}
    assert len(left) > len(own) + 5


def test_validation_images_are_samples_from_a_stream_of_their_own() -> None:
    def shrink(z: Tensor, sigma: float) -> Tensor:
        return z / (1 + sigma**2)

    shape, sigmas = ImageShape(2, 4, 3), (80.0, 2.0, 0.3)
    noise = unit_noise(5, "finetune-validation", range(3), shape)  # the stream's name is frozen
    found = validation_images(shrink, shape, sigmas, 3, 5, "cpu")
    assert torch.equal(found, heun_sample(shrink, noise, sigmas))


@pytest.mark.parametrize(("sigma", "rounded"), [(0.1, True), (0.2, False)])
def test_where_noise_is_finer_than_codes_samples_are_judged_at_codes(
    sigma: float, rounded: bool, digits: Source
) -> None:
    problem = LevelProblem(digits, lambda z, sigma: z, sigma, 0, "cpu")
    drift = torch.linspace(-0.05, 0.05, 64).reshape(1, 1, 8, 8)  # of steps of 1/8
    on_codes = digits.values()[:5]
    plain = validation_batch(problem, on_codes, 0)[0]
    drifted = validation_batch(problem, on_codes + drift, 0)[0]
    assert torch.equal(plain, drifted) == rounded


# --- descent


@pytest.mark.parametrize("axes", [("q",), ("r",), ("q", "r")])
def test_learning_lowers_the_error(digits: Source, axes: tuple[str, ...]) -> None:
    plan = replace(PLAN, axes=axes, steps=60, learning_rate=0.1)
    descent = finish(descent_of(digits, plan))
    assert set(descent.best) == set(axes)
    assert descent.best_error < 0.95 * descent.curve[0].error


def test_what_is_kept_is_what_was_measured(digits: Source) -> None:
    """Rounded to float16 before it is judged, so that the file has the errors its card says."""
    descent = finish(descent_of(digits))
    card, tensors = finished_level(descent)
    assert all(values.dtype == torch.float16 for values in tensors.values())
    shape = digits.shape
    other = {"base": "ls", "params": {}, "dataset": "digits", "source": "", "shape": tuple(shape)}
    rest = {"teacher": "", "teacher_fingerprint": "", "plan": {}}
    model = joined({**other, **rest}, [(card, tensors)]).model(0)
    assert descent._error(model) == card.best.error == descent.best_error


def test_never_worse_than_the_base(digits: Source) -> None:
    """A learning rate that ruins everything leaves the base, whose zeros are zeros."""
    descent = finish(descent_of(digits, replace(PLAN, learning_rate=50.0)))
    assert descent.best_error == descent.curve[0].error
    card, tensors = finished_level(descent)
    assert card.best.step == 0
    matrix = learned_filter(tensors["q"], digits.shape).planes()
    assert torch.equal(matrix, squares(digits.shape, 3).planes())
    assert card.structures == {"r": "pixel-one-hot"}


def test_the_best_weights_are_kept_and_not_the_last(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([1.0, 0.5, 0.7, 0.9])
    monkeypatch.setattr(Descent, "_error", lambda self, model: next(errors))
    descent = descent_of(digits)
    descent.advance()
    best = descent.relaxation.rounded()["q"]
    finish(descent)
    assert [point.error for point in descent.curve] == [1.0, 0.5, 0.7, 0.9]
    assert torch.equal(descent.best["q"], best)
    assert not torch.equal(descent.relaxation.rounded()["q"], best)


def test_without_improvement_it_ends(digits: Source) -> None:
    plan = replace(PLAN, steps=1000, learning_rate=1e-9, patience=3)
    descent = finish(descent_of(digits, plan))
    assert descent.step == 40
    assert descent.stopped is None


def test_a_loss_that_is_no_number_stops_it_and_keeps_the_best(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    descent = descent_of(digits)
    descent.advance()
    best = descent.best_error
    honest = LevelProblem.batch

    def poisoned(self: LevelProblem, plan: FinetuneSettings, step: int) -> object:
        batch = honest(self, plan, step)
        return replace(batch, targets=batch.targets * (math.nan if step == 14 else 1))

    monkeypatch.setattr(LevelProblem, "batch", poisoned)
    finish(descent)
    assert descent.step == 14
    assert descent.stopped is not None
    assert "the loss became nan at step 14: lower learning_rate, now 0.03" in descent.stopped
    assert descent.best_error == best
    assert all(bool(values.isfinite().all()) for values in descent.best.values())


def test_out_of_memory_halves_the_budget_for_all_later_steps(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = descent_of(digits)
    expected.advance()
    tried = []
    real = descent_module.soft_posterior

    def limited(precision: Tensor, response: Tensor, comparison: Comparison) -> Tensor:
        tried.append(comparison.budget_bytes)
        if comparison.budget_bytes > 2**24:
            raise torch.OutOfMemoryError("a GPU's allocator says this")
        return real(precision, response, comparison)

    monkeypatch.setattr(descent_module, "soft_posterior", limited)
    monkeypatch.setattr(halving, "_affordable_bytes", None)  # which is put back afterwards
    descent = descent_of(digits)
    descent.budget_bytes = 2**26
    descent.advance()
    assert tried[:4] == [2**26, 2**25, 2**24, 2**24]
    np.testing.assert_allclose(descent.best_error, expected.best_error, rtol=1e-3)


def test_leaving_the_batch_out_keeps_precisions_from_running_away() -> None:
    """A query that finds its own image needs no other, and the more precision the surer it does.

    So precisions grow for as long as there is time, the loss applauds, and images that are not in
    the source are denoised worse than before.
    """
    photos, sigma = load_dataset("photos").train, 0.3
    source = Source(photos.images[:200])
    problem = LevelProblem(source, load_teacher("photos-ddpmpp"), sigma, 0, "cpu")
    validation = validation_batch(problem, photos.values()[200:232], 0)
    base = FPMC(squares(source.shape, 1), PixelOneHot(source.shape))
    plan = FinetuneSettings(
        axes=("q",),
        steps=60,
        batch=16,
        learning_rate=0.1,
        zero_precision=77.0,
        evaluate_every=20,
        patience=9,
    )
    mass, curves = [], []
    for left_out in (False, True):
        own_plan = replace(plan, leave_batch_out=left_out)
        descent = Descent(problem, base, own_plan, validation, 2**28)
        descent.start()
        finish(descent)
        mass.append(descent.relaxation.precision().sum(1).mean().item())
        curves.append(descent.curve[1:])
    kept, out = curves
    assert mass[0] > 1.2 * mass[1], "precisions grow"
    assert kept[-1].loss < 0.8 * out[-1].loss, "the loss falls"
    assert kept[0].error < kept[1].error < kept[2].error, "and the error rises"
    assert out[0].error > out[1].error > out[2].error
    assert out[2].error < 0.7 * kept[2].error


def test_resumed_is_uninterrupted(digits: Source, tmp_path: Path) -> None:
    whole = finish(descent_of(digits))
    first = descent_of(digits)
    first.advance()
    save_descent(tmp_path / "level.checkpoint", first)
    second = descent_of(digits)
    assert load_descent(tmp_path / "level.checkpoint", second)
    assert second.step == 10
    finish(second)
    assert second.curve == whole.curve
    for axis, values in whole.best.items():
        assert torch.equal(second.best[axis], values)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_begun_anew_and_said(
    digits: Source,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
) -> None:
    descent = descent_of(digits)
    path = tmp_path / "level.checkpoint"
    assert not load_descent(path, descent)
    assert caplog.messages == []
    save_descent(path, descent)
    assert load_descent(path, descent)
    damage(path)
    assert not load_descent(path, descent)
    assert str(path) in caplog.text


def test_a_base_of_dimensions(digits: Source) -> None:
    """One estimator a dimension, as lukoianov's, with a response of its own structure."""
    shape = digits.shape
    masks: Tensor = squares(shape, 3).planes() > 0
    descent = descent_of(digits, replace(PLAN, axes=("q",), steps=10))
    descent = replace(descent, base=FPMC(Dense(shape, masks), DimensionOneHot(shape)))
    descent.start()
    finish(descent)
    card, tensors = finished_level(descent)
    assert card.structures == {"r": "dimension-one-hot"}
    assert tuple(tensors["q"].shape) == (64, 64)
