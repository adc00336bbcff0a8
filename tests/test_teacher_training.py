"""Training at real size: presets, shared batches, mixed precision, resuming, log and figures."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from runs import environment, write_plugin
from torch import Tensor
from torch.nn import functional

from fpmc_bench import Source, load_dataset, load_teacher
from fpmc_bench.cli import main
from fpmc_bench.errors import CheckpointError, ParameterError, RunError
from fpmc_bench.networks import denoising_loss
from fpmc_bench.networks.batches import draw_batch, pixel_spread
from fpmc_bench.networks.checkpoint import load_tensors, save_tensors
from fpmc_bench.networks.config import NetworkConfig
from fpmc_bench.networks.preconditioning import EDMPrecond
from fpmc_bench.networks.presets import PRESETS, chosen
from fpmc_bench.networks.sliced_dropout import SlicedDropout
from fpmc_bench.networks.training import Trainer, TrainingPlan, posterior_mean
from fpmc_bench.reports.training_curve import CurvePoint, draw_training_curve
from fpmc_bench.training.files import TrainingFiles
from fpmc_bench.training.log import LogLine, append_line, read_log, rewind_log
from fpmc_bench.training.session import Habits, Session

TINY = NetworkConfig(
    architecture="ncsnpp",
    side_px=8,
    channels=1,
    model_channels=8,
    channel_mult=(1, 2),
    num_blocks=1,
    attention_sides=(4,),
    sigma_data=0.752,
)
PLAN = TrainingPlan(steps=12, batch=10, warmup_steps=2)
LATER_FIELDS = {
    "ema_halflife_images",
    "learning_rate_decay",
    "adam_beta2",
    "weight_decay",
    "max_gradient_norm",
    "hflip",
    "precision",
}
"""Of TrainingPlan: files from before they existed must still mean what they meant."""


@pytest.fixture(scope="module")
def digits() -> Source:
    return load_dataset("digits").train


def weights_after(trainer: Trainer, until: int) -> dict[str, Tensor]:
    for _ in trainer.run(until):
        pass
    return {
        **{f"network.{k}": v.clone() for k, v in trainer.network.state_dict().items()},
        **{f"average.{k}": v.clone() for k, v in trainer.average.state_dict().items()},
    }


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], atol: float) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], atol=atol, rtol=0, msg=name)


# --- what a size stands for


@pytest.mark.parametrize(("size", "millions"), [("small", (8, 9)), ("edm", (55, 57))])
@pytest.mark.parametrize("architecture", ["ddpmpp", "ncsnpp"])
def test_sizes_have_the_parameters_they_promise(
    architecture: str, size: str, millions: tuple[int, int]
) -> None:
    network = {**chosen(size, {}).network, "attention_sides": (16,)}
    with torch.device("meta"):
        built = EDMPrecond(
            NetworkConfig(architecture=architecture, side_px=32, channels=3, **network)
        )
    low, high = millions
    assert low <= sum(p.numel() for p in built.parameters()) / 1e6 < high


def test_the_edm_size_is_that_of_the_paper() -> None:
    """Karras et al. 2022, table 7, CIFAR-10 column, and its 200 M images."""
    plan = TrainingPlan(**chosen("edm", {}).plan)
    assert (plan.batch, plan.learning_rate, plan.steps) == (512, 1e-3, 390_625)
    assert plan.warmup_steps == 19_532, "10 M images"
    assert plan.learning_rate_at(19_531) == plan.learning_rate_at(390_000) == 1e-3
    assert plan.ema_decay_at(390_000) == pytest.approx(0.5 ** (512 / 500_000))
    assert plan.ema_decay_at(1000) == pytest.approx(0.5 ** (1 / 50)), "5% of the images so far"
    assert plan.ema_decay_at(0) == 0
    assert (plan.sigma_log_mean, plan.sigma_log_std) == (-1.2, 1.2)


def test_the_tiny_size_is_the_default_plan() -> None:
    assert TrainingPlan(**chosen("tiny", {}).plan) == TrainingPlan()


def test_options_override_a_size_and_lengths_stay_in_images() -> None:
    choices = chosen("edm", {"batch": 1024, "dropout": 0.0, "device": "cpu", "seed": None})
    assert choices.plan["steps"] == 195_313
    assert choices.plan["warmup_steps"] == 9766
    assert choices.network["dropout"] == 0
    assert choices.habits["device"] == "cpu"
    assert chosen("edm", {"steps": 7}).plan["steps"] == 7
    assert chosen("small", {"ema_decay": 0.9}).plan["ema_halflife_images"] is None
    assert chosen("small", {"max_gradient_norm": 0.0}).plan["max_gradient_norm"] is None
    with pytest.raises(ParameterError, match="--ema-halflife-images are two rules"):
        chosen("tiny", {"ema_decay": 0.9, "ema_halflife_images": 100.0})


def test_a_file_from_before_the_later_fields_means_their_defaults() -> None:
    before = {k: v for k, v in asdict(TrainingPlan()).items() if k not in LATER_FIELDS}
    assert TrainingPlan(**before) == TrainingPlan()
    for name in ("digits-ddpmpp", "photos-ncsnpp"):
        card = load_teacher(name).card  # type: ignore[attr-defined]
        assert (card.plan.hflip, card.plan.precision, card.plan.weight_decay) == (
            False,
            "fp32",
            0.01,
        )


def test_a_packaged_teacher_is_still_the_same() -> None:
    expected = "ca0eac7ef8b77728d77559fe91651e27c76d404ddb8fec9c9032cc78f4495c3a"
    assert load_teacher("digits-ddpmpp").fingerprint == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adam_beta2": 1.0}, r"adam_beta2 must lie in \[0, 1\), got 1"),
        ({"weight_decay": -1.0}, "weight_decay must not be negative"),
        ({"ema_halflife_images": 0.0}, "ema_halflife_images must be positive"),
        ({"max_gradient_norm": 0.0}, "max_gradient_norm must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive, got nan"),
    ],
)
def test_impossible_plans_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        replace(PLAN, **change)


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
    monkeypatch.setattr("fpmc_bench.networks.batches.CHUNK_IMAGES", 100)
    torch.testing.assert_close(posterior_mean(digits, z, sigma), whole, atol=1e-5, rtol=0)
    assert pixel_spread(digits) == pytest.approx(digits.values().double().std().item(), rel=1e-9)


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


def test_a_checkpoint_from_before_the_later_fields_goes_on(digits: Source, tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    trainer = Trainer(TINY, PLAN, digits)
    weights_after(trainer, 2)
    trainer.save(path)
    tensors, card = load_tensors(path)
    del card["notes"]
    card["plan"] = {k: v for k, v in card["plan"].items() if k not in LATER_FIELDS}
    save_tensors(path, tensors, card)
    old = Trainer(TINY, PLAN, digits)
    assert old.load(path) == {}
    assert old.step == 2
    with pytest.raises(CheckpointError, match=r"plan\.hflip is False, expected True"):
        Trainer(TINY, replace(PLAN, hflip=True), digits).load(path)


# --- sessions


def session(source: Source, folder: Path, **habits: int) -> Session:
    files = TrainingFiles(folder / "a.safetensors")
    chosen_habits = Habits(**{"checkpoint_every": 4, "log_every": 3, **habits})
    return Session(Trainer(TINY, PLAN, source), files, chosen_habits, source)


def run(one: Session, until: int | None = None) -> None:
    """Run a session, killed as it were after the step `until`."""

    class KilledError(Exception):
        pass

    def progress(step: int, loss: float) -> None:
        if step == until:
            raise KilledError

    with one.opened():
        if until is None:
            one.run(progress)
        else:
            with pytest.raises(KilledError):
                one.run(progress)


def without_pace(lines: list[LogLine]) -> list[dict[str, Any]]:
    return [line.model_dump(exclude={"images_per_second"}) for line in lines]


@pytest.mark.parametrize("until", [6, 8, 12])
def test_an_interrupted_log_ends_as_an_uninterrupted_one(
    until: int, digits: Source, tmp_path: Path
) -> None:
    """Also where the checkpoint lies between two lines: means go over all of their steps."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(session(digits, whole))
    run(session(digits, parts), until)
    run(session(digits, parts))
    expected = without_pace(read_log(TrainingFiles(whole / "a.safetensors").log))
    assert [line["step"] for line in expected] == [3, 6, 9, 12]
    assert without_pace(read_log(TrainingFiles(parts / "a.safetensors").log)) == expected


def test_a_log_says_what_the_steps_were(digits: Source, tmp_path: Path) -> None:
    one = session(digits, tmp_path, held_out_every=6)
    run(one)
    losses = [loss for _, loss in Trainer(TINY, PLAN, digits).run()]
    lines = read_log(one.files.log)
    for line in lines:
        assert line.loss == pytest.approx(sum(losses[line.step - 3 : line.step]) / 3, rel=1e-9)
        assert line.images == line.step * PLAN.batch
        assert line.images_per_second > 0
    assert [bool(line.held_out) for line in lines] == [False, True, False, True]
    errors = {one.sigma: one.mse for one in lines[-1].held_out}
    assert 80.0 in errors
    assert all(mse > 0 for mse in errors.values())


def test_a_training_that_diverges_keeps_its_last_good_checkpoint(
    digits: Source, tmp_path: Path
) -> None:
    one = session(digits, tmp_path)

    def ruin(step: int, loss: float) -> None:
        if step == 6:
            with torch.no_grad():
                next(one.trainer.network.parameters()).fill_(torch.nan)

    message = r"loss became nan at step 6: lower learning_rate"
    with one.opened(), pytest.raises(ParameterError, match=message):
        one.run(ruin)
    again = session(digits, tmp_path)
    with again.opened() as done:
        assert done == 4
        again.run(lambda step, loss: None)
    assert again.trainer.step == PLAN.steps


def test_a_gradient_that_is_not_finite_is_met_at_its_own_step(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss before it is finite, the weights after it would be saved as good ones."""
    trainer = Trainer(TINY, PLAN, digits)
    last = list(trainer.network.parameters())[-1]
    last.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(ParameterError, match=r"gradient's norm became (nan|inf) at step 0"):
        weights_after(trainer, 1)


def test_two_trainings_of_one_file_do_not_meet(digits: Source, tmp_path: Path) -> None:
    one, other = session(digits, tmp_path), session(digits, tmp_path)
    taken = pytest.raises(RunError, match="is being trained by another process")
    with one.opened(), taken, other.opened():
        pass


def test_logs_lose_a_torn_line_and_refuse_another_file(tmp_path: Path) -> None:
    path = tmp_path / "x" / "log.jsonl"
    line = LogLine(step=3, images=30, loss=0.1, learning_rate=1e-3, images_per_second=5)
    append_line(path, line)
    append_line(path, line.model_copy(update={"step": 6}))
    with path.open("a") as file:
        file.write('{"step": 9, "ima')
    assert [one.step for one in read_log(path)] == [3, 6]
    rewind_log(path, 5)
    assert [one.step for one in read_log(path)] == [3]
    path.write_text("step,loss\n1,2\n")
    with pytest.raises(RunError, match=r"log\.jsonl is not the log of a training"):
        read_log(path)


@pytest.mark.parametrize("held_out", [{}, {0.1: 0.01, 1.0: 0.1, 80.0: 0.5}])
def test_the_figure_is_drawn_alike_every_time(held_out: dict[float, float], tmp_path: Path) -> None:
    points = [CurvePoint(step, 1 / step, held_out) for step in (1, 10, 100)]
    drawn = draw_training_curve("mine", 64, points)
    assert drawn == draw_training_curve("mine", 64, points)
    (tmp_path / "a.png").write_bytes(drawn)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1260, 960)
    assert draw_training_curve("mine", 64, points[:1]).startswith(b"\x89PNG")


# --- the command line

SMALL = (
    *("--architecture", "ddpmpp", "--model-channels", "8", "--num-blocks", "1", "--batch", "10"),
    *("--warmup-steps", "2", "--steps", "8", "--threads", "1", "--device", "cpu"),
)
LAUNCHERS = {
    "--processes": ("-m", "fpmc_bench"),
    "torchrun": (
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"),
        *("-m", "fpmc_bench"),
    ),
    "accelerate": (
        *("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"),
        *("-m", "fpmc_bench"),
    ),
}
"""accelerate's own launcher starts several processes for GPUs, or through MPI, but not on a CPU."""


def command(out: Path, *more: str, launcher: tuple[str, ...] = ("-m", "fpmc_bench")) -> list[str]:
    return [
        sys.executable,
        *launcher,
        "teacher",
        "train",
        "digits",
        "--out",
        str(out),
        *SMALL,
        *more,
    ]


def train(out: Path, *more: str, launcher: str = "--processes") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(out, *more, launcher=LAUNCHERS[launcher]),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def call(*arguments: str) -> Result:
    """The same in this process, which has torch already."""
    return CliRunner().invoke(main, ["teacher", "train", *arguments])


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


@pytest.mark.parametrize("launcher", list(LAUNCHERS))
def test_several_processes_train_what_one_does_to_rounding(
    launcher: str, alone: Path, tmp_path: Path
) -> None:
    """Three processes and ten images: shares of 3, 3 and 4, and dropout."""
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


def test_several_processes_go_on_after_a_kill_where_they_stopped(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    arguments = ["--checkpoint-every", "2", "--steps", "40", "--processes", "2"]
    whole = tmp_path / "whole.safetensors"
    assert train(whole, *arguments).returncode == 0
    kill_when_there_is_a_checkpoint(out, *arguments)
    done = train(out, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("going on from step") == 1
    assert out.read_bytes() == whole.read_bytes()


def test_processes_that_see_different_checkpoints_stop_together(tmp_path: Path) -> None:
    """As on two machines whose --out is on disks of their own."""
    code = """
        from fpmc_bench.errors import RunError
        from fpmc_bench.harness.processes import join_processes, leave_processes
        from fpmc_bench.harness.training_team import ProcessTeam
        team = ProcessTeam(join_processes("cpu"))
        team.agree_on(7)
        try:
            team.agree_on(7 * team.rank)
        except RunError as error:
            print(error)
        leave_processes()
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(code))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, "script.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("would start from different steps, [0, 7]") == 2


@pytest.mark.parametrize("more", [[], ["--precision", "bf16", "--hflip"]])
def test_a_killed_training_ends_as_an_uninterrupted_one(more: list[str], tmp_path: Path) -> None:
    arguments = ["--checkpoint-every", "2", "--log-every", "5", "--steps", "60", *more]
    whole, out = tmp_path / "whole.safetensors", tmp_path / "a.safetensors"
    done = call("digits", "--out", str(whole), *SMALL, *arguments)
    assert done.exit_code == 0, done.output
    kill_when_there_is_a_checkpoint(out, *arguments)
    done = call("digits", "--out", str(out), *SMALL, *arguments)
    assert done.exit_code == 0, done.output
    assert "going on from step" in done.output
    assert out.read_bytes() == whole.read_bytes()
    found, expected = (read_log(TrainingFiles(path).log) for path in (out, whole))
    assert without_pace(found) == without_pace(expected)


def kill_when_there_is_a_checkpoint(out: Path, *arguments: str) -> None:
    """SIGKILL for a training and its workers, which would go on without their launcher."""
    process = subprocess.Popen(
        command(out, *arguments),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoint, deadline = out.with_suffix(".checkpoint"), time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = psutil.Process(process.pid).children(recursive=True)
    for one in (process, *workers):
        one.send_signal(signal.SIGKILL)
    psutil.wait_procs(workers)
    assert process.wait() == -signal.SIGKILL, "it finished before it could be killed"
    assert checkpoint.exists()


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


def test_every_process_of_a_diverging_training_ends_with_one_message(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    done = train(out, "--learning-rate", "1e30", "--warmup-steps", "1", "--processes", "2")
    assert done.returncode == 2
    assert done.stderr.count("lower learning_rate, now 1e+30") == 1
    assert not out.exists()


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
    plugin = write_plugin(
        tmp_path / "plugin",
        "trainonly",
        """
        from dataclasses import dataclass
        from typing import ClassVar
        import torch
        from fpmc_bench import Source, hookimpl
        from fpmc_bench.contracts import FileDataset
        @dataclass(frozen=True)
        class TrainOnly(FileDataset):
            name: ClassVar[str] = "trainonly"
            citation: ClassVar[str] = "none"
            splits: ClassVar[tuple[str, ...]] = ("train",)
            expects: ClassVar[str] = "anything"
            def load_from(self, path, split):
                return Source(torch.randint(256, (40, 1, 8, 8), dtype=torch.uint8))
        @hookimpl
        def fpmc_datasets():
            return [TrainOnly]
        """,
    )
    out = tmp_path / "a.safetensors"
    arguments = ["teacher", "train", "trainonly", "--data", f"trainonly={tmp_path}", *SMALL]
    for more, status in ((["--held-out-every", "2"], 2), (["--size", "small"], 0)):
        done = subprocess.run(
            [sys.executable, "-m", "fpmc_bench", *arguments, "--out", str(out), *more],
            env=environment(plugin),
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert ("'trainonly' has no test images" in done.stderr) == (status == 2)
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
