"""The README does what it says: its Python runs, its commands exist, its table is the record's."""

import re
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_of_the_readme_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names: dict[str, torch.Tensor] = {}
    exec(code, names)
    assert names["samples"].shape == (4, 1, 8, 8)
    assert bool(names["samples"].isfinite().all())


def test_the_table_of_the_readme_is_that_of_the_records() -> None:
    table = (ROOT / "leaderboards" / "digits" / "tables" / "sample-mse.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 13, "a header, twelve entries and the other network"
    assert "\n".join(rows) in README


def test_the_files_that_the_readme_shows_are_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert all((ROOT / link).is_file() for link in links)
