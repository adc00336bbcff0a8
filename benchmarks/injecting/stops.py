"""SIGTERM, as a scheduler sends it, and SIGINT, as Ctrl-C does: an end within seconds."""

import signal
import time
from functools import partial

import psutil

from injecting.outcomes import IDENTICAL, Fault, Outcome, expect
from injecting.workplace import Workplace

ENDED_SECONDS = 10


def stopped(workplace: Workplace, sent: signal.Signals, processes: int) -> Outcome:
    """At a random moment of the run's life; then the same command again, to its end."""
    seconds, longest, n, lines, message = workplace.seconds(processes), 0.0, 0, 0, ""
    for number in range(2 * workplace.times):
        case, draw = workplace.case(), workplace.random((sent.name, processes, number))
        process = case.start(case.command(processes=processes))
        time.sleep(draw.uniform(0, seconds))
        if process.poll() is None:
            others = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(sent)
            began, done = time.monotonic(), case.ended(process)
            if done.status == 0:
                continue  # it was at its end
            n, longest = n + 1, max(longest, time.monotonic() - began)
            expect(done.status == -sent, f"ended with {done.status}: {done.message}")
            expect(len(done.said) <= 1, f"said {done.message}")
            expect(not psutil.wait_procs(others, timeout=0.5)[1], "workers were left behind")
            expect(not case.unfinished(), "half-written files are left")
            lines, message = lines + len(done.said), done.message or message
        else:
            case.ended(process)
        again = case.run(processes=processes)
        expect(again.status == 0, f"again: {again.status}, {again.message}")
        expect(case.results() == workplace.results, "other records")
        if n == workplace.times:
            break
    expect(longest < ENDED_SECONDS, f"ended after {longest:.0f} s")
    what = f"ended of it within {longest:.1f} s ({lines} by a line); given again it went on"
    return Outcome(n, what, IDENTICAL, message)


FAULTS = tuple(
    Fault(
        f"{sent.name} to a run of {processes} process{'es' * (processes > 1)} at random moments",
        partial(stopped, sent=sent, processes=processes),
        crowded=processes > 1,
    )
    for sent in (signal.SIGTERM, signal.SIGINT)
    for processes in (1, 2)
)
