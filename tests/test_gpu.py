"""On a real CUDA GPU: `python -m pytest -m gpu -n 0`, at most three minutes.

Every method against the float64 oracle, and what only a GPU can show: TF32, memory, compiled
kernels, processes that share it. `test_pretended_gpu.py` has what can be seen without one.
"""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from gpu_cases import (
    CASES,
    PATHS,
    SHAPE,
    denoiser_of,
    queries_of,
    rand,
    source_of,
    taking,
    teacher_on,
)
from runs import fpmc_bench, write_suite
from torch import Tensor

from fpmc_bench import FPMC, Source
from fpmc_bench.engine import fpmc_denoise, using
from fpmc_bench.engine.gradient import Comparison, soft_posterior
from fpmc_bench.engine.machine import fused, halving
from fpmc_bench.fpmc import PixelMasks, PixelOneHot
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.union import Union
from fpmc_bench.teachers.sensitivity import mean_absolute_jacobian
from fpmc_plugins.denoisers.ls import squares

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU"),
]
GPU = "cuda:0"
EXACT = 1e-4
LARGE = ImageShape(3, 16, 16)


def off(output: Tensor, expected: Tensor) -> float:
    return float((output.cpu().double() - expected.double()).abs().max())


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(halving, "_affordable_bytes", None)
    yield
    torch.cuda.empty_cache()


# --- exactness


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_method_is_the_oracle(name: str, kind: str) -> None:
    """Weights, unions, images that are there twice, and a query far from all of them."""
    here, there = (denoiser_of(name, kind, device) for device in ("cpu", GPU))
    sigmas = here.setting.sigmas
    with using(taking("subset-sums")):
        for sigma in (sigmas[0], sigmas[len(sigmas) // 2], sigmas[-1]):
            z = queries_of(here.source, sigma)
            if name == "wiener":
                expected = here(z, sigma)
            else:
                expected = reference_denoise(here.fpmc(sigma), here.source, z, sigma)
            output = there(z.to(GPU), sigma)
            assert output.device == torch.device(GPU)
            assert off(output, expected) < EXACT, sigma


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["ls", "pspc-square", "pspc-flex", "lukoianov"])
def test_all_products_in_blocks_of_any_size(name: str, path: str) -> None:
    built = denoiser_of(name, "union", GPU)
    with using(taking(path)):
        for sigma in built.setting.sigmas:
            model, z = built.fpmc(sigma), queries_of(built.source, sigma)
            expected = reference_denoise(model, built.source, z, sigma)
            for images, queries in ((None, None), (7, 2), (1, 1)):
                output = fpmc_denoise(
                    model,
                    built.source,
                    z.to(GPU),
                    sigma,
                    chunk_images=images,
                    batch_queries=queries,
                )
                assert off(output, expected) < EXACT, (sigma, images)


@pytest.mark.parametrize("path", PATHS)
def test_sums_that_cancel_are_exact_in_parts(path: str) -> None:
    """Energies of thousands that differ by less than one: products may lose none of 24 bits."""
    draw = torch.Generator().manual_seed(0)
    masks = PixelMasks(LARGE, rand(0, 64, 16, 16) > 0.3)
    images = 0.5 + 1e-3 * torch.randn(300, *LARGE, generator=draw)
    model, source = FPMC(masks, masks), Source(images)
    z = images[:4] + 0.02 * torch.randn(4, *LARGE, generator=draw) - 1
    with using(taking(path)):
        output = fpmc_denoise(model, source, z.to(GPU), 0.02)
    assert off(output, reference_denoise(model, source, z, 0.02)) < EXACT


def test_gradients_of_fine_tuning_are_those_of_the_cpu() -> None:
    source = source_of("union")
    z, found = queries_of(source, 0.6)[:-1], []
    for device in ("cpu", GPU):
        q, r = (rand(seed, 7, SHAPE.pixels).to(device).requires_grad_() for seed in (6, 7))
        comparison = Comparison(source, torch.arange(len(source)), z.to(device), 0.6, 2**30)
        answer = soft_posterior(q, r, comparison)
        found.append([answer.detach(), *torch.autograd.grad(answer.square().sum(), (q, r))])
    for here, there in zip(*found, strict=True):
        assert off(there, here) < EXACT * max(1, float(here.abs().max()))


# --- networks


def test_networks_are_not_rounded_to_tf32() -> None:
    """With torch's own settings, which allow it for convolutions."""
    assert torch.backends.cudnn.conv.fp32_precision != "ieee"  # type: ignore[attr-defined]
    wide, there = teacher_on("cpu"), teacher_on(GPU)
    wide.network.double()
    for sigma in (80.0, 0.6, 0.002):
        noise = torch.randn(3, 1, 6, 6, generator=torch.Generator().manual_seed(1))
        z = (rand(2, 3, 1, 6, 6) + sigma * noise).double()
        expected = wide(z, sigma)
        assert off(there(z.float().to(GPU), sigma), expected) < 2e-5 * expected.abs().max()
    maps = [
        mean_absolute_jacobian(teacher, z.to(dtype).to(device), 0.6)
        for teacher, dtype, device in ((wide, torch.float64, "cpu"), (there, torch.float32, GPU))
    ]
    assert off(maps[1], maps[0]) < 2e-5 * maps[0].max()


# --- memory


def sent_bytes(folder: Path, model: FPMC, source: Source, z: Tensor) -> int:
    """What one evaluation of z, on the CPU, copies to the GPU."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the profiler's own
        with torch.profiler.profile(activities=activities) as profile:
            fpmc_denoise(model, source, z.to(GPU), 1.0)
            torch.cuda.synchronize()
        profile.export_chrome_trace(str(folder / "trace.json"))
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    copies = [event for event in events if "HtoD" in event.get("name", "")]
    return sum(int(event["args"].get("bytes", 0)) for event in copies)


def test_a_source_goes_there_once_and_leaves_with_its_owner(tmp_path: Path) -> None:
    model = FPMC(squares(LARGE, 3), PixelOneHot(LARGE))
    original = Source((rand(0, 4000, *LARGE) * 256).to(torch.uint8))
    union = Union([original, Source(original.images.flip(-1))])
    z = queries_of(original, 1.0)
    fpmc_denoise(model, original, z.to(GPU), 1.0)
    assert z.nbytes <= sent_bytes(tmp_path, model, original, z) < z.nbytes + 2**16
    before = torch.cuda.memory_allocated(GPU)
    fpmc_denoise(model, union, z.to(GPU), 1.0)
    grown = torch.cuda.memory_allocated(GPU) - before
    assert grown < 1.2 * original.nbytes, "its first part was there"
    assert sent_bytes(tmp_path, model, union, z) < z.nbytes + 2**16
    del union
    assert torch.cuda.memory_allocated(GPU) <= before + 2**20


def test_a_source_without_room_is_sent_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: torch.cuda.memory_allocated(_))
    for name in ("optimal", "pspc-flex", "els"):
        there = denoiser_of(name, "union", GPU)
        monkeypatch.setattr(
            torch.cuda, "mem_get_info", lambda _, need=there.source.nbytes: (need * 3 // 2, 2**40)
        )
        for sigma in there.setting.sigmas:
            z = queries_of(there.source, sigma)
            expected = reference_denoise(there.fpmc(sigma), there.source, z, sigma)
            assert off(there(z.to(GPU), sigma), expected) < EXACT


def test_half_of_the_budget_where_all_of_it_is_not_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    masks = PixelMasks(LARGE, rand(0, 256, 16, 16) > 0.6)
    model = FPMC(masks, masks)
    source = Source((rand(1, 20_000, *LARGE) * 256).to(torch.uint8))
    z = queries_of(source, 0.6).repeat(8, 1, 1, 1).to(GPU)
    expected = fpmc_denoise(model, source, z, 0.6)
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info(GPU)
    room = torch.cuda.memory_reserved(GPU) + 2**28
    torch.cuda.set_per_process_memory_fraction(room / total, GPU)
    try:
        outputs = [fpmc_denoise(model, source, z, 0.6)]
        said = caplog.text.count("out of memory; this process goes on")
        outputs.append(fpmc_denoise(model, source, z, 0.6))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, GPU)
    assert said >= 1
    assert caplog.text.count("out of memory; this process goes on") == said
    assert max(off(output, expected.cpu()) for output in outputs) < EXACT


# --- kernels


@pytest.mark.skipif(not fused._has_compiler(), reason="no triton")
def test_kernels_are_fused_in_one_graph_a_variant(caplog: pytest.LogCaptureFixture) -> None:
    counters = torch._dynamo.utils.counters
    counters.clear()
    for name in ("ls", "pspc-flex", "lukoianov", "windows"):
        for kind in ("weights", "floats"):
            there = denoiser_of(name, kind, GPU)
            for sigma in there.setting.sigmas:
                z = queries_of(there.source, sigma).to(GPU)
                for queries in (z, z[:1]):
                    for images in (None, 1, 3):
                        model = there.fpmc(sigma)
                        fpmc_denoise(model, there.source, queries, sigma, chunk_images=images)
    assert fused._compiles()
    assert "not fused" not in caplog.text
    assert not counters["graph_break"]
    frames = counters["frames"]
    assert frames["total"] == frames["ok"], dict(frames)


# --- processes


def test_two_processes_share_a_gpu(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    for processes, device in ((1, "cuda"), (2, GPU)):
        done = fpmc_bench(
            "run",
            suite,
            "--device",
            device,
            "--processes",
            processes,
            "--run-dir",
            tmp_path / str(processes),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
    alone, both = (tmp_path / number / "records" for number in ("1", "2"))
    names = sorted(path.name for path in alone.iterdir())
    assert names == sorted(path.name for path in both.iterdir())
    for name in names:
        if name.endswith(".npz"):
            with np.load(alone / name) as one, np.load(both / name) as other:
                for key in one.files:
                    np.testing.assert_allclose(one[key], other[key], rtol=1e-3)


def test_processes_that_train_each_need_a_gpu(tmp_path: Path) -> None:
    many = torch.cuda.device_count() + 1
    done = fpmc_bench(
        "teacher",
        "train",
        "digits",
        "--out",
        tmp_path / "a.safetensors",
        "--device",
        "cuda",
        "--processes",
        many,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert f"{many} processes can't train together" in done.stderr
