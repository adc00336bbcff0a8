"""`fpmc-bench teacher train` as a user runs it: what one process or several write, and refusals."""

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from runs import fpmc_bench, write_train_only
from trainings import PLAN, SMALL, TINY, assert_close, call, train, weights_after

from fpmc_bench import Places, load_dataset, load_teacher
from fpmc_bench.errors import ParameterError, UnknownNameError
from fpmc_bench.jobs.train import train_teacher
from fpmc_bench.results.render.training_curve import CurvePoint, draw_training_curve
from fpmc_bench.storage.tensors import load_tensors
from fpmc_bench.teachers.quality import held_out_errors
from fpmc_bench.teachers.training.files import TrainingFiles
from fpmc_bench.teachers.training.log import read_log
from fpmc_bench.teachers.training.presets import PRESETS, chosen
from fpmc_bench.teachers.training.session import Progress
from fpmc_bench.teachers.training.settings import TrainingSettings
from fpmc_bench.teachers.training.trainer import Trainer


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight steps of one process, through the command line, with all that it can write."""
    out = tmp_path_factory.mktemp("alone") / "one.safetensors"
    more = ["--log-every", "2", "--checkpoint-every", "3"]
    done = call(
        "digits", "--out", str(out), *SMALL, *more, "--held-out-every", "4", "--grid-every", "4"
    )
    assert done.exit_code == 0, done.output
    return out


def test_a_training_leaves_a_teacher_a_log_and_pictures(alone: Path) -> None:
    files = TrainingFiles(alone)
    assert not files.checkpoint.exists()
    lines = [json.loads(line) for line in files.log.read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert [len(line["held_out"]) for line in lines] == [0, 11, 0, 11]
    for path, size in ((files.curve, (1260, 960)), (files.grid(4), None), (files.grid(8), None)):
        with Image.open(path) as image:
            image.load()
            assert size is None or image.size == size
    assert load_teacher(alone).card.step == 8  # type: ignore[attr-defined]


def test_the_function_does_what_the_command_does(alone: Path, tmp_path: Path) -> None:
    told: list[object] = []

    def begin(done: int, steps: int) -> Progress:
        told.append((done, steps))
        return lambda step, loss: told.append(step)

    out = tmp_path / "one.safetensors"
    network = {"model_channels": 8, "num_blocks": 1}
    plan = {"batch": 10, "warmup_steps": 2, "steps": 8}
    settings = {**network, **plan, "device": "cpu", "log_every": 2, "dropout": None}
    outcome = train_teacher("digits", "ddpmpp", out, settings=settings, begin=begin)
    files = TrainingFiles(out)
    assert outcome.written == (out, files.log, files.curve)
    assert out.read_bytes() == alone.read_bytes()
    assert told == [(0, 8), *range(1, 9)]
    test = load_dataset("digits").test
    assert test is not None
    assert outcome.held_out == held_out_errors(load_teacher(out), test)
    with pytest.raises(ParameterError, match="exists; remove it, or choose another --out"):
        train_teacher("digits", "ddpmpp", out, settings=settings)
    with pytest.raises(UnknownNameError, match=r"setting 'dropuot'\. Did you mean 'dropout'"):
        train_teacher("digits", "ddpmpp", tmp_path / "b.safetensors", settings={"dropuot": 0.1})
    with pytest.raises(UnknownNameError, match=r"size 'smal'\. Did you mean 'small'"):
        train_teacher("digits", "ddpmpp", tmp_path / "b.safetensors", size="smal")


def test_a_training_goes_on_from_another_s_checkpoint_and_measures_only_what_it_is_asked(
    alone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "one.safetensors"
    config = load_teacher(alone).config  # type: ignore[attr-defined]
    trainer = Trainer(config, replace(PLAN, steps=8), load_dataset("digits").train)
    weights_after(trainer, 3)
    trainer.save(out.with_suffix(".checkpoint"))
    done = call("digits", "--out", str(out), *SMALL, "--held-out-every", "0")
    assert done.exit_code == 0, done.output
    assert "going on from step 3 of" in done.output
    assert "held-out MSE" not in done.output
    assert load_tensors(out)[0].keys() == load_tensors(alone)[0].keys()
    assert out.read_bytes() == alone.read_bytes()


@pytest.mark.parametrize("held_out", [{}, {0.1: 0.01, 1.0: 0.1, 80.0: 0.5}])
def test_the_figure_is_drawn_alike_every_time(held_out: dict[float, float], tmp_path: Path) -> None:
    points = [CurvePoint(step, 1 / step, held_out) for step in (1, 10, 100)]
    drawn = draw_training_curve("mine", 64, points)
    assert drawn == draw_training_curve("mine", 64, points)
    (tmp_path / "a.png").write_bytes(drawn)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1260, 960)
    assert draw_training_curve("mine", 64, points[:1]).startswith(b"\x89PNG")


@pytest.mark.parametrize("launcher", ["--processes", "accelerate"])
def test_several_processes_train_what_one_does_to_rounding(
    launcher: str, alone: Path, tmp_path: Path
) -> None:
    """Three processes and ten images: shares of 3, 3 and 4, and dropout.

    Those that torchrun starts are resumed in `test_teacher_training_interruptions`.
    """
    out = tmp_path / "several.safetensors"
    more = ["--log-every", "2", *(["--processes", "3"] if launcher == "--processes" else [])]
    done = train(out, *more, launcher=launcher)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("held-out MSE") == 1, "the main process alone speaks"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "several.safetensors",
        "several.training",
    ]
    assert_close(load_tensors(out)[0], load_tensors(alone)[0], atol=2e-3)
    expected, found = (read_log(TrainingFiles(path).log) for path in (alone, out))
    assert [x.loss for x in found] == pytest.approx([x.loss for x in expected], rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "tpu"], "unknown device 'tpu'; expected auto, cpu, cuda"),
        (["--processes", "11"], "a batch of 10 can't be shared by 11 processes"),
        (["--out", "teacher.bin"], "--out must end in .safetensors, got teacher.bin"),
        (["--ema-decay", "0.9", "--ema-halflife-images", "5"], "two rules for one average"),
        (["--ema-halflife-images", "-5"], "ema_halflife_images must be positive, got -5"),
        (["--adam-beta2", "2"], "adam_beta2 must lie in [0, 1), got 2"),
        (["--sigma-data", "0"], "sigma_data: Input should be greater than 0"),
        (["--precision", "fp16"], "'fp16' is not one of 'fp32', 'bf16'"),
        (["--size", "huge"], "'huge' is not one of 'tiny', 'small', 'edm'"),
        (["--grid-every", "-1"], "--grid-every"),
        (["--part-images", "0"], "--part-images"),
    ],
)
def test_wrong_usage_is_met_before_any_work(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    done = call("digits", "--out", str(tmp_path / "a.safetensors"), *SMALL, *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = call("digits", "--out", str(tmp_path / "a.safetensors"), *SMALL, "--device", "cuda")
    assert (done.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "torch finds no CUDA GPU" in done.output


def test_another_plan_s_checkpoint_and_a_finished_teacher_stay(alone: Path, tmp_path: Path) -> None:
    before = alone.read_bytes()
    done = call("digits", "--out", str(alone), *SMALL)
    assert done.exit_code == 2
    assert "exists; remove it, or choose another --out" in done.output
    assert alone.read_bytes() == before
    out = tmp_path / "a.safetensors"
    trainer = Trainer(TINY, PLAN, load_dataset("digits").train)
    weights_after(trainer, 1)
    trainer.save(out.with_suffix(".checkpoint"))
    held = out.with_suffix(".checkpoint").read_bytes()
    done = call("digits", "--out", str(out), *SMALL, "--hflip")
    assert done.exit_code == 1
    assert "config.architecture is ncsnpp, expected ddpmpp" in done.output
    assert "plan.hflip is False, expected True" in done.output
    assert out.with_suffix(".checkpoint").read_bytes() == held


def test_held_out_errors_need_held_out_images(tmp_path: Path) -> None:
    """Asked for where there are none they are refused; a size that has them does without."""
    write_train_only(tmp_path)
    out = tmp_path / "a.safetensors"
    arguments = ["teacher", "train", "train-only"]
    arguments += ["--data", f"train-only={tmp_path / 'levels.npy'}", *SMALL]
    for more, status in ((["--held-out-every", "2"], 2), (["--size", "small"], 0)):
        done = fpmc_bench(*arguments, "--out", out, *more, cwd=tmp_path, paths=(tmp_path / "site",))
        assert done.returncode == status, done.stderr
        assert ("'train-only' has no test images" in done.stderr) == (status == 2)
    assert out.exists()


def test_help_says_what_the_sizes_are_without_torch() -> None:
    code = (
        "import sys; from fpmc_bench.cli import main\n"
        "try: main(['teacher', 'train', '--help'])\n"
        "finally: assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for size, preset in PRESETS.items():
        assert f"{size}: {preset.summary}" in done.stdout
    assert "200 M images" in done.stdout
    assert "--architecture" in done.stdout


def write_zip(path: Path) -> Path:
    """Thirty digits as pictures, the last ten of which a suite may hold out."""
    codes = load_dataset("digits").train.images[:30, 0].numpy() * 15
    with zipfile.ZipFile(path, "w") as archive:
        for number, pixels in enumerate(codes):
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "png")
            archive.writestr(f"{number:03}.png", file.getvalue())
    return path


def test_own_images_are_held_out_of_a_training_as_of_a_suite(tmp_path: Path) -> None:
    """And where none are, that is said, before the first step and at the end."""
    data = ("--data", f"image-zip={write_zip(tmp_path / 'own.zip')}")
    places = Places.given(data[1:])
    suite = load_dataset("image-zip", {"test_images": 10}, places=places)
    none_held_out = "trains on all 30 images of 'image-zip': none is held out"
    for dataset, source, said in (
        ("image-zip[test_images=10]", suite.train, 0),
        ("image-zip", load_dataset("image-zip", places=places).train, 2),
    ):
        out = tmp_path / f"{len(source)}.safetensors"
        done = fpmc_bench("teacher", "train", dataset, *data, *SMALL, "--out", out, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(none_held_out) == said
        assert ("'image-zip[test_images=N]'" in done.stderr) == (said > 0)
        card = load_teacher(out).card  # type: ignore[attr-defined]
        assert (card.dataset, card.dataset_fingerprint) == (dataset, source.fingerprint)
        shown = fpmc_bench("teacher", "info", out, *data, cwd=tmp_path)
        assert ("held-out MSE" in shown.stdout) == (said == 0), shown.stderr
        assert "trained on another version" not in shown.stderr


def test_a_training_too_short_for_its_plan_says_so(tmp_path: Path) -> None:
    """Thirty steps of the default size: at most 9% of the learning rate, and one line of a log."""
    out = tmp_path / "short.safetensors"
    small = ("--model-channels", "8", "--num-blocks", "1", "--batch", "4", "--threads", "1")
    arguments = ("--architecture", "ddpmpp", *small, "--steps", "30", "--held-out-every", "0")
    done = fpmc_bench("teacher", "train", "digits", *arguments, "--out", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    warm_up = "30 steps end within the warm-up of 300, at 3% of the learning rate or less"
    averaged = "30 steps are fewer than the 1000 that the weights are averaged over"
    for sentence in (warm_up, averaged):
        assert done.stderr.count(sentence) == 2, "at the start and at the end"
    assert "no figure of the loss: a log of one line says nothing of its course" in done.stderr
    assert not TrainingFiles(out).curve.exists()
    assert str(TrainingFiles(out).curve) not in done.stdout
    shown = fpmc_bench("teacher", "info", out, "--json", cwd=tmp_path)
    first, second = json.loads(shown.stdout)["remarks"]
    assert first.startswith(warm_up)
    assert second.startswith(averaged)


def test_a_training_as_long_as_its_plan_says_nothing() -> None:
    assert TrainingSettings().remarks == ()
    for size in PRESETS:
        assert TrainingSettings(**chosen(size, {}).settings).remarks == ()
    short = TrainingSettings(steps=2000, batch=100, ema_halflife_images=200_000)
    assert "2000 steps are fewer than the 2885" in short.remarks[0]
