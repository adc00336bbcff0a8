"""A denoiser that does what no plugin may: `-d 'bad_plugins.py[how="segfault"]'`."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import torch

from fpmc_bench.contracts import DenoiseFunction, FunctionDenoiser, Setting


def endless() -> None:
    while True:
        with suppress(BaseException):
            time.sleep(0.01)


def holding_the_lock() -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")  # in C, and never looks up


def in_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def deep(n: int = 0) -> int:
    return deep(n + 1) + 1


def prints() -> None:
    print("a line of its own")
    warnings.warn("and a warning", stacklevel=1)
    os.write(1, b"past Python\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)


def closes() -> None:
    sys.stdout.close()
    sys.stderr.close()
    os.closerange(1, 3)


def in_a_thread(act: Callable[[], object]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


ACTS: dict[str, Callable[[], object]] = {
    "": lambda: None,
    "raises": lambda: 1 // 0,
    "exit": lambda: sys.exit(0),
    "os-exit": lambda: os._exit(3),
    "libc-exit": lambda: ctypes.CDLL(None)._exit(0),
    "exit-in-thread": lambda: (
        threading.Thread(target=lambda: os._exit(3)).start(),
        time.sleep(0.1),
    ),
    "segfault": lambda: ctypes.string_at(0),
    "abort": lambda: os.abort(),
    "sigkill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "sigterm": lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(9)),
    "endless": endless,
    "endless-c": holding_the_lock,
    "lock": in_a_lock,
    "fork": lambda: os.fork(),
    "prints": prints,
    "floods": lambda: [print("x" * 999) for _ in range(2 * 10**4)],
    "closes": closes,
    "directory": lambda: os.chdir("/"),
    "thread": lambda: threading.Thread(target=time.sleep, args=(9999,)).start(),
    "memory": lambda: bytearray(2**62),
    "recursion": deep,
    "thread-raises": lambda: in_a_thread(lambda: 1 // 0),
    "child": lambda: subprocess.Popen(["sleep", "9999"]),
}


@dataclass(frozen=True)
class Bad(FunctionDenoiser):
    """z / (1 + sigma^2), after an act."""

    name: ClassVar[str] = "bad"
    citation: ClassVar[str] = "none"

    how: str = ""
    when: str = "asked"

    def check(self, shape: object, sigmas: object) -> None:
        if self.when == "checked":
            ACTS[self.how]()

    def build(self, setting: Setting) -> DenoiseFunction:
        if self.when == "built":
            ACTS[self.how]()

        def denoise(z: torch.Tensor, sigma: float) -> torch.Tensor:
            if self.when == "asked":
                ACTS[self.how]()
            scale = {"nan": float("nan")}.get(self.how, 1 / (1 + sigma**2))
            return z[:, :, 1:] if self.how == "shape" else z * scale

        return denoise


ACTS |= {"nan": ACTS[""], "shape": ACTS[""]}
