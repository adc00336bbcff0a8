"""Images that a user keeps in files: read with suspicion, decoded once, mapped from then on."""

from fpmc_bench.images.cifar_archive import read_cifar_archive
from fpmc_bench.images.store import decoded_images, stored_images

__all__ = ["decoded_images", "read_cifar_archive", "stored_images"]
