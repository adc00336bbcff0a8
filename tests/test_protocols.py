"""The protocols against their definitions, metric by metric; and a third one, added by its file."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from plans import ALONE, small_plan
from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction, PluginError, Source
from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.documents.protocols import PROTOCOLS, ProtocolFacts, protocol_facts
from fpmc_bench.documents.record import read_records
from fpmc_bench.errors import UnknownNameError
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.jobs.run import run_plan
from fpmc_bench.protocols import prediction_of
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.protocols.problem import Problem, checked
from fpmc_bench.results.render.csv import render_csv
from fpmc_bench.results.table import build_tables

SIGMAS = (80.0, 2.0, 0.3)
IMAGES = torch.rand(9, 2, 4, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1


def problem(levels: tuple[int, ...] = (0, 1, 2), seed: int = 5) -> Problem:
    return Problem(Source(IMAGES), SIGMAS, seed, "cpu", levels)


def shrink(z: Tensor, sigma: float) -> Tensor:
    return z / (1 + sigma**2)


def test_denoiser_mse_denoises_keyed_noise_on_the_test_images_level_by_level() -> None:
    found = prediction_of("denoiser-mse")(shrink, problem(), range(2, 7))
    assert found.shape == (5, 3, 2, 4, 3)
    for level, sigma in enumerate(SIGMAS):
        noise = unit_noise(5, f"denoiser-mse/{level}", range(2, 7), (2, 4, 3))
        expected = shrink(IMAGES[2:7] + sigma * noise, sigma)
        torch.testing.assert_close(found[:, level], expected, rtol=0, atol=0)


def test_denoiser_mse_at_some_levels_has_the_noise_that_it_has_at_all() -> None:
    predict = prediction_of("denoiser-mse")
    some = predict(shrink, problem(levels=(2, 0)), range(4))
    every = predict(shrink, problem(), range(4))
    assert torch.equal(some, every[:, [2, 0]])


def test_sample_mse_solves_the_ode_from_keyed_noise() -> None:
    found = prediction_of("sample-mse")(shrink, problem(), range(2, 7))
    noise = unit_noise(5, "sample-mse", range(2, 7), (2, 4, 3))
    assert torch.equal(found, heun_sample(shrink, noise, SIGMAS))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_item_does_not_depend_on_its_block_and_does_on_the_seed(protocol: str) -> None:
    predict = prediction_of(protocol)
    whole = predict(shrink, problem(), range(8))
    parts = [predict(shrink, problem(), items) for items in (range(3), range(3, 8))]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole, predict(shrink, problem(seed=6), range(8)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_as_many_evaluations_as_the_facts_say(protocol: str) -> None:
    calls: list[float] = []

    def counted(z: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return shrink(z, sigma)

    prediction_of(protocol)(counted, problem(), range(4))
    assert len(calls) == protocol_facts(protocol).evaluations(len(SIGMAS))


def test_metrics_are_those_of_their_definitions() -> None:
    generator = torch.Generator().manual_seed(1)
    prediction, reference = (torch.randn(5, 3, 2, 4, 3, generator=generator) for _ in range(2))
    d, t = prediction.double().numpy(), reference.double().numpy()
    axes = (-3, -2, -1)
    residual = ((d - t) ** 2).sum(axes)
    spread = ((t - t.mean(axes, keepdims=True)) ** 2).sum(axes)
    expected = {
        "mse@1": residual / 24,
        "r2-pooled@1": spread / 24,  # by which the sum of all errors is divided
        "r2@1": 1 - residual / spread,
    }
    assert METRICS.keys() == expected.keys()
    for name, metric in METRICS.items():
        found = metric(prediction, reference).numpy()
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected[name], rtol=1e-12)


def test_what_a_denoiser_returns_is_refused_by_name_where_it_is_no_image() -> None:
    z = IMAGES[:2]
    with pytest.raises(PluginError, match=r"'mine' returned shape \[2, 2, 4\] at sigma 0.3"):
        checked(lambda z, sigma: z[..., 0], "mine")(z, 0.3)
    with pytest.raises(PluginError, match="'mine' returned NaN or infinite values"):
        checked(lambda z, sigma: z / 0, "mine")(z, 0.3)
    with pytest.raises(PluginError, match=r"layout torch\.sparse_coo"):
        checked(lambda z, sigma: z.to_sparse(), "mine")(z, 0.3)
    with pytest.raises(PluginError, match="'mine' returned a meta tensor"):
        checked(lambda z, sigma: z.to("meta"), "mine")(z, 0.3)
    assert checked(lambda z, sigma: z.double(), "mine")(z, 0.3).dtype == z.dtype


def test_an_unknown_protocol_is_refused_with_suggestions() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'sample-mse'"):
        protocol_facts("sample-mae")


def test_a_third_protocol_is_a_file_and_a_line_of_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One Euler step from pure noise to 0, against the tuning teacher: run, published, ranked."""

    def predict(denoise: DenoiseFunction, problem: Problem, items: range) -> Tensor:
        noise = unit_noise(problem.seed, "one-step", items, problem.shape)
        return denoise(problem.sigmas[0] * noise, problem.sigmas[0])

    module = ModuleType("fpmc_bench.protocols.one_step")
    module.predict = predict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    facts = ProtocolFacts("one-step", "tuning", False, lambda levels: 1, True, True)
    monkeypatch.setitem(PROTOCOLS, "one-step", facts)

    entries = [{"name": name, "denoiser": name} for name in ("optimal", "wiener")]
    plan = small_plan(entries=entries, protocols=["one-step", "denoiser-mse"])
    outcome = run_plan(plan, RunDirectory(tmp_path), ALONE, progress=False)
    assert outcome.failures == {}
    assert {record.stem for record in outcome.records} >= {"optimal.one-step", "wiener.one-step"}
    denoising, one_step = build_tables(read_records(tmp_path / "records"))
    assert (denoising.protocol, one_step.protocol) == ("denoiser-mse", "one-step")
    assert [row.rank for row in one_step.rows] == [None, 1, 2]
    assert one_step.rows[0].entry == "digits-ncsnpp"
    assert (one_step.sigmas, one_step.items) == ((), 7)
    assert "one-step" in render_csv(one_step)
    with np.load(tmp_path / "samples" / "one-step.npz") as file:
        assert file["optimal"].shape == (3, 1, 8, 8)  # those of the first block
