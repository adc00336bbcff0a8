"""Whatever is altered in a leaderboard is found: see `benchmarks/attacks.py`."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from attacking.alterations import ATTACKS, Attack
from attacks import READING, VERIFYING, found, small_board, tried

DOCUMENT = Path(__file__).parent.parent / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_board(tmp_path_factory.mktemp("attacks") / "run")


def test_nothing_is_found_where_nothing_was_altered(board: Path) -> None:
    assert found(board).by == ""


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.altered)
def test_an_alteration_is_found_by_name(attack: Attack, board: Path, tmp_path: Path) -> None:
    noticed = tried(attack, board, tmp_path)
    assert noticed.by == (READING if attack.read else VERIFYING)
    assert "denoiser-mse" in noticed.message


def test_the_document_has_every_attack() -> None:
    lines = DOCUMENT.read_text().splitlines()
    cells = [line.split("|") for line in lines if line.startswith("|")]
    told = {line[1].strip(): line[2].strip() for line in cells}
    for attack in ATTACKS:
        assert told[attack.altered] == (READING if attack.read else VERIFYING)
