"""Plugins of a single file, `./mine.py:Laplace`: loaded as it is, known by its content.

A file has to be complete: what it imports is installed. Code that lies beside it could change
unnoticed, and is refused. Its place is nowhere in what is made of it, its name and content are.
"""

import ast
import hashlib
import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from fpmc_bench.catalog.process_state import own_randomness
from fpmc_bench.catalog.registry import KINDS, Registered, name_of_offer, singular
from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.contracts import Listener
from fpmc_bench.errors import PluginError, UnknownNameError, UsageError
from fpmc_bench.images.notices import notice

FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<cls>[A-Za-z_]\w*))?", re.DOTALL)
CLASSES = {kind: base for kind, base in KINDS.items() if base not in (Path, Listener)}
"""What a file may define: a listener, which moves no figure, is to be installed."""
SHOWN = 8
"""Letters of the content's hash that stand for a version."""
INSTEAD = "'fpmc-bench plugin new' makes a distribution of several files"


def is_plugin_file(text: str) -> bool:
    """Whether this is FILE.py or FILE.py:Class."""
    return FILE.fullmatch(text) is not None


def plugins_of_file(text: str) -> list[tuple[str, Registered]]:
    """(kind, plugin) of FILE.py:Class, or of all plugins that FILE.py defines.

    UsageError for a file that is not there, imports others of its folder or has no plugin,
    UnknownNameError for a class that it has not, PluginError with the line for one that can't be
    imported or whose class is unfit.
    """
    match = FILE.fullmatch(text)
    assert match is not None, text
    path = Path(match["path"]).expanduser()
    module, code = _loaded(path)
    found = [
        (kind, cls)
        for cls in vars(module).values()
        if inspect.isclass(cls) and cls.__module__ == module.__name__
        for kind, base in CLASSES.items()
        if issubclass(cls, base)
    ]
    if match["cls"]:
        names = {cls.__name__ for _, cls in found}
        if match["cls"] not in names:
            raise UnknownNameError(f"plugin class of {path}:", match["cls"], names)
        found = [(kind, cls) for kind, cls in found if cls.__name__ == match["cls"]]
    elif len(found) > 1:  # some may only be what others derive from
        found = [(kind, cls) for kind, cls in found if not inspect.isabstract(cls)]
    if not found:
        kinds = ", ".join(singular(kind) for kind in CLASSES)
        raise UsageError(f"{path} defines no plugin; expected a class of one of: {kinds}")
    return [(kind, _registered(path, code, kind, cls)) for kind, cls in found]


def denoiser_of_file(text: str) -> Registered:
    """The denoiser of FILE.py:Class, or the only one of FILE.py; as `plugins_of_file` raises.

    UsageError where there is none, or where one of several has to be chosen.
    """
    found = [one for kind, one in plugins_of_file(text) if kind == "denoisers"]
    if not found:
        raise UsageError(
            f"{text} is no denoiser; expected a class derived from FPMCDenoiser or FunctionDenoiser"
        )
    if len(found) > 1:
        choices = ", ".join(f"{text}:{one.item.__name__}" for one in found)
        raise UsageError(f"{text} defines {len(found)} denoisers; say which: {choices}")
    return found[0]


def refuse_siblings(path: Path, tree: ast.Module) -> None:
    """UsageError where a module imports others of its own folder, wherever in its code."""
    for line, name in _imported(tree):
        top = name.partition(".")[0]
        beside = (path.parent / f"{top}.py", path.parent / top / "__init__.py")
        if top != "fpmc_bench" and (not top or any(one.exists() for one in beside)):
            raise UsageError(
                f"{path}, line {line}: it imports '{name}' from its own folder, whose changes "
                f"would go unnoticed; put all into one file, or into a package ({INSTEAD})"
            )


def parsed(path: Path, content: bytes) -> ast.Module:
    """A file's code; PluginError with the line where it is none."""
    try:
        return ast.parse(content, str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # ValueError: zero bytes, or no such encoding; the last two: too deep
        line = getattr(error, "lineno", None) or 1
        reason = getattr(error, "msg", None) or error
        raise PluginError(f"{path}, line {line}: {type(error).__name__}: {reason}") from error


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, module) of every import; a relative one begins with a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def _loaded(path: Path) -> tuple[ModuleType, str]:
    """The module of a file and the sha256 of its content, which are of the same bytes."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"there is no plugin file at {path} ({error.strerror})") from error
    code = hashlib.sha256(content).hexdigest()
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    name = f"{path.stem}_{place[:SHOWN]}_{code[:SHOWN]}"
    if name in sys.modules:
        return sys.modules[name], code
    tree = parsed(path, content)
    refuse_siblings(path, tree)
    module = ModuleType(name)
    module.__file__ = str(path.resolve())
    sys.modules[name] = module  # where dataclasses look for it
    try:
        with own_randomness(), strangers_code(str(path), notice):
            # not by the import system: it may take bytecode of what the file was a moment ago
            exec(compile(tree, module.__file__, "exec", dont_inherit=True), vars(module))
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginError(f"{path}, line {_line(error, module.__file__)}: {reason}") from error
    return module, code


def _line(error: Exception, file: str) -> int:
    """Where in the file an error, or what it came from, began."""
    origin = error.__cause__ if isinstance(error, PluginError) and error.__cause__ else error
    frames = traceback.extract_tb(origin.__traceback__)
    return next((f.lineno or 1 for f in reversed(frames) if f.filename == file), 1)


def _registered(path: Path, code: str, kind: str, cls: type) -> Registered:
    try:
        name = name_of_offer(kind, cls)
    except PluginError as error:
        _, line = inspect.getsourcelines(cls)
        raise PluginError(f"{path}, line {line}: {error}") from error
    return Registered(name, cls, path.name, code[:SHOWN], code=code)
