"""Whatever several processes do, on folders of their own: the same as one process does."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from plans import ALONE, small_plan
from process_threads import Meeting, in_threads
from runs import figures
from test_study_job import STUDY, SUITE
from torch import Tensor

from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.finetune import checkpoint
from fpmc_bench.finetune.descent import Descent
from fpmc_bench.finetune.settings import FinetuneSettings
from fpmc_bench.harness import finetuning
from fpmc_bench.harness.cluster import islands
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.cluster.training_team import ProcessTeam
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.run_exchange import run_exchange
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.images.made import ElsewhereError, made_images
from fpmc_bench.jobs import finetune, study, train, verify
from fpmc_bench.jobs.finetune import finetune_entry
from fpmc_bench.jobs.run import RunOutcome, run_plan
from fpmc_bench.jobs.study import StudyJob, StudyOutcome
from fpmc_bench.jobs.train import train_teacher
from fpmc_bench.jobs.verify import verify_records
from fpmc_bench.results.verified import Verification
from fpmc_bench.storage import cache

Found = TypeVar("Found")


class Machines:
    """So many threads, each of which is one process to the jobs, with folders of their own."""

    def __init__(self) -> None:
        self._current = threading.local()

    def join(self, device: str) -> Processes:
        """What `join_processes` gives."""
        own: Processes = self._current.processes
        return own

    @property
    def rank(self) -> int:
        """Of the present thread."""
        return self.join("cpu").rank

    def carry_out(self, world: int, work: Callable[[int], Found]) -> list[Found]:
        """What each makes of it, by rank."""

        def one(processes: Processes) -> Found:
            self._current.processes = processes
            return work(processes.rank)

        return in_threads(Meeting(world), one)


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Machines:
    found = Machines()
    for job in (finetune, study, train, verify):
        monkeypatch.setattr(job, "join_processes", found.join)
    monkeypatch.setattr(islands, "APPEARS_SECONDS", 0.2)
    return found


def test_a_study(tmp_path: Path, machines: Machines) -> None:
    """Levels go to the main process, weights to all, and the run is as any."""

    def work(folder: str) -> StudyOutcome:
        place = tmp_path / folder
        return StudyJob(STUDY, SUITE, place, installed_registry(), "cpu", progress=False).run()

    machines.carry_out(1, lambda _: work("alone"))
    outcomes = machines.carry_out(3, lambda rank: work("aab"[rank]))
    assert [one.failures for one in outcomes] == [{}] * 3
    assert figures(tmp_path / "a" / "run") == figures(tmp_path / "alone" / "run")
    assert not (tmp_path / "b" / "run" / "records").exists()
    weights = [tmp_path / one / "weights" for one in ("alone", "a", "b")]
    for name in ("ls+q", "ls+q+hflip"):
        files = [folder / f"{name}.safetensors" for folder in weights]
        assert len({file.read_bytes() for file in files}) == 1
    levels = [{one.name for one in (folder / "levels").glob("*.safetensors")} for folder in weights]
    assert levels[0] == levels[1] > levels[2] > set()


def test_a_fine_tuning_goes_on_wherever_it_is_the_main_one(
    tmp_path: Path, machines: Machines
) -> None:
    plan = FinetuneSettings(axes=("q",), steps=2, batch=4, validation_items=4, evaluate_every=2)

    def work(folder: str, target: str = "w.safetensors") -> object:
        place = tmp_path / folder / target
        return finetune_entry(SUITE, plan, place, installed_registry(), progress=False)

    machines.carry_out(1, lambda _: work("alone"))
    machines.carry_out(2, lambda rank: work("ab"[rank]))
    expected = (tmp_path / "alone" / "w.safetensors").read_bytes()
    assert (tmp_path / "a" / "w.safetensors").read_bytes() == expected
    assert not (tmp_path / "b" / "w.safetensors").exists()
    [*kept] = (tmp_path / "b" / "w.finetuning").glob("level-*.safetensors")
    assert 0 < len(kept) < 4
    meeting_again = machines.carry_out(2, lambda rank: work("ba"[rank]))
    assert (tmp_path / "b" / "w.safetensors").read_bytes() == expected
    assert [one is None for one in meeting_again] == [False, True]


def test_an_unfinished_level_is_gone_on_with_by_another_machine(
    tmp_path: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = FinetuneSettings(axes=("q",), steps=4, batch=4, validation_items=4, evaluate_every=2)
    advance, load = Descent.advance, checkpoint.load_descent
    gone_on: list[Path] = []

    def stop(descent: Descent) -> None:
        if descent.step:
            raise KeyboardInterrupt
        advance(descent)

    def loaded(path: Path, descent: Descent) -> bool:
        found = load(path, descent)
        gone_on.extend([path] * found)
        return found

    def work(folder: str) -> object:
        place = tmp_path / folder / "w.safetensors"
        return finetune_entry(SUITE, plan, place, installed_registry(), progress=False)

    machines.carry_out(1, lambda _: work("alone"))
    monkeypatch.setattr(finetuning, "load_descent", loaded)
    monkeypatch.setattr(Descent, "advance", stop)
    with pytest.raises(KeyboardInterrupt):
        machines.carry_out(2, lambda rank: work("ab"[rank]))
    monkeypatch.setattr(Descent, "advance", advance)
    unfinished = sorted(one.relative_to(tmp_path) for one in tmp_path.rglob("*.checkpoint"))
    assert [str(one)[0] for one in unfinished] == ["a", "b"]
    machines.carry_out(2, lambda rank: work("ba"[rank]))
    assert len(gone_on) == 2, "each is taken by the other one now"
    expected = (tmp_path / "alone" / "w.safetensors").read_bytes()
    assert (tmp_path / "b" / "w.safetensors").read_bytes() == expected
    assert not list(tmp_path.rglob("*.checkpoint"))


def test_units_without_predictions_are_forgotten_everywhere(
    tmp_path: Path, machines: Machines
) -> None:
    plan = small_plan()

    def work(folder: str, *, keep: bool) -> RunOutcome:
        place, own = RunDirectory(tmp_path / folder), machines.join("cpu")
        return run_plan(plan, place, own, progress=False, keep_predictions=keep)

    for folder, keep in (("alone", True), ("b", False)):
        machines.carry_out(1, lambda _, folder=folder, keep=keep: work(folder, keep=keep))
    machines.carry_out(2, lambda rank: work("ab"[rank], keep=True))
    alone, main = tmp_path / "alone" / "predictions", tmp_path / "a" / "predictions"
    found, expected = (
        {one.relative_to(folder): one.read_bytes() for one in folder.rglob("*.npy")}
        for folder in (main, alone)
    )
    assert found == expected != {}


def test_all_machines_begin_anew(tmp_path: Path, machines: Machines) -> None:
    """Where that is asked for: nothing that they had is taken."""

    def work(folder: str, *, fresh: bool) -> RunOutcome:
        place, own = RunDirectory(tmp_path / folder), machines.join("cpu")
        return run_plan(small_plan(), place, own, progress=False, fresh=fresh)

    machines.carry_out(1, lambda _: work("b", fresh=False))
    shutil.copytree(tmp_path / "b", tmp_path / "a")
    before = {one.name: one.read_bytes() for one in (tmp_path / "a" / "ledger").glob("*.npz")}
    machines.carry_out(2, lambda rank: work("ab"[rank], fresh=True))
    for name in "ab":
        ledger = Ledger(tmp_path / name / "ledger")
        assert ledger.names() <= {Path(one).stem for one in before}
        for file in ledger.directory.glob("*.npz"):
            assert file.read_bytes() != before[file.name], "its note has another date"
    assert not (tmp_path / "b" / "records").exists()


def test_records_are_verified(
    tmp_path: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    outcome = run_plan(small_plan(), RunDirectory(run), ALONE, progress=False)
    for name in "ab":
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "ab"[machines.rank]))

    def work(_: int) -> Verification:
        return verify_records(run, items=None, device="cpu", progress=False)

    main, other = machines.carry_out(2, work)
    assert [row.agrees for row in main.rows] == [True] * len(outcome.records)
    assert not other.is_main
    assert [list((tmp_path / name).iterdir()) for name in "ab"] == [[], []]


def test_a_training_goes_on_from_the_one_checkpoint(
    tmp_path: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whichever machine has it."""
    parts: dict[int, Tensor] = {}

    def add_up(team: ProcessTeam, values: Tensor) -> Tensor:
        parts[team.rank] = values
        team.processes.wait()
        total = sum(parts[rank] for rank in range(team.world))
        team.processes.wait()
        assert isinstance(total, Tensor)
        return total

    monkeypatch.setattr(ProcessTeam, "add_up", add_up)
    settings = {"steps": 4, "batch": 4, "warmup_steps": 1, "checkpoint_every": 2, "device": "cpu"}
    begun: list[int] = []

    def work(folder: str, until: int | None = None) -> None:
        def begin(done: int, steps: int) -> Callable[[int, float], None]:
            begun.append(done)

            def told(step: int, loss: float) -> None:
                if step == until:
                    raise KeyboardInterrupt

            return told

        place = tmp_path / folder / "mine.safetensors"
        train_teacher(
            *("digits", "ddpmpp", place),
            settings={**settings, "model_channels": 8, "num_blocks": 1},
            begin=begin,
        )

    machines.carry_out(2, lambda rank: work("cc"[rank]))
    with pytest.raises(KeyboardInterrupt):
        machines.carry_out(2, lambda rank: work("ab"[rank], until=3))
    machines.carry_out(2, lambda rank: work("ba"[rank]))
    assert begun == [0, 0, 2]
    written = [tmp_path / name / "mine.safetensors" for name in "bc"]
    assert written[0].read_bytes() == written[1].read_bytes()
    assert not list(tmp_path.rglob("*.checkpoint"))


def test_images_are_made_once_for_all_caches(
    tmp_path: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three processes with two caches: each block is made by one, and more go on from fewer."""
    monkeypatch.setattr(cache, "cache_directory", lambda: tmp_path / "aab"[machines.rank])
    made: list[int] = []

    def make(rows: range) -> Tensor:
        made.extend(rows)
        if 100 in rows:
            raise OSError("no more")
        return torch.tensor(list(rows), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)

    def work(images: int) -> list[int] | None:
        exchange = run_exchange(machines.join("cpu"), tmp_path, Ledger(tmp_path))
        found: list[Tensor | None] = [None]

        def made_here() -> Mapping[Path, int]:
            try:
                found[0] = made_images("test", {}, images, make, block_images=4)
            except ElsewhereError as error:
                return error.wanted
            except OSError:
                pass
            return {}

        exchange.make_images(made_here)
        return None if found[0] is None else found[0][:, 0, 0, 0].tolist()

    machines.carry_out(1, lambda _: work(6))
    for images in (5, 21, 21):
        assert machines.carry_out(3, lambda _, n=images: work(n)) == [list(range(images))] * 3
    assert sorted(made) == list(range(21))
    files = [list((tmp_path / name / "test").glob("*.npy")) for name in "ab"]
    assert [len(one) for one in files] == [1, 1]
    assert machines.carry_out(3, lambda _: work(104)) == [None] * 3, "where one block can't be made"
