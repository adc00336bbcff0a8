"""Listeners hear what a run does, in the main process, and can't harm it."""

import logging
import random
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from runs import figures, fpmc_bench, write_plugin, write_suite

from fpmc_bench import load_suite, run_suite
from fpmc_bench.contracts import Listener, UnitFinished, UnknownNameError, UsageError
from fpmc_bench.documents.record import Record, read_records

DIARY = """
    from dataclasses import dataclass
    from pathlib import Path
    from typing import ClassVar
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import Listener

    @dataclass(frozen=True)
    class Diary(Listener):
        '''Events, a line each.'''
        name: ClassVar[str] = "diary"
        to: str = "diary.txt"

        def run_started(self, suite, directory, rows):
            self.write(f"started {suite} {directory.name} {len(rows)}")

        def unit_finished(self, unit):
            self.write(f"unit {unit.row} {unit.items} {unit.done} of {unit.total}")

        def record_saved(self, record):
            self.write(f"record {record.stem}")

        def run_ended(self, failures):
            self.write(f"ended {len(failures)}")

        def write(self, line):
            with Path(self.to).open("a") as file:
                file.write(line + "\\n")

    @hookimpl
    def fpmc_listeners():
        return [Diary]
"""


@dataclass(frozen=True)
class Ear(Listener):
    """Keeps what it hears, and does something about it."""

    name: ClassVar[str] = "ear"

    heard: list[Any] = field(default_factory=list)

    def run_started(self, suite: str, directory: Path, rows: tuple[str, ...]) -> None:
        self.heard.append(("started", suite, directory, rows))

    def unit_finished(self, unit: UnitFinished) -> None:
        self.heard.append(unit)
        random.seed(1)

    def record_saved(self, record: Record) -> None:
        self.heard.append(record)

    def run_ended(self, failures: Mapping[str, str]) -> None:
        self.heard.append(("ended", failures))


@dataclass(frozen=True)
class Rude(Ear):
    """Ends the process, or so it means."""

    name: ClassVar[str] = "rude"

    def unit_finished(self, unit: UnitFinished) -> None:
        self.heard.append(unit)
        sys.exit("enough")


def run(folder: Path, name: str, **settings: Any) -> Path:
    suite = load_suite(write_suite(folder)).replaced(protocols=("denoiser-mse",))
    run_dir = folder / name
    done = run_suite(suite, denoisers=["ls"], run_dir=run_dir, progress=False, **settings)
    assert done.failures == {}
    return run_dir


def test_a_listener_hears_what_a_run_does(tmp_path: Path) -> None:
    ear = Ear()
    heard, quiet = run(tmp_path, "heard", listeners=[ear]), run(tmp_path, "quiet")
    assert figures(heard) == figures(quiet)
    rows = ("digits-ncsnpp.denoiser-mse", "ls.denoiser-mse")
    assert ear.heard[0] == ("started", "small", heard, rows)
    assert ear.heard[-1] == ("ended", {})
    units = [one for one in ear.heard if isinstance(one, UnitFinished)]
    assert [one.done for one in units] == list(range(1, 9))
    assert {(one.total, one.row) for one in units} == {(8, row) for row in rows}
    assert sum(one.items for one in units) == 2 * 7
    assert min(one.seconds for one in units) > 0
    saved = [one for one in ear.heard if isinstance(one, Record)]
    assert saved == [record for record, _ in read_records(heard / "records")]
    again = Ear()
    run(tmp_path, "heard", listeners=[again])
    assert [one[0] for one in again.heard] == ["started", "ended"], "nothing was computed"


def test_one_that_raises_is_told_nothing_more_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rude, ear = Rude(), Ear()
    with caplog.at_level(logging.WARNING):
        heard = run(tmp_path, "heard", listeners=[rude, ear])
    assert figures(heard) == figures(run(tmp_path, "quiet"))
    assert len(rude.heard) == 2, "the start, and the unit at which it raised"
    assert ear.heard[-1] == ("ended", {})
    (line,) = [one.getMessage() for one in caplog.records if "listener" in one.getMessage()]
    assert line.startswith("listener 'rude' is told nothing more, for it raised PluginError: ")
    assert "enough" in line


def test_the_main_process_alone_tells_and_only_who_was_asked(tmp_path: Path) -> None:
    site = write_plugin(tmp_path / "site", "diary", DIARY)
    write_suite(tmp_path)
    asked = ("run", "small.toml", "-d", "ls", "-p", "denoiser-mse", "--quiet")
    several = ("--processes", 2, "--listener", 'diary[to="heard.txt"]')
    done = fpmc_bench(*asked, *several, "--run-dir", "a", cwd=tmp_path, paths=(site,))
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "heard.txt").read_text().splitlines()
    assert lines[0] == "started small a 2"
    assert lines[-3:] == [
        "record digits-ncsnpp.denoiser-mse",
        "record ls.denoiser-mse",
        "ended 0",
    ]
    assert 1 <= len([line for line in lines if line.startswith("unit")]) < 8
    unknown = fpmc_bench(*asked, "--listener", "dairy", cwd=tmp_path, paths=(site,))
    assert unknown.returncode == 2
    assert "Did you mean 'diary'?" in unknown.stderr
    assert not (tmp_path / "diary.txt").exists()
    listed = fpmc_bench("list", "listeners", cwd=tmp_path, paths=(site,))
    assert "diary" in listed.stdout


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_package_that_is_not_there_is_named_before_any_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as Python has it for what can't be imported
    with pytest.raises(UsageError, match=rf"pip install 'fpmc-bench\[{name}\]'"):
        run(tmp_path, "run", listeners=[name])
    assert not (tmp_path / "run").exists()


def test_a_name_that_nobody_has(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Unknown listener 'wanda'"):
        run(tmp_path, "run", listeners=["wanda"])


def test_trackio_is_told_by_the_calls_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module with trackio's three functions, which take what its documentation says."""
    calls: list[tuple[str, Any]] = []
    module = types.ModuleType("trackio")

    def init(project: str, name: str | None = None, config: dict[str, Any] | None = None) -> None:
        calls.append(("init", (project, name, config)))

    def log(metrics: dict[str, Any], step: int | None = None) -> None:
        calls.append(("log", metrics))

    def finish() -> None:
        calls.append(("finish", None))

    vars(module).update(init=init, log=log, finish=finish)
    monkeypatch.setitem(sys.modules, "trackio", module)
    run_dir = run(tmp_path, "mine", listeners=['trackio[project="denoisers"]'])
    assert calls[0][1][:2] == ("denoisers", "mine")
    assert [kind for kind, _ in calls[-2:]] == ["log", "finish"]
    logged = {key: value for kind, said in calls if kind == "log" for key, value in said.items()}
    for record, _ in read_records(run_dir / "records"):
        figure = record.figures["mse@1"]
        assert logged[f"mse@1/{record.stem}"] == figure.mean
        assert logged[f"mse@1_se/{record.stem}"] == figure.standard_error
    assert (logged["units/done"], logged["rows/failed"]) == (8, 0)


@pytest.mark.filterwarnings("default")  # those of wandb are its own
def test_wandb_keeps_a_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    for name, value in {"MODE": "offline", "DIR": str(tmp_path), "SILENT": "true"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    run(tmp_path, "mine", listeners=["wandb"])
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    content = kept.read_bytes()
    for said in (b"mse@1/ls.denoiser-mse", b"units/done", b"fpmc-bench", b"mine"):
        assert said in content
