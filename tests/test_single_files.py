"""Denoisers of a single file or a notebook: run beside all others, known by their code."""

import json
import linecache
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from plans import small_suite
from runs import fpmc_bench, write_suite

from fpmc_bench import build_denoiser, run_suite
from fpmc_bench.catalog.entries import chosen_entries
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.own_class import registered_class
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.plugin_file import plugins_of_file
from fpmc_bench.catalog.registry import Registered
from fpmc_bench.errors import FpmcBenchError, PluginError, UnknownNameError, UsageError

MINE = '''\
"""A file of my own."""

from dataclasses import dataclass
from typing import ClassVar

from fpmc_bench.contracts import DenoiseFunction, FunctionDenoiser, Setting


@dataclass(frozen=True)
class Laplace(FunctionDenoiser):
    """Shrinks towards the mean."""

    name: ClassVar[str] = "laplace"
    citation: ClassVar[str] = "a test"

    width: float = 1.0

    def build(self, setting: Setting) -> DenoiseFunction:
        mean, width = setting.source.values().mean(0), self.width
        return lambda z, sigma: mean + width / (width + sigma**2) * (z - mean)
'''
SECOND = MINE.replace("Laplace", "Second").replace('"laplace"', '"second"')


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mine.py"
    path.write_text(MINE, encoding="utf-8")
    yield path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def chosen(*selections: str) -> list[Registered]:
    """The denoisers of the digits' entries that these select."""
    found = chosen_entries(small_suite(), selections, installed_registry(), Places())
    return [found.registry.get("denoisers", one.denoiser) for one in found.suite.entries]


def plugin_in(record: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(record.read_text())["provenance"]["plugin"]
    return found


def test_a_file_runs_beside_entries_and_an_edited_one_anew(mine: Path) -> None:
    folder = mine.parent
    suite = write_suite(folder)
    command = ("run", suite, "--run-dir", "run", "-p", "denoiser-mse", "--quiet")
    selections = ("-d", "optimal", "-d", "./mine.py:Laplace", "-d", "./mine.py[width=2]")
    done = fpmc_bench(*command, *selections, cwd=folder)
    assert done.returncode == 0, done.stderr
    records = folder / "run" / "records"
    names = {path.name.partition(".")[0] for path in records.glob("*.json")}
    assert {"laplace", "laplace_width-2", "optimal"} <= names
    origin = plugin_in(records / "laplace.denoiser-mse.json")
    assert origin["distribution"] == "mine.py"
    assert origin["code"].startswith(origin["version"])
    assert str(folder) not in "".join(path.read_text() for path in records.glob("*.json"))
    units = set((folder / "run" / "ledger").glob("*.npz"))

    mine.write_text(MINE.replace("sigma**2)", "2 * sigma**2)"), encoding="utf-8")
    again = fpmc_bench(*command, "-d", "./mine.py:Laplace", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert plugin_in(records / "laplace.denoiser-mse.json")["code"] != origin["code"]
    assert len(set((folder / "run" / "ledger").glob("*.npz")) - units) == 4  # 7 items by 2


@pytest.mark.slow
def test_several_processes_load_the_file_each(mine: Path) -> None:
    suite = write_suite(mine.parent)
    run = ("run", suite, "-d", "./mine.py", "-p", "denoiser-mse", "--quiet")
    for directory, processes in (("one", 1), ("two", 2)):
        done = fpmc_bench(*run, "--run-dir", directory, "--processes", processes, cwd=mine.parent)
        assert done.returncode == 0, done.stderr
    one, two = (
        json.loads((mine.parent / name / "records" / "laplace.denoiser-mse.json").read_text())
        for name in ("one", "two")
    )
    assert one["provenance"] == two["provenance"]
    assert one["figures"] == two["figures"]


def test_info_of_a_file(mine: Path) -> None:
    mine.write_text(MINE + SECOND.partition("\n\n\n")[2], encoding="utf-8")
    done = fpmc_bench("info", "./mine.py", cwd=mine.parent)
    assert done.returncode == 0, done.stderr
    assert "laplace (denoiser, from mine.py " in done.stdout
    assert "second (denoiser, from mine.py " in done.stdout
    one = fpmc_bench("info", "./mine.py:Second", cwd=mine.parent)
    assert "laplace" not in one.stdout


@pytest.mark.parametrize(
    ("code", "selection", "error", "says"),
    [
        (MINE.replace("mean(0)", "mean(0"), "", PluginError, "mine.py, line 19: SyntaxError"),
        (MINE + "\nnothing\n", "", PluginError, "mine.py, line 22: NameError: name 'nothing'"),
        (MINE + "\nimport sys\nsys.exit(0)", "", PluginError, "mine.py, line 23: PluginError"),
        ("import nobody_has_it\n", "", PluginError, "mine.py, line 1: ModuleNotFoundError"),
        ("x = 1\n", "", UsageError, "defines no plugin; expected a class of one of: denoiser,"),
        (MINE, ":Laplas", UnknownNameError, "Did you mean 'Laplace'"),
        (MINE.replace('"laplace"', '"my name"'), "", PluginError, r"mine.py, line 9: .*named by"),
        (MINE.replace("(frozen=True)", ""), "", PluginError, "line 9: Laplace must be decorated"),
        (MINE.replace('"laplace"', '"ls"'), "", UsageError, "'ls' of mine.py .* of fpmc-bench"),
        (MINE + SECOND, "", UsageError, "2 denoisers; say which: .*mine.py:Laplace, .*py:Second"),
        (MINE + "\ndef late():\n    import beside\n", "", UsageError, "line 23: it imports 'bes"),
        ("-" * 100_000 + "1\n", "", PluginError, r"mine.py, line 1: \w+Error"),
        ("x = '\0'", "", PluginError, "mine.py, line 1: "),
        (MINE + "\nfrom . import beside\n", "", UsageError, "imports '.' from its own folder"),
    ],
)
def test_what_a_file_lacks_is_one_error(
    mine: Path, code: str, selection: str, error: type[FpmcBenchError], says: str
) -> None:
    (mine.parent / "beside.py").touch()
    mine.write_text(code, encoding="utf-8")
    with pytest.raises(error, match=says) as caught:
        chosen(f"{mine}{selection}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no plugin file at .*nowhere\.py"):
        chosen(str(tmp_path / "nowhere.py"))


def test_two_files_with_one_name_are_refused_and_one_twice_is_not(mine: Path) -> None:
    other = mine.with_name("other.py")
    other.write_text(MINE, encoding="utf-8")
    with pytest.raises(UsageError, match=r"'laplace' of other.py .* of mine.py"):
        chosen(str(mine), str(other))
    first, again = chosen(str(mine), f"{mine.parent}/../{mine.parent.name}/mine.py[width=2]")
    assert first is again


def test_the_name_of_an_entry_is_taken(mine: Path) -> None:
    suite = small_suite(entries=[{"name": "laplace", "denoiser": "optimal"}])
    with pytest.raises(UsageError, match="has an entry 'laplace', which is also the name of"):
        chosen_entries(suite, (str(mine),), installed_registry(), Places())


def test_an_edited_file_is_another_class_in_the_same_process(mine: Path) -> None:
    (before,) = chosen(str(mine))
    mine.write_text(MINE.replace("1.0", "2.0"), encoding="utf-8")  # of the same size, at once
    (after,) = chosen(str(mine))
    assert (before.item().width, after.item().width) == (1.0, 2.0)
    assert before.code != after.code


def test_classes_and_text_of_them_in_python(mine: Path, tmp_path: Path) -> None:
    cls = plugins_of_file(str(mine))[0][1].item
    images, z = torch.rand(5, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    asked = [cls, f"{mine}:Laplace"]
    one, other = (build_denoiser(way, images, sigmas=[1.0])(z, 1.0) for way in asked)
    assert torch.equal(one, other)
    with pytest.raises(PluginError, match="must list subclasses of Denoiser"):
        build_denoiser(Path, images, sigmas=[1.0])
    outcome = run_suite(
        small_suite(protocols=["denoiser-mse"]),
        denoisers=[cls, "laplace[width=2]", "optimal"],
        run_dir=tmp_path / "run",
        progress=False,
    )
    assert outcome.failures == {}
    entries = [record.entry for record in outcome.records if record.provenance.role == "entry"]
    assert entries == ["laplace", "laplace_width-2", "optimal"]


def notebook(monkeypatch: pytest.MonkeyPatch, *cells: str) -> ModuleType:
    """A module as a notebook's: no file, and cells that only linecache knows."""
    module = ModuleType("a_notebook")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for number, cell in enumerate(cells):
        place = f"<cell {number}>"
        linecache.cache[place] = (len(cell), None, cell.splitlines(keepends=True), place)
        exec(compile(cell, place, "exec", dont_inherit=True), vars(module))
    return module


def notebook_code(module: ModuleType) -> str:
    return registered_class("denoisers", vars(module)["Laplace"], installed_registry()).code


def test_a_class_of_a_notebook_is_known_by_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    helped = MINE.replace("self.width", "helper(self.width) + OFFSET")
    cells = ["OFFSET = 0\n", "def helper(x):\n    return x\n", helped]
    before = notebook_code(notebook(monkeypatch, *cells))
    assert notebook_code(notebook(monkeypatch, *cells)) == before
    for number, (old, new) in enumerate([("0", "1"), ("x\n", "x * 2\n"), ("1.0", "1.5")]):
        changed = [*cells[:number], cells[number].replace(old, new), *cells[number + 1 :]]
        assert notebook_code(notebook(monkeypatch, *changed)) != before


def test_what_of_a_notebook_cannot_be_had_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    uses = MINE.replace("self.width", "self.width + float(table.sum())")
    module = notebook(monkeypatch, "import torch\ntable = torch.ones(3)\n", uses)
    with pytest.raises(UsageError, match=r"'table' is part of a class .*write it to a file"):
        notebook_code(module)
    module = notebook(monkeypatch, MINE)
    module.__file__ = "<stdin>"
    linecache.cache.clear()
    with pytest.raises(UsageError, match="'Laplace' is part of a class that is defined in no file"):
        notebook_code(module)


def test_a_class_that_a_function_makes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = textwrap.indent(MINE.replace("self.width", "self.width * scale"), "    ")
    module = notebook(monkeypatch, f"def make(scale):\n{inside}\n    return Laplace\n")
    with pytest.raises(UsageError, match=r"'make.<locals>.Laplace' is made inside a function"):
        registered_class("denoisers", module.make(2), installed_registry())


def test_a_module_that_was_edited_after_its_import(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(mine.parent))
    import mine as module  # type: ignore[import-not-found]

    registry = installed_registry()
    found = registered_class("denoisers", module.Laplace, registry)
    assert found.distribution == "mine.py"
    assert found.code == plugins_of_file(str(mine))[0][1].code
    mine.write_text(MINE.replace("(z - mean)", "(z - 2 * mean)"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"edited after 'Laplace.build' was imported"):
        registered_class("denoisers", module.Laplace, registry)


def test_a_registered_class_stays_what_it_is() -> None:
    registry = installed_registry()
    ls = registry.get("denoisers", "ls")
    assert registered_class("denoisers", ls.item, registry) is ls
