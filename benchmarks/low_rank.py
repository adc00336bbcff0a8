"""Do precisions diag(q_i) + L_i L_i^T, of a few columns each, bring more than diag(q_i)?

    python benchmarks/low_rank.py digits --base windows --sigma 1.09 --sigma 0.3

Every rank learns from the same start with the same batches; errors are those on samples of the
teacher, relative to the base's. L is learned as a part of the base's sqrt(q), pixel by pixel: a
step means as much for a pixel of little precision as for the middle of a window.
Plain autograd: N x M x batch x rank values exist at a time.
"""

import math

import click
import torch
from tabulate import tabulate
from torch import Tensor

from fpmc_bench.catalog.entries import select_entries
from fpmc_bench.catalog.finding import load_suite
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.study_rows import nearest_levels
from fpmc_bench.finetune.problem import LevelProblem, validation_batch, validation_images
from fpmc_bench.finetune.relaxation import Relaxation, relaxation_of
from fpmc_bench.finetune.settings import FinetuneSettings
from fpmc_bench.harness.plan import make_plan

START = 0.1
"""Size of L's entries over sqrt(q): at 0 their gradient would vanish."""
EVALUATE_EVERY = 20


@click.command()
@click.argument("suite", default="digits")
@click.option("--base", default="windows", show_default=True, help="An entry of the suite.")
@click.option("--sigma", "sigmas", type=float, multiple=True, default=(1.09, 0.3))
@click.option("--rank", "ranks", type=int, multiple=True, default=(0, 1, 2, 4))
@click.option("--steps", default=300, show_default=True)
@click.option("--batch", default=32, show_default=True)
@click.option("--validation-items", default=256, show_default=True)
def main(
    suite: str,
    base: str,
    sigmas: tuple[float, ...],
    ranks: tuple[int, ...],
    steps: int,
    batch: int,
    validation_items: int,
) -> None:
    """Print a table: a line a rank, a column a noise level, change of MSE in percent."""
    registry = installed_registry()
    chosen = select_entries(load_suite(suite, registry=registry), (base,), registry)
    plan = make_plan(chosen, registry, "cpu")
    context, built = plan.context, plan.built(plan.contestants[0])
    settings = FinetuneSettings(steps=steps, batch=batch)
    shape, grid, teacher = context.dataset.shape, context.sigmas, context.tuning
    clean = validation_images(teacher, shape, grid, validation_items, 0, "cpu")
    found: dict[int, list[str]] = {rank: [] for rank in ranks}
    levels = nearest_levels(chosen, sigmas)
    for level in levels:
        sigma = grid[level]
        problem = LevelProblem(built.source, teacher, sigma, level, "cpu")
        queries, targets = validation_batch(problem, clean, 0)
        start = float((built(queries, sigma) - targets).square().mean())
        for rank in ranks:
            relaxation = relaxation_of(built.fpmc(sigma), settings, sigma)
            error = least_error(problem, relaxation, settings, rank, (queries, targets))
            found[rank].append(f"{100 * (error / start - 1):+.1f}")
    headers = ["rank", *(f"sigma {grid[level]:.3g}" for level in levels)]
    click.echo(tabulate([[k, *v] for k, v in found.items()], headers=headers, tablefmt="github"))


def least_error(
    problem: LevelProblem,
    relaxation: Relaxation,
    settings: FinetuneSettings,
    rank: int,
    validation: tuple[Tensor, Tensor],
) -> float:
    """The least on validation of all measurements of one training."""
    root = relaxation.precision().detach().sqrt()
    noise = torch.randn(rank, *root.shape, generator=torch.Generator().manual_seed(0))
    parts = (START / math.sqrt(max(rank, 1)) * noise).requires_grad_()
    parameters = [*relaxation.parameters(), *([parts] if rank else [])]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    least = math.inf
    rows = torch.arange(len(problem.source))
    for step in range(settings.steps):
        batch = problem.batch(settings, step)
        answer = denoised(problem, relaxation, root * parts, batch.rows, batch.queries)
        optimizer.zero_grad(set_to_none=True)
        (answer - batch.targets).square().mean().backward()
        optimizer.step()
        if (step + 1) % EVALUATE_EVERY == 0:
            with torch.no_grad():
                answers = [
                    denoised(problem, relaxation, root * parts, rows, queries)
                    for queries in validation[0].split(settings.batch)
                ]
            least = min(least, float((torch.cat(answers) - validation[1]).square().mean()))
    return least


def denoised(
    problem: LevelProblem, relaxation: Relaxation, factors: Tensor, rows: Tensor, queries: Tensor
) -> Tensor:
    """D(z) [B,C,H,W] of precisions diag(q_i) + sum_k l_ik l_ik^T; `factors` [rank,M,K]."""
    source = problem.source
    images = source.to_values(source.stored(rows), torch.float32)
    n, c = len(rows), images.shape[1]
    gaps = (queries[:, None] - images).flatten(3) / (math.sqrt(2) * problem.sigma)  # [B,N,C,K]
    energy = gaps.square().sum(2) @ relaxation.precision().T
    for one in factors:
        energy = energy + (gaps @ one.T).square().sum(2)
    weights = torch.softmax(-energy, dim=1)  # [B,N,M]
    estimates = weights.transpose(1, 2) @ images.reshape(n, -1)
    response = relaxation.response().repeat(1, c)
    answer: Tensor = (estimates * response).sum(1) / response.sum(0)
    return answer.reshape(queries.shape)


if __name__ == "__main__":
    main()
