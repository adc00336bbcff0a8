"""How good are a suite's teachers? Their error against clean held-out images, beside all entries'.

    python benchmarks/teacher_quality.py digits --items 500

Prints, for every noise level, the mean squared error against the clean image of both teachers and
of every entry, then how far the teachers are from `optimal` and from each other.
"""

import argparse

import torch
from tabulate import tabulate
from torch import Tensor

from fpmc_bench import load_suite
from fpmc_bench.catalog.denoisers import assemble
from fpmc_bench.catalog.registry import installed_registry
from fpmc_bench.contracts import DenoiseFunction, Denoiser
from fpmc_bench.harness.plan import Plan
from fpmc_bench.harness.planning import make_plan
from fpmc_bench.protocols.denoiser_mse import noisy_images
from fpmc_bench.protocols.metrics import mse_1
from fpmc_bench.teachers.sensitivity import sensitivity_maps


def build_rows(plan: Plan) -> dict[str, DenoiseFunction]:
    """Both teachers and every entry of the suite, by name."""
    rows: dict[str, DenoiseFunction] = {"tuning": plan.tuning, "evaluation": plan.evaluation}
    suite, train = plan.suite, plan.dataset.train
    maps = sensitivity_maps(
        plan.tuning, train, plan.sigmas, samples=suite.sensitivity.samples, seed=suite.seed
    )
    for contestant in plan.contestants:
        assert isinstance(contestant.denoiser, Denoiser)
        rows[contestant.name] = assemble(contestant.denoiser, plan.setting(train, maps))
    return rows


def figure(errors: Tensor) -> str:
    """Mean ± standard error."""
    return f"{errors.mean():.5f} ± {errors.std() / len(errors) ** 0.5:.5f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suite")
    parser.add_argument("--items", type=int, default=500)
    arguments = parser.parse_args()
    registry = installed_registry()
    suite = load_suite(arguments.suite, registry=registry).replaced(items=arguments.items)
    plan = make_plan(suite, registry, "cpu")
    rows = build_rows(plan)
    items = range(arguments.items)
    clean = plan.dataset.test.values()[: arguments.items]
    against_clean, between = [], []
    for level, sigma in enumerate(plan.sigmas):
        z = noisy_images(plan.problem, items, level)
        with torch.no_grad():
            answers = {name: row(z, sigma) for name, row in rows.items()}
        against_clean.append(
            [f"{sigma:.3g}", *(figure(mse_1(answer, clean)) for answer in answers.values())]
        )
        entries = [name for name in answers if name not in ("tuning", "evaluation")]
        between.append(
            [
                f"{sigma:.3g}",
                *(figure(mse_1(answers[name], answers["optimal"])) for name in list(answers)[:2]),
                figure(mse_1(answers["tuning"], answers["evaluation"])),
                figure(
                    min(
                        (
                            mse_1(answers[name], answers[teacher])
                            for name in entries
                            for teacher in ("tuning", "evaluation")
                        ),
                        key=lambda errors: float(errors.mean()),
                    )
                ),
            ]
        )
    print(f"{suite.name}: MSE against the clean image, {arguments.items} held-out items\n")
    print(tabulate(against_clean, headers=["sigma", *rows], disable_numparse=True))
    headers = ["sigma", "tuning-optimal", "evaluation-optimal", "tuning-evaluation", "best entry"]
    print("\nMSE between denoisers; last column: the entry nearest to either teacher\n")
    print(tabulate(between, headers=headers, disable_numparse=True))


if __name__ == "__main__":
    main()
