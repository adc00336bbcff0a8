"""Everything that is rendered from a run's records, written beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.record import ItemValues, Record
from fpmc_bench.results.table import build_tables
from fpmc_bench.storage.atomic import write_atomically


def write_reports(
    run_dir: Path,
    records: Sequence[tuple[Record, ItemValues]],
    samples: Mapping[str, NDArray[np.floating]] | None = None,
) -> list[Path]:
    """Write tables/ and figures/ of these records under `run_dir`; returns the paths written.

    samples: label -> [n,C,H,W] in [-1, 1], the teacher first; by default run_dir/samples.npz, and
    no grid where there is none. Rendering again gives the same bytes. RunError as build_tables.
    """
    from fpmc_bench.results.render.csv import render_csv, render_sigma_csv
    from fpmc_bench.results.render.figures import draw_sigma_figure
    from fpmc_bench.results.render.latex import render_latex
    from fpmc_bench.results.render.markdown import render_markdown
    from fpmc_bench.results.render.sample_grid import read_samples, write_sample_grid

    contents: dict[Path, bytes] = {}
    for table in build_tables(records):
        name = run_dir / "tables" / table.protocol
        contents[Path(f"{name}.md")] = render_markdown(table).encode()
        contents[Path(f"{name}.csv")] = render_csv(table).encode()
        contents[Path(f"{name}.tex")] = render_latex(table).encode()
        if table.sigmas:
            contents[Path(f"{name}-by-sigma.csv")] = render_sigma_csv(table).encode()
            figure = run_dir / "figures" / table.protocol
            contents[Path(f"{figure}.png")] = draw_sigma_figure(table, "png")
            contents[Path(f"{figure}.svg")] = draw_sigma_figure(table, "svg")
    for path, content in contents.items():
        write_atomically(path, content)
    written = list(contents)
    if samples is None and (run_dir / "samples.npz").is_file():
        samples = read_samples(run_dir / "samples.npz")
    if samples:
        written.append(run_dir / "figures" / "samples.png")
        write_sample_grid(written[-1], samples)
    return written
