"""How far a command is, as a person reads it: a line, or a table of rows."""

from collections.abc import Mapping
from datetime import datetime

from fpmc_bench.documents.status import RowStatus, Status, Working
from fpmc_bench.documents.text import one_line
from fpmc_bench.telling.times import span


def head_line(status: Status, *, ended: bool = False) -> str:
    """What it is and how it stands: run of digits: 12 min so far, 3 processes, about 4 min left."""
    what = f"{one_line(status.work)} of {one_line(status.name)}"
    passed = f"{span(status.seconds)}{' of work' if ended else ' so far'}"
    counts = counts_text(status, left=not ended)
    return f"{what}: {passed}{', ' * bool(counts)}{counts}"


def counts_text(status: Status, *, left: bool = True) -> str:
    """2 failed rows, 3 processes, about 4 min left: what there is to say beside a stage's count."""
    parts = []
    if failed := len(status.failed):
        parts.append(f"{failed} failed row{'s' * (failed > 1)}")
    if status.processes > 1:
        parts.append(f"{status.processes} processes")
    parts += [one_line(one.says) for one in status.running if one.says][:1]
    if left:
        parts.append(left_text(status))
    return ", ".join(parts)


def left_text(status: Status) -> str:
    """The remaining time, as sure as it is."""
    if status.remaining_seconds is None:
        return "remaining time not known yet"
    left = span(status.remaining_seconds)
    if status.untimed:
        rows = f"{status.untimed} row{'s' * (status.untimed > 1)}"
        return f"at least {left} left ({rows} not timed yet)"
    return f"about {left} left"


def table_lines(status: Status, now: datetime) -> list[str]:
    """Stages, rows, and who is at what, a line each."""
    stages = [
        f"{one_line(one.name)}: {one.done} of {one.total} {one_line(one.unit)}s"
        for one in status.stages
    ]
    lines = ["; ".join(stages)] if stages else []
    names = {row.name for row in status.rows}
    working = {row.name: _working(row, status, now) for row in status.rows}
    if status.rows:
        lines += ["", *_rows(status, working)]
    others = [one for one in status.running if one.what not in names]
    if others:
        lines += ["", *(f"{one_line(one.what)}: {_at(one, status, now)}" for one in others)]
    return lines


def row_lines(rows: Mapping[str, str]) -> list[str]:
    """What is known of rows without a status."""
    from tabulate import tabulate

    cells = [
        [one_line(entry), one_line(protocol), one_line(state)]
        for name, state in rows.items()
        for entry, _, protocol in [name.rpartition(".")]
    ]
    head = ["entry", "protocol", ""]
    return str(tabulate(cells, head, tablefmt="simple", disable_numparse=True)).splitlines()


def _rows(status: Status, working: dict[str, str]) -> list[str]:
    from tabulate import tabulate

    rows = []
    for row in status.rows:
        entry, _, protocol = row.name.rpartition(".")
        each = "" if row.seconds is None else f"{row.seconds:.3g}"
        units = f"{row.done} of {row.total}" if row.total else ""  # failed before they were counted
        cells = [one_line(entry), one_line(protocol), units, each]
        rows.append([*cells, working[row.name]])
    return str(
        tabulate(
            rows,
            headers=["entry", "protocol", "units", "s each", ""],
            tablefmt="simple",
            disable_numparse=True,
            colalign=("left", "left", "right", "right", "left"),
        )
    ).splitlines()


def _working(row: RowStatus, status: Status, now: datetime) -> str:
    if row.failed is not None:
        return one_line(f"failed: {row.failed}")
    if row.done == row.total:
        return "done"
    own = [one for one in status.running if one.what == row.name]
    return "; ".join(_at(one, status, now) for one in own)


def _at(one: Working, status: Status, now: datetime) -> str:
    """Items 0 to 49 for 3 s, by process 1 of HOST, where there is more than one."""
    items = f"items {one.items[0]} to {one.items[1] - 1} " if one.items else ""
    text = f"{items}for {span((now - one.since_utc).total_seconds())}"
    if status.processes > 1:
        several = len({other.host for other in status.running}) > 1
        text += f", by process {one.process}{f' on {one.host}' if several else ''}"
    if one.says:
        text += f": {one.says}"
    return one_line(text)
