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
    # float64: the expanded square below would lose float32's digits where distances are small
    row_offsets, row_weights = _window(precision.rows[rows.start].double(), rows)
    column_offsets, column_weights = _window(precision.columns[columns.start].double(), columns)
    weight = torch.outer(row_weights, column_weights).to(z.device)

    def patches(images: Tensor) -> Tensor:
        """[n,C,H,W] -> [n,I,P]: the window around every pixel of the group."""
        windows = images[
            :,
            :,
            rows.start + row_offsets.start : rows.stop + row_offsets.stop - 1,
            columns.start + column_offsets.start : columns.stop + column_offsets.stop - 1,
        ]
        windows = windows.unfold(2, len(row_offsets), 1).unfold(3, len(column_offsets), 1)
        weighted = windows * weight.sqrt()
        return weighted.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)

    queries = patches(z.double())
    batch, pixels, _ = queries.shape
    flat_queries = queries.flatten(0, 1)
    query_norm = flat_queries.square().sum(1)
    state = RunningSoftmax.start(batch * pixels, 1, flat_queries)
    total = torch.zeros(batch * pixels, z.shape[1], device=z.device)
    for images, log_weights in source.chunks(chunk, z.device, torch.float64):
        candidates = patches(images).flatten(0, 1)
        logits = torch.addmm(candidates.square().sum(1), flat_queries, candidates.T, alpha=-2)
        # energies are sums of squares: what rounding puts below zero is zero
        logits.add_(query_norm[:, None]).clamp_(min=0).mul_(-1 / (2 * sigma**2))
        logits.add_(log_weights.repeat_interleave(pixels))
        centres = images[:, :, rows.start : rows.stop, columns.start : columns.stop]
        votes = centres.float().flatten(2).transpose(1, 2).flatten(0, 1)
        weights, factor = state.update(logits.unsqueeze(2))
        total = total * factor + weights[..., 0] @ votes
    mean = total / state.total
    return mean.unflatten(0, (batch, len(rows), len(columns))).permute(0, 3, 1, 2)


def _window(weights: Tensor, group: range) -> tuple[range, Tensor]:
    """Where the window of a group's first coordinate is non-zero, relative to it; its values."""
    support = weights.nonzero().flatten()
    start, stop = int(support[0]), int(support[-1]) + 1
    return range(start - group.start, stop - group.start), weights[start:stop]
