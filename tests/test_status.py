"""How far a run is: what its processes tell, and what `status` says of a folder."""

import json
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from damage import DAMAGES
from plans import ALONE
from runs import fpmc_bench, write_suite
from test_queue import several
from test_telling import Clock

from fpmc_bench.documents.status import STATUS, Status, Working, read_status
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.news import News
from fpmc_bench.harness.progress import Progress, given_command
from fpmc_bench.harness.queue import Task, carry_out
from fpmc_bench.harness.tally import Tally
from fpmc_bench.jobs.status import folder_status
from fpmc_bench.results.board.files import files_of
from fpmc_bench.results.render.status import counts_text, left_text, table_lines
from fpmc_bench.storage.folders import is_held, locked

START = datetime(2026, 11, 28, 12, tzinfo=UTC)
BROKEN = """
from dataclasses import dataclass
from typing import ClassVar
from fpmc_bench.contracts import FunctionDenoiser

@dataclass(frozen=True)
class Broken(FunctionDenoiser):
    name: ClassVar[str] = "broken"
    citation: ClassVar[str] = "none"
    def build(self, setting):
        def denoise(z, sigma):
            raise RuntimeError("the roof is on fire")
        return denoise
"""


def tally(clock: Clock, processes: int = 2) -> Tally:
    """Of a run of rows a and b, four units each, of which one of a is there."""
    made = Tally("run", "small", "fpmc-bench run small.toml", processes, clock, lambda: START)
    made.expect({"a.sample-mse": 4, "b.sample-mse": 4}, {"a.sample-mse": 4, "b.sample-mse": 4}, {})
    lacking: list[tuple[str, float | None]] = [("a.sample-mse", None)] * 3
    made.began_stage("rows", "unit", 8, [*lacking, *[("b.sample-mse", None)] * 4])
    return made


def do(found: Tally, clock: Clock, row: str, seconds: float, rank: int = 0) -> None:
    """One unit of a row, by a process."""
    found.began(rank, "here", row, [0, 50], 1e9)
    clock.now += seconds
    found.finished(rank, seconds)


def test_what_is_left_is_unknown_then_a_bound_then_an_estimate() -> None:
    clock = Clock()
    found = tally(clock)
    assert (found.status().remaining_seconds, left_text(found.status())) == (
        None,
        "remaining time not known yet",
    )
    do(found, clock, "a.sample-mse", 10)
    status = found.status()
    assert (status.remaining_seconds, status.untimed) == (10, 1), "two units of a, two processes"
    assert left_text(status) == "at least 10 s left (1 row not timed yet)"
    do(found, clock, "b.sample-mse", 2)
    status = found.status()
    assert (status.remaining_seconds, status.untimed) == (14, 0), "10+2 and 10+2+2"
    assert left_text(status) == "about 14 s left"
    assert [(row.done, row.total, row.seconds) for row in status.rows] == [(2, 4, 10), (1, 4, 2)]
    assert status.stage is not None
    assert (status.stage.done, status.stage.total) == (3, 8)


def test_what_is_under_way_counts_for_what_it_will_still_take() -> None:
    clock = Clock()
    found = tally(clock, processes=1)
    do(found, clock, "a.sample-mse", 10)
    do(found, clock, "b.sample-mse", 2)
    found.began(0, "here", "a.sample-mse", [50, 100], 1e9)
    assert found.status().remaining_seconds == 10 + 10 + 3 * 2
    clock.now += 4
    assert found.status().remaining_seconds == 6 + 10 + 3 * 2
    clock.now += 1000
    assert found.status().remaining_seconds == 10 + 3 * 2, "it is late, and never less than nothing"


def test_a_row_that_fails_has_nothing_left_to_do() -> None:
    clock = Clock()
    found = tally(clock)
    do(found, clock, "a.sample-mse", 10)
    assert found.failed("b.sample-mse", "RuntimeError: no")
    assert not found.failed("b.sample-mse", "RuntimeError: no"), "which is news once"
    found.began(0, "here", "b.sample-mse", [0, 50], 1e9)
    found.finished(0, None)
    status = found.status()
    assert (status.remaining_seconds, status.untimed) == (10, 0)
    assert status.rows[1].done == 0
    assert [row.name for row in status.failed] == ["b.sample-mse"]
    assert counts_text(status) == "1 failed row, 2 processes, about 10 s left"


def test_rows_whose_units_are_all_there_are_done_before_they_have_records() -> None:
    found = Tally("run", "small", "", 1, Clock(), lambda: START)
    found.expect({"a.sample-mse": 4}, {"a.sample-mse": 4}, {})
    found.began_stage("references", "task", 2, [])
    assert [row.done for row in found.status().rows] == [0], "nobody has looked at them yet"
    found.ended_stage()
    found.began_stage("rows", "unit", 4, [])
    assert [row.done for row in found.status().rows] == [4]


def test_a_row_that_failed_before_its_units_were_counted_has_no_count() -> None:
    found = Tally("run", "small", "", 1, Clock(), lambda: START)
    found.failed("a.sample-mse", "it crashed the interpreter")
    [line] = [one for one in table_lines(found.status(), START) if one.startswith("a ")]
    assert line.split(maxsplit=2) == ["a", "sample-mse", "failed: it crashed the interpreter"]


def test_predicted_seconds_count_until_there_are_measured_ones() -> None:
    clock = Clock()
    found = Tally("run", "small", "", 1, clock, lambda: START)
    found.expect({"a.sample-mse": 3}, {"a.sample-mse": 3}, {"a.sample-mse": 7.0})
    found.began_stage("references", "task", 2, [("x at sigma 1", None), ("x at sigma 2", None)])
    assert found.status().remaining_seconds == 21
    do(found, clock, "x at sigma 1", 5)
    assert found.status().remaining_seconds == 26, "levels are alike"
    do(found, clock, "x at sigma 2", 5)
    found.ended_stage()
    found.began_stage("rows", "unit", 3, [("a.sample-mse", 100.0)] * 3)
    do(found, clock, "a.sample-mse", 1)
    assert found.status().remaining_seconds == 2


def test_news_of_each_process_come_in_its_order_and_once() -> None:
    first, second = (News(one, "news") for one in several(2))
    second.send("began", "x")
    first.send("began", "a")
    second.send("finished", 1.5)
    assert list(first.receive()) == [
        (0, ["began", "a"]),
        (1, ["began", "x"]),
        (1, ["finished", 1.5]),
    ]
    assert list(first.receive()) == []
    second.send("ends")
    assert list(first.receive()) == [(1, ["ends"])]


def test_news_that_nobody_keeps_any_more_trouble_nobody() -> None:
    class Gone:
        def __getattr__(self, _: str) -> Callable[..., Any]:
            def raises(*_: object) -> None:
                raise RuntimeError("Connection reset by peer")

            return raises

    news = News(replace(ALONE, store=Gone()), "news")  # type: ignore[arg-type]
    news.send("began")
    assert list(news.receive()) == []


def test_all_processes_are_watched_together(tmp_path: Path) -> None:
    """Two of them share four tasks, of which two fail; the main one writes how far it is."""
    seen: list[Status] = []
    turn = threading.Barrier(2)

    def at_work(processes: Processes) -> None:
        with Progress(processes, False, "run", "small", tmp_path) as told:
            told.expect({"a.sample-mse": 4, "b.sample-mse": 4}, {"b.sample-mse": 4}, {})

            def look() -> None:
                if processes.is_main:
                    assert told._watch is not None
                    with told._watch._lock:
                        told._watch._hear()
                        seen.append(told._watch.tally.status())

            def do() -> None:
                turn.wait(10)
                look()
                turn.wait(10)

            def fail() -> None:
                do()
                told.dropped()
                told.failed("b.sample-mse", "it broke")

            tasks = [
                Task("b.sample-mse", lambda: False, fail if index > 1 else do, items=range(50))
                for index in range(4)
            ]
            carry_out("rows", tasks, processes, told, unit="unit")

    both = several(2)
    for one in both:
        object.__setattr__(one, "wait", lambda: turn.wait(10))
        object.__setattr__(one, "gather", lambda _: ["[0, 1, 2, 3]"])
    workers = [threading.Thread(target=at_work, args=(one,)) for one in both]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [(one.process, one.what, one.items) for one in seen[0].running] == [
        (rank, "b.sample-mse", (0, 50)) for rank in (0, 1)
    ]
    status = read_status(tmp_path)
    assert status is not None
    assert (status.state, status.processes, status.running) == ("finished", 2, ())
    assert [(row.done, row.total, row.failed) for row in status.rows] == [
        (4, 4, None),
        (2, 4, "it broke"),
    ]
    assert status.stage is not None
    assert (status.stage.done, status.stage.total, status.stage.ended) == (4, 4, True)


def test_a_job_that_is_stopped_says_by_what(tmp_path: Path) -> None:
    def raises() -> None:
        raise RunError("another process\nhas ended")

    (alone,) = several(1)
    with (
        pytest.raises(RunError),
        Progress(alone, False, "run", "small", tmp_path) as told,
    ):
        carry_out("rows", [Task("a", lambda: False, raises)], alone, told, unit="unit")
    status = read_status(tmp_path)
    assert status is not None
    assert (status.state, status.ended_by) == ("stopped", "another process has ended")
    assert status.stage is not None
    assert not status.stage.ended


def test_a_status_that_cant_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    with Progress(ALONE, False, "run", "small", folder) as told, told.stage("rows", 0, []):
        pass
    (line,) = caplog.messages
    assert "status.json can't be written (No such file or directory)" in line


def test_what_is_no_text_costs_no_status(tmp_path: Path) -> None:
    with Progress(ALONE, False, "run", "small", tmp_path) as told, told.stage("rows", 0, []):
        told.failed("a.sample-mse", "no file \udcff")
    status = read_status(tmp_path)
    assert status is not None
    assert status.failed[0].failed == "no file ?"


def test_the_command_goes_on_and_discards_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.argv", ["/x/fpmc-bench", "run", "my suite.toml", "--fresh", "-d", "ls"]
    )
    assert given_command() == "fpmc-bench run 'my suite.toml' -d ls"
    monkeypatch.setattr("sys.argv", ["/x/notebook.py", "secret"])
    assert given_command() == ""
    monkeypatch.setattr("sys.argv", ["/x/fpmc-bench", "run", "digits", "--run-dir", "\udcff"])
    assert given_command() == "", "no JSON, and no terminal, has that name"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run directory of the small suite, and what the run said, as JSON."""
    folder = tmp_path_factory.mktemp("ran")
    write_suite(folder)
    (folder / "broken.py").write_text(BROKEN)
    options = ("-d", "optimal", "-d", "./broken.py", "-p", "denoiser-mse", "--log-json")
    done = fpmc_bench("run", "small.toml", *options, "--run-dir", "run", cwd=folder)
    assert done.returncode == 1, done.stderr
    return folder / "run", done.stderr.splitlines()


def test_a_run_says_how_far_it_is_in_lines_of_json(ran: tuple[Path, list[str]]) -> None:
    events = [json.loads(line) for line in ran[1]]
    kinds = [one["event"] for one in events]
    assert (kinds.count("started"), kinds.count("ended"), kinds[-1]) == (1, 1, "message")
    assert "the roof is on fire" in events[-1]["text"]
    units = [one for one in events if one["event"] == "task_finished" and one["stage"] == "rows"]
    assert {one["what"] for one in units} >= {"optimal.denoiser-mse"}
    (failed,) = [one for one in events if one["event"] == "row_failed"]
    assert failed["row"] == "broken.denoiser-mse"
    assert failed["reason"] == "RuntimeError: the roof is on fire"
    assert not any("broken" in one["what"] for one in units)
    assert all(one["items"][0] < one["items"][1] and one["seconds"] >= 0 for one in units)
    assert units[-1]["done"] <= units[-1]["total"]
    (end,) = [one for one in events if one["event"] == "ended"]
    assert (end["state"], end["ended_by"]) == ("finished", "")
    assert end["failed_rows"] == ["broken.denoiser-mse"]
    (progress,) = [one for one in events if one["event"] == "progress" and one["stage"] == "rows"]
    assert (progress["done"], progress["ended"]) == (progress["total"], True)
    assert progress["processes"] == 1


def test_status_of_a_run_that_has_finished(ran: tuple[Path, list[str]]) -> None:
    done = fpmc_bench("status", ran[0], cwd=ran[0])
    assert (done.returncode, done.stderr) == (0, "")
    head, stages, *_ = done.stdout.splitlines()
    assert head.startswith("run of small: ")
    assert ", 1 failed row, finished " in head
    assert "failed: RuntimeError: the roof is on fire" in done.stdout
    assert "rows: " in stages
    assert "the same command goes on" not in done.stdout
    assert STATUS not in files_of(ran[0]), "a leaderboard has no use for it"
    (plain,) = json.loads(fpmc_bench("status", ran[0], "--json", cwd=ran[0]).stdout)
    assert plain["standing"] == "finished"
    assert Status.model_validate_json(json.dumps(plain["status"])) == read_status(ran[0])


def standing_of(folder: Path, **changes: Any) -> str:
    """What is said of a folder with a status changed like that."""
    there = read_status(folder)
    assert there is not None
    (folder / STATUS).write_text(there.model_copy(update=changes).model_dump_json())
    (found,) = folder_status(folder)
    return f"{found.standing}: " + "\n".join(found.lines(datetime.now(UTC)))


def test_status_of_a_run_that_has_not_finished(ran: tuple[Path, list[str]], tmp_path: Path) -> None:
    there = read_status(ran[0])
    assert there is not None
    (tmp_path / STATUS).write_text(there.model_dump_json())
    (tmp_path / ".lock").touch()
    killed = standing_of(tmp_path, state="running")
    assert killed.startswith("killed: ")
    assert "ended without a word (killed, or its machine went down)" in killed
    command = "run small.toml -d optimal -d ./broken.py -p denoiser-mse --log-json --run-dir run"
    assert killed.endswith(f"the same command goes on from there: fpmc-bench {command}")
    with locked(tmp_path, "run", "--run-dir"):
        assert is_held(tmp_path)
        assert standing_of(tmp_path).startswith("running: ")
        long_ago = datetime.now(UTC) - timedelta(hours=2)
        assert "; last heard of 2 h 00 min ago" in standing_of(tmp_path, updated_utc=long_ago)
        assert standing_of(tmp_path, state="finished").startswith("beginning: ")
    stopped = standing_of(tmp_path, state="stopped", ended_by="SIGTERM")
    assert "stopped 2 h 00 min ago: SIGTERM" in stopped
    assert "the same command goes on from there" in stopped


def test_status_says_who_is_at_what(ran: tuple[Path, list[str]]) -> None:
    there = read_status(ran[0])
    assert there is not None
    row = there.rows[0].model_copy(update={"done": 1, "failed": None})
    other = there.rows[0].model_copy(update={"name": "b.sample-mse", "failed": "x \x1b[2J"})
    working = [
        Working(host=host, process=rank, what=what, items=items, since_utc=START)
        for host, rank, what, items in (
            ("one", 0, row.name, (0, 50)),
            ("two", 1, row.name, (50, 100)),
            ("two", 2, "reference x", None),
        )
    ]
    status = there.model_copy(
        update={"rows": (row, other), "running": tuple(working), "processes": 3}
    )
    text = "\n".join(table_lines(status, START + timedelta(seconds=5)))
    assert (
        "items 0 to 49 for 5 s, by process 0 on one; items 50 to 99 for 5 s, by process 1 on two"
    ) in text
    assert "reference x: for 5 s, by process 2 on two" in text
    assert "failed: x \\x1b[2J" in text


def test_a_run_of_an_earlier_version_is_known_by_its_records(
    ran: tuple[Path, list[str]], tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_bytes((ran[0] / "run.json").read_bytes())
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "optimal.denoiser-mse.json").touch()
    (found,) = folder_status(tmp_path)
    assert found.standing == "unknown"
    assert found.rows["optimal.denoiser-mse"] == "record"
    assert found.rows["broken.denoiser-mse"] == "no record"
    text = "\n".join(found.lines(datetime.now(UTC)))
    assert "nothing is at work here; it has no status.json" in text


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_status_is_said_and_records_are_looked_at(
    damage: Callable[[Path], None], ran: tuple[Path, list[str]], tmp_path: Path
) -> None:
    for name in ("run.json", STATUS):
        (tmp_path / name).write_bytes((ran[0] / name).read_bytes())
    damage(tmp_path / STATUS)
    (found,) = folder_status(tmp_path)
    (fault,) = found.faults
    assert "status.json is damaged: " in fault
    assert found.rows["optimal.denoiser-mse"] == "no record"


def test_numbers_of_a_status_are_what_they_can_be(ran: tuple[Path, list[str]]) -> None:
    there = read_status(ran[0])
    assert there is not None
    for field in ("seconds", "remaining_seconds"):
        for value in (-1.0, math.inf, math.nan):
            content = there.model_copy(update={field: value}).model_dump_json()
            with pytest.raises(ValueError, match=field):
                Status.model_validate_json(content)


def test_a_study_and_a_finetuning_have_a_status_of_their_own(
    ran: tuple[Path, list[str]], tmp_path: Path
) -> None:
    study, levels = tmp_path / "study", tmp_path / "weights.finetuning"
    for folder in (study, levels):
        with Progress(ALONE, False, "fine-tuning", "axes", _made(folder)) as told:
            carry_out(
                "noise levels", [Task("a", lambda: True, lambda: None)], ALONE, told, unit="level"
            )
    (study / "study.json").touch()
    (study / "run").mkdir()
    (study / "run" / STATUS).write_bytes((ran[0] / STATUS).read_bytes())
    learned, measured = folder_status(study)
    assert learned.status is not None
    assert measured.status is not None
    assert (learned.status.work, measured.status.work) == ("fine-tuning", "run")
    (found,) = folder_status(levels)
    assert "noise levels: 1 of 1 levels" in "\n".join(found.lines(datetime.now(UTC)))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        folder_status(tmp_path / "none")
    with pytest.raises(UsageError, match="is no run directory: it has neither"):
        folder_status(tmp_path)


def test_what_is_shown_is_one_thing(tmp_path: Path) -> None:
    done = fpmc_bench("run", "--quiet", "--watch", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "fpmc-bench: --quiet and --watch exclude each other: give one of them\n",
    )
    told = fpmc_bench("run", "nothing", "--log-json", cwd=tmp_path)
    assert told.returncode == 2
    (line,) = [json.loads(line) for line in told.stderr.splitlines()]
    assert line["event"] == "message"
    assert "nothing" in line["text"]
