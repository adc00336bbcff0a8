"""SIGKILL, which nobody can prepare for: at random moments, and as certain files appear."""

import subprocess
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial

import psutil

from injecting.outcomes import IDENTICAL, Fault, Outcome, expect
from injecting.workplace import Case, Workplace, side_by_side

MOST_IN_A_ROW = 9
LOOK_SECONDS = 0.0005
EVENTS = (
    "run/run.json",
    "run/ledger/.*partial*",
    "run/ledger/*.npz",
    "run/records/.*partial*",
    "run/records/*.npz",
    "run/records/*.json",
    "run/samples/sample-mse.npz",
    "run/samples/trajectories.npz",
    "run/tables/*",
    "run/figures/*.png",
    "cache/images/*.npy",
    "cache/translate/.*partial*",
    "cache/translate/*.npy",
    "cache/spectrum/*",
    "cache/sensitivity/*.safetensors",
)
"""Files as which a run is killed: the windows that a random moment seldom meets."""


def kill(process: subprocess.Popen[str], *, launcher_alone: bool = False) -> None:
    """All processes of a command, or the first alone, after which the others have to end."""
    first = psutil.Process(process.pid)
    others = first.children(recursive=True)
    for one in (first, *(() if launcher_alone else others)):
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.communicate()
    _, left = psutil.wait_procs(others, timeout=30)
    for one in left:
        one.kill()
    expect(not left, f"{len(left)} processes went on without their launcher")


def killed_when(
    case: Case, ready: Callable[[], bool], processes: int, *, launcher_alone: bool = False
) -> bool:
    """Start the run and kill it once `ready`; False where it ended before, which it has to well."""
    process = case.start(case.command(processes=processes))
    while process.poll() is None:
        if ready():
            kill(process, launcher_alone=launcher_alone)
            return True
        time.sleep(LOOK_SECONDS)
    done = case.ended(process)
    expect(done.status == 0, f"a run ended with {done.status}: {done.message}")
    return False


def phase(case: Case, rows: int) -> str:
    """What a run was at when it was killed, by what it has left."""
    there = len(list(case.run_dir.glob("records/*.json")))
    if not (case.run_dir / "run.json").exists():
        return "starting"
    if there < rows:
        return "publishing" if there else "computing"
    return "drawing" if not list(case.run_dir.glob("figures/*-samples.png")) else "repeating"


def at_random(workplace: Workplace, processes: int) -> Outcome:
    """`kills` of them; folders in turn are given a run to its end after one, or are killed on."""
    seconds = workplace.seconds(processes)
    tickets = deque(range(workplace.kills))
    rows = sum(name.endswith(".json") for name in workplace.results)
    phases: Counter[str] = Counter()

    def one_folder(number: int) -> int:
        """1, or 0 where the others have made all kills that were asked for."""
        case, draw = workplace.case(), workplace.random(("kills", processes, number))
        for turn in range(MOST_IN_A_ROW if number % 2 else 1):
            try:
                ticket = tickets.popleft()
            except IndexError:
                if turn == 0:
                    return 0
                break
            ready = passed(draw.uniform(0, seconds))
            alone = processes > 1 and draw.random() < 0.5
            if not killed_when(case, ready, processes, launcher_alone=alone):
                tickets.append(ticket)
                break
            phases[phase(case, rows)] += 1
        went_on(case, workplace, processes)
        return 1

    folders = tried = 0
    while tickets:
        folders += sum(side_by_side(one_folder, range(tried, tried + 4), processes))
        tried += 4
    hit = ", ".join(f"{count} {name}" for name, count in phases.most_common())
    n, message = phases.total(), f"in {folders} folders; killed while {hit}"
    return Outcome(n, f"survived {n} of {n}", IDENTICAL, message)


def passed(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have, from now on."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def went_on(case: Case, workplace: Workplace, processes: int) -> None:
    """By the same command, to its end."""
    done = case.run(processes=processes)
    expect(done.status == 0, f"given again it ended with {done.status}: {done.message}")
    expect(case.results() == workplace.results, f"{case.folder} has other records")
    expect(not case.unfinished(), f"half-written files are left: {case.unfinished()}")


def as_files_appear(workplace: Workplace, processes: int) -> Outcome:
    """Once for each pattern of `EVENTS`, in a folder of its own; by several the run's alone.

    For some of them, where fewer kills than that are asked for.
    """

    def one(pattern: str) -> bool:
        case = workplace.case()
        hit = killed_when(case, lambda: any(case.folder.glob(pattern)), processes)
        went_on(case, workplace, processes)
        return hit

    events = EVENTS if processes == 1 else [one for one in EVENTS if one.startswith("run/")]
    draw = workplace.random(("events", processes))
    chosen = draw.sample(events, min(len(events), workplace.kills))
    n = sum(side_by_side(one, chosen, processes))
    return Outcome(n, f"survived {n} of {n}", IDENTICAL)


FAULTS = (
    *(
        Fault(
            f"a run of {processes} process{'es' * (processes > 1)} killed at random moments",
            partial(at_random, processes=processes),
            crowded=True,
        )
        for processes in (1, 2, 3)
    ),
    *(
        Fault(
            f"a run of {processes} process{'es' * (processes > 1)} killed as a file appears, begun "
            f"or whole (run.json, units, records, samples, tables, figures{cache})",
            partial(as_files_appear, processes=processes),
            crowded=True,
        )
        for processes, cache in ((1, ", what the cache keeps"), (2, ""))
    ),
)
