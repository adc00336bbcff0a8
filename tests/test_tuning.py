"""Tuning: the value with the least error against the tuning teacher, sigma by sigma."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from plans import loaded, small_suite

from fpmc_bench import FPMC, build_denoiser, heun_sample, unit_noise
from fpmc_bench.contracts import Denoiser, Setting
from fpmc_bench.documents.suite import Entry
from fpmc_bench.errors import ParameterError, PluginError, UsageError
from fpmc_bench.jobs.tune import Tuning, plan_tuning, tunable
from fpmc_bench.jobs.tune import tune as tune_plan
from fpmc_plugins.denoisers.ls import LocalScore
from fpmc_plugins.denoisers.lukoianov import Lukoianov
from fpmc_plugins.denoisers.optimal import Optimal
from fpmc_plugins.denoisers.pspc_flex import PspcFlex
from fpmc_plugins.denoisers.windows import Windows

SIDES = (1, 5, 15)
ITEMS = 6


def tune(
    denoiser: type[Denoiser],
    *,
    params: dict[str, Any] | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
    items: int = 128,
    progress: Callable[[], None] = lambda: None,
) -> Tuning:
    """A denoiser with these parameters tuned, as an entry of the small suite."""
    entry = Entry(name=denoiser.name, denoiser=denoiser.name, params=params or {})
    plan = plan_tuning(loaded(), entry, grid)
    return tune_plan(loaded(), plan, items=items, progress=progress)


def validation(level: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy samples of the tuning teacher and its answers at one noise level."""
    context = loaded()
    start = unit_noise(3, "tune-samples", range(ITEMS), (1, 8, 8))
    with torch.no_grad():
        clean = heun_sample(context.tuning, start, context.sigmas)
        sigma = context.sigmas[level]
        z = clean + sigma * unit_noise(3, f"tune-noise/{level}", range(ITEMS), (1, 8, 8))
        return z, context.tuning(z, sigma)


def test_errors_are_those_of_every_candidate_at_every_sigma() -> None:
    calls: list[None] = []
    found = tune(
        LocalScore, items=ITEMS, grid={"patch_sizes": SIDES}, progress=lambda: calls.append(None)
    )
    assert len(calls) == 4 * len(SIDES)
    assert found.errors.shape == (4, len(SIDES), ITEMS)
    assert found.schedules == {"patch_sizes"}
    for level, sigma in enumerate(found.sigmas):
        z, target = validation(level)
        for column, side in enumerate(SIDES):
            ls = build_denoiser(
                "ls",
                loaded().dataset.train,
                sigmas=found.sigmas,
                params={"patch_sizes": [side] * 4},
            )
            with torch.no_grad():
                errors = (ls(z, sigma).double() - target.double()).square().flatten(1).mean(1)
            np.testing.assert_allclose(found.errors[level, column], errors, rtol=1e-9, atol=1e-15)
    best = found.errors.mean(axis=2).argmin(axis=1)
    assert found.chosen == {"patch_sizes": [SIDES[index] for index in best]}


def test_a_parameter_that_is_no_schedule_gets_one_value() -> None:
    found = tune(
        Lukoianov, items=3, grid={"threshold": (0.005, 0.5)}, params={"orientation": "rows"}
    )
    assert found.schedules == frozenset()
    averages = found.errors.mean(axis=(0, 2))
    assert found.chosen == {"threshold": (0.005, 0.5)[int(averages.argmin())]}


def test_two_parameters_are_tried_in_every_combination() -> None:
    grid = {"query_widths": (0.5, 2.0), "response_widths": (0.5, 2.0)}
    found = tune(Windows, items=2, grid=grid)
    assert [tuple(one.values()) for one in found.candidates] == [
        (0.5, 0.5),
        (0.5, 2.0),
        (2.0, 0.5),
        (2.0, 2.0),
    ]
    assert found.schedules == {"query_widths", "response_widths"}


def test_any_parameter_can_be_tuned_and_whole_schedules_too() -> None:
    """Text, and one that the plugin offers no values of; what is not in the grid stays."""
    orientations = {"orientation": ("rows", "columns")}
    found = tune(Lukoianov, items=2, grid=orientations, params={"threshold": 0.5})
    assert found.chosen["orientation"] in ("rows", "columns")
    schedules = [[15, 5, 3, 1], [15, 15, 3, 1]]
    found = tune(LocalScore, items=2, grid={"patch_sizes": schedules})
    assert found.schedules == frozenset()
    assert found.chosen["patch_sizes"] in schedules
    with pytest.raises(ParameterError, match="'response_widths' is required"):
        tune(Windows, items=2, grid={"query_widths": (0.5, 2.0)})


def test_maps_are_there_for_those_who_need_them() -> None:
    found = tune(PspcFlex, items=2, grid={"thresholds": (0.5, 1.0)})
    assert np.isfinite(found.errors).all()


def test_what_can_not_be_tuned_is_refused() -> None:
    with pytest.raises(UsageError, match="'optimal' offers no parameter to tune"):
        tune(Optimal)
    with pytest.raises(ParameterError, match="which is even"):
        tune(LocalScore, grid={"patch_sizes": (2,)})


def test_one_that_changes_what_the_next_is_tried_on_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = loaded().dataset
    train = replace(known.train, images=known.train.images.clone())
    context = replace(loaded(), dataset=replace(known, train=train))
    original = LocalScore.fpmc

    def spoiling(self: LocalScore, setting: Setting, sigma: float) -> FPMC:
        setting.source.images.numpy()[0] = 0
        return original(self, setting, sigma)

    monkeypatch.setattr(LocalScore, "fpmc", spoiling)
    plan = plan_tuning(context, Entry(name="ls", denoiser="ls"), {"patch_sizes": SIDES})
    with pytest.raises(PluginError, match="'ls' changed the training images"):
        tune_plan(context, plan, items=2)


def test_without_names_those_of_the_suite_are_tuned_that_have_something_to_tune() -> None:
    entries = [
        {"name": "optimal", "denoiser": "optimal"},
        {"name": "a", "denoiser": "ls", "params": {"patch_sizes": [1, 1, 1, 1]}},
        {"name": "b", "denoiser": "ls", "params": {"patch_sizes": [3, 3, 3, 3]}},
    ]
    context = loaded().of(small_suite(entries=entries))
    assert [entry.name for entry in tunable(context)] == ["a"]


def test_entries_that_differ_in_what_is_not_tuned_are_tuned_each() -> None:
    """With their other parameters, and over their own sources."""
    lukoianov = {"denoiser": "lukoianov", "params": {"orientation": "columns"}}
    entries = [
        {"name": "a", "denoiser": "lukoianov", "params": {"threshold": 0.05}},
        {"name": "b", **lukoianov},
        {"name": "c", **lukoianov, "augmentations": [{"name": "hflip"}]},
        {"name": "d", "denoiser": "lukoianov"},
    ]
    context = loaded().of(small_suite(entries=entries))
    found = tunable(context)
    assert [entry.name for entry in found] == ["a", "b", "c"]
    plan = plan_tuning(context, found[2], {"threshold": [0.1, 0.2]})
    assert [plugin.orientation for plugin in plan.plugins] == ["columns"] * 2  # type: ignore[attr-defined]
    assert [plugin.threshold for plugin in plan.plugins] == [0.1, 0.2]  # type: ignore[attr-defined]
    plain = tune_plan(context, plan_tuning(context, found[1], {"threshold": [0.1]}), items=2)
    augmented = tune_plan(context, plan, items=2)
    assert (augmented.entry, augmented.denoiser) == ("c", "lukoianov")
    assert (plain.errors[:, 0] != augmented.errors[:, 0]).any()


@given(
    errors=arrays(
        np.float64, (3, 6, 2), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, float("inf")])
    )
)
def test_the_choice_is_that_of_trying_all(errors: np.ndarray) -> None:
    """A fixed parameter and a schedule: the fixed value whose best schedule is best on average."""
    candidates: list[dict[str, Any]] = [{"fixed": f, "side": s} for f in "ab" for s in (1, 3, 5)]
    tuning = Tuning("x", "x", frozenset({"side"}), (3.0, 2.0, 1.0), tuple(candidates), errors)
    means = errors.mean(axis=2)
    best = {
        fixed: means[:, [i for i, one in enumerate(candidates) if one["fixed"] == fixed]]
        for fixed in "ab"
    }
    chosen = tuning.chosen
    averages = {fixed: table.min(axis=1).mean() for fixed, table in best.items()}
    assert averages[chosen["fixed"]] == min(averages.values())
    table = best[chosen["fixed"]]
    assert chosen["side"] == [(1, 3, 5)[index] for index in table.argmin(axis=1)]
