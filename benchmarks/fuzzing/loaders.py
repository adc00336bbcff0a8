"""Everything of fpmc_bench that reads files."""

from fuzzing import caches, finetunings, networks, pictures, runs, texts

LOADERS = (
    *runs.LOADERS,
    *texts.LOADERS,
    *networks.LOADERS,
    *finetunings.LOADERS,
    *pictures.LOADERS,
    *caches.LOADERS,
)
