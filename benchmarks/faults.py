"""Makes the faults of `injecting/` on real runs of a tiny suite, and says what came of each.

    python benchmarks/faults.py                        the table of docs/reliability.md
    python benchmarks/faults.py --only kills --kills 5 --seed 7
    python benchmarks/faults.py --write                ... and put into the document

Every fault is made on processes, folders and caches of its own, and held against an undisturbed
run: *identical* are records whose figures and per-item values are that run's to the last bit, and
so samples and trajectories. Exit status 1 where anything came of a fault but what is promised; with
--keep its folder can be looked at.
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from tabulate import tabulate

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests")]  # whose helpers make runs and damage

from attacks import shown  # noqa: E402
from injecting import crowds, damages, disks, kills, nodes, plugins, stops, studies, workers  # noqa: E402
from injecting.outcomes import BrokenPromiseError, Fault, Outcome, UntriedError  # noqa: E402
from injecting.workplace import Workplace, side_by_side  # noqa: E402

KINDS: dict[str, tuple[Fault, ...]] = {
    "kills": kills.FAULTS,
    "workers": workers.FAULTS,
    "stops": stops.FAULTS,
    "nodes": nodes.FAULTS,
    "disks": disks.FAULTS,
    "damage": damages.FAULTS,
    "plugins": plugins.FAULTS,
    "crowds": crowds.FAULTS,
    "studies": studies.FAULTS,
}
DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults -->\n", "<!-- end of faults -->\n"
HEAD = ("kind", "what was done", "n", "outcome", "records", "message")
WRONG = "WRONG"


def tried(fault: Fault, workplace: Workplace) -> Outcome:
    """What came of a fault; "WRONG" where that was not as promised."""
    try:
        return fault.inject(workplace)
    except UntriedError as reason:
        return Outcome(0, "not tried", "", str(reason))
    except BrokenPromiseError as wrong:
        return Outcome(1, WRONG, "", str(wrong))
    except Exception as error:  # one fault's trouble must not cost the others' rows
        return Outcome(1, WRONG, "", f"{type(error).__name__}: {error}")


def all_tried(faults: Sequence[Fault], workplace: Workplace) -> list[tuple[Fault, Outcome]]:
    """In their order, whichever were made beside each other; a line on stderr for each."""
    started, _ = time.monotonic(), workplace.results

    def told(fault: Fault) -> Outcome:
        outcome = tried(fault, workplace)
        why = f": {outcome.message[:500]}" if outcome.what == WRONG else ""
        after = time.monotonic() - started
        click.echo(f"{after:5.0f} s  {fault.done}: {outcome.what}{why}", err=True)
        return outcome

    small = [fault for fault in faults if not fault.crowded]
    outcomes = dict(zip(small, side_by_side(told, small), strict=True))
    outcomes |= {fault: told(fault) for fault in faults if fault.crowded}
    return [(fault, outcomes[fault]) for fault in faults]


def row(kind: str, fault: Fault, outcome: Outcome, folder: Path) -> tuple[str, ...]:
    """Of the table, without the folders of this machine."""
    message = shown(re.sub(rf"{re.escape(str(folder))}/|\bcase-\d+/", "", outcome.message))
    return kind, fault.done, str(outcome.n or ""), outcome.what, outcome.records, message


def write(table: str) -> None:
    """Into the document, between its marks."""
    before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n\n{END}{after}", "utf-8")


@contextmanager
def scratch(kept: Path | None) -> Iterator[Path]:
    """A folder for all runs, removed unless it is to be `kept`."""
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@click.command(help=(__doc__ or "").replace("    python", "\b\n    python"))
@click.option("--only", multiple=True, type=click.Choice(list(KINDS)), help="Of this kind.")
@click.option("--kills", default=50, show_default=True, help="At random moments, of each.")
@click.option("--times", default=5, show_default=True, help="Of others that chance has part in.")
@click.option("--seed", default=0, show_default=True, help="Of moments, places and bits.")
@click.option("--keep", type=click.Path(path_type=Path), help="Leave all runs in this new folder.")
@click.option("--write", "writes", is_flag=True, help=f"Put the table into {DOCUMENT.name}.")
def main(
    only: tuple[str, ...], kills: int, times: int, seed: int, keep: Path | None, writes: bool
) -> None:
    """Print the table as Markdown."""
    if writes and only:
        raise click.UsageError("--write is for the whole table: leave out --only")
    os.environ["OMP_NUM_THREADS"] = "1"
    rows: list[tuple[str, ...]] = []
    with scratch(keep) as folder:
        workplace = Workplace(folder, seed, kills, times)
        for kind in only or KINDS:
            rows += [row(kind, *each, folder) for each in all_tried(KINDS[kind], workplace)]
    table = tabulate(rows, HEAD, "pipe")
    click.echo(table)
    if writes:
        write(table)
    sys.exit(any(one[HEAD.index("outcome")] == WRONG for one in rows))


if __name__ == "__main__":
    main()
