"""What a run is going to take, from what is known of its parts; and what this machine has left."""

import shutil
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from fpmc_bench.errors import RunError
from fpmc_bench.harness.forecast import outlook, room
from fpmc_bench.harness.forecast.costs import Taken, Timings
from fpmc_bench.harness.forecast.outlook import Outlook
from fpmc_bench.harness.forecast.parts import NEEDS, ROWS, Part, wall_seconds
from fpmc_bench.harness.forecast.room import free_memory, refuse_full_disk, sized

Usage = namedtuple("Usage", "total used free")


def taken(items: int, seconds: float) -> tuple[Taken, ...]:
    return (Taken(items=items, seconds=seconds),)


def part(units: int, later: float, first: float = 0.0, stage: int = ROWS, **more: int) -> Part:
    """Of units of 10 items, the last of 5."""
    timings = Timings(
        first=taken(10, first or later), later=taken(10, later), grown_bytes=more.pop("grown", None)
    )
    lacking = (*[10] * (units - 1), 5)
    return Part(stage, f"row of {later}", "sample-mse", 10, units, lacking, {}, timings, **more)


UNKNOWN = Part(ROWS, "unknown", "sample-mse", 10, 2, (10, 10), {}, Timings())
DONE = Part(ROWS, "done", "sample-mse", 10, 2, (), {}, Timings())


def test_one_process_takes_the_sum_and_builds_each_part_once() -> None:
    parts = (part(3, 2.0, first=5.0), part(2, 4.0), DONE, UNKNOWN)
    assert [one.seconds for one in parts] == [3 + 2 + 2 + 1, 4 + 2, 0, 0]
    assert wall_seconds(parts, 1) == 8 + 6


def test_processes_share_units_build_each_their_own_and_meet_between_stages() -> None:
    assert wall_seconds([part(2, 4.0), part(4, 2.0)], 2) == pytest.approx(4 + 2 + 1)
    assert wall_seconds([part(3, 2.0, first=5.0)], 2) == pytest.approx(3 + 2 + 1)
    stages = [part(2, 4.0, stage=NEEDS), part(2, 4.0)]
    assert wall_seconds(stages, 2) == 4 + 4
    assert wall_seconds(stages, 2, together=True) == 4 + 6, "only rows are for all at once"
    assert wall_seconds([part(1, 4.0)], 3) == 2


def seen(*parts: Part, processes: int = 1, held: int | None = None, budget: int = 0) -> Outlook:
    return Outlook(parts, processes, processes, budget, 1.0, held)


def test_a_line_says_what_is_known_guessed_and_unknown() -> None:
    assert seen(DONE).line == "nothing is left to compute"
    known = part(3, 20.0, run_bytes=2**20, cache_bytes=2**21, grown=2**22)
    assert seen(known, DONE, held=2**23).line == (
        "about 51 s in 1 process; up to 12 MiB of memory each; 1 MiB of disk and 2 MiB of the "
        "cache's"
    )
    line = seen(known, UNKNOWN, processes=2).line
    assert line.startswith("at least 31 s (1 part never timed) in 2 processes; up to 4 MiB of ")
    assert seen(UNKNOWN).line.startswith("time unknown (1 part never timed) in 1 process;")
    guess = Timings(guessed=(*taken(10, 9.0), *taken(10, 3.0)))
    guessed = Part(ROWS, "guessed", "sample-mse", 10, 2, (10, 10), {}, guess)
    assert seen(guessed).line.startswith("about 13 s (1 of 1 part extrapolated) in 1 process")


def test_memory_is_refused_only_where_it_cannot_be_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = part(3, 2.0, grown=2**30)
    monkeypatch.setattr(outlook, "free_memory", lambda: 2**30)
    assert seen(known).doubt(tmp_path) is None
    doubt = seen(known, processes=2).doubt(tmp_path)
    assert doubt is not None
    assert doubt.startswith("memory may be short: 2 processes take 2.0 GiB where all use as much")
    with pytest.raises(RunError, match=r"row of 2.0 took 1.0 GiB .* take fewer --processes"):
        seen(known, processes=2, held=2**20).doubt(tmp_path)
    assert seen(UNKNOWN, budget=2**30).doubt(tmp_path) is None
    doubt = seen(UNKNOWN, budget=2**31).doubt(tmp_path)
    assert doubt is not None
    assert "all use their --memory-budget" in doubt
    assert seen(DONE, budget=2**40).doubt(tmp_path) is None


def test_disks_are_refused_by_all_that_goes_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = {tmp_path / "run": 2**20, tmp_path / "cache" / "below": 2**20}
    free = 2 * 2**20 + room.SPARE_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    refuse_full_disk(needs, "they take 2 MiB", "choose others")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free - 1))
    with pytest.raises(RunError, match=r"they take 2 MiB; but 258 MiB are free .* choose others"):
        refuse_full_disk(needs, "they take 2 MiB", "choose others")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 0))
    refuse_full_disk({tmp_path: 0}, "nothing", "")


V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@pytest.mark.parametrize(("names", "controllers"), [(V2, ""), (V1, "memory")])
def test_a_container_and_a_job_have_less_than_the_machine(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, str, str],
    controllers: str,
) -> None:
    """A job of a mebibyte, a quarter of it used, an eighth of it for files; above it no limit."""
    monkeypatch.setattr(room, "CGROUPS", tmp_path)
    monkeypatch.setattr(room, "OWN", tmp_path / "own")
    (tmp_path / "own").write_text(f"3:cpu:/other\n1:{controllers}:/jobs/7/task\n")
    job = tmp_path / controllers / "jobs" / "7"
    (job / "task").mkdir(parents=True)
    for folder, limit in ((job, str(2**20)), (job / "task", "max"), (job.parent, str(2**40))):
        (folder / names[0]).write_text(limit)
        (folder / names[1]).write_text(str(2**18))
        (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {2**17}\n")
    assert free_memory() == 2**20 - 2**18 + 2**17
    (tmp_path / "own").unlink()
    assert 0 < free_memory() <= psutil.virtual_memory().total


def test_sizes_are_never_less_than_they_are() -> None:
    assert [sized(size) for size in (0, 1, 2**20, 2**30 - 1, 2**30, 2**30 + 1)] == [
        *("0 MiB", "1 MiB", "1 MiB", "1024 MiB", "1.0 GiB", "1.1 GiB")
    ]
