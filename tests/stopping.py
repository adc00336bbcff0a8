"""Commands that are started to be stopped: in the state in which a shell starts them."""

import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from runs import environment


@contextmanager
def started(
    command: Sequence[str | Path],
    cwd: Path,
    *,
    ignored: Collection[signal.Signals] = (),
    env: Mapping[str, str] | None = None,
    start_new_session: bool = False,
) -> Iterator["subprocess.Popen[str]"]:
    """A process that has begun its work, as the file `began` of its folder says; killed at the end.

    A job in the background of a shell that has no terminal, as these tests may be, would ignore
    SIGINT otherwise.
    """

    def as_a_shell_does() -> None:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN if one in ignored else signal.SIG_DFL)

    with subprocess.Popen(
        list(map(str, command)),
        cwd=cwd,
        env=env or environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_a_shell_does,
        start_new_session=start_new_session,
    ) as process:
        deadline = time.monotonic() + 120
        try:
            while not (cwd / "began").exists() and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process
        finally:
            process.kill()
