"""The noise levels of EDM's sampler (Karras et al. 2022, eq. 5; paper C.4)."""

import torch
from torch import Tensor

from fpmc_bench.errors import ParameterError


def sigma_grid(steps: int, smin: float = 0.002, smax: float = 80.0, rho: float = 7) -> Tensor:
    """The noise levels [steps] float64, descending from smax to smin, without the final 0.

    sigma_i = (smax^(1/rho) + i/(steps-1) (smin^(1/rho) - smax^(1/rho)))^rho: standard deviations
    of noise on pixel values in [-1,1]. Both ends are exact. The default is EDM's range.

    Raises ParameterError unless steps >= 2, 0 < smin < smax and rho > 0.
    """
    if steps < 2 or not 0 < smin < smax or rho <= 0:
        raise ParameterError(
            f"a sigma grid needs steps >= 2, 0 < smin < smax and rho > 0, got steps={steps}, "
            f"smin={smin}, smax={smax}, rho={rho}"
        )
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    grid: Tensor = (smax ** (1 / rho) + ramp * (smin ** (1 / rho) - smax ** (1 / rho))) ** rho
    grid[0], grid[-1] = smax, smin  # exactly, not to the last bit of a seventh power
    return grid
