"""fpmc_bench: where analytical diffusion models compare their work.

A denoiser is a function (z, sigma) -> image: z = x + sigma * eps holds noisy images [B,C,H,W], with
values of x in [-1, 1], and the result is like z. Tensors are torch's, sigma is a float.

    >>> import torch
    >>> from fpmc_bench import build_denoiser, heun_sample, load_dataset, load_teacher, sigma_grid
    >>> digits, network = load_dataset("digits"), load_teacher("digits-ncsnpp")
    >>> noise, sigmas = torch.randn(4, *digits.shape), sigma_grid(18)
    >>> windows = {"query_widths": [2.0] * 18, "response_widths": [0.5] * 18}
    >>> ours = build_denoiser("windows", digits.train, sigmas=sigmas, params=windows)
    >>> samples = [heun_sample(denoiser, noise, sigmas) for denoiser in (ours, network)]
    >>> mse = (samples[0] - samples[1]).square().mean()

Measure
    load_dataset          a registered dataset: its training and test images
    load_teacher          a trained network as a denoiser: by name, path or module:function
    build_denoiser        a method, by name or as a class, over images of your own, as a denoiser
    load_suite            what is to be compared: a registered suite or a TOML file
    run_suite             carry it out: a record for every entry and protocol
    worst_items           where a row fails: the items with its largest errors
    write_worst_items     a picture of these: reference, prediction and difference
    Places                where data, networks and weights are that you keep yourself

Mathematics
    Source                images with their weights: the measure p that a posterior mean is over
    FPMC                  filters Q and R: what a method is at one noise level, as a value
    fpmc_denoise          D(z, sigma) of an FPMC over a source, exact, in bounded memory
    sigma_grid            noise levels of EDM's schedule, descending
    heun_sample           samples of a denoiser's probability-flow ODE
    unit_noise            standard normal noise, keyed by seed, stream and item
    sensitivity_maps      which pixels a network's output depends on, by noise level

For plugins
    hookimpl              marks a function that says what a plugin offers
    cached_tensors        what is fitted once, kept on disk by the content of its inputs
    made_images           images that are computed once, in blocks, by many processes
    decoded_images        the images of a zip or folder, decoded once
    stored_images         the images of any other format, read once by a function of yours
    read_cifar_archive    the reader of CIFAR-10's own archive
    file_fingerprint      of the content of a file or a folder
    NetworkTeacher        a network in one of fpmc_bench's formats or EDM's, as a denoiser
    load_finetuned        what `fpmc-bench finetune` has written, as
    FinetunedWeights      precisions and responses for every noise level of a suite

Beside these, `fpmc_bench.contracts` says what a plugin is and which exceptions there are,
`fpmc_bench.fpmc` has the filters, and `fpmc_bench.testing` checks a denoiser's promises.

All these names are stable. They are imported on first use, so that `import fpmc_bench` and
`fpmc-bench --help` don't pay for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fpmc_bench.catalog.datasets import load_dataset
    from fpmc_bench.catalog.denoisers import build_denoiser
    from fpmc_bench.catalog.finding import load_suite
    from fpmc_bench.catalog.places import Places
    from fpmc_bench.catalog.teachers import load_teacher
    from fpmc_bench.diffusion.heun import heun_sample
    from fpmc_bench.diffusion.noise import unit_noise
    from fpmc_bench.diffusion.sigmas import sigma_grid
    from fpmc_bench.engine import fpmc_denoise
    from fpmc_bench.finetune.weights import FinetunedWeights
    from fpmc_bench.finetune.weights_file import load_finetuned
    from fpmc_bench.fpmc import FPMC
    from fpmc_bench.fpmc.source import Source
    from fpmc_bench.hookspecs import hookimpl
    from fpmc_bench.images import decoded_images, read_cifar_archive, stored_images
    from fpmc_bench.images.made import made_images
    from fpmc_bench.jobs.run import run_suite
    from fpmc_bench.results.worst import worst_items, write_worst_items
    from fpmc_bench.storage.cache import cached_tensors
    from fpmc_bench.storage.content import file_fingerprint
    from fpmc_bench.teachers.network import NetworkTeacher
    from fpmc_bench.teachers.sensitivity import sensitivity_maps

__all__ = [
    "FPMC",
    "FinetunedWeights",
    "NetworkTeacher",
    "Places",
    "Source",
    "build_denoiser",
    "cached_tensors",
    "decoded_images",
    "file_fingerprint",
    "fpmc_denoise",
    "heun_sample",
    "hookimpl",
    "load_dataset",
    "load_finetuned",
    "load_suite",
    "load_teacher",
    "made_images",
    "read_cifar_archive",
    "run_suite",
    "sensitivity_maps",
    "sigma_grid",
    "stored_images",
    "unit_noise",
    "worst_items",
    "write_worst_items",
]
__version__ = "0.1.0"

_HOMES = {
    "FPMC": "fpmc_bench.fpmc",
    "FinetunedWeights": "fpmc_bench.finetune.weights",
    "NetworkTeacher": "fpmc_bench.teachers.network",
    "Places": "fpmc_bench.catalog.places",
    "Source": "fpmc_bench.fpmc.source",
    "build_denoiser": "fpmc_bench.catalog.denoisers",
    "cached_tensors": "fpmc_bench.storage.cache",
    "decoded_images": "fpmc_bench.images",
    "file_fingerprint": "fpmc_bench.storage.content",
    "fpmc_denoise": "fpmc_bench.engine",
    "heun_sample": "fpmc_bench.diffusion.heun",
    "hookimpl": "fpmc_bench.hookspecs",
    "load_dataset": "fpmc_bench.catalog.datasets",
    "load_finetuned": "fpmc_bench.finetune.weights_file",
    "load_suite": "fpmc_bench.catalog.finding",
    "load_teacher": "fpmc_bench.catalog.teachers",
    "made_images": "fpmc_bench.images.made",
    "read_cifar_archive": "fpmc_bench.images",
    "run_suite": "fpmc_bench.jobs.run",
    "sensitivity_maps": "fpmc_bench.teachers.sensitivity",
    "sigma_grid": "fpmc_bench.diffusion.sigmas",
    "stored_images": "fpmc_bench.images",
    "unit_noise": "fpmc_bench.diffusion.noise",
    "worst_items": "fpmc_bench.results.worst",
    "write_worst_items": "fpmc_bench.results.worst",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fpmc_bench' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
