"""This project beside others' code: same images, same noisy queries, same number of threads.

    python benchmarks/compare.py --data cifar10-32x32.zip --images 2000 --queries 8 \\
        --peer pspc=PATH --peer convolutional_diffusion=PATH --peer locality=PATH --dense

PATH is a checkout of the peer's repository, whose own classes are called; `previous` is one of this
project at another commit. `--dense` adds plain dense torch. Each side runs once to warm up and then
in turn with the other. Prints each row when it is measured and a markdown table at the end; exits
with 1 where answers that must agree do not.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import torch
from cases import METHODS, Case, Problem, default_cases
from dense import Dense
from images import edm_images, photo_images
from measure import HEADERS, Row, measure
from peers import PEERS
from peers.contest import Peer
from tabulate import tabulate

from fpmc_bench.errors import UsageError


def chosen_peers(given: Sequence[str], dense: bool) -> list[Peer]:
    """Of NAME=PATH; UsageError for an unknown name, or a path that is no checkout of it."""
    peers: list[Peer] = []
    for text in given:
        name, separator, path = text.partition("=")
        if not separator or name not in PEERS:
            raise UsageError(f"--peer {text}: expected NAME=PATH, NAME one of {', '.join(PEERS)}")
        peers.append(PEERS[name](Path(path).expanduser()))
    if dense:
        peers.append(Dense())
    if not peers:
        raise UsageError("nothing to compare with: pass --dense or --peer NAME=PATH")
    return peers


def chosen_methods(only: str) -> list[str]:
    """Of a list with commas; everything where it is empty."""
    methods = [name.strip() for name in only.split(",") if name.strip()] or list(METHODS)
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise UsageError(
            f"--only names {', '.join(unknown)}; expected some of {', '.join(METHODS)}"
        )
    return methods


def check_common(peers: Sequence[Peer], methods: Sequence[str]) -> None:
    """UsageError where no peer has any of the methods."""
    available = frozenset().union(*(peer.methods for peer in peers))
    if available.isdisjoint(methods):
        raise UsageError(
            f"none of {', '.join(methods)} is among the methods of the peers given: "
            f"{', '.join(sorted(available))}"
        )


def load_problem(data: Path | None, images: int, queries: int, side_px: int, seed: int) -> Problem:
    """Queries are made of images that follow the source's, or of held-out photos."""
    if data is None:
        return Problem.of(*photo_images(images, queries, side_px), seed)
    codes = edm_images(data, images + queries)
    return Problem.of(codes[:images], codes[images:], seed)


def compare(
    cases: Sequence[Case], peers: Sequence[Peer], problem: Problem, els: Problem, repetitions: int
) -> list[Row]:
    """Every case with every peer that has it, each row printed when it is there."""
    rows: list[Row] = []
    for case in cases:
        of_case = els if case.method == "els" else problem
        for peer in peers:
            if case.method in peer.methods:
                contest = peer.contest(case, of_case)
                rows.append(measure(peer.name, case, of_case, contest, repetitions))
                click.echo(" | ".join(rows[-1].cells), err=True)
    return rows


POSITIVE = click.IntRange(min=1)


@click.command(help=(__doc__ or "").replace("    python", "\b\n    python"))
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A zip in the layout of EDM's; without it, crops of photos.",
)
@click.option("--images", default=2000, show_default=True, type=POSITIVE)
@click.option("--queries", default=8, show_default=True, type=POSITIVE)
@click.option("--els-images", default=50, show_default=True, type=POSITIVE)
@click.option("--els-queries", default=2, show_default=True, type=POSITIVE)
@click.option("--side", "side_px", default=32, show_default=True, help="Of photos, in pixels.")
@click.option("--peer", "given", multiple=True, metavar="NAME=PATH", help=", ".join(PEERS))
@click.option("--dense", is_flag=True, help="Compare with plain dense torch as well.")
@click.option(
    "--fastest-batches",
    is_flag=True,
    help="Peers' batches as a trial finds fastest, not as their scripts have them.",
)
@click.option("--only", default="", help="Methods, with commas between; without it, all.")
@click.option("--repetitions", default=5, show_default=True, type=POSITIVE)
@click.option("--threads", default=2, show_default=True, type=POSITIVE)
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Every figure, for programs.",
)
def main(
    data: Path | None,
    images: int,
    queries: int,
    els_images: int,
    els_queries: int,
    side_px: int,
    given: tuple[str, ...],
    dense: bool,
    fastest_batches: bool,
    only: str,
    repetitions: int,
    threads: int,
    seed: int,
    json_path: Path | None,
) -> None:
    torch.set_num_threads(threads)
    try:
        peers, methods = chosen_peers(given, dense), chosen_methods(only)
        check_common(peers, methods)
        problem = load_problem(data, images, queries, side_px, seed)
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    for peer in peers:
        peer.fastest_batches = fastest_batches
    small = problem.first(min(els_images, images), min(els_queries, queries))
    rows = compare(default_cases(problem, methods), peers, problem, small, repetitions)
    click.echo(f"\n{threads} threads, torch {torch.__version__}, {repetitions} repetitions\n")
    click.echo(tabulate([row.cells for row in rows], HEADERS, "github", disable_numparse=True))
    if json_path:
        settings = {"threads": threads, "torch": torch.__version__, "seed": seed}
        json_path.write_text(json.dumps({**settings, "rows": [asdict(row) for row in rows]}))
    sys.exit(any(row.wrong for row in rows))


if __name__ == "__main__":
    main()
