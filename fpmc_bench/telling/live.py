"""Lines on a terminal that are drawn over again and again, and make way for what others write."""

import io
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

UP_AND_CLEAR = "\x1b[{}F\x1b[J"
"""To the beginning of so many lines above, and nothing from there on."""


class Live:
    """A block of lines at the bottom of a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0
        self._lines: Sequence[str] = ()
        self._lock = threading.RLock()

    def draw(self, lines: Sequence[str]) -> None:
        """In place of those before, cut to the width and the height of the terminal."""
        with self._lock:
            self._lines = lines
            self._stream.write(self._over() + self._block())
            self._stream.flush()

    def above(self, text: str) -> None:
        """Text of whole lines that stays, above the block."""
        with self._lock:
            self._stream.write(self._over() + text + self._block())
            self._stream.flush()

    def clear(self) -> None:
        """Nothing is left of the block."""
        self.draw(())

    def _over(self) -> str:
        return UP_AND_CLEAR.format(self._drawn) if self._drawn else ""

    def _block(self) -> str:
        """What there is room for, leaving the line of the cursor."""
        columns, rows = shutil.get_terminal_size()
        shown = [line[: columns - 1] for line in self._lines]
        if len(shown) > rows - 1:
            more = f"... and {len(shown) - rows + 2} lines more"[: columns - 1]
            shown = [*shown[: rows - 2], more]
        self._drawn = len(shown)
        return "".join(f"{line}\n" for line in shown)


class AboveLive(io.TextIOBase):
    """A text stream whose lines stand above a live block: no terminal to draw on."""

    def __init__(self, live: Live, stream: TextIO) -> None:
        super().__init__()
        self.live, self._stream, self._pending = live, stream, ""

    def write(self, text: str) -> int:
        """What is no whole line yet waits for its end."""
        *lines, self._pending = (self._pending + text).split("\n")
        if lines:
            self.live.above("".join(f"{line}\n" for line in lines))
        return len(text)

    def close(self) -> None:
        """What was left of a line is one."""
        if self._pending:
            self.write("\n")
        super().close()

    def fileno(self) -> int:
        """Of the terminal."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """It is."""
        return True


@contextmanager
def live_stderr() -> Iterator[Live]:
    """A block on stderr; while it is there, whoever writes to stderr writes above it."""
    before = sys.stderr
    live = Live(before)
    sys.stderr = above = AboveLive(live, before)
    try:
        yield live
    finally:
        sys.stderr = before
        above.close()
        live.clear()
