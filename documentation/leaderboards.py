"""`leaderboards/README.md`: the tables and figures of all leaderboards on one page.

    python documentation/leaderboards.py

writes it from what `fpmc-bench leaderboard render --write` has left in their folders.
"""

import json
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "leaderboards"
LEAD = """# Leaderboards

Denoisers beside trained networks, on images and noise that all rows share. Every figure here is
computed from the errors of single items, which lie beside it (`records/`), and can be computed anew
by anybody, from the records alone:

    fpmc-bench leaderboard render leaderboards/digits

[Publishing](../docs/publishing.md) says how a row is checked, compared and added;
[protocols](../docs/protocols.md) what the columns are, [methods](../docs/methods/index.md) what the
entries are. Made by

    fpmc-bench run digits --run-dir leaderboards/digits
    fpmc-bench run photos --run-dir leaderboards/photos --processes 2

The work units (`ledger/`) are not kept: the same commands compute them again. This page is written
by `python documentation/leaderboards.py`.
"""
PROTOCOLS = {
    "sample-mse": "whole samples, from the same initial noise",
    "denoiser-mse": "one denoising step",
}
SHOWS = {
    "samples": "samples of every entry from shared noise, a row each",
    "forest": "every entry's figure with its interval",
    "relative": "error by noise level, relative to the other network's",
}
"""What a figure shows, by the last word of its name; else errors by noise level."""


def page(folder: Path) -> str:
    """The page, of the leaderboards that are folders of `folder`."""
    boards = sorted(path.parent for path in folder.glob("*/run.json"))
    return "\n".join([LEAD, *(_board(board) for board in boards)])


def _board(board: Path) -> str:
    suite = json.loads((board / "run.json").read_text(encoding="utf-8"))["suite"]
    parts = [f"## {board.name}", f"{suite['description']}."]
    for protocol, what in PROTOCOLS.items():
        table = board / "tables" / f"{protocol}.md"
        if table.is_file():
            parts += [f"### {board.name}: {protocol}, {what}", _table(table)]
            parts += _figures(board, protocol)
    return "\n\n".join([*parts, "\n".join(_links(board))]) + "\n"


def _table(path: Path) -> str:
    """The leaderboard and its notes, without the errors by noise level."""
    text = path.read_text(encoding="utf-8").partition("\n")[2]
    return text.partition("\n### ")[0].strip()


def _figures(board: Path, protocol: str) -> Iterator[str]:
    for path in sorted((board / "figures").glob(f"{protocol}*.png")):
        what = SHOWS.get(path.stem.removeprefix(f"{protocol}-"), "error by noise level")
        yield f"![{board.name}, {protocol}: {what}]({board.name}/figures/{path.name})"


def _links(board: Path) -> Iterator[str]:
    name = board.name
    for path in sorted((board / "tables").iterdir()):
        yield f"- [{name}/tables/{path.name}]({name}/tables/{path.name})"
    yield f"- [{name}/records]({name}/records): a JSON a row, the errors of its items beside it"
    if (board / "studies").is_dir():
        yield (
            f"- [{name}/studies]({name}/studies): data and figures of "
            f"[studies](../docs/studies.md#carried-out) on the suite"
        )


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(page(FOLDER), encoding="utf-8")
