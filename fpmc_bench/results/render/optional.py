"""Figures lie beside what was asked for: one that can't be drawn is a line, and ends nothing."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fpmc_bench.documents.text import one_line


def drew(path: Path, draw: Callable[[Path], None]) -> bool:
    """Whether `draw` could write its figure to `path`; a line on stderr says why it could not.

    `draw` itself imports what it draws with: no want of that is met elsewhere.
    """
    try:
        load_matplotlib()
        draw(path)
    except Exception as error:  # fonts, settings, a damaged installation: whatever it is
        reason = one_line(" ".join(f"{type(error).__name__}: {error}".split()))
        print(f"fpmc-bench: {path} was not drawn: {reason}", file=sys.stderr)
        return False
    return True


def load_matplotlib() -> None:
    """Without the backend that notebooks ask for in the environment of all they start.

    Figures here are drawn without one, and where matplotlib lacks it, it can't be imported at all.
    Where it has it, the figures of whoever called are drawn by it as ever.
    """
    asked = os.environ.get("MPLBACKEND")
    if asked is None or "matplotlib" in sys.modules:
        return
    del os.environ["MPLBACKEND"]
    try:
        import matplotlib

        with suppress(ValueError):
            matplotlib.rcParams["backend"] = asked
    finally:
        os.environ["MPLBACKEND"] = asked
