"""Helpers of the teacher-training tests: a small network, a short plan, the command line."""

import subprocess
import sys
from pathlib import Path

import torch
from click.testing import CliRunner, Result
from runs import environment
from torch import Tensor

from fpmc_bench.cli import main
from fpmc_bench.teachers.training.settings import TrainingSettings
from fpmc_bench.teachers.training.trainer import Trainer
from fpmc_bench.teachers.unet.config import NetworkConfig

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
PLAN = TrainingSettings(steps=12, batch=10, warmup_steps=2)
SMALL = (
    *("--architecture", "ddpmpp", "--model-channels", "8", "--num-blocks", "1", "--batch", "10"),
    *("--warmup-steps", "2", "--steps", "8", "--threads", "1", "--device", "cpu"),
)
LAUNCHERS = {
    "--processes": ("-m", "fpmc_bench"),
    "torchrun": (
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "fpmc_bench"),
    ),
    "accelerate": (
        *("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"),
        *("-m", "fpmc_bench"),
    ),
}
"""accelerate's own launcher starts several processes for GPUs, or through MPI, but not on a CPU."""


def weights_after(trainer: Trainer, until: int) -> dict[str, Tensor]:
    for _ in trainer.run(until):
        pass
    return {
        **{f"network.{k}": v.clone() for k, v in trainer.network.state_dict().items()},
        **{f"average.{k}": v.clone() for k, v in trainer.average.state_dict().items()},
    }


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], atol: float) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], atol=atol, rtol=0, msg=name)


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
