"""Everything that is rendered from a run's records, written beside them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fpmc_bench.results.render.optional import drew
from fpmc_bench.results.table import Table
from fpmc_bench.storage.atomic import write_atomically


def write_tables(run_dir: Path, tables: Sequence[Table]) -> list[Path]:
    """Write tables/ under `run_dir`; returns the paths written. Again gives the same bytes."""
    from fpmc_bench.results.render.csv import render_csv, render_sigma_csv
    from fpmc_bench.results.render.latex import render_latex
    from fpmc_bench.results.render.markdown import render_markdown

    contents: dict[Path, str] = {}
    for table in tables:
        name = run_dir / "tables" / table.protocol
        contents[Path(f"{name}.md")] = render_markdown(table)
        contents[Path(f"{name}.csv")] = render_csv(table)
        contents[Path(f"{name}.tex")] = render_latex(table)
        if table.sigmas:
            contents[Path(f"{name}-by-sigma.csv")] = render_sigma_csv(table)
    for path, content in contents.items():
        write_atomically(path, content.encode())
    return list(contents)


def write_figures(run_dir: Path, tables: Sequence[Table]) -> dict[Path, bool]:
    """Write figures/ under `run_dir`: each with whether it could be drawn, see `drew`.

    Among them a grid of the samples that lie beside the records (samples/PROTOCOL.npz), where there
    are any. Again gives the same bytes. RunError for a damaged file of samples.
    """
    from fpmc_bench.results.render.sample_grid import read_samples, write_sample_grid

    figures = run_dir / "figures"
    drawn = {
        path: drew(path, partial(_sigma_figure, table))
        for table in tables
        if table.sigmas
        for path in (figures / f"{table.protocol}.png", figures / f"{table.protocol}.svg")
    }
    for samples in sorted(run_dir.glob("samples/*.npz")):
        path, rows = figures / f"{samples.stem}-samples.png", read_samples(samples)
        drawn[path] = drew(path, partial(write_sample_grid, rows=rows))
    return drawn


def _sigma_figure(table: Table, path: Path) -> None:
    from fpmc_bench.results.render.figures import draw_sigma_figure

    write_atomically(path, draw_sigma_figure(table, "svg" if path.suffix == ".svg" else "png"))
