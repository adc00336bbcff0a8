"""Training a teacher: EDM's denoising loss, AdamW with warm-up, EMA weights, on shared batches.

Everything random at step k is drawn from (seed, k), so a run resumed from its checkpoint takes
the same steps as one that was never interrupted, and several processes the same as one.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fpmc_bench.errors import InputError, ParameterError
from fpmc_bench.fpmc.source import Source
from fpmc_bench.teachers.training.batches import Batch, draw_batch
from fpmc_bench.teachers.training.checkpoint import read_training, write_training
from fpmc_bench.teachers.training.denoising_loss import edm_loss, posterior_mean
from fpmc_bench.teachers.training.settings import TrainingSettings
from fpmc_bench.teachers.training.sliced_dropout import SlicedDropout
from fpmc_bench.teachers.training.team import Alone, Team
from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond


class Trainer:
    """A network, its moving average and its optimiser at one step of a training.

    Architecture, settings and training images determine every step; a checkpoint names all three.
    How a batch is divided (among the processes of `team`, and in each into parts of at most
    `part_images`) changes only the order of summation.
    """

    def __init__(
        self,
        config: NetworkConfig,
        settings: TrainingSettings,
        source: Source,
        device: str = "cpu",
        *,
        team: Team | None = None,
        part_images: int | None = None,
    ) -> None:
        """InputError for images of another shape, ParameterError for more processes than images."""
        if tuple(source.shape) != (config.channels, config.side_px, config.side_px):
            raise InputError(
                f"the network is for {config.channels}x{config.side_px}x{config.side_px} images, "
                f"the training images are {source.shape}"
            )
        self.team = team or Alone()
        if settings.batch < self.team.world:
            raise ParameterError(
                f"a batch of {settings.batch} can't be shared by {self.team.world} processes: "
                f"every process needs an image; raise batch or start fewer"
            )
        torch.manual_seed(settings.seed)
        self.config, self.settings, self.step = config, settings, 0
        self.device = torch.device(device)
        self.source = source
        self.network = EDMPrecond(config).to(self.device)
        self.average = EDMPrecond(config).to(self.device)
        self.average.load_state_dict(self.network.state_dict())
        self.average.eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            betas=(0.9, settings.adam_beta2),
            weight_decay=settings.weight_decay,
        )
        rank, world = self.team.rank, self.team.world
        self._rows = slice(settings.batch * rank // world, settings.batch * (rank + 1) // world)
        self._part_images = part_images or settings.batch
        self._upcoming: tuple[int, Batch] | None = None
        self._source_there: Source | None = None

    def run(self, until: int | None = None) -> Iterator[tuple[int, float]]:
        """Train up to step `until` (None: the last); yields (steps done, loss) after each.

        Raises ParameterError, before anyone could save the ruined weights, when the loss or the
        gradient stops being finite.
        """
        last = self.settings.steps if until is None else min(until, self.settings.steps)
        while self.step < last:
            loss, gradient = self._one_step()
            for what, value in (("loss", loss), ("gradient's norm", gradient)):
                if not math.isfinite(value):
                    raise ParameterError(
                        f"the training {what} became {value} at step {self.step}: lower "
                        f"learning_rate, now {self.settings.learning_rate:g}"
                    )
            self.step += 1
            yield self.step, loss

    def _one_step(self) -> tuple[float, float]:
        """Loss and norm of the gradient of the whole batch, before clipping."""
        settings, batch = self.settings, self._batch()
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate_at(self.step)
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.device)
        for start in range(0, len(batch.x), self._part_images):
            loss = loss + self._backward(batch, slice(start, start + self._part_images))
        loss = self._add_up(loss)
        parameters = list(self.network.parameters())
        norm = torch.nn.utils.clip_grad_norm_(parameters, settings.max_gradient_norm or math.inf)
        self.optimizer.step()
        self._update_average()
        if self.step + 1 < settings.steps:
            # on a GPU, drawn while it computes: the line below waits for it
            self._upcoming = (self.step + 1, self._drawn(self.step + 1))
        loss_value, norm_value = torch.stack([loss, norm]).tolist()
        return loss_value, norm_value

    def _batch(self) -> Batch:
        if self._upcoming is not None and self._upcoming[0] == self.step:
            return self._upcoming[1]
        return self._drawn(self.step)

    def _drawn(self, step: int) -> Batch:
        return draw_batch(self.settings, self.source, step, self._rows)

    def _backward(self, batch: Batch, part: slice) -> Tensor:
        """Add a part's share of the gradient; its share of the loss, a scalar."""
        x, noise, sigma = (
            whole[part].to(self.device) for whole in (batch.x, batch.noise, batch.sigma)
        )
        z = x + sigma[:, None, None, None] * noise
        threshold = self.settings.stable_target_sigma
        # asked on the CPU: a GPU's answer would have to be waited for
        steadier = batch.sigma[part] >= (math.inf if threshold is None else threshold)
        target = self._target(x, z, sigma, steadier.nonzero()[:, 0].to(self.device))
        first = self._rows.start + part.start
        rows = slice(first, first + len(x))
        torch.manual_seed(batch.dropout_seed)  # dropout draws from the global generator
        with ExitStack() as stack:
            if self.device.type != "cpu" or len(x) < self.settings.batch:
                stack.enter_context(SlicedDropout(rows, self.settings.batch))
            if self.settings.precision == "bf16":
                stack.enter_context(torch.autocast(self.device.type, torch.bfloat16))
            loss = edm_loss(self.network, z, sigma, target) * (len(x) / self.settings.batch)
        loss.backward()
        return loss.detach()

    def _target(self, x: Tensor, z: Tensor, sigma: Tensor, noisiest: Tensor) -> Tensor:
        """x, and for the rows `noisiest` what all training images make of z."""
        if not len(noisiest):
            return x
        target = x.clone()
        target[noisiest] = posterior_mean(self._all_images, z[noisiest], sigma[noisiest])
        return target

    @property
    def _all_images(self) -> Source:
        """Every training image as stored, on the device: sent there once, where it is needed."""
        if self._source_there is None:
            self._source_there = self.source.mapped(lambda images: images.to(self.device))
        return self._source_there

    def _add_up(self, loss: Tensor) -> Tensor:
        """Give every process the whole batch's gradient; returns the whole batch's loss."""
        if self.team.world == 1:
            return loss
        found = [p.grad for p in self.network.parameters() if p.grad is not None]
        flat = torch.cat([*(gradient.flatten() for gradient in found), loss[None]])
        total = self.team.add_up(flat)
        sizes = [gradient.numel() for gradient in found]
        for gradient, values in zip(found, total[:-1].split(sizes), strict=True):
            gradient.copy_(values.view_as(gradient))
        return total[-1]

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = self.settings.ema_decay_at(self.step)
        for slow, fast in zip(self.average.parameters(), self.network.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)

    def _origin(self) -> dict[str, Any]:
        """All that determines the steps, as JSON."""
        return {
            "config": self.config.model_dump(mode="json"),
            "plan": asdict(self.settings),
            "training_images": self.source.fingerprint,
        }

    def save(self, path: Path, notes: Mapping[str, Any] | None = None) -> None:
        """Write everything needed to go on, from the first step on; atomic, safetensors only.

        `notes` (JSON) come back from `load`.
        """
        card = {"step": self.step, "notes": dict(notes or {}), **self._origin()}
        write_training(path, self.network, self.average, self.optimizer, card)

    def load(self, path: Path) -> dict[str, Any]:
        """Continue from a file written by `save` for the same network, settings and images.

        Returns its notes. Raises CheckpointError naming what differs, or what else is wrong with
        the file.
        """
        self.step, notes = read_training(
            path, self.network, self.average, self.optimizer, self._origin()
        )
        return notes
