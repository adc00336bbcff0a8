"""Several runs at the same time: of one folder, which one of them gets, and of one cache."""

from functools import partial
from pathlib import Path

from injecting.kills import killed_when
from injecting.outcomes import IDENTICAL, Fault, Outcome, expect
from injecting.workplace import Workplace


def one_folder(workplace: Workplace, processes: int) -> Outcome:
    """Started at the same moment: one holds the folder to its end, and the other is refused."""
    message = ""
    for _ in range(workplace.times):
        case = workplace.case()
        both = [case.start(case.command(processes=processes)) for _ in range(2)]
        ended = sorted((case.ended(one) for one in both), key=lambda done: done.status)
        expect([done.status for done in ended] == [0, 1], str([done.status for done in ended]))
        refused = ended[1]
        expect(len(refused.said) == 1, refused.message)
        expect("in use by another run" in refused.message, refused.message)
        expect(case.results() == workplace.results, "other records")
        message = refused.message.replace(f"{case.folder}/", "")
    return Outcome(workplace.times, "one ran, one was refused", IDENTICAL, message)


def one_cache(workplace: Workplace) -> Outcome:
    """Started at the same moment with nothing in it; both find or make all that they need."""
    for _ in range(workplace.times):
        first = workplace.case()
        second = workplace.case(shares=first)
        both = [(one, one.start(one.command())) for one in (first, second)]
        for case, process in both:
            done = case.ended(process)
            expect(done.status == 0, f"ended with {done.status}: {done.message}")
            expect(not done.said, done.message)
            expect(case.results() == workplace.results, "other records")
        made = sorted(path.name for path in first.cache.rglob("*.[ns][pa]*"))
        alone = sorted(path.name for path in workplace.undisturbed.cache.rglob("*.[ns][pa]*"))
        expect(made == alone, f"{len(made)} files in the cache, not {len(alone)}")
    return Outcome(2 * workplace.times, "both went on", IDENTICAL)


def one_cache_and_a_kill(workplace: Workplace) -> Outcome:
    """One of the two is killed as soon as it has begun a file that the other waits for."""
    pattern = "cache/translate/.*partial*"
    for _ in range(workplace.times):
        first = workplace.case()
        second = workplace.case(shares=first)
        other = second.start(second.command())
        killed_when(first, partial(_any_file, first.folder, pattern), 1)
        for case, done in ((second, second.ended(other)), (first, first.run())):
            expect(done.status == 0, f"ended with {done.status}: {done.message}")
            expect(case.results() == workplace.results, "other records")
    return Outcome(
        2 * workplace.times, "the other went on, and so did the killed one, again", IDENTICAL
    )


def _any_file(folder: Path, pattern: str) -> bool:
    return any(folder.glob(pattern))


FAULTS = (
    Fault(
        "two runs of one folder, started together", partial(one_folder, processes=1), crowded=True
    ),
    Fault("the same, of two processes each", partial(one_folder, processes=2), crowded=True),
    Fault("two runs of one empty cache, started together", one_cache, crowded=True),
    Fault(
        "the same, one of them killed as it or the other writes there",
        one_cache_and_a_kill,
        crowded=True,
    ),
)
