"""sample-mse: whole samples of the probability-flow ODE, from shared initial noise."""

from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction
from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.protocols.problem import Problem


def predict(denoise: DenoiseFunction, problem: Problem, items: range) -> Tensor:
    """PF-ODE samples from the noise of `items`: [n,C,H,W] float32 on the CPU."""
    noise = unit_noise(problem.seed, "sample-mse", items, problem.shape)
    return heun_sample(denoise, noise.to(problem.device), problem.sigmas).cpu()
