"""Whatever is altered in a leaderboard is found: see `benchmarks/attacks.py`."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from attacking.alterations import ATTACKS, CHECK, VERIFY, Attack
from attacks import found, small_board, tried, verified

DOCUMENT = Path(__file__).parent.parent / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_board(tmp_path_factory.mktemp("attacks") / "run")


def test_nothing_is_found_where_nothing_was_altered(board: Path) -> None:
    assert found(board).by == ""


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.altered)
def test_an_alteration_is_found_by_name(attack: Attack, board: Path, tmp_path: Path) -> None:
    noticed = tried(attack, board, tmp_path)
    assert noticed.by == attack.by
    assert "denoiser-mse" in noticed.message


@pytest.mark.parametrize(
    "attack", [one for one in ATTACKS if one.by == CHECK], ids=lambda attack: attack.altered
)
def test_verify_finds_by_itself_what_check_finds(
    attack: Attack, board: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(board, tmp_path / "board")
    attack.alter(copy)
    assert verified(copy).by == VERIFY


def test_the_document_has_every_attack() -> None:
    lines = DOCUMENT.read_text().splitlines()
    cells = [line.split("|") for line in lines if line.startswith("|")]
    told = {line[1].strip(): line[2].strip() for line in cells}
    for attack in ATTACKS:
        assert told[attack.altered] == attack.by
