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
FILLED = """
mount -t tmpfs -o size=300m tmpfs "$0" || exit 99
"$@" 2> "$0.said" &
until ls "$0"/{pattern} > "$0.seen" 2>&1; do
    kill -0 $! 2> "$0.seen" || break
    sleep 0.01
done
cat /dev/zero > "$0/filling" 2> "$0.seen"
wait $!; echo $? > "$0.status"
rm "$0/filling"
"$@" 2> "$0.said-again"; echo $? > "$0.status-again"
mkdir "$0.after" && cp -a "$0/." "$0.after/"
"""
"""A folder with room, which another fills up to its last byte once there are such files."""
READ_ONLY = """
mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit 99
"$@" 2> "$0.said"; echo $? > "$0.status"
"""
TOO_LITTLE = (4096, 2**16, 2**20)
"""Bytes of the first of them; a run asks for more than it needs."""
EVENTS = {
    "run": ("run.json", "ledger/*.npz", "records/*.json", "samples/*.npz", "tables/*"),
    "cache": ("images/*.npy", "spectrum/*.lock", "translate/*.lock", "sensitivity/*.lock"),
}
"""Files as which the disk is filled."""


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


def too_small(workplace: Workplace, name: str, processes: int) -> Outcome:
    """A run's folder, or its cache, on disks that have too little room from the beginning."""
    for size in TOO_LITTLE:
        case = workplace.case()
        full = tried_twice(workplace, case, name, TWICE.format(bytes=size), processes)
        expect(full.status in (1, 2), f"{size} bytes: ended with {full.status}: {full.message}")
    return Outcome(
        len(TOO_LITTLE), "refused; with room it went on", IDENTICAL, relative(case, full.said[-1])
    )


def fills_up(workplace: Workplace, name: str, processes: int) -> Outcome:
    """The same on a disk with room, which another program fills while the run works."""
    ended, undrawn, message = 0, 0, ""
    for pattern in EVENTS[name]:
        case = workplace.case()
        full = tried_twice(workplace, case, name, FILLED.format(pattern=pattern), processes)
        if full.status == 0:
            undrawn += 1
        else:
            expect(full.status == 1, f"{pattern}: ended with {full.status}: {full.message}")
            ended, message = ended + 1, relative(case, full.said[-1])
    what = f"{ended} ended in a line"
    if undrawn:
        what += f", {undrawn} needed no more room but for figures"
    return Outcome(len(EVENTS[name]), f"{what}; with room all went on", IDENTICAL, message)


def tried_twice(workplace: Workplace, case: Case, name: str, script: str, processes: int) -> Done:
    """How the run ended without room, with the lines that it has to say; with room it goes on."""
    folder = case.folder / name
    inside(case, script, folder, case.command(processes=processes))
    full, again = ending(case, folder), ending(case, folder, "-again")
    beside = ("status.json can't be written", "another process has ended")
    said = tuple(one for one in full.said if not any(text in one for text in beside))
    if full.status == 0:
        expect(all("was not drawn" in one for one in said), f"all was well, but: {full.message}")
    else:
        expect(len(said) == 1, f"{len(said)} lines: {full.message}")
    expect(again.status == 0, f"with room: {again.status}, {again.message}")
    folder.rmdir()
    folder.with_name(f"{name}.after").rename(folder)
    expect(case.results() == workplace.results, "other records")
    expect(not case.unfinished(), "half-written files are left")
    return Done(full.status, said)


def relative(case: Case, message: str) -> str:
    """Without the case's folder."""
    return message.replace(f"{case.folder}/", "")


def read_only(workplace: Workplace, name: str) -> Outcome:
    """Refused before work."""
    case = workplace.case()
    folder = case.folder / name
    inside(case, READ_ONLY, folder, case.command())
    done = ending(case, folder)
    expect(done.status == 2, f"ended with {done.status}: {done.message}")
    expect(len(done.said) == 1, done.message)
    expect(not list(folder.iterdir()), "something was written")
    return Outcome(1, "refused before work", "none", relative(case, done.message))


WHERE = (
    ("the run directory", "run", "", 1),
    ("the run directory", "run", ", by 2 processes", 2),
    ("the cache", "cache", "", 1),
)
FAULTS = (
    *(
        Fault(
            f"{what} on a disk without room{by}; then with room",
            partial(too_small, name=name, processes=processes),
            crowded=processes > 1,
        )
        for what, name, by, processes in WHERE
    ),
    *(
        Fault(
            f"{what} on a disk that is filled while it works{by}; then with room",
            partial(fills_up, name=name, processes=processes),
            crowded=processes > 1,
        )
        for what, name, by, processes in WHERE
    ),
    *(
        Fault(f"{what} on a disk that is mounted read-only", partial(read_only, name=name))
        for what, name in (("the run directory", "run"), ("the cache", "cache"))
    ),
)
