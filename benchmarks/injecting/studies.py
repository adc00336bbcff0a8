"""The same of a study, which learns before it measures: killed, and its own files damaged."""

import time
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from shutil import rmtree

from runs import SMALL_SUITE

from injecting.damages import DAMAGES, outcome
from injecting.kills import killed_when, passed
from injecting.outcomes import IDENTICAL, Fault, Outcome, expect
from injecting.workplace import Case, Workplace

STUDY = """
name = "faults"
view = "finetune"
protocols = ["denoiser-mse"]
bases = ["ls"]
axes = [["q"]]
"""
QUICK = ("--items", "4", "--steps", "4", "--batch", "16", "--evaluate-every", "2")


@dataclass(frozen=True)
class StudyCase(Case):
    """A folder in which a study is carried out."""

    @property
    def run_dir(self) -> Path:
        return self.folder / "out" / "run"

    def command(self, *more: str, processes: int = 1) -> list[str]:
        """`fpmc-bench study`, with more options."""
        (self.folder / "study.toml").write_text(STUDY)
        (self.folder / "small.toml").write_text(SMALL_SUITE)
        start = super().command()[:3]
        return [
            *(*start, "study", "study.toml", "--suite", "small.toml", "--out", "out", *QUICK),
            *("--validation-items", "8", "--processes", str(processes), "--quiet", *more),
        ]


@cache
def undisturbed(workplace: Workplace) -> tuple[StudyCase, float]:
    """A study that has ended, and the seconds that it took."""
    case = new(workplace)
    began, done = time.monotonic(), case.run()
    expect(done.status == 0, f"ended with {done.status}: {done.message}")
    return case, time.monotonic() - began


def new(workplace: Workplace, *, of: Case | None = None) -> StudyCase:
    """A folder for another, or a copy of one."""
    case = workplace.case(of=of)
    return StudyCase(case.folder, case.suite, case.pictures, case.usual)


def killed(workplace: Workplace, processes: int) -> Outcome:
    """At random moments; then the same command, to its end."""
    whole, seconds = undisturbed(workplace)
    hit = 0
    for number in range(workplace.times):
        case = new(workplace)
        moment = workplace.random(("study", processes, number)).uniform(0, seconds)
        hit += killed_when(case, passed(moment), processes)
        done = case.run(processes=processes)
        expect(done.status == 0, f"again: {done.status}, {done.message}")
        expect(case.results() == whole.results(), "other records")
    return Outcome(hit, f"survived {hit} of {hit}", IDENTICAL)


def damaged(workplace: Workplace, pattern: str) -> Outcome:
    """All such files, by each damage; what was made of them is gone."""
    whole, _ = undisturbed(workplace)
    n, message = 0, ""
    for name, damage in DAMAGES.items():
        case, draw = new(workplace, of=whole), workplace.random((pattern, name))
        files = sorted(case.folder.glob(pattern))
        for path in files:
            damage(path, draw)
        for path in case.folder.glob("out/weights/*.safetensors"):
            path.unlink()  # which levels are joined to
        rmtree(case.run_dir)
        done = case.run()
        expect(done.status == 0, f"{name}: ended with {done.status}: {done.message}")
        expect(case.results() == whole.results(), f"{name}: other records")
        told = [line for line in done.said if any(path.name in line for path in files)]
        named = [path for path in files if any(path.name in line for line in told)]
        expect(len(named) == len(files), f"{name}: only {len(named)} named: {done.message}")
        n, message = n + len(files), told[0]
    return Outcome(n, outcome(n, 0), IDENTICAL, message)


FAULTS = (
    *(
        Fault(
            f"a study by {processes} process{'es' * (processes > 1)} killed at random moments",
            partial(killed, processes=processes),
            crowded=processes > 1,
        )
        for processes in (1, 2)
    ),
    *(
        Fault(f"{what}: {' / '.join(DAMAGES)}", partial(damaged, pattern=pattern))
        for what, pattern in (
            ("study.json", "out/study.json"),
            ("fine-tuned noise levels", "out/weights/levels/*.safetensors"),
        )
    ),
)
