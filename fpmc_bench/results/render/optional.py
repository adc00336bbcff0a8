"""Figures lie beside what was asked for: one that can't be drawn is a line, and ends nothing."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from fpmc_bench.documents.text import one_line


def drew(path: Path, draw: Callable[[Path], None]) -> bool:
    """Whether `draw` could write its figure to `path`; a line on stderr says why it could not.

    `draw` itself imports what it draws with: no want of that is met elsewhere.
    """
    try:
        _forget_missing_backend()
        draw(path)
    except Exception as error:  # fonts, settings, a damaged installation: whatever it is
        reason = one_line(" ".join(f"{type(error).__name__}: {error}".split()))
        print(f"fpmc-bench: {path} was not drawn: {reason}", file=sys.stderr)
        return False
    return True


def _forget_missing_backend() -> None:
    """Notebooks set MPLBACKEND for all they start; where matplotlib lacks that it is no import."""
    if "MPLBACKEND" in os.environ:
        try:
            import matplotlib  # noqa: F401
        except ValueError:
            del os.environ["MPLBACKEND"]  # figures here are drawn without one
