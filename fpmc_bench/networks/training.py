"""Training a teacher: EDM's denoising loss, AdamW with warm-up and cosine decay, EMA weights.

Everything random at step k is drawn from (seed, k), so a run resumed from its checkpoint takes
the same steps as one that was never interrupted.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fpmc_bench.diffusion.noise import generator
from fpmc_bench.errors import CheckpointError, InputError, ParameterError
from fpmc_bench.networks.checkpoint import load_tensors, load_weights, save_tensors
from fpmc_bench.networks.config import NetworkConfig
from fpmc_bench.networks.preconditioning import EDMPrecond
from fpmc_bench.source import Source


@dataclass(frozen=True)
class TrainingPlan:
    """What, besides data and network, determines the weights.

    `sigma_log_mean`, `sigma_log_std`: ln(sigma) is normal (EDM, table 1: -1.2, 1.2). The default
    is wider than EDM's because the suites measure teachers up to sigma 80, which EDM's
    distribution reaches once in a million draws. `stable_target_sigma`: from this noise level up
    the regression target is the posterior mean over the training images instead of the one image
    that was noised (Xu et al. 2023, Stable Target Field): the same minimiser, without the noise of
    the target, which at high sigma is nearly all of the loss. None: never.
    """

    steps: int = 8000
    batch: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 300
    ema_decay: float = 0.999
    sigma_log_mean: float = 0.0
    sigma_log_std: float = 1.6
    stable_target_sigma: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "warmup_steps", "learning_rate", "sigma_log_std"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.ema_decay < 1:
            raise ParameterError(f"ema_decay must lie in [0, 1), got {self.ema_decay}")

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to zero at the last step."""
        warmup = min(1.0, (step + 1) / self.warmup_steps)
        return self.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def edm_loss(network: EDMPrecond, z: Tensor, sigma: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of lambda(sigma) ||D(z; sigma) - target||^2 / D (EDM, eq. 2).

    z = x + sigma eps and target (x, or its posterior mean) [B,C,H,W]; sigma [B].
    lambda = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2.
    """
    sigma_data = network.config.sigma_data
    weight = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    error: Tensor = network(z, sigma) - target
    return (weight * error.square().flatten(1).mean(1)).mean()


def posterior_mean(images: Tensor, z: Tensor, sigma: Tensor) -> Tensor:
    """The optimal denoiser of `images` [N,C,H,W] at z [B,C,H,W], each row at its own sigma [B]."""
    flat = images.flatten(1)
    energy = torch.cdist(z.flatten(1), flat).square()
    weights = torch.softmax(-energy / (2 * sigma[:, None] ** 2), dim=1)
    return (weights @ flat).reshape(z.shape)


class Trainer:
    """A network, its moving average and its optimiser at one step of a plan.

    Architecture, plan and training images determine every step; a checkpoint names all three.
    """

    def __init__(
        self, config: NetworkConfig, plan: TrainingPlan, source: Source, device: str = "cpu"
    ) -> None:
        if tuple(source.shape) != (config.channels, config.side_px, config.side_px):
            raise InputError(
                f"the network is for {config.channels}x{config.side_px}x{config.side_px} images, "
                f"the training images are {source.shape}"
            )
        torch.manual_seed(plan.seed)
        self.config, self.plan, self.step = config, plan, 0
        self.device = torch.device(device)
        self.images, self.images_fingerprint = source.values(), source.fingerprint
        self.network = EDMPrecond(config).to(self.device)
        self.average = EDMPrecond(config).to(self.device)
        self.average.load_state_dict(self.network.state_dict())
        self.average.eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.01
        )

    def run(self, until: int | None = None) -> Iterator[tuple[int, float]]:
        """Train up to step `until` (None: the plan's last); yields (steps done, loss) after each.

        Raises ParameterError when the loss stops being finite.
        """
        last = self.plan.steps if until is None else min(until, self.plan.steps)
        while self.step < last:
            loss = self._one_step()
            if not math.isfinite(loss):
                raise ParameterError(
                    f"the training loss became {loss} at step {self.step}: lower learning_rate, "
                    f"now {self.plan.learning_rate:g}"
                )
            self.step += 1
            yield self.step, loss

    def _one_step(self) -> float:
        plan = self.plan
        draw = generator(plan.seed, "teacher-training", self.step)
        pick = torch.randint(len(self.images), (plan.batch,), generator=draw)
        log_sigma = torch.randn(plan.batch, generator=draw) * plan.sigma_log_std
        sigma = (log_sigma + plan.sigma_log_mean).exp().to(self.device)
        x = self.images[pick].to(self.device)
        noise = torch.randn(x.shape, generator=draw).to(self.device)
        # dropout draws from the global generator
        torch.manual_seed(int(torch.randint(2**62, (), generator=draw)))
        for group in self.optimizer.param_groups:
            group["lr"] = plan.learning_rate_at(self.step)
        z = x + sigma[:, None, None, None] * noise
        loss = edm_loss(self.network.train(), z, sigma, self._target(x, z, sigma))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self._update_average()
        return loss.item()

    def _target(self, x: Tensor, z: Tensor, sigma: Tensor) -> Tensor:
        threshold = self.plan.stable_target_sigma
        noisiest = sigma >= (math.inf if threshold is None else threshold)
        if not bool(noisiest.any()):
            return x
        target = x.clone()
        images = self.images.to(self.device)
        target[noisiest] = posterior_mean(images, z[noisiest], sigma[noisiest])
        return target

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.plan.ema_decay, (1 + self.step) / (10 + self.step))
        for slow, fast in zip(self.average.parameters(), self.network.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)

    def _origin(self) -> dict[str, Any]:
        """All that determines the steps, as JSON."""
        return {
            "config": self.config.model_dump(mode="json"),
            "plan": asdict(self.plan),
            "training_images": self.images_fingerprint,
        }

    def save(self, path: Path) -> None:
        """Write everything needed to go on, from the first step on; atomic, safetensors only."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
        save_tensors(path, tensors, {"step": self.step, **self._origin()})

    def load(self, path: Path) -> None:
        """Continue from a file written by `save` for the same network, plan and images.

        Raises CheckpointError naming what differs, or what else is wrong with the file.
        """
        tensors, card = load_tensors(path)
        step = card.pop("step", None)
        differences = _differences(card, self._origin())
        if not isinstance(step, int) or step < 1:
            differences.append(f"step is {step}, expected a count of steps done")
        if differences:
            raise CheckpointError(
                f"{path} belongs to another training run: {'; '.join(differences)}. Repeat the "
                f"command that wrote it, or remove it to start afresh"
            )
        for prefix, module in (("network.", self.network), ("average.", self.average)):
            part = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            load_weights(module, part, str(path))
        self._load_optimizer(path, tensors)
        self.step = step

    def _load_optimizer(self, path: Path, tensors: dict[str, Tensor]) -> None:
        names = ("step", "exp_avg", "exp_avg_sq")
        count = sum(1 for _ in self.network.parameters())
        try:
            state = {i: {n: tensors[f"optimizer.{i}.{n}"] for n in names} for i in range(count)}
        except KeyError as error:
            raise CheckpointError(f"{path} lacks {error.args[0]}: it is damaged") from error
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def _differences(found: dict[str, Any], expected: dict[str, Any], prefix: str = "") -> list[str]:
    """What differs between two nested JSON objects: "plan.seed is 1, expected 0"."""
    differences: list[str] = []
    for key in sorted(found.keys() | expected.keys()):
        here, there = found.get(key), expected.get(key)
        if isinstance(here, dict) and isinstance(there, dict):
            differences += _differences(here, there, f"{prefix}{key}.")
        elif here != there:
            differences.append(f"{prefix}{key} is {here}, expected {there}")
    return differences
