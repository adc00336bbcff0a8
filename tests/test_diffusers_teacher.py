"""Diffusers pipelines as teachers, against the scheduler's own arithmetic."""

import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pipelines import SIDE_PX, diffusers, save_pipeline, teacher_of
from runs import fpmc_bench

from fpmc_bench import load_teacher
from fpmc_bench.errors import UsageError


@pytest.mark.parametrize("scheduler", ["DDPMScheduler", "DDIMScheduler"])
@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_at_its_own_times_it_is_the_schedulers_estimate(
    tmp_path: Path, prediction: str, schedule: str, scheduler: str
) -> None:
    teacher = teacher_of(save_pipeline(tmp_path / "net", prediction, scheduler, schedule))
    steps = getattr(diffusers, scheduler).from_pretrained(tmp_path / "net" / "scheduler")
    steps.set_timesteps(1000)
    draw = torch.Generator().manual_seed(1)
    for t in (0, 10, 500, 900):
        kept = float(steps.alphas_cumprod[t].double())
        sigma = math.sqrt((1 - kept) / kept)
        assert teacher.noise.at(sigma) == pytest.approx(t, abs=1e-6)
        x_t = torch.randn(2, 1, SIDE_PX, SIDE_PX, generator=draw)
        with torch.no_grad():
            output = teacher.network(x_t, t).sample
            expected = steps.step(output, t, x_t).pred_original_sample
            found = teacher(x_t / math.sqrt(kept), sigma)
        scale = float(expected.abs().max())
        assert float((found - expected).abs().max()) < 1e-5 * max(1.0, scale)


def test_between_times_it_is_continuous(tmp_path: Path) -> None:
    teacher = teacher_of(save_pipeline(tmp_path / "net"))
    sigmas = torch.logspace(-3, 3, 400).tolist()
    times = [teacher.noise.at(sigma) for sigma in sigmas]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (0, 999)
    z = torch.randn(1, 1, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = torch.cat([teacher(z, sigma) for sigma in (0.5, 0.5 + 1e-4, 0.5 + 2e-4)])
    assert float(outputs.diff(dim=0).abs().max()) < 1e-3


def test_it_is_differentiable_in_z(tmp_path: Path) -> None:
    teacher = teacher_of(save_pipeline(tmp_path / "net"))
    z = torch.zeros(1, 1, SIDE_PX, SIDE_PX, requires_grad=True)
    teacher(z, 1.0).sum().backward()
    assert z.grad is not None
    assert float(z.grad.abs().sum()) > 0


RUN = ("run", "digits", "--items", "2", "-d", "wiener", "-p", "denoiser-mse", "--quiet")


def test_a_run_measures_against_it(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "mine", "v_prediction")  # bounded, untrained as it is
    run = ("--run-dir", tmp_path / "run", "--teacher", f"tuning={folder}")
    done = fpmc_bench(*RUN, *run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "records" / "wiener.denoiser-mse.json").read_text())
    assert record["reference"] == "mine"
    assert record["provenance"]["teachers"]["tuning"] == teacher_of(folder).fingerprint


def no_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


def pickled_weights(folder: Path) -> None:
    unet = folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / "diffusion_pytorch_model.bin")


def broken_config(folder: Path) -> None:
    (folder / "unet" / "config.json").write_text("{")


def truncated_weights(folder: Path) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def no_scheduler(folder: Path) -> None:
    shutil.rmtree(folder / "scheduler")


BAD = {
    no_index: "has no model_index.json; expected a folder that a diffusers pipeline",
    pickled_weights: "Weights in a .bin file are a pickle, which is never loaded here",
    broken_config: "config.json is not JSON",
    truncated_weights: "can't be loaded by diffusers",
    no_scheduler: "can't be loaded by diffusers",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_bad_folders(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "net")
    spoil(folder)
    done = fpmc_bench(*RUN, "--teacher", f"tuning={folder}", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert BAD[spoil] in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("unet", "complaint"),
    [
        ({"sample_size": 16}, "is for images 1x16x16, but dataset 'digits' has 1x8x8"),
        ({"num_class_embeds": 10}, "is conditioned on 10 classes; say which one to ask"),
        ({"class_embed_type": "timestep"}, "is conditioned on classes by their timestep"),
        ({"center_input_sample": True}, "takes images in [0, 1] (center_input_sample)"),
        ({"time_embedding_type": "fourier"}, "has a fourier time embedding: its time is a sigma"),
        (
            {"time_embedding_type": "learned", "num_train_timesteps": 1000},
            "has a learned time embedding: it knows whole times only",
        ),
        ({"out_channels": 2}, "takes images of 1 channels and returns 2"),
    ],
)
def test_unfit_networks(unet: dict[str, object], complaint: str, tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "net", **unet)
    done = fpmc_bench(*RUN, "--teacher", f"tuning={folder}", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert complaint in done.stderr


def test_without_diffusers_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_pipeline(tmp_path / "net")
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UsageError, match=r"pip install 'fpmc-bench\[diffusers\]'"):
        load_teacher(folder)
