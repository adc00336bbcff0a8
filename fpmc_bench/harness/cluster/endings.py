"""How processes ended, read off the boxes that they left, and which rows fail for it.

A row fails whose code crashed the interpreter, took too long or ended its process. A process that
somebody has killed says nothing of its row, which is tried again; twice in one launch is enough.
"""

import json
import os
import platform
import re
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import fpmc_bench
from fpmc_bench.harness.cluster.blackbox import (
    STOPPED,
    SUFFIX,
    At,
    BlackBox,
    box_of_process,
    folder_of_boxes,
    is_alive,
)
from fpmc_bench.launched import BOXES

if TYPE_CHECKING:
    from fpmc_bench.harness.cluster.processes import Processes

STATUS = re.compile(rb"\nended with (-?\d+)\n\Z")
"""What our launcher adds to a box: an exit status, or minus the number of a signal."""
LONGEST_DUMP = 20_000
FATAL = re.compile(r"^Fatal Python error: (.*)", re.MULTILINE)
TIMEOUT = re.compile(r"^Timeout \(", re.MULTILINE)
FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)')
THREAD = re.compile(r"^(Current thread|Thread) .*\n", re.MULTILINE)
HARNESS = str(Path(fpmc_bench.__file__).parent) + os.sep
PREEMPTED = {signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP}
"""Signals that somebody else sends, mostly."""


@dataclass(frozen=True)
class Ending:
    """A process that is gone: where (machine and box), at what, with which traceback and status."""

    process: str
    at: At
    dump: str = ""
    status: int | None = None
    """None where nobody has said."""

    @property
    def is_its_own(self) -> bool:
        """Whether what it was at has ended it, beyond doubt."""
        return bool(self.dump) or (self.status is not None and not _preempted(self.status))

    @property
    def reason(self) -> str:
        """In a line."""
        where = _place(self.dump)
        place = f" in {where}" if where else ""
        if TIMEOUT.search(self.dump):
            limit = f"--unit-timeout {self.at.limit_s:g} s"
            return (
                f"it took longer than {limit} while {self.at.what}{place and ', and was' + place}"
            )
        if fatal := FATAL.search(self.dump):
            return f"it crashed the interpreter ({fatal[1]}){place} while {self.at.what}"
        return f"its process {_how(self.status)} while {self.at.what}"

    @property
    def report(self) -> str:
        """All that is known, the reason last."""
        return f"{self.dump}\n\n{self.reason}\n".lstrip()


@dataclass(frozen=True)
class Watched:
    """The box of this process, and the rows that fail for what others have left in theirs."""

    box: BlackBox = field(default_factory=BlackBox)
    failed: Mapping[str, str] = field(default_factory=dict)
    """Row -> report."""

    def all_failed(self, rows: Sequence[str]) -> list[str]:
        """The reports of these rows where none of them is left; else nothing."""
        reports = [self.failed[row] for row in rows if row in self.failed]
        return reports if len(reports) == len(rows) else []


def watched_by(processes: "Processes", unit_timeout_s: float | None = None) -> Watched:
    """What all processes know alike, when they begin or begin again; as `box_of_process` raises."""
    box = box_of_process(unit_timeout_s)
    found = [
        one
        for text in processes.gather(as_text(endings(folder_of_boxes())))
        for one in from_text(text)
    ]
    failed = blamed(found)
    if processes.is_main and BOXES not in os.environ:  # else the launcher has said so
        for row, report in failed.items():
            print(f"fpmc-bench: {failed_line(row, report)}", file=sys.stderr)
    return Watched(box, failed)


def failed_line(row: str, report: str) -> str:
    """That a row has failed, for a user who watches."""
    return f"{row} failed: {report.splitlines()[-1]}; the others go on"


def note_statuses(folder: Path, statuses: Mapping[int, int]) -> None:
    """Add to boxes how these processes ended by themselves, by id."""
    for box in folder.glob(f"*{SUFFIX}"):
        content, pid = box.read_bytes(), int(box.name.partition("-")[0])
        if content and pid in statuses and not STATUS.search(content):
            content = content.removesuffix(STOPPED)
            box.write_bytes(content + f"\nended with {statuses[pid]}\n".encode())


def endings(folder: Path | None) -> list[Ending]:
    """Of the processes of this machine that are gone and were at something."""
    boxes = sorted(folder.glob(f"*{SUFFIX}"), key=lambda box: box.stat().st_mtime) if folder else []
    return [one for box in boxes if not is_alive(box.stem) and (one := _read(box)) is not None]


def blamed(found: Iterable[Ending]) -> dict[str, str]:
    """Row -> report of those that fail for how processes ended."""
    failed: dict[str, str] = {}
    once: set[str] = set()
    for one in {ending.process: ending for ending in found}.values():
        for row in one.at.rows:
            if one.is_its_own or row in once:
                again = "" if one.is_its_own else "; it was the second time"
                failed.setdefault(row, one.report.rstrip() + again + "\n")
            once.add(row)
    return failed


def as_text(found: Iterable[Ending]) -> str:
    """As JSON, for other processes."""
    return json.dumps([asdict(one) for one in found])


def from_text(text: str) -> list[Ending]:
    """What `as_text` was given."""
    return [
        Ending(one["process"], _at(one["at"]), one["dump"], one["status"])
        for one in json.loads(text)
    ]


def _read(box: Path) -> Ending | None:
    """None for the box of a process that was at nothing."""
    content = box.read_bytes()
    if not content or content.endswith(STOPPED):
        return None
    head, _, rest = content.partition(b"\n")
    try:
        at = _at(json.loads(head))
    except (ValueError, KeyError, TypeError):
        at, rest = At((), "it began or ended"), content  # a crash where it was at nothing
    status = STATUS.search(b"\n" + rest)
    dump = STATUS.sub(b"", b"\n" + rest).decode(errors="replace").strip()
    name = f"{platform.node()}/{box.name}"
    return Ending(name, at, _readable(dump), int(status[1]) if status else None)


def _at(fields: Mapping[str, object]) -> At:
    rows, what, limit_s = fields["rows"], fields["what"], fields["limit_s"]
    assert isinstance(rows, list | tuple)
    return At(tuple(map(str, rows)), str(what), float(str(limit_s)) if limit_s else None)


def _readable(dump: str) -> str:
    """What faulthandler has written, of the thread alone that crashed, or of the main one.

    As far as it was in strangers' code, and whence it was called.
    """
    head, *threads = THREAD.split(dump)  # the main one is the last
    if not threads:
        return dump[:LONGEST_DUMP]
    kinds = threads[::2]
    number = kinds.index("Current thread") if "Current thread" in kinds else len(kinds) - 1
    lines = []
    for frame in FRAME.finditer(threads[2 * number + 1]):
        lines.append(frame[0])
        if frame["file"].startswith(HARNESS):
            break
    return head + "\n".join(["Most recent call first:", *lines])


def _place(dump: str) -> str:
    """Where that was: in the file that the harness has called."""
    frames = list(FRAME.finditer(dump))
    theirs = list(takewhile(lambda one: not one["file"].startswith(HARNESS), frames))
    ending = theirs[-1]["file"] if theirs else None
    shown = next((one for one in frames if one["file"] == ending), frames[0] if frames else None)
    return (
        f"{Path(shown['file']).name}, line {shown['line']} ({shown['function']})" if shown else ""
    )


def _preempted(status: int) -> bool:
    number = -status if status < 0 else status - 128
    return number in PREEMPTED


def _how(status: int | None) -> str:
    if status is None:
        return "ended without a word"
    if status >= 0:
        return f"ended with exit status {status}"
    return f"was ended by {signal.Signals(-status).name}"
