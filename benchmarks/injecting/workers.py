"""One process of several killed: said in a line within seconds, and nobody goes on alone."""

import time
from functools import partial

import psutil

from injecting.outcomes import IDENTICAL, Fault, Outcome, expect
from injecting.workplace import Workplace

NOTICED_SECONDS = 10


def workers(launcher: int, count: int) -> list[psutil.Process]:
    """The processes that a launcher has started, by rank; waits until all have begun."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = {}
        for one in psutil.Process(launcher).children(recursive=True):
            try:
                variables = one.environ()
            except psutil.Error:
                continue
            if "RANK" in variables and "torch.distributed.run" not in " ".join(one.cmdline()):
                found[int(variables["RANK"])] = one
        if len(found) == count:
            return [found[rank] for rank in range(count)]
        time.sleep(0.05)
    raise AssertionError(f"no {count} processes have begun")


def one_killed(workplace: Workplace, processes: int) -> Outcome:
    """At a random moment of the run's life, any of them; then the same command again."""
    seconds, message, longest = workplace.seconds(processes), "", 0.0
    for number in range(workplace.times):
        case, draw = workplace.case(), workplace.random(("worker", processes, number))
        launcher = case.start(case.command(processes=processes))
        others = workers(launcher.pid, processes)
        rank = draw.randrange(processes)
        time.sleep(draw.uniform(0, seconds / 2))
        others[rank].kill()
        killed = time.monotonic()
        done = case.ended(launcher)
        longest = max(longest, time.monotonic() - killed)
        expect(not psutil.wait_procs(others, timeout=10)[1], "others go on without it")
        expect(done.status == 1, f"ended with {done.status}: {done.message}")
        said = f"process {rank} of {processes} was ended by SIGKILL"
        expect(len(done.said) == 1 and said in done.message, done.message)
        again = case.run(processes=processes)
        expect(again.status == 0, f"again: {again.status}, {again.message}")
        expect(case.results() == workplace.results, "other records")
        message = done.message
    expect(longest < NOTICED_SECONDS, f"noticed after {longest:.0f} s")
    return Outcome(
        workplace.times,
        f"noticed within {longest:.1f} s; given again it went on",
        IDENTICAL,
        message,
    )


FAULTS = tuple(
    Fault(
        f"one worker of --processes {processes} killed",
        partial(one_killed, processes=processes),
        crowded=True,
    )
    for processes in (2, 3)
)
