"""Denoisers that do what they must not: a row fails, by name, and no other is moved."""

import json
from functools import partial
from pathlib import Path

import bad_plugins
from bad_plugins import ACTS

from injecting.outcomes import IDENTICAL, Fault, Outcome, expect
from injecting.workplace import Case, Workplace

FILE = Path(bad_plugins.__file__)
SOUND = "optimal.denoiser-mse"
"""The row beside it."""
TIMEOUT_SECONDS = 5
DOES = {
    "raises": "raises an exception",
    "recursion": "calls itself for ever",
    "memory": "asks for more memory than there is",
    "nan": "answers NaN",
    "shape": "answers another shape",
    "directory": "changes the working directory",
    "exit": "calls sys.exit(0)",
    "os-exit": "calls os._exit(3)",
    "libc-exit": "calls _exit(0) of the C library",
    "exit-in-thread": "calls os._exit(3) in a thread",
    "segfault": "reads address 0",
    "abort": "calls abort()",
    "sigkill": "sends itself SIGKILL",
    "sigterm": "sends itself SIGTERM",
    "endless": "never ends, and catches whatever would end it",
    "endless-c": "never ends, in C, with the interpreter's lock",
    "lock": "waits for a lock that it holds",
    "fork": "forks, and both halves go on",
    "prints": "prints, warns, writes past Python, and has a child that prints",
    "floods": "prints millions of letters",
    "closes": "closes stdout and stderr",
    "thread": "leaves a thread behind",
    "thread-raises": "has a thread that raises",
    "child": "leaves a child behind that sleeps for hours",
}
HARMLESS = frozenset(
    ("exit-in-thread", "fork", "prints", "floods", "closes", "thread", "thread-raises", "child")
)
"""Nothing that would make a figure wrong: these rows have figures."""


def misbehaves(workplace: Workplace, act: str) -> Outcome:
    """In a row beside a sound one, in a run that is given a time for each unit."""
    case = workplace.case()
    bad = f'{act}={FILE}[how="{act}"]'
    done = case.run(
        *("-p", "denoiser-mse", "-d", SOUND.partition(".")[0], "-d", bad),
        *("--unit-timeout", str(TIMEOUT_SECONDS)),
    )
    expect(alike(case, workplace), f"the row beside it has other figures: {done.message[-600:]}")
    reason = failures(case).get(act, "")
    if act in HARMLESS:
        expect(done.status == 0 and not reason, f"{done.status}, {reason}: {done.message[-600:]}")
        return Outcome(1, "its row has figures", f"{IDENTICAL} (the other row)", done.message)
    expect(done.status == 1, f"ended with {done.status}: {done.message[-600:]}")
    expect(reason, f"its row is not among failures.json: {done.message[-600:]}")
    return Outcome(1, "its row failed, the run went on", f"{IDENTICAL} (the other row)", reason)


def failures(case: Case) -> dict[str, str]:
    """Why rows failed, by entry."""
    path = case.run_dir / "failures.json"
    if not path.is_file():
        return {}
    return {one["entry"]: one["reason"] for one in json.loads(path.read_text())["failures"]}


def alike(case: Case, workplace: Workplace) -> bool:
    """Whether the sound row's record is that of the undisturbed run."""
    here, expected = case.results(), workplace.results
    names = [f"{SOUND}.json", f"{SOUND}.npz"]
    return all(name in here and here[name] == expected[name] for name in names)


FAULTS = tuple(
    Fault(f"a denoiser {DOES[act]}", partial(misbehaves, act=act)) for act in ACTS if act
)
