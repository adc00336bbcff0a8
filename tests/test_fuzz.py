"""Damaged files are read or refused, by everything that reads files: see `benchmarks/fuzz.py`."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from fuzzing.damage import damaged, seeded
from fuzzing.loaders import LOADERS
from fuzzing.trials import Loader, trials

from fpmc_bench.errors import RunError

INPUTS = 200
AGAIN = "python benchmarks/fuzz.py --seed 15 --only READER --first NUMBER --inputs 1"


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.name)
def test_damage_is_read_or_refused(loader: Loader, tmp_path: Path) -> None:
    wrong = [one for one in trials(loader, tmp_path, 15, range(INPUTS)) if one.wrong]
    told = [f"{one.number}: {one.file}: {one.outcome}: {one.said}" for one in wrong]
    assert not told, AGAIN


def test_damage_can_be_made_again() -> None:
    content = bytes(range(256)) * 4
    made = [damaged(content, seeded(1, "any", number)) for number in range(300)]
    assert made == [damaged(content, seeded(1, "any", number)) for number in range(300)]
    assert len(set(made)) > 200


def write_one(folder: Path) -> list[Path]:
    (folder / "a.json").write_text('{"a": 1}')
    return [folder / "a.json"]


def careless(path: Path) -> object:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise RunError("no JSON") from error
    return bytearray(2**27) if content == {} else content["a"]


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setattr(sys, "path", sys.path[:])
    module = importlib.import_module("fuzz")
    loaders = [Loader("careless", write_one, careless), Loader("good", write_one, lambda _: None)]
    monkeypatch.setattr(module, "LOADERS", loaders)
    monkeypatch.setattr(module, "in_a_child", module.fuzzed)
    yield module
    del sys.modules["fuzz"]


def test_what_goes_wrong_is_kept_and_can_be_had_again(fuzz: ModuleType, tmp_path: Path) -> None:
    keep = ("--keep", str(tmp_path / "kept"))
    done = CliRunner().invoke(fuzz.main, ["--only", "careless", "--inputs", "400", *keep])
    assert done.exit_code == 1, done.output
    told = [json.loads(path.read_text()) for path in (tmp_path / "kept").rglob("*.txt")]
    assert {one["outcome"] for one in told} >= {"other error"}
    assert any(one["said"].startswith("KeyError") for one in told)
    assert any(one["said"].startswith("RecursionError") for one in told)
    one = told[0]
    kept = tmp_path / "kept" / "careless" / f"0-{one['number']}-a.json"
    content = kept.read_bytes()
    kept.unlink()
    again = ["--only", "careless", "--first", str(one["number"]), "--inputs", "1", *keep]
    assert CliRunner().invoke(fuzz.main, again).exit_code == 1
    assert kept.read_bytes() == content
    assert CliRunner().invoke(fuzz.main, ["--only", "careful"]).exit_code == 2


def test_too_much_memory_is_wrong(tmp_path: Path) -> None:
    loader = Loader("greedy", write_one, lambda path: len(bytearray(2**22)), most_bytes=2**23)
    assert not any(one.wrong for one in trials(loader, tmp_path, 0, range(3)))
    greedy = Loader("greedy", write_one, lambda path: len(bytearray(2**22)), most_bytes=2**21)
    with pytest.raises(RuntimeError, match="too large"):
        list(trials(greedy, tmp_path, 0, range(3)))
