"""The oracle: an FPMC evaluated densely in float64, one estimator at a time, as in eq. 7-10.

Slow and obvious on purpose; every fast path is tested against it.
"""

import torch
from torch import Tensor

from fpmc_bench.fpmc.model import FPMC
from fpmc_bench.fpmc.sigmas import AnySigma, sigma_of
from fpmc_bench.fpmc.source import Source


def reference_denoise(model: FPMC, source: Source, z: Tensor, sigma: AnySigma) -> Tensor:
    """D(z, sigma) [B,C,H,W] float64 of noisy images z [B,C,H,W], for sigma > 0.

    Takes memory for all M x N pairs of an estimator and an image at once; only sigma is
    checked.
    """
    sigma = sigma_of(sigma)
    images = source.values(torch.float64)
    log_weights = (
        torch.zeros(len(source)) if source.log_weights is None else source.log_weights
    ).double()
    queries = z.double().flatten(1)
    precision, response = model.precision.dense(), model.response.dense()
    numerator = torch.zeros_like(queries)
    for i in range(model.estimators):
        support = _support(model, images, i)  # [T,N,D]
        shifts = len(support)
        support = support.flatten(0, 1)
        difference = queries[:, None] - support
        energy = (precision[i] * difference.square()).sum(-1)
        logits = log_weights.repeat(shifts) - energy / (2 * sigma**2)
        mean = torch.softmax(logits, dim=1) @ support
        numerator += response[i] * mean
    return (numerator / response.sum(0)).reshape(z.shape)


def _support(model: FPMC, images: Tensor, estimator: int) -> Tensor:
    """The images of estimator i's source [T,N,D]: T translations, zero-padded, of N images."""
    if model.translations is None:
        return images.flatten(1)[None]
    _, height, width = model.shape
    y, x = divmod(estimator, width)
    shifted = []
    for target_y in model.translations.targets(y, height):
        for target_x in model.translations.targets(x, width):
            shifted.append(_shift(images, y - target_y, x - target_x).flatten(1))
    return torch.stack(shifted)


def _shift(images: Tensor, down_px: int, right_px: int) -> Tensor:
    """Images moved by (down, right) pixels, zeros where nothing arrives (eq. 62 ff.)."""
    _, _, height, width = images.shape
    moved = torch.zeros_like(images)
    rows = slice(max(down_px, 0), height + min(down_px, 0))
    columns = slice(max(right_px, 0), width + min(right_px, 0))
    from_rows = slice(max(-down_px, 0), height + min(-down_px, 0))
    from_columns = slice(max(-right_px, 0), width + min(-right_px, 0))
    moved[:, :, rows, columns] = images[:, :, from_rows, from_columns]
    return moved
