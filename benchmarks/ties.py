"""How often are rows called worse than the best that aren't, and how often those that are?

    python benchmarks/ties.py

Tables are drawn whose truth is known: per-item errors of rows that share what is hard about an item
(or a group of items), so that rows are paired. In the upper lines all rows are equally good, and no
table should call any of them worse, in all but 5 % of tables. In the lower ones one row is better
than all others, which should be found. `t-test` is what tables had: every row against the one that
came out best, by paired t-tests with Holm's correction. `set` is `fpmc_bench.results.ties`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import click
import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from fpmc_bench.results.statistics import SIGNIFICANCE, holm, paired_difference
from fpmc_bench.results.ties import tied_with_best

Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]
"""Noise [rows,items] of mean 0 and variance 1."""


def normal(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return random.standard_normal(shape)


def skewed(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Long tails upwards, as of squared errors, of another length in every row."""
    tails = np.linspace(0.3, 0.9, shape[0])[:, None]
    noise = np.exp(tails * random.standard_normal(shape)) - np.exp(tails**2 / 2)
    unit: NDArray[np.float64] = noise / np.sqrt((np.exp(tails**2) - 1) * np.exp(tails**2))
    return unit


@dataclass(frozen=True)
class Case:
    """Tables of so many rows; `better`: of the first one, in standard errors of a difference."""

    name: str
    rows: int
    items: int = 200
    group_size: int = 1
    draw: Draw = normal
    better: float = 0.0

    def table(
        self, random: np.random.Generator
    ) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.int64] | None]:
        """Errors [items] by name, and what group [items] each item is of."""
        groups = np.arange(self.items) // self.group_size
        hardness = 10 + 3 * random.standard_normal(self.items)
        noise = self.draw(random, (self.rows, self.items))
        if self.group_size > 1:
            shared = self.draw(random, (self.rows, groups[-1] + 1))[:, groups]
            noise = (noise + shared) / np.sqrt(2)
        values = hardness + noise
        values[0] -= self.better * np.sqrt(2 / self.items)
        known = groups if self.group_size > 1 else None
        return {f"row-{number:02}": row for number, row in enumerate(values)}, known


EQUAL = (
    Case("12 equal rows", 12),
    Case("20 equal rows", 20),
    Case("20 equal rows, skewed", 20, draw=skewed),
    Case("20 equal rows, 20 items", 20, items=20),
    Case("20 equal rows, 40 groups of 5", 20, group_size=5),
)
BETTER = tuple(
    Case(f"{rows} rows, one better by {better:g} s.e.", rows, better=better)
    for rows in (12, 20)
    for better in (3.0, 4.0, 5.0)
)


def by_t_tests(
    values: dict[str, NDArray[np.float64]], groups: NDArray[np.int64] | None
) -> frozenset[str]:
    """The row of least mean, and those [items] whose paired t-test against it isn't significant."""
    best = min(values, key=lambda name: float(values[name].mean()))
    others = [name for name in values if name != best]
    tests = [paired_difference(values[name], values[best], groups).p_value for name in others]
    adjusted = zip(others, holm(tests), strict=True)
    return frozenset({best, *(name for name, p in adjusted if p >= SIGNIFICANCE)})


@click.command()
@click.option("--runs", default=1000, show_default=True, help="Tables of every kind.")
@click.option("--seed", default=0, show_default=True)
def main(runs: int, seed: int) -> None:
    """Print a table: a line a kind of tables, in percent."""
    lines = []
    for case in (*EQUAL, *BETTER):
        random = np.random.default_rng([seed, case.rows, case.items, case.group_size])
        # of tables: some row called worse; or of rows that are worse: called so
        counts = np.zeros(2)
        for _ in range(runs):
            values, groups = case.table(random)
            for column, decide in enumerate((by_t_tests, tied_with_best)):
                called = case.rows - len(decide(values, groups))
                counts[column] += called / (case.rows - 1) if case.better else called > 0
        lines.append([case.name, *(f"{100 * count / runs:.1f} %" for count in counts)])
    equal, better = lines[: len(EQUAL)], lines[len(EQUAL) :]
    for title, part in (
        ("tables that call a row worse which is not", equal),
        ("worse rows that are called so", better),
    ):
        headers = [title, "t-test", "set"]
        click.echo(tabulate(part, headers, tablefmt="pipe", colalign=("left", "right", "right")))
        click.echo()


if __name__ == "__main__":
    main()
