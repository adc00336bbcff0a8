"""Reads thousands of damaged files with everything of fpmc_bench that reads files.

    python benchmarks/fuzz.py                       1000 files for each of them
    python benchmarks/fuzz.py --only 'image zip' --inputs 20000 --seed 7
    python benchmarks/fuzz.py --only records --first 774 --inputs 1     one of them again

A sound file is damaged (bits, lengths, cuts, odd numbers, deep nesting, also inside of archives)
and read. It may turn out to be readable; it may be refused by an error of `fpmc_bench.errors`, or
be taken for not there, where the reader's promise is to make it anew. Any other error, more memory
than such a file can need, or half a minute is wrong.

Prints a table of what became of the files, a row a reader. Each reader is a process of its own
that may have two GiB more than it begins with. What went wrong is kept under --keep, with a line
that says how. Exit status 1 where anything did.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import psutil
from tabulate import tabulate

ROOT = Path(__file__).parent.parent
sys.path[:0] = [
    str(ROOT / "benchmarks"),
    str(ROOT / "tests"),
]  # whose helpers write the sound files

from fuzzing.loaders import LOADERS  # noqa: E402
from fuzzing.trials import Loader, Trial, trials  # noqa: E402

MORE_MEMORY_BYTES = 2**31
SHOWN = 8
"""How many wrong trials of a reader are told; all are counted and kept."""


@dataclass
class Tally:
    """What became of a reader's files; `died` where its process did not live to tell."""

    name: str
    outcomes: dict[str, int]
    peak_bytes: int
    died: str = ""

    @property
    def wrong(self) -> int:
        good = self.outcomes.get("read", 0) + self.outcomes.get("refused", 0)
        return sum(self.outcomes.values()) - good + bool(self.died)

    @property
    def cells(self) -> list[str | int]:
        known = [self.outcomes.get(name, 0) for name in ("read", "refused")]
        return [
            self.name,
            sum(self.outcomes.values()),
            *known,
            self.wrong,
            self.peak_bytes // 2**20,
        ]


def fuzzed(loader: Loader, seed: int, numbers: range, keep: Path) -> Tally:
    """In this process; what goes wrong is kept in a folder of the loader's name, and told."""
    outcomes: Counter[str] = Counter()
    peak_bytes = wrong = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for trial in trials(loader, Path(folder), seed, numbers):
            outcomes[trial.outcome] += 1
            peak_bytes = max(peak_bytes, trial.peak_bytes)
            if trial.wrong:
                kept = _kept(loader, seed, trial, keep)
                wrong += 1
                if wrong <= SHOWN:
                    click.echo(f"{loader.name}: {kept}: {trial.outcome}: {trial.said}", err=True)
    return Tally(loader.name, dict(outcomes), peak_bytes)


def _kept(loader: Loader, seed: int, trial: Trial, keep: Path) -> Path:
    folder = keep / loader.name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{seed}-{trial.number}-{trial.file}"
    path.write_bytes(trial.content)
    told = {"reader": loader.name, "seed": seed, "number": trial.number}
    told |= {"outcome": trial.outcome, "said": trial.said}
    path.with_name(f"{path.name}.txt").write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    return path


def in_a_child(loader: Loader, seed: int, numbers: range, keep: Path) -> Tally:
    """`fuzzed` in a process of its own, which may end as it likes."""
    command = [sys.executable, __file__, "--here", "--only", loader.name, "--seed", str(seed)]
    command += ["--first", str(numbers.start), "--inputs", str(len(numbers)), "--keep", str(keep)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode or not done.stdout.startswith("{"):
        click.echo(f"{loader.name}: its process ended with {done.returncode}", err=True)
        return Tally(loader.name, {}, 0, died=str(done.returncode))
    return Tally(**json.loads(done.stdout))


def limit_memory() -> None:
    most = psutil.Process().memory_info().vms + MORE_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@click.command(help=(__doc__ or "").replace("    python", "\b\n    python"))
@click.option("--only", multiple=True, help="Of this reader; see the table for their names.")
@click.option("--inputs", default=1000, show_default=True, help="Damaged files a reader.")
@click.option("--seed", default=0, show_default=True, help="Of all damage.")
@click.option("--first", default=0, help="The number of the first: each can be made again alone.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("fuzz-findings"),
    show_default=True,
    help="Where to keep the files that went wrong.",
)
@click.option("--here", is_flag=True, hidden=True, help="In this process, for one reader.")
def main(only: tuple[str, ...], inputs: int, seed: int, first: int, keep: Path, here: bool) -> None:
    known = {loader.name: loader for loader in LOADERS}
    if unknown := [name for name in only if name not in known]:
        raise click.UsageError(f"--only {unknown[0]}: no such reader; known: {', '.join(known)}")
    numbers = range(first, first + inputs)
    if here:
        limit_memory()
        click.echo(json.dumps(asdict(fuzzed(known[only[0]], seed, numbers, keep))))
        return
    tallies = [in_a_child(known[name], seed, numbers, keep) for name in only or known]
    headers = ["reader", "files", "read", "refused", "wrong", "peak MiB"]
    click.echo(tabulate([one.cells for one in tallies], headers, "github"))
    wrong = sum(one.wrong for one in tallies)
    click.echo(f"\n{sum(sum(one.outcomes.values()) for one in tallies)} files, {wrong} wrong.")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
