"""The table of faults that `benchmarks/mutations.py` tries is of the present code."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from click import ClickException
from click.testing import CliRunner

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def mutations(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("mutations")
    del sys.modules["mutations"]


def test_every_mutation_is_one_line_of_the_present_code(mutations: ModuleType) -> None:
    """Found exactly once, still Python with the fault in it, and named tests that there are."""
    table = mutations.mutations()
    assert len(table) >= 25
    for one in table:
        compile(one.applied(mutations.ROOT), one.file, "exec")
        assert one.new != one.old
        for test in one.tests:
            file, _, name = test.partition("::")
            content = (mutations.ROOT / "tests" / file).read_text(encoding="utf-8")
            assert f"def {name or 'test_'}" in content, test


def test_they_are_listed_and_chosen_by_any_part(mutations: ModuleType) -> None:
    done = CliRunner().invoke(mutations.main, ["--list", "--only", "divisor n"])
    assert (done.exit_code, done.output.count("statistics.py")) == (0, 2), done.output
    assert CliRunner().invoke(mutations.main, ["--only", "no such fault"]).exit_code == 2


def test_a_line_that_has_changed_is_refused(mutations: ModuleType, tmp_path: Path) -> None:
    mutation = mutations.Mutation("module.py", "x = 1", "x = 2", "another x", ("test_x.py",))
    for content, times in (("x = 10\n", 0), ("x = 1\nif x:\n    x = 1\n", 2)):
        (tmp_path / "module.py").write_text(content)
        with pytest.raises(ClickException, match=rf"'x = 1' {times} times; expected once"):
            mutation.applied(tmp_path)
    (tmp_path / "module.py").write_text("if True:\n    x = 1\n")
    assert mutation.applied(tmp_path) == "if True:\n    x = 2\n"
