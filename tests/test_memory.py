"""Working memory follows the budget, not the number of source images: measured, not reckoned."""

import json
import subprocess
import sys
from pathlib import Path

from runs import environment

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
from pathlib import Path
import torch
from fpmc_bench import FPMC, Source
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.fpmc import PixelOneHot
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_plugins.denoisers.ls import squares

torch.set_num_threads(1)
images, side_px, method, budget = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
shape = ImageShape(3, side_px, side_px)
levels = torch.randint(256, (images, *shape), dtype=torch.uint8)
source, z = Source(levels), torch.rand(16, *shape)
response = {"ls": PixelOneHot(shape), "pspc-square": squares(shape, 5)}[method]
model = FPMC(squares(shape, 5), response)
for sigma in (2.0, 0.1):
    fpmc_denoise(model, source, z, sigma, budget_bytes=int(budget) * 2**20)
status = Path("/proc/self/status").read_text().splitlines()
print(next(line for line in status if line.startswith("VmHWM:")).split()[1])
"""


def peak_mib(images: int, side_px: int, method: str, budget_mib: int) -> float:
    """Peak resident memory of a process that evaluates `method` over that many images."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(images), str(side_px), method, str(budget_mib)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout) / 1024  # ru_maxrss would count the process that forked it


def test_memory_does_not_grow_with_the_source() -> None:
    """64 times the images: 18 MiB more of them; their 790 MiB of distances never exist at once."""
    few, many = 400, 25_600
    grown = peak_mib(many, 16, "ls", 1024) - peak_mib(few, 16, "ls", 1024)
    images_mib = (many - few) * 3 * 16 * 16 / 2**20
    distances_mib = (many - few) * 16 * 16 * 16 * 8 / 2**20
    assert grown < images_mib + 0.15 * distances_mib


def test_two_passes_keep_no_more_than_their_part_of_the_budget() -> None:
    """Several times: allocations may come to lie so that what is freed fits nothing.

    Half of 256 MiB; where there is room for all weights, memory grows by 385 MiB.
    """
    few, many, budget_mib = 64, 4000, 256
    before = peak_mib(few, 32, "pspc-square", budget_mib)
    images_mib = (many - few) * 3 * 32 * 32 / 2**20
    for _ in range(3):
        grown = peak_mib(many, 32, "pspc-square", budget_mib) - before
        assert grown < images_mib + budget_mib / 2


def test_gradients_take_memory_by_the_budget_alone() -> None:
    """Autograd would keep every weight; 5000 images more take 78 MiB each time they are stored."""

    def peak(images: int) -> float:
        options = ("--side", "16", "--batch", "16", "--budget-mib", "64", "--threads", "1")
        script = ROOT / "benchmarks/finetune_step.py"
        done = subprocess.run(
            [sys.executable, script, "--one", *options, "--images", str(images)],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout)
        return float(found["peak_mib"] - found["source_mib"])

    weights_mib = 16 * 256 * (6000 - 1000) * 4 / 2**20
    assert abs(peak(6000) - peak(1000)) < 0.5 * weights_mib
