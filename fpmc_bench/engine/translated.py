"""Evaluation where each pixel's source holds every image at many translations (`els`).

Pixels that share a translation set share their candidates: every patch of every image around the
pixels of the set. So a group of I pixels against T candidates is one product of I x P query
patches with T x P candidate patches, and the value that a candidate votes for is its own centre.
"""

import torch
from torch import Tensor

from fpmc_bench.engine.softmax import RunningSoftmax
from fpmc_bench.fpmc import FPMC, Separable
from fpmc_bench.source import Source


def denoise_translated(model: FPMC, source: Source, z: Tensor, sigma: float, chunk: int) -> Tensor:
    """z [B,C,H,W] -> [B,C,H,W] float32; `chunk` source images at a time."""
    assert model.translations is not None
    assert isinstance(model.precision, Separable)
    _, height, width = model.shape
    result = torch.zeros(z.shape, dtype=torch.float32, device=z.device)
    for rows, row_targets in model.translations.groups(height):
        for columns, column_targets in model.translations.groups(width):
            assert (rows, columns) == (row_targets, column_targets)
            values = _denoise_group(model.precision, source, z, sigma, chunk, rows, columns)
            result[:, :, rows.start : rows.stop, columns.start : columns.stop] = values
    return result


def _denoise_group(
    precision: Separable,
    source: Source,
    z: Tensor,
    sigma: float,
    chunk: int,
    rows: range,
    columns: range,
) -> Tensor:
    """D at the pixels rows x columns, which search one another's patches: [B,C,I_rows,I_cols]."""
    row_offsets, row_weights = _window(precision.rows[rows.start], rows)
    column_offsets, column_weights = _window(precision.columns[columns.start], columns)
    window = torch.outer(row_weights, column_weights)
    dtype = _product_dtype(window.numel() * z.shape[1], sigma)
    root = window.sqrt().to(z.device, dtype)

    def patches(images: Tensor) -> Tensor:
        """[n,C,H,W] -> [n,I,P]: the window around every pixel of the group."""
        windows = images[
            :,
            :,
            rows.start + row_offsets.start : rows.stop + row_offsets.stop - 1,
            columns.start + column_offsets.start : columns.stop + column_offsets.stop - 1,
        ]
        windows = windows.unfold(2, len(row_offsets), 1).unfold(3, len(column_offsets), 1)
        weighted = windows * root
        return weighted.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)

    # -|q - c|^2 / 2 sigma^2 up to |q|^2, which is the same for all candidates: the softmax drops it
    queries = patches((z.double() / sigma**2).to(dtype))
    batch, pixels, _ = queries.shape
    flat_queries = queries.flatten(0, 1)
    state = RunningSoftmax.start(batch * pixels, 1, flat_queries)
    total = torch.zeros(batch * pixels, z.shape[1], device=z.device)
    for images, log_weights in source.chunks(chunk, z.device, dtype):
        candidates = patches(images).flatten(0, 1)
        prior = log_weights.repeat_interleave(pixels)
        prior -= candidates.square().sum(1) / (2 * sigma**2)
        logits = torch.addmm(prior, flat_queries, candidates.T)
        centres = images[:, :, rows.start : rows.stop, columns.start : columns.stop]
        votes = centres.float().flatten(2).transpose(1, 2).flatten(0, 1)
        weights, factor = state.update(logits.unsqueeze(2))
        total = total * factor + weights[..., 0] @ votes
    mean = total / state.total
    return mean.reshape(batch, len(rows), len(columns), -1).permute(0, 3, 1, 2)


def _product_dtype(dimensions: int, sigma: float) -> torch.dtype:
    """float64 where the expanded square would cost float32 its digits.

    Products of `dimensions` terms are wrong by about 1e-7 of their number; over sigma^2 that must
    stay below 1e-3 of a logit.
    """
    return torch.float32 if sigma**2 >= 5e-4 * dimensions else torch.float64


def _window(weights: Tensor, group: range) -> tuple[range, Tensor]:
    """Where the window of a group's first coordinate is non-zero, relative to it; its values."""
    support = weights.nonzero().flatten()
    start, stop = int(support[0]), int(support[-1]) + 1
    return range(start - group.start, stop - group.start), weights[start:stop]
