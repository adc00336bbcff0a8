"""What training takes from its images: batches keyed by (seed, step), and the spread of pixels.

Images stay as they are stored (8-bit codes, perhaps in a mapped file) until a batch has them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.diffusion.noise import generator
from fpmc_bench.fpmc.source import Source
from fpmc_bench.teachers.training.settings import TrainingSettings

CHUNK_IMAGES = 4096


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of one step's batch: images and unit noise [n,C,H,W], noise levels [n], on the CPU.

    `dropout_seed` is that of the whole batch.
    """

    x: Tensor
    noise: Tensor
    sigma: Tensor
    dropout_seed: int


def draw_batch(settings: TrainingSettings, source: Source, step: int, rows: slice) -> Batch:
    """Some rows of the batch of `step`: images drawn with replacement by the source's weights.

    ln(sigma) is normal as the settings say; mirrored with probability 1/2 where they ask for that.

    All rows are drawn and the others dropped: what a row holds depends on (seed, step, row) and
    not on how many processes share the batch.
    """
    draw = generator(settings.seed, "teacher-training", step)
    if source.log_weights is None:
        pick = torch.randint(len(source), (settings.batch,), generator=draw)
    else:
        weights = source.log_weights.double().cpu().softmax(0)
        pick = torch.multinomial(weights, settings.batch, replacement=True, generator=draw)
    log_sigma = torch.randn(settings.batch, generator=draw) * settings.sigma_log_std
    noise = torch.randn(settings.batch, *source.shape, generator=draw)
    dropout_seed = int(torch.randint(2**62, (), generator=draw))
    # drawn last and only where asked for, so that settings without it draw as before it existed
    mirrored = torch.rand(settings.batch, generator=draw) < 0.5 if settings.hflip else None
    x = source.to_values(source.stored(pick[rows]), torch.float32)
    if mirrored is not None:
        x = torch.where(mirrored[rows, None, None, None], x.flip(-1), x)
    sigma = (log_sigma[rows] + settings.sigma_log_mean).exp()
    return Batch(x, noise[rows], sigma, dropout_seed)


def pixel_spread(source: Source) -> float:
    """Standard deviation of all pixel values, in [-1, 1]: EDM's sigma_data.

    Every image counts alike, whatever its weight. Read a chunk of images at a time.
    """
    count, mean, squares = 0, 0.0, 0.0
    for chunk, _ in source.chunks(CHUNK_IMAGES, "cpu", torch.float32):
        values = chunk.double()
        size, chunk_mean = values.numel(), values.mean().item()
        deviations = (values - chunk_mean).square().sum().item()
        # Chan, Golub and LeVeque (1983): joining the moments of two samples
        squares += deviations + (chunk_mean - mean) ** 2 * count * size / (count + size)
        mean += (chunk_mean - mean) * size / (count + size)
        count += size
    return float((squares / max(count - 1, 1)) ** 0.5)
