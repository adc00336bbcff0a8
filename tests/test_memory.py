"""Working memory follows the budget, not the number of source images: measured, not reckoned."""

import subprocess
import sys

from runs import environment

PROGRAM = """
import sys
from pathlib import Path
import torch
from fpmc_bench import FPMC, Source
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.fpmc import PixelOneHot
from fpmc_bench.shapes import ImageShape
from fpmc_plugins.denoisers.ls import squares

shape = ImageShape(3, 16, 16)
levels = torch.randint(256, (int(sys.argv[1]), *shape), dtype=torch.uint8)
source, z = Source(levels), torch.rand(16, *shape)
model = FPMC(squares(shape, 5), PixelOneHot(shape))
for sigma in (0.1, 2.0):
    fpmc_denoise(model, source, z, sigma)
status = Path("/proc/self/status").read_text().splitlines()
print(next(line for line in status if line.startswith("VmHWM:")).split()[1])
"""


def peak_mib(images: int) -> float:
    """Peak resident memory of a process that evaluates `ls` over that many images."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(images)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout) / 1024  # ru_maxrss would count the process that forked it


def test_memory_does_not_grow_with_the_source() -> None:
    """64 times the images: 18 MiB more of them; their 790 MiB of distances never exist at once."""
    few, many = 400, 25_600
    grown = peak_mib(many) - peak_mib(few)
    images_mib = (many - few) * 3 * 16 * 16 / 2**20
    distances_mib = (many - few) * 16 * 16 * 16 * 8 / 2**20
    assert grown < images_mib + 0.15 * distances_mib
