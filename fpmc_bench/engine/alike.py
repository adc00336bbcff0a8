"""Processes that evaluate a source together evaluate one question: that of the first of them.

Rows are computed alike everywhere, but a method may depend on chance, or on the machine. Where
questions differ by last bits nobody would notice that parts of the answer are for another; so all
take the first one's query, and whatever else differs is refused.
"""

import zlib

import torch
from torch import Tensor

from fpmc_bench.engine.machine.sharing import Sharing
from fpmc_bench.engine.parts import images_in_all
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.errors import PluginError
from fpmc_bench.fpmc.source import Source


def common_query(
    prepared: PreparedModel,
    source: Source,
    z: Tensor,
    sigma: float,
    budget_bytes: int,
    sharing: Sharing,
) -> tuple[Tensor, int]:
    """z [B,C,H,W] of the first process, and the least budget of all.

    PluginError, in all of them, where they have other models, noise levels or sources.
    """
    asked = f"{prepared.model!r} {prepared.checksum} {sigma!r} {images_in_all(source)}"
    checksum = float(zlib.crc32(asked.encode()))
    mine = torch.tensor([checksum, -checksum, budget_bytes], dtype=torch.float64)
    least, most, budget = sharing.minimum(mine).tolist()
    if least != -most:
        raise PluginError(
            f"processes that share a source must evaluate the same: {prepared.model!r} at sigma "
            f"{sigma:g} over {images_in_all(source)} images is not the same in all of them; a "
            f"method that depends on chance, or on the machine, runs without --shard-source"
        )
    first = sharing.minimum(z if sharing.rank == 0 else torch.full_like(z, torch.inf))
    return first, int(budget)
