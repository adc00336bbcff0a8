"""Being told to stop: by Ctrl-C (SIGINT), or by whoever started this process (SIGTERM).

Wherever the main thread is in Python it gets a `Stopped` then, and what it was at is dropped on the
way out, as after an error. Where it computes for long, or a stranger's code keeps the exception, a
thread ends the process: it reads a pipe that is written to whatever the main thread does. It can't
where that keeps Python's lock all the time, as a regular expression may; torch gives it up.
"""

import atexit
import ctypes
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import NoReturn

import psutil

from fpmc_bench.telling.lines import as_line

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 5.0
"""For the main thread to end what it is at, until the process is ended."""
LAST_SECONDS = 2.5
"""For what is to be done at any end, where a thread does it."""
LOOK_SECONDS = 0.1
"""Between two looks at what the main thread is at, once a signal has come."""
SAME_SECONDS = 0.3
"""Within which signals are one: `timeout` and schedulers send it to a process and to its group."""
GOES_ON = "finished work is kept, and the same command goes on from there"

Action = Callable[[], object]
Speaks = Callable[[signal.Signals], bool]
"""Whether this process, and not another, says that the signal has ended it."""

_exit = os._exit  # while a stranger's code runs, that of `os` is another


class Stopped(BaseException):
    """This process was told to stop, by a signal: nobody's fault, and so no error."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)
        self.kept = _state.kept  # where it came, of which its way out makes another


@dataclass
class _State:
    """What is to happen in this process when a signal has come."""

    handled: bool = False
    grace: float = GRACE_SECONDS
    waits: bool = False
    """Whether no exception reaches the main thread, or may where it is: another ends it at once."""
    kept: str = ""
    """What is said of finished work."""


_state = _State()
_at_any_end: list[Action] = []


@contextmanager
def stoppable(speaks: Speaks) -> Iterator[None]:
    """Around all that a process does: a signal of `SIGNALS` ends it as this module says.

    Then the process dies of that signal, so that a shell sees 130 or 143 and leaves its own loop at
    Ctrl-C, which it does not for an exit status. What is ignored, as Ctrl-C behind a shell's `&`,
    stays so. Nothing is done where this is not the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, hook = {one: signal.getsignal(one) for one in SIGNALS}, sys.unraisablehook
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watch = _Watch(reading, speaks)
    threading.Thread(target=watch.run, daemon=True).start()
    _state.handled = True
    handle_signals()
    sys.unraisablehook = partial(_lost, otherwise=hook)
    try:
        yield
    except Stopped as stopped:
        _flush()
        watch.say(stopped.signal, stopped.kept)
        atexit._run_exitfuncs()  # as at an orderly end, but without waiting for strangers' threads
        _die(stopped.signal)
    finally:
        _state.handled, sys.unraisablehook = False, hook
        for one, handler in before.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(wakeup)
        os.close(writing)


def handle_signals() -> None:
    """Within `stoppable`: raise `Stopped` at a signal, also after others have handled it."""
    for one in SIGNALS if _state.handled else ():
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, _stop)


@contextmanager
def at_any_end(action: Action) -> Iterator[None]:
    """Do it, once, when the block ends, or when the process is ended while in the block."""
    _at_any_end.append(action)
    try:
        yield
    finally:
        _do(action)


@contextmanager
def keeping(kept: str = GOES_ON, grace: float = GRACE_SECONDS) -> Iterator[None]:
    """What is said of work in this block when a signal ends it, and how long it has to end."""
    before = _state.kept, _state.grace
    _state.kept, _state.grace = kept, grace
    try:
        yield
    finally:
        _state.kept, _state.grace = before


@contextmanager
def waiting() -> Iterator[None]:
    """Around a wait of the main thread where Python's handlers don't run: it ends at once.

    Also where signals are not handled, as in a notebook, where Ctrl-C then ends the process.
    """
    main = threading.current_thread() is threading.main_thread()
    if _state.handled and main:
        _state.waits = True
        try:
            yield
        finally:
            _state.waits = False
    elif main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    else:
        yield


@dataclass
class _Watch:
    """The thread that ends this process where the main one does not, or at a second signal."""

    pipe: int
    speaks: Speaks
    silent: bool = False

    def run(self) -> None:
        """Until the pipe is closed."""
        number, came = 0, 0.0
        while not number or time.monotonic() < came + (0 if _state.waits else _state.grace):
            if not select.select([self.pipe], [], [], LOOK_SECONDS if number else None)[0]:
                continue
            read = os.read(self.pipe, 1)
            if not read:
                os.close(self.pipe)
                return
            if read[0] not in SIGNALS:
                continue
            again = bool(number) and time.monotonic() > came + SAME_SECONDS
            if again or not number:
                number, came = read[0], time.monotonic()
            if again:
                break
        else:
            last = threading.Thread(target=_do_all, daemon=True)
            last.start()
            last.join(LAST_SECONDS)
        self.say(number, _state.kept)
        _die(number)

    def say(self, number: int, kept: str) -> None:
        """The one line, by no stream of Python's: the main thread may hold it."""
        one = signal.Signals(number)
        if self.silent or not self.speaks(one):
            return
        self.silent = True
        said = "; ".join(filter(None, (f"fpmc-bench: stopped by {one.name}", kept)))
        with suppress(OSError):
            os.write(2, f"{as_line(said)}\n".encode())


def _stop(number: int, frame: FrameType | None) -> None:
    if not _imports(frame):
        raise Stopped(number)
    _state.waits = True  # half a module would be left, whose users keep the exception or go astray


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _lost(what: "sys.UnraisableHookArgs", otherwise: Callable[..., object]) -> None:
    """Python has dropped an exception, as it does in a destructor or a callback of a reference."""
    if isinstance(what.exc_value, Stopped):
        _state.waits = True
    else:
        otherwise(what)


def _do_all() -> None:
    for action in reversed(_at_any_end[:]):
        with suppress(Exception):
            _do(action)


def _do(action: Action) -> None:
    try:
        _at_any_end.remove(action)
    except ValueError:
        return  # the other thread does it
    action()


def leave(status: int) -> NoReturn:
    """End as Python does at an exit status, but wait for no thread or process of strangers'."""
    _flush()
    _kill_children()
    atexit._run_exitfuncs()
    _exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _kill_children() -> None:
    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()


def _die(number: int) -> NoReturn:
    """Of a signal, from any thread; what this process has started dies before."""
    _kill_children()
    default = ctypes.pythonapi.PyOS_setsig  # signal.signal is for the main thread alone
    default.argtypes, default.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    default(number, None)
    signal.pthread_kill(threading.get_ident(), number)
    _exit(128 + number)  # where nobody dies of a signal, as the first process of a container


def _forget() -> None:
    """In a process that a stranger forks: signals are its own, and the pipe is not."""
    _at_any_end.clear()
    if _state.handled:
        _state.handled = False
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


os.register_at_fork(after_in_child=_forget)
