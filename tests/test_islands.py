"""Folders that aren't shared: who sees whose files, and what is sent where it is lacking."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from damage import turned
from nodes import Node, ended, started
from plans import ALONE
from process_threads import Meeting, errors_of, in_threads
from runs import figures, fpmc_bench, write_plugin, write_suite, write_train_only

from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.harness.cluster import exchange, islands
from fpmc_bench.harness.cluster.exchange import Exchange, unit_state
from fpmc_bench.harness.cluster.islands import Islands, islands_of
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.ledger import Ledger


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(islands, "APPEARS_SECONDS", 0.2)


def folders(root: Path, names: str) -> list[Path]:
    return [root / name for name in names]


def test_processes_that_see_each_other_are_a_site(tmp_path: Path) -> None:
    runs, caches = folders(tmp_path, "abab"), folders(tmp_path, "cccc")
    (tmp_path / "c").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "c", target_is_directory=True)
    caches[3] = tmp_path / "link"
    found = in_threads(Meeting(4), lambda one: islands_of(one, runs[one.rank], caches[one.rank]))
    assert [run.leader_of for run, _ in found] == [(0, 1, 0, 1)] * 4
    assert [run.leads for run, _ in found] == [True, True, False, False]
    assert [run.leader for run, _ in found] == [0, 1, 0, 1]
    assert not any(run.shared for run, _ in found)
    assert all(cache.shared and cache.leaders == (0,) for _, cache in found)
    for folder in "abc":
        assert list((tmp_path / folder).iterdir()) == [], "tokens are taken away"
    assert islands_of(ALONE, tmp_path / "d") == (Islands(0, (0,)),)
    assert not (tmp_path / "d").exists()


def test_files_seen_from_one_side_alone_are_refused_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = islands._seen

    def blind(folder: Path, names: list[str], own: int) -> list[int]:
        return [own] if own == 2 else seen(folder, names, own)

    monkeypatch.setattr(islands, "_seen", blind)
    said = errors_of(3, lambda mine: islands_of(mine, tmp_path))
    assert all(
        one and "process 0 finds in" in one and "process 2 of 3 writes" in one for one in said
    )
    assert list(tmp_path.iterdir()) == []


def note() -> UnitNote:
    from fpmc_bench.engine import EngineSettings
    from fpmc_bench.harness.environment import Notary

    return Notary.of(ALONE, EngineSettings()).note(1.0)


def keep(folder: Path, key: str, size: int) -> None:
    Ledger(folder).write(key, {"values": np.arange(size, dtype=np.float32)}, note())


def exchanged(meeting: Meeting, places: list[Path], names: list[str], everywhere: bool) -> None:
    """What the processes of these ledgers make of it."""

    def work(one: Processes) -> None:
        own = places[one.rank]
        (found,) = islands_of(one, own)
        state = unit_state(Ledger(own))
        Exchange(one, found, own).bring(names, state, everywhere=everywhere)

    in_threads(meeting, work)


def test_units_go_where_they_are_lacking_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four processes at three islands; one unit at each, one at two, one of many pieces."""
    monkeypatch.setattr(exchange, "PIECE_BYTES", 1000)
    places = folders(tmp_path, "abca")
    for place, key in zip("abcabc", ("one", "two", "three", "both", "both", "large"), strict=True):
        keep(tmp_path / place, key, 3000 if key == "large" else 3)
    names = [f"{key}.npz" for key in ("one", "two", "three", "both", "large")]
    exchanged(meeting := Meeting(4), places, names, everywhere=False)
    assert {(sender, to) for sender, to, _ in meeting.sent} == {(1, 0), (2, 0)}
    assert max(size for *_, size in meeting.sent) == 1000
    assert Ledger(places[0]).names() == {"one", "two", "three", "both", "large"}
    for name in names[1:]:
        [origin] = {one.read_bytes() for place in "bc" if (one := tmp_path / place / name).exists()}
        assert (places[0] / name).read_bytes() == origin
    assert Ledger(places[1]).names() == {"two", "both"}, "only the main island was to have all"
    exchanged(again := Meeting(4), places, names, everywhere=False)
    assert again.sent == [], "nothing is sent twice"
    exchanged(Meeting(4), places, names, everywhere=True)
    for name in names:
        assert len({(place / name).read_bytes() for place in places}) == 1


def test_a_damaged_unit_is_no_unit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not sent, and replaced where another island has it whole; one that nobody has is nobody's."""
    places = folders(tmp_path, "abc")
    keep(places[1], "lost", 3)
    turned(places[1] / "lost.npz")
    for place in places:
        keep(place, "held", 3)
    turned(places[0] / "held.npz")
    names = ["lost.npz", "held.npz"]
    exchanged(meeting := Meeting(3), places, names, everywhere=False)
    assert {(sender, to) for sender, to, _ in meeting.sent} == {(1, 0)}
    assert Ledger(places[0]).has("held")
    assert not (places[0] / "lost.npz").exists()
    assert "it is computed anew" in caplog.text


def test_what_vanishes_or_is_cut_short_while_it_is_sent_is_lacking(tmp_path: Path) -> None:
    places = folders(tmp_path, "ab")
    names = ["gone.npz", "cut.npz"]
    keep(places[1], "cut", 3)

    def work(one: Processes) -> bool:
        own = places[one.rank]
        (found,) = islands_of(one, own)
        # as if it had been whole when it was looked at
        state = {0: lambda _: None, 1: lambda _: "whole"}[one.rank]
        cut = own / "cut.npz"
        if one.rank == 1:
            cut.write_bytes(cut.read_bytes()[:-20] + bytes(20))
        Exchange(one, found, own).bring(names, state, everywhere=False)
        return Ledger(own).has("cut")

    assert in_threads(Meeting(2), work) == [False, False]
    assert not (places[0] / "gone.npz").exists()


def test_a_failure_is_known_at_every_site(tmp_path: Path) -> None:
    places = folders(tmp_path, "abb")

    def work(one: Processes) -> dict[str, str]:
        ledger = Ledger(places[one.rank])
        (found,) = islands_of(one, ledger.directory)
        if one.rank != 1:
            ledger.fail(f"row-{one.rank}", "why")
        one.wait()
        Exchange(one, found, ledger.directory).bring_failures(ledger)
        return ledger.failures()

    assert in_threads(Meeting(3), work) == [{"row-0": "why", "row-2": "why"}] * 3


FAILING = """
    from dataclasses import dataclass
    from typing import ClassVar
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import FunctionDenoiser

    @dataclass(frozen=True)
    class Failing(FunctionDenoiser):
        '''Answers at first.'''
        name: ClassVar[str] = "failing"
        citation: ClassVar[str] = "none"

        def build(self, setting):
            def denoise(z, sigma):
                assert sigma < 1, "it is too noisy"
                return z
            return denoise

    @hookimpl
    def fpmc_denoisers():
        return [Failing]
"""
ENTRIES = """
[[entries]]
name = "failing"
denoiser = "failing"
[[entries]]
name = "doubled"
denoiser = "optimal"
augmentations = [{name = "synthetic", rate = 1.0}]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite whose test images are sampled: networks, maps, added images, a row that fails."""
    home = tmp_path_factory.mktemp("islands")
    write_train_only(home)
    write_plugin(home / "site", "failing", FAILING)
    suite = write_suite(home, ENTRIES)
    suite.write_text(suite.read_text().replace('name = "digits"', 'name = "train-only"'))
    return home


def command(home: Path) -> tuple[str | Path, ...]:
    data = f"train-only={home / 'levels.npy'}"
    return ("run", home / "small.toml", "--data", data, "--run-dir", "run", "-p", "denoiser-mse")


def alone(home: Path, folder: str) -> dict[str, object]:
    """What one process finds there."""
    done = fpmc_bench(*command(home), cwd=home / folder, paths=(home / "site",))
    assert done.returncode == 1, done.stderr
    return figures(home / folder / "run")


def machines(home: Path, names: str) -> list[tuple[int, str, str]]:
    """How processes end that have a disk each: for the run directory, and for the cache."""
    nodes = [Node(home / name, command(home), home / name / "cache") for name in names]
    return ended(started(*nodes, paths=[home / "site"]))


def test_two_machines_go_on_from_what_each_of_them_has(home: Path) -> None:
    """As after a kill: of seven units one has three, and the other one that both have, and two."""
    for name in ("a", "b", "c"):
        (home / name).mkdir()
    expected = alone(home, "c")
    files = sorted((home / "c" / "run" / "ledger").glob("*.npz"))
    for name, places in (("a", (0, 2, 4)), ("b", (0, 1, 5))):
        (home / name / "run" / "ledger").mkdir(parents=True)
        for file in [one for place, one in enumerate(files) if place % 7 in places]:
            shutil.copy2(file, home / name / "run" / "ledger")
    (status, out, err), other = machines(home, "ba")
    assert (status, other) == (1, (0, "", "")), err
    assert "process 1 of 2 sees another folder than" in err
    assert "failing.denoiser-mse failed" in err
    assert "wrote run/tables" in out
    assert figures(home / "b" / "run") == expected
    assert not (home / "a" / "run" / "records").exists()
    for file in [one for place, one in enumerate(files) if place % 7 in (0, 1, 2, 4, 5)]:
        assert (home / "b" / "run" / "ledger" / file.name).read_bytes() == file.read_bytes()
    maps = [sorted((home / name / "cache" / "sensitivity").glob("*.safetensors")) for name in "ab"]
    assert [len(one) for one in maps] == [4, 4]
    assert [one.read_bytes() for one in maps[0]] == [one.read_bytes() for one in maps[1]]
    assert alone(home, "a") == expected
