"""One-line faults, put one at a time into a copy of the package: which test notices each, and when.

    python benchmarks/mutations.py [--only units.py] [--json found.json]

`mutations.toml` lists them: each moves a figure or loses a promise, and names the tests that are to
notice it within a minute. All of these are first run without any fault, and must pass. Prints each
row when it is there and a markdown table at the end; exits with 1 where a fault goes unnoticed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
from tabulate import tabulate

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_suffix(".toml")
COPIED = ("fpmc_bench", "plugins", "tests", "docs", "pyproject.toml")
LIMIT_S = 60.0
SOUND_LIMIT_S = 900.0
"""For all tests together, without a fault."""
PASSED, FAILED = 0, 1
FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", re.MULTILINE)
GUARD = """
from pathlib import Path

import fpmc_bench
import fpmc_plugins
from hypothesis import Phase, settings

here = Path(__file__).resolve().parent
for package in (fpmc_bench, fpmc_plugins):
    found = Path(package.__file__).resolve()
    assert found.is_relative_to(here), f"{found} was imported, which is not in the copy {here}"

# the same examples every time, and none is made smaller
phases = (Phase.explicit, Phase.generate)
settings.register_profile("guard", derandomize=True, database=None, deadline=None, phases=phases)
settings.load_profile("guard")
"""


@dataclass(frozen=True)
class Mutation:
    """Line `old` of `file` becomes `new`, both without indentation; `fault` says what that does."""

    file: str
    old: str
    new: str
    fault: str
    tests: tuple[str, ...]
    """Files, or single tests, in `tests/`."""

    @property
    def text(self) -> str:
        """All that it is found by."""
        return "\n".join((self.file, self.old, self.new, self.fault))

    def applied(self, root: Path) -> str:
        """The content of the file with the fault; ClickException unless `old` is there once."""
        lines = (root / self.file).read_text(encoding="utf-8").splitlines(keepends=True)
        found = [index for index, line in enumerate(lines) if line.strip() == self.old]
        if len(found) != 1:
            raise click.ClickException(
                f"{self.file} has the line '{self.old}' {len(found)} times; expected once: bring "
                f"{TABLE.name} up to date"
            )
        (index,) = found
        lines[index] = lines[index].replace(self.old, self.new)
        return "".join(lines)


@dataclass(frozen=True)
class Outcome:
    """The first test that failed, None where none did within the limit."""

    noticed_by: str | None
    seconds: float
    report: str = field(default="", repr=False)
    """What pytest printed of it."""


def mutations() -> list[Mutation]:
    """All of the table."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**{**row, "tests": tuple(row["tests"])}) for row in rows]


class Copy:
    """A copy of the package with its tests, in `folder`; the checkout is never touched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        for name in COPIED:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=ignored)
            else:
                shutil.copy2(source, target)
        (folder / "guard.py").write_text(GUARD, encoding="utf-8")

    @contextmanager
    def broken(self, mutation: Mutation) -> Iterator[None]:
        """With the fault inside the block.

        Runs inside must not write compiled files: those of the sound copy would go.
        """
        target = self.folder / mutation.file
        target.write_text(mutation.applied(self.folder), encoding="utf-8")
        try:
            yield
        finally:
            shutil.copy2(ROOT / mutation.file, target)

    def run(self, tests: Sequence[str], limit_s: float, *, compiling: bool = False) -> Outcome:
        """The tests up to the first that fails. ClickException where they can't be run at all."""
        command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", "-p", "no:cacheprovider"]
        command += ["-p", "guard", *(f"tests/{one}" for one in tests)]
        paths = [str(self.folder), str(self.folder / "plugins"), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        if not compiling:
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        started = time.perf_counter()
        status, output = _finished(command, self.folder, environment, limit_s)
        seconds = time.perf_counter() - started
        if status in (None, PASSED):
            return Outcome(None, seconds)
        failure = FIRST_FAILURE.search(output)
        if status != FAILED or failure is None:
            raise click.ClickException(f"pytest ended with {status}:\n{output[-2000:]}")
        return Outcome(failure[1].removeprefix("tests/"), seconds, output)


def _finished(
    command: Sequence[str], folder: Path, environment: dict[str, str], limit_s: float
) -> tuple[int | None, str]:
    """Exit status and output; None for what was not done in time: all of its group is killed."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, ""
    return process.returncode, output


def check_sound(copy: Copy, chosen: Sequence[Mutation]) -> None:
    """ClickException unless all tests pass without any fault."""
    tests = sorted({test for mutation in chosen for test in mutation.tests})
    outcome = copy.run(tests, SOUND_LIMIT_S, compiling=True)
    if outcome.noticed_by is not None:
        raise click.ClickException(
            f"{outcome.noticed_by} fails without any fault:\n{outcome.report[-4000:]}"
        )
    if outcome.seconds >= SOUND_LIMIT_S:
        raise click.ClickException(f"the tests take more than {SOUND_LIMIT_S:g} s without a fault")
    click.echo(f"without a fault all tests pass, in {outcome.seconds:.0f} s", err=True)


def cells(mutation: Mutation, outcome: Outcome | None) -> list[str]:
    """A row of the table; of a mutation that was only listed, without what came of it."""
    code = f"`{mutation.new}`".replace("|", r"\|")
    row = [mutation.file.removeprefix("fpmc_bench/"), code, mutation.fault]
    if outcome is None:
        return [*row, ", ".join(mutation.tests)]
    return [*row, outcome.noticed_by or "NOTHING", f"{outcome.seconds:.1f}"]


@click.command(help=(__doc__ or "").replace("    python", "\b\n    python"))
@click.option(
    "--only", multiple=True, help="Those with this in their file, their lines or their fault."
)
@click.option("--list", "listing", is_flag=True, help="What there is; nothing is run.")
@click.option("--limit", "limit_s", default=LIMIT_S, show_default=True, help="Seconds for each.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Everything, for programs.",
)
def main(only: tuple[str, ...], listing: bool, limit_s: float, json_path: Path | None) -> None:
    chosen = [one for one in mutations() if not only or any(part in one.text for part in only)]
    if not chosen:
        raise click.UsageError(f"--only {', '.join(only)}: no mutation has that")
    for mutation in chosen:
        mutation.applied(ROOT)
    headers = ["file", "line", "fault"]
    if listing:
        rows = [cells(mutation, None) for mutation in chosen]
        click.echo(tabulate(rows, [*headers, "tests"], "github", disable_numparse=True))
        return
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copy = Copy(Path(folder))
        check_sound(copy, chosen)
        for mutation in chosen:
            with copy.broken(mutation):
                outcomes.append(copy.run(mutation.tests, limit_s))
            click.echo(" | ".join(cells(mutation, outcomes[-1])), err=True)
    found = list(zip(chosen, outcomes, strict=True))
    rows = [cells(mutation, outcome) for mutation, outcome in found]
    headers += ["noticed by", "seconds"]
    click.echo(tabulate(rows, headers, "github", disable_numparse=True))
    if json_path:
        content = [
            {**asdict(mutation), "noticed_by": outcome.noticed_by, "seconds": outcome.seconds}
            for mutation, outcome in found
        ]
        json_path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    survivors = sum(outcome.noticed_by is None for outcome in outcomes)
    click.echo(f"\n{len(found)} faults, {survivors} unnoticed.")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
