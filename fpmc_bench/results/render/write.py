"""Everything that is rendered from a run's records, written beside them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.results.render.cells import entry_text
from fpmc_bench.results.render.optional import drew
from fpmc_bench.results.sweeps import ParameterSweep
from fpmc_bench.results.table import Table
from fpmc_bench.storage.atomic import write_atomically


def rendered_tables(tables: Sequence[Table]) -> dict[str, str]:
    """What is in tables/ of a run directory: a file's name below it -> its text."""
    from fpmc_bench.results.render.csv import render_csv, render_sigma_csv
    from fpmc_bench.results.render.latex import render_latex
    from fpmc_bench.results.render.markdown import render_markdown

    contents: dict[str, str] = {}
    for table in tables:
        name = f"tables/{table.protocol}"
        contents[f"{name}.md"] = render_markdown(table)
        contents[f"{name}.csv"] = render_csv(table)
        contents[f"{name}.tex"] = render_latex(table)
        if table.sigmas:
            contents[f"{name}-by-sigma.csv"] = render_sigma_csv(table)
    return contents


def figures_of(run_dir: Path, tables: Sequence[Table]) -> dict[str, Callable[[], bytes]]:
    """What is in figures/ of a run directory: a file's name below it -> what draws its bytes.

    A forest a protocol, its errors by noise level where it has any, and a grid of the samples that
    lie beside the records (samples/PROTOCOL.npz), where there are any, and one of every parameter
    that rows were made to differ in; RunError for a damaged file of samples.
    """
    from fpmc_bench.results.render.sample_grid import read_samples

    figures: dict[str, Callable[[], bytes]] = {}
    kinds: tuple[Literal["png", "svg"], ...] = ("png", "svg")
    for table, kind in product(tables, kinds):
        figures[f"figures/{table.protocol}-forest.{kind}"] = partial(_forest, table, kind)
        if table.sigmas:
            figures[f"figures/{table.protocol}.{kind}"] = partial(_sigma_figure, table, kind)
    for table in tables:
        for sweep in table.sweeps:
            name = f"figures/{table.protocol}-{sweep.denoiser}-{sweep.parameter}.png"
            figures[name] = partial(_sweep_figure, table, sweep)
    for protocol in PROTOCOLS:
        samples = run_dir / "samples" / f"{protocol}.npz"
        if samples.is_file():
            said = {name: text for table in tables for name, text in _networks(table, protocol)}
            rows = {said.get(name, name): images for name, images in read_samples(samples).items()}
            figures[f"figures/{protocol}-samples.png"] = partial(_sample_grid, rows)
    return figures


def write_tables(run_dir: Path, tables: Sequence[Table]) -> list[Path]:
    """Write tables/ under `run_dir`; returns the paths written. Again gives the same bytes."""
    contents = {run_dir / name: text for name, text in rendered_tables(tables).items()}
    for path, text in contents.items():
        write_atomically(path, text.encode())
    return list(contents)


def write_figures(run_dir: Path, tables: Sequence[Table]) -> dict[Path, bool]:
    """Write figures/ under `run_dir`: each with whether it could be drawn, see `drew`.

    Again gives the same bytes. RunError for a damaged file of samples.
    """
    return {
        run_dir / name: drew(run_dir / name, partial(_write, draw=draw))
        for name, draw in figures_of(run_dir, tables).items()
    }


def _networks(table: Table, protocol: str) -> Iterator[tuple[str, str]]:
    """The networks of a protocol's table and what they are called where they are shown."""
    if table.protocol == protocol:
        yield table.reference, f"{table.reference} (reference)"
        yield from ((row.entry, entry_text(row)) for row in table.rows if row.rank is None)


def _write(path: Path, draw: Callable[[], bytes]) -> None:
    write_atomically(path, draw())


def _forest(table: Table, kind: Literal["png", "svg"]) -> bytes:
    from fpmc_bench.results.render.forest import draw_forest

    return draw_forest(table, kind)


def _sigma_figure(table: Table, kind: Literal["png", "svg"]) -> bytes:
    from fpmc_bench.results.render.figures import draw_sigma_figure

    return draw_sigma_figure(table, kind)


def _sweep_figure(table: Table, sweep: ParameterSweep) -> bytes:
    from fpmc_bench.results.render.sweep_figure import draw_sweep_figure

    return draw_sweep_figure(table, sweep)


def _sample_grid(rows: Mapping[str, NDArray[np.floating]]) -> bytes:
    from fpmc_bench.results.render.sample_grid import draw_sample_grid

    return draw_sample_grid(rows)
