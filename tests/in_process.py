"""Commands and scripts in the tests' own process, which has torch already.

What it leaves behind is undone, so that it finds and leaves the process as a new one would.
"""

import importlib
import io
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType

import torch

from fpmc_bench.catalog.installed import registry_with
from fpmc_bench.cli import main


def call(arguments: Sequence[str], cwd: Path, paths: Sequence[Path]) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of `python -m fpmc_bench ARGUMENTS` from the folder `cwd`.

    `paths` are importable, before everything but `cwd`. Unlike in a process of its own, warnings
    are what pytest makes of them: errors.
    """
    return _called(lambda: main(list(arguments), prog_name="fpmc-bench"), arguments, cwd, paths)


def call_script(script: Path, arguments: Sequence[str]) -> tuple[int, str, str]:
    """The same of `python SCRIPT ARGUMENTS`, where the script's command is its `main`."""

    def command() -> None:
        main = importlib.import_module(script.stem).main
        main(list(arguments), prog_name=script.name)

    return _called(command, arguments, script.parent, ())


def _called(
    command: Callable[[], object], arguments: Sequence[str], cwd: Path, paths: Sequence[Path]
) -> tuple[int, str, str]:
    out, err = _pipe(), _pipe()
    with ExitStack() as stack:
        for context in (
            chdir(cwd),
            _importing(cwd.resolve(), paths),
            _arguments(["fpmc-bench", *arguments]),
            _environment(paths),
            torch.random.fork_rng(devices=()),
            _threads(),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            stack.enter_context(context)
        status = _status(command)
    return status, _read(out), _read(err)


def _pipe() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n", write_through=True)


def _read(pipe: io.TextIOWrapper) -> str:
    """What was written, its lines ended as `subprocess` ends them: also where a bar began anew."""
    pipe.seek(0)
    pipe.reconfigure(newline=None)
    return pipe.read()


def _status(command: Callable[[], object]) -> int:
    """As Python would end: an error's traceback on stderr, or what `sys.exit` was given."""
    try:
        command()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def _importing(cwd: Path, paths: Sequence[Path]) -> Iterator[None]:
    """These folders first, plugins of `paths` installed; afterwards no module of theirs is left.

    Nor of any other folder that the command made importable.
    """
    path, modules = sys.path[:], set(sys.modules)
    sys.path[:0] = map(str, [cwd, *(path.resolve() for path in paths)])
    importlib.invalidate_caches()
    if paths:
        registry_with.cache_clear()
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            place = _place(sys.modules[name])
            if place and not any(place.is_relative_to(folder) for folder in path if folder):
                del sys.modules[name]
        linecache.clearcache()
        importlib.invalidate_caches()
        if paths:
            registry_with.cache_clear()


def _place(module: ModuleType) -> Path | None:
    """The file of a module, or the folder of a package without one; None for what is built in."""
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return next((Path(place) for place in places if place), None)


@contextmanager
def _arguments(arguments: list[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _environment(paths: Sequence[Path]) -> Iterator[None]:
    """The variables of a command that is started: for what it starts, and as wide as a pipe."""
    from runs import environment

    before = dict(os.environ)
    os.environ.update(environment(*paths), COLUMNS="80", FPMC_BENCH_ISOLATE="0")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
