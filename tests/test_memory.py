"""Working memory follows the budget, not the number of source images: measured, not reckoned."""

import subprocess
import sys

from runs import environment

PROGRAM = """
import resource, sys
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
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
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
    return int(done.stdout) / 1024


def test_memory_does_not_grow_with_the_source() -> None:
    """16 times the images: 4 MiB more of them; their 190 MiB of distances never exist at once."""
    grown = peak_mib(6400) - peak_mib(400)
    images_mib = (6400 - 400) * 3 * 16 * 16 / 2**20
    distances_mib = (6400 - 400) * 16 * 16 * 16 * 8 / 2**20
    assert grown < images_mib + 0.15 * distances_mib
