"""Lines on stderr: for people, or for programs, where stderr is a stream of JSON lines."""

import io
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime
from typing import Any, TextIO

WRITER = "fpmc-bench"
_lent: list[Any] = []
"""Where stderr led before it was lent."""


def users_stderr() -> Any:
    """The stream that users see as stderr, also for a thread while `sys.stderr` is lent."""
    return _lent[0] if _lent else sys.stderr


@contextmanager
def stderr_lent_to(stream: TextIO) -> Iterator[None]:
    """Within the block `sys.stderr` is another's: what is told goes where it led before."""
    _lent.append(sys.stderr)
    try:
        with redirect_stderr(stream):
            yield
    finally:
        _lent.pop()


def tell(text: str, event: str, **fields: Any) -> None:
    """Say `text` in a line; where stderr is `JsonLines`, the event with its fields in its place.

    An empty text is for programs alone. A reader that has gone misses it, and nothing else changes.
    """
    stream = users_stderr()
    try:
        if isinstance(stream, JsonLines):
            stream.event(event, **fields)
        elif text:
            # in one piece, or lines of several processes would mix
            stream.write(f"{WRITER}: {text}\n")
            stream.flush()
    except OSError:
        pass


def as_line(text: str) -> str:
    """What `text` is on stderr as it is now, for who writes past it."""
    return _as_json("message", text=text) if isinstance(users_stderr(), JsonLines) else text


class JsonLines(io.TextIOBase):
    """A text stream on which every line is a JSON object with `time`, `event`, `host`, `process`.

    What anybody else writes to it becomes a `message`. `process` is the rank among those that share
    the work.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._pending = ""
        self._lock = threading.RLock()

    def event(self, event: str, **fields: Any) -> None:
        """A line, in ASCII, whose control characters are escaped."""
        with self._lock:
            self._stream.write(_as_json(event, **fields) + "\n")
            self._stream.flush()

    def write(self, text: str) -> int:
        """Part of a message, which ends where a text ends a line: a report stays in one piece."""
        with self._lock:
            self._pending += text
            if text.endswith("\n"):
                self._put()
        return len(text)

    def close(self) -> None:
        """Whatever is left is a message too; the stream below stays open."""
        with self._lock:
            self._put()
        super().close()

    def fileno(self) -> int:
        """For what writes past Python, unwrapped."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """It is."""
        return True

    def _put(self) -> None:
        message, self._pending = self._pending.strip("\r\n"), ""
        if message.strip():
            self.event("message", text=message)


def _as_json(event: str, **fields: Any) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    who = {"host": socket.gethostname(), "process": int(os.environ.get("RANK", "0"))}
    return json.dumps({"time": now, "event": event, **who, **fields})


@contextmanager
def json_lines(wanted: bool = True) -> Iterator[None]:
    """Within the block stderr is a stream of JSON lines, where that is wanted."""
    if not wanted:
        yield
        return
    before = sys.stderr
    stream = JsonLines(before)
    sys.stderr = stream
    try:
        yield
    finally:
        sys.stderr = before
        stream.close()
