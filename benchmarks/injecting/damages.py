"""Files of a finished run cut short, emptied, or with one bit turned: found, said, made anew."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from shutil import rmtree

from damage import emptied, truncated, turned

from fpmc_bench.documents.record import read_records
from fpmc_bench.documents.status import STATUS, read_status
from fpmc_bench.errors import RunError
from fpmc_bench.results.checks import refuse_altered
from fpmc_bench.results.table import RANKED_BY
from injecting.outcomes import IDENTICAL, Fault, Outcome, expect
from injecting.workplace import Case, Workplace

Damage = Callable[[Path, Random], object]
DAMAGES: dict[str, Damage] = {
    "cut to half": lambda path, draw: truncated(path),
    "emptied": lambda path, draw: emptied(path),
    "a bit turned": lambda path, draw: turned(path, draw.random(), draw.randrange(8)),
}


@dataclass(frozen=True)
class Target:
    """Files of one kind, and what has to be gone for a run to look at them again."""

    files: str
    patterns: Sequence[str]
    without: Sequence[str] = ()


SHOWN = ("run/records", "run/samples")
WORK = (*SHOWN, "run/ledger")
RECORDS = "records (JSON)"
TARGETS = (
    Target("units of the ledger", ("run/ledger/*.npz",), SHOWN),
    Target("decoded images", ("cache/images/*.npy",), WORK),
    Target("notes of what image files hold", ("cache/images/known/*",)),
    Target("images that an augmentation made", ("cache/translate/*.npy",), WORK),
    Target(
        "fitted spectra and sensitivity maps",
        ("cache/spectrum/*.safetensors", "cache/sensitivity/*.safetensors"),
        WORK,
    ),
    Target("run.json", ("run/run.json",)),
    Target("failures.json", ("run/failures.json",)),
    Target(RECORDS, ("run/records/*.json",)),
    Target("per-item values of records (npz)", ("run/records/*.npz",)),
    Target("samples and trajectories", ("run/samples/*.npz",)),
)
FAILURES = '{"failures": [{"entry": "mine", "protocol": "denoiser-mse", "reason": "it raised"}]}\n'


def damaged(workplace: Workplace, target: Target) -> Outcome:
    """All files of a kind at once, by each damage in a copy of the undisturbed run's folders."""
    each = [damaged_by(workplace, target, name) for name in DAMAGES]
    n, found = sum(files for files, *_ in each), sum(named for _, named, *_ in each)
    compared = ", ".join(dict.fromkeys(how for *_, how, _ in each))
    return Outcome(n, outcome(found, n - found), compared, each[0][-1])


def damaged_by(workplace: Workplace, target: Target, name: str) -> tuple[int, int, str, str]:
    """How many files there are, how many were named, how records compare, and a line.

    Each is named by a line, or it is one in which the bit that was turned says nothing.
    """
    case, draw = workplace.case(of=workplace.undisturbed), workplace.random((target.files, name))
    (case.run_dir / "failures.json").write_text(FAILURES)
    for folder in target.without:
        rmtree(case.folder / folder)
    files = sorted(path for one in target.patterns for path in case.folder.glob(one))
    for path in files:
        DAMAGES[name](path, draw)
    done = case.run()
    expect(done.status == 0, f"{name}: ended with {done.status}: {done.message}")
    told = [line for line in done.said if any(str(path) in line for path in files)]
    named = [path for path in files if any(str(path) in line for line in told)]
    silent = name == "a bit turned" and len(files) > 1
    expect(silent or len(named) == len(files), f"{name}: {len(named)} of {len(files)} were named")
    beside = [
        one for one in done.said if not any(str(path.with_suffix("")) in one for path in files)
    ]
    expect(not beside, f"{name}: said beside: {beside}")
    return len(files), len(named), records(case, workplace, target, files, named), told[0]


def outcome(found: int, quiet: int) -> str:
    """In words."""
    return f"{found} found and made anew" + (f"; in {quiet} the bit says nothing" if quiet else "")


def records(
    case: Case, workplace: Workplace, target: Target, files: list[Path], named: list[Path]
) -> str:
    """How they compare; `BrokenPromiseError` where they may not differ so.

    Of records that are damaged themselves a figure may end in another digit, beyond the ninth.
    """
    here, expected = case.results(), workplace.results
    if here == expected:
        return IDENTICAL
    other = {name for name in {**here, **expected} if here.get(name) != expected.get(name)}
    quiet = {path.name for path in files if path not in named}
    expect(target.files == RECORDS and other <= quiet, f"other records: {', '.join(other)}")
    try:
        for record, values in read_records(case.run_dir / "records"):
            refuse_altered(record, values, RANKED_BY)
    except RunError as error:
        expect(False, str(error))
    return f"identical to 1e-9 in {len(other)}, else to the last bit"


def status_damaged(workplace: Workplace) -> Outcome:
    """What `fpmc-bench status` reads, which tells by records then; a run writes it anew, unread."""
    for name, damage in DAMAGES.items():
        case, draw = workplace.case(of=workplace.undisturbed), workplace.random(("status", name))
        path = case.run_dir / STATUS
        whole = path.read_bytes()
        while readable(path):
            path.write_bytes(whole)
            damage(path, draw)
        done = subprocess.run(
            [*case.command()[:3], "status", str(case.run_dir)],
            env=case.variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        expect(done.returncode == 0, f"{name}: ended with {done.returncode}: {done.stderr}")
        said = [line for line in done.stdout.splitlines() if f"{path} is damaged" in line]
        expect(len(said) == 1, f"{name}: {done.stdout}")
        again = case.run()
        expect(again.status == 0 and not again.said, f"{again.status}: {again.message}")
        expect(readable(path), "it is still damaged")
        expect(case.results() == workplace.results, "other records")
    return Outcome(len(DAMAGES), "status said so, a run wrote it anew", IDENTICAL, said[0])


def readable(path: Path) -> bool:
    """Whether it is a status: a bit of it may say another one."""
    try:
        return read_status(path.parent) is not None
    except RunError:
        return False


FAULTS = (
    *(
        Fault(f"{target.files}: {' / '.join(DAMAGES)}", partial(damaged, target=target))
        for target in TARGETS
    ),
    Fault(f"{STATUS}: {' / '.join(DAMAGES)}", status_damaged),
)
