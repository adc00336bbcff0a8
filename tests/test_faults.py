"""Whatever befalls a run, its records are those of an undisturbed one: see `benchmarks/faults.py`.

All of it takes more than a quarter of an hour: here is one, and a few of each kind at night.
"""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from faults import BEGIN, END, KINDS, WRONG, tried, write
from injecting.damages import TARGETS, damaged_by
from injecting.outcomes import IDENTICAL, Fault, Outcome, expect
from injecting.workplace import Workplace

DOCUMENT = Path(__file__).parent.parent / "docs" / "reliability.md"
FAULTS = [(kind, fault) for kind, faults in KINDS.items() for fault in faults]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("faults"), kills=2, times=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "fault"),
    [one for one in FAULTS if one[0] != "plugins"],  # of which test_bad_plugins.py is
    ids=lambda one: getattr(one, "done", one),
)
def test_a_run_survives_or_says_why_not(kind: str, fault: Fault, workplace: Workplace) -> None:
    outcome = tried(fault, workplace)
    assert outcome.what != WRONG, f"{kind}: {outcome.message}"


def test_units_of_which_a_bit_was_turned_are_made_anew(workplace: Workplace) -> None:
    units, *_ = TARGETS
    files, named, records, line = damaged_by(workplace, units, "a bit turned")
    assert files >= named > files / 2
    assert records == IDENTICAL
    assert "it is computed anew" in line


def test_a_promise_that_is_not_kept_is_a_row_that_says_so(workplace: Workplace) -> None:
    def breaks(workplace: Workplace) -> Outcome:
        expect(1 + 1 == 3, "other records")
        raise AssertionError("not reached")

    assert tried(Fault("nothing", breaks), workplace) == Outcome(1, WRONG, "", "other records")


def test_the_document_has_faults_of_every_kind_and_none_that_went_wrong() -> None:
    table = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    cells = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
    told = {(row[1], row[2]): row[4] for row in cells[3:] if len(row) > 4}
    assert told.keys() <= {(kind, fault.done) for kind, fault in FAULTS}
    assert {kind for kind, _ in told} == set(KINDS)
    assert not set(told.values()) & {"", WRONG}


def test_a_table_takes_the_place_of_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "a.md"
    document.write_text(f"before\n\n{BEGIN}\nold\n\n{END}\nafter\n")
    monkeypatch.setattr("faults.DOCUMENT", document)
    write("| new |")
    assert document.read_text() == f"before\n\n{BEGIN}\n| new |\n\n{END}\nafter\n"
