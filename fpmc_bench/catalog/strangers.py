"""Calling what strangers wrote: it can't end the process, and it leaves the process as it found it.

`sys.exit`, `os._exit` and whatever else is no ordinary exception become one, so that whoever called
goes on; only a real signal to stop (Ctrl-C, SIGTERM) ends a run, whatever is made of it. Code that
isn't Python can still end the process.
"""

import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from fpmc_bench.catalog.process_state import ProcessState
from fpmc_bench.errors import PluginError
from fpmc_bench.interruptions import SIGNALS

_within: ContextVar[bool] = ContextVar("within_strangers_code", default=False)

OnChanges = Callable[[str], object]
"""Told, in one line, what was changed and has been put back."""


def refuse_changes(changes: str) -> None:
    """PluginError: figures of others would have depended on them."""
    raise PluginError(f"{changes}; a plugin must leave the process as it found it")


@contextmanager
def strangers_code(who: str, on_changes: OnChanges = refuse_changes) -> Iterator[None]:
    """Around a call of the code of `who`, as "denoiser 'x'".

    Ordinary exceptions pass. PluginError for an attempt to end the process; settings of the process
    that were changed are put back, and `on_changes` says what is to become of whoever did it.
    Within such a block another one does nothing: what happens there is the outer one's. A process
    that was forked within ends where it would leave the block: its parent is the one that goes on.
    """
    process = os.getpid()
    if _within.get():
        try:
            yield
        finally:
            if os.getpid() != process:
                os._exit(1)
        return
    before = ProcessState.now()
    token = _within.set(True)
    try:
        with _signals_heeded() as came, _exit_refused():
            try:
                yield
            except Exception:
                raise
            except BaseException as error:
                if came:
                    raise
                *_, kind = traceback.format_exception_only(error)
                raise PluginError(
                    f"{who} raised {kind.strip()}; to fail it has to raise an ordinary exception"
                ) from error
    finally:
        if os.getpid() != process:
            os._exit(1)
        _within.reset(token)
        changes = before.put_back()
    if changes:
        on_changes(f"{who} changed {', '.join(changes)}, which was put back")


@contextmanager
def _signals_heeded() -> Iterator[list[int]]:
    """Yields signals to stop that come within the block: whatever it makes of one, that ends it.

    As it would without the block: by what Python, or whoever handles it, raises. In a thread, or
    where nobody does, as in a process that a shell started with `&`, none comes.
    """
    main = threading.current_thread() is threading.main_thread()
    found = {one: signal.getsignal(one) for one in SIGNALS if main}
    handlers = {one: handler for one, handler in found.items() if callable(handler)}
    came: list[int] = []

    def noted(number: int, frame: FrameType | None) -> None:
        came.append(number)
        handlers[signal.Signals(number)](number, frame)

    for one in handlers:
        signal.signal(one, noted)
    try:
        yield came
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
        if came:
            handlers[signal.Signals(came[0])](came[0], None)


@contextmanager
def _exit_refused() -> Iterator[None]:
    """`os._exit` raises SystemExit here; in a process that was forked from this it still ends."""
    leave, process = os._exit, os.getpid()

    def refuse(status: int) -> None:
        if os.getpid() != process:
            leave(status)
        raise SystemExit(f"os._exit({status})")

    os._exit = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = leave
