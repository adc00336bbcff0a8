"""Samples of the tuning teacher as further source images (paper section 4.3, appendix B)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fpmc_bench import Source, heun_sample, made_images, unit_noise
from fpmc_bench.contracts import Augmentation, AugmentationTask, UsageError

BLOCK_IMAGES = 256
"""That are sampled together. Always whole blocks: in a batch of another size the sums of a network
end in other last bits, and images must not depend on how many were asked for before."""
VERSION = 2


@dataclass(frozen=True)
class Synthetic(Augmentation):
    """Samples that the tuning teacher draws from noise of a stream of their own.

    No sample of any protocol has the same noise. Made once, then read from the cache; of 256
    codes where the source is, else floats.
    """

    name: ClassVar[str] = "synthetic"
    citation: ClassVar[str] = "Filtered Posterior Mean Collections, section 4.3 and appendix B"

    def check(self, task: AugmentationTask) -> None:
        if task.teacher is None:
            raise UsageError(f"{self.name} needs the tuning teacher: give its task one")

    def augment(self, task: AugmentationTask) -> Source:
        self.check(task)
        teacher = task.teacher
        assert teacher is not None, "checked"
        as_bytes = task.keeps_bytes
        key = {
            "teacher": teacher.fingerprint,
            "sigmas": list(task.sigmas),
            "seed": task.seed,
            "shape": list(task.source.shape),
            "bytes": as_bytes,
            "device": torch.device(task.device).type,
            "version": VERSION,
        }

        def make(rows: range) -> Tensor:
            noise = unit_noise(task.seed, "synthetic", rows, task.source.shape).to(task.device)
            with torch.no_grad():
                samples = heun_sample(teacher, noise, task.sigmas).clamp(-1, 1)
            return task.source.to_stored(samples) if as_bytes else samples

        count = max(1, round(task.rate * len(task.source)))
        whole = math.ceil(count / BLOCK_IMAGES) * BLOCK_IMAGES
        images = made_images("synthetic", key, whole, make, block_images=BLOCK_IMAGES)
        return Source(images[:count], None, task.source.scale)
