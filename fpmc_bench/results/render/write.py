"""Everything that is rendered from a run's records, written beside them."""

from collections.abc import Sequence
from pathlib import Path

from fpmc_bench.documents.failure import read_failures
from fpmc_bench.documents.record import ItemValues, Record
from fpmc_bench.results.table import build_tables
from fpmc_bench.storage.atomic import write_atomically


def write_reports(run_dir: Path, records: Sequence[tuple[Record, ItemValues]]) -> list[Path]:
    """Write tables/ and figures/ of these records under `run_dir`; returns the paths written.

    Rows that failed (failures.json) stand in the tables too. Among what is written is a grid of the
    samples that lie beside the records (samples/PROTOCOL.npz), where there are any. Rendering again
    gives the same bytes. RunError as `build_tables`, and for a damaged file.
    """
    from fpmc_bench.results.render.csv import render_csv, render_sigma_csv
    from fpmc_bench.results.render.figures import draw_sigma_figure
    from fpmc_bench.results.render.latex import render_latex
    from fpmc_bench.results.render.markdown import render_markdown
    from fpmc_bench.results.render.sample_grid import read_samples, write_sample_grid

    contents: dict[Path, bytes] = {}
    for table in build_tables(records, read_failures(run_dir)):
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
    for samples in sorted(run_dir.glob("samples/*.npz")):
        written.append(run_dir / "figures" / f"{samples.stem}-samples.png")
        write_sample_grid(written[-1], read_samples(samples))
    return written
