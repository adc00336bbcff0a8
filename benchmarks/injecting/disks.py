"""Disks without room, and folders that can't be written into: small file systems of our own.

They are mounted in a namespace of the command's own, which Linux gives to root, and to others where
it is set up so; root may write into a folder whatever its permissions say.
"""

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from injecting.outcomes import IDENTICAL, Fault, Outcome, UntriedError, expect
from injecting.workplace import Case, Done, Workplace

NAMESPACE = ("unshare", "--map-root-user", "--mount", "sh", "-c")
PAGE_BYTES = 4096
TWICE = """
mount -t tmpfs -o size={bytes} tmpfs "$0" || exit 99
"$@" 2> "$0.said"; echo $? > "$0.status"
mount -o remount,size=1g "$0"
"$@" 2> "$0.said-again"; echo $? > "$0.status-again"
mkdir "$0.after" && cp -a "$0/." "$0.after/"
"""
"""A folder with so little room, and with enough of it: the same command in both."""
READ_ONLY = """
mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit 99
"$@" 2> "$0.said"; echo $? > "$0.status"
"""
PARTS = (0.0, 0.1, 0.25, 0.35, 0.6, 0.9)
"""Of the room that a run needs, half of which figures take, and come last."""


@cache
def refuse_without_namespace() -> None:
    """`UntriedError` where this machine gives none."""
    if shutil.which(NAMESPACE[0]) is None:
        raise UntriedError("there is no unshare here")
    done = subprocess.run(
        [*NAMESPACE, "mount -t tmpfs tmpfs /mnt"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UntriedError(f"no file system can be mounted here: {done.stderr.strip()}")


def inside(case: Case, script: str, folder: Path, command: Sequence[str]) -> None:
    """The script with the folder as its $0 and the command as the rest, in a namespace."""
    refuse_without_namespace()
    folder.mkdir(exist_ok=True)
    done = case.ended(case.start([*NAMESPACE, script, str(folder), *command]))
    expect(done.status == 0, f"no file system of one's own ({done.status}): {done.message}")


def ending(case: Case, folder: Path, suffix: str = "") -> Done:
    """How a command ended that a script has run."""
    said = folder.with_name(f"{folder.name}.said{suffix}").read_text("utf-8").splitlines()
    status = int(folder.with_name(f"{folder.name}.status{suffix}").read_text())
    return Done(status, tuple(one for one in said if one.strip() and one not in case.usual))


def room(folder: Path) -> int:
    """Bytes that a folder takes in whole pages."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(-(-path.stat().st_size // PAGE_BYTES) * PAGE_BYTES for path in files)


def fills_up(workplace: Workplace, name: str, processes: int) -> Outcome:
    """A run's folder, or its cache, that has so many parts of the room it needs."""
    needed = room(workplace.undisturbed.folder / name)
    messages, undrawn = [], 0
    draw = workplace.random((name, processes))
    chosen = sorted(draw.sample(PARTS, min(len(PARTS), workplace.times + 1)))
    for part in chosen:
        case = workplace.case()
        folder = case.folder / name
        command = case.command(processes=processes)
        inside(case, TWICE.format(bytes=int(part * needed) + PAGE_BYTES), folder, command)
        full, again = ending(case, folder), ending(case, folder, "-again")
        where = f"with {part:.0%} of the room"
        said = [one for one in full.said if "status.json can't be written" not in one]
        if full.status == 0:
            expect(all("was not drawn" in one for one in said), f"{where}: {full.message}")
            undrawn += 1
        else:
            expect(full.status in (1, 2), f"{where}: ended with {full.status}: {full.message}")
            expect(len(said) == 1, f"{where}: {len(said)} lines, {full.message}")
            messages.append(said[0].replace(f"{case.folder}/", ""))
        expect(again.status == 0, f"{where}, then enough: {again.status}: {again.message}")
        folder.rmdir()
        folder.with_name(f"{name}.after").rename(folder)
        expect(case.results() == workplace.results, f"{where}: other records")
        expect(not case.unfinished(), f"{where}: half-written files are left")
    what = f"{len(messages)} ended in a line"
    if undrawn:
        what += f", {undrawn} had no room for figures alone, and said so"
    return Outcome(len(chosen), f"{what}; with room all went on", IDENTICAL, messages[0])


def read_only(workplace: Workplace, name: str) -> Outcome:
    """Refused before work."""
    case = workplace.case()
    folder = case.folder / name
    inside(case, READ_ONLY, folder, case.command())
    done = ending(case, folder)
    expect(done.status == 2, f"ended with {done.status}: {done.message}")
    expect(len(done.said) == 1, done.message)
    expect(not list(folder.iterdir()), "something was written")
    return Outcome(1, "refused before work", "none", done.message.replace(f"{case.folder}/", ""))


FAULTS = (
    *(
        Fault(
            f"{what} on a disk of {PARTS[0]:.0%} to {PARTS[-1]:.0%} of the room it needs{by}; "
            f"then of enough",
            partial(fills_up, name=name, processes=processes),
            crowded=processes > 1,
        )
        for what, name, by, processes in (
            ("the run directory", "run", "", 1),
            ("the run directory", "run", ", by 2 processes", 2),
            ("the cache", "cache", "", 1),
        )
    ),
    *(
        Fault(f"{what} on a disk that is mounted read-only", partial(read_only, name=name))
        for what, name in (("the run directory", "run"), ("the cache", "cache"))
    ),
)
