"""How good are a suite's teachers? Their error against clean test images, beside all entries'.

    python benchmarks/teacher_quality.py digits --items 500

Entries are taken over the training images alone, without what augmentations would add.
"""

import click
import torch
from tabulate import tabulate
from torch import Tensor

from fpmc_bench import (
    Source,
    build_denoiser,
    load_dataset,
    load_suite,
    load_teacher,
    sensitivity_maps,
    sigma_grid,
)
from fpmc_bench.contracts import DenoiseFunction
from fpmc_bench.documents.suite import Suite
from fpmc_bench.protocols.denoiser_mse import noisy_images
from fpmc_bench.protocols.metrics import mse_1
from fpmc_bench.protocols.problem import Problem

TEACHERS = ("tuning", "evaluation")


def denoisers_of(
    suite: Suite, train: Source, sigmas: tuple[float, ...]
) -> dict[str, DenoiseFunction]:
    """Both teachers by their roles, then every entry of the suite by its name."""
    tuning = load_teacher(suite.teachers.tuning)
    maps = sensitivity_maps(tuning, train, sigmas, suite.sensitivity.samples, suite.seed)
    found: dict[str, DenoiseFunction] = {
        "tuning": tuning,
        "evaluation": load_teacher(suite.teachers.evaluation),
    }
    for entry in suite.entries:
        found[entry.name] = build_denoiser(
            entry.denoiser,
            train,
            sigmas=sigmas,
            params=entry.params,
            teacher=tuning,
            sensitivity=maps,
        )
    return found


def figure(errors: Tensor) -> str:
    """Mean ± standard error."""
    return f"{errors.mean():.5f} ± {errors.std() / len(errors) ** 0.5:.5f}"


def between(answers: dict[str, Tensor]) -> list[str]:
    """The distances of either teacher to `optimal`, to each other, and of the nearest entry."""
    optimal, entries = answers["optimal"], [name for name in answers if name not in TEACHERS]
    distances = [mse_1(answers[e], answers[t]) for e in entries for t in TEACHERS]
    return [
        *(figure(mse_1(answers[teacher], optimal)) for teacher in TEACHERS),
        figure(mse_1(answers["tuning"], answers["evaluation"])),
        figure(min(distances, key=lambda errors: float(errors.mean()))),
    ]


@click.command()
@click.argument("suite", default="digits")
@click.option("--items", default=500, show_default=True, help="Test images.")
def main(suite: str, items: int) -> None:
    """Print, for every noise level, errors against the clean image, then between denoisers."""
    chosen = load_suite(suite).replaced(items=items)
    dataset = load_dataset(chosen.dataset.name, chosen.dataset.params)
    if dataset.test is None or items > len(dataset.test):
        raise click.UsageError(f"{dataset.name} has less than {items} test images")
    sigmas = tuple(sigma_grid(**chosen.sigmas.model_dump()).tolist())
    denoisers = denoisers_of(chosen, dataset.train, sigmas)
    problem = Problem(dataset.test, sigmas, chosen.seed, "cpu", tuple(range(len(sigmas))))
    clean = dataset.test.values()[:items]
    against_clean, distances = [], []
    for level, sigma in enumerate(sigmas):
        z = noisy_images(problem, range(items), level)
        with torch.no_grad():
            answers = {name: denoise(z, sigma) for name, denoise in denoisers.items()}
        errors = [figure(mse_1(answer, clean)) for answer in answers.values()]
        against_clean.append([f"{sigma:.3g}", *errors])
        distances.append([f"{sigma:.3g}", *between(answers)])
    click.echo(f"{chosen.name}: MSE against the clean image, {items} test images\n")
    click.echo(tabulate(against_clean, headers=["sigma", *denoisers], disable_numparse=True))
    click.echo("\nMSE between denoisers; last column: the entry nearest to either teacher\n")
    headers = ["sigma", "tuning-optimal", "evaluation-optimal", "tuning-evaluation", "best entry"]
    click.echo(tabulate(distances, headers=headers, disable_numparse=True))


if __name__ == "__main__":
    main()
