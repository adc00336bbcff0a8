"""denoiser-mse: one denoising step of noisy test images, at every noise level of the grid."""

import torch
from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.protocols.problem import Problem


def noisy_images(problem: Problem, items: range, level: int) -> Tensor:
    """z_k = x_k + sigma eps_k, [n,C,H,W], for test images `items` at sigmas[level]."""
    clean, _ = problem.test.chunk(items.start, items.stop, problem.device, torch.float32)
    noise = unit_noise(problem.seed, f"denoiser-mse/{level}", items, problem.shape)
    return clean + problem.sigmas[level] * noise.to(problem.device)


def predict(denoise: DenoiseFunction, problem: Problem, items: range) -> Tensor:
    """D(z_k, sigma) for all levels that are measured: [n,S,C,H,W] float32 on the CPU."""
    answers = [
        denoise(noisy_images(problem, items, level), problem.sigmas[level]).cpu()
        for level in problem.levels
    ]
    return torch.stack(answers, dim=1)
