"""A plugin's class that is at hand, from a module or a notebook: what it is, by its source text."""

import dis
import hashlib
import inspect
import json
import linecache
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from fpmc_bench.catalog.code import code_fingerprint
from fpmc_bench.catalog.plugin_file import SHOWN, parsed, refuse_siblings
from fpmc_bench.catalog.registry import Registered, Registry, name_of_offer
from fpmc_bench.documents.provenance import NOTEBOOK
from fpmc_bench.errors import UsageError

PLAIN = (type(None), bool, int, float, str, bytes)


def registered_class(kind: str, cls: type, registry: Registry) -> Registered:
    """What a class is known as: as it is registered, or by the code of its module or notebook.

    PluginError for a class that is none of this kind; UsageError where its code can't be had, or
    is more than what can be had.
    """
    name = name_of_offer(kind, cls)
    there = registry.items[kind].get(name)
    if there is not None and there.item is cls:
        return there
    if "<locals>" in cls.__qualname__:  # as many classes as there are calls, and one text
        raise UsageError(
            f"'{cls.__qualname__}' is made inside a function, on whose variables it may depend; "
            f"move it out of that, and make what it depends on its parameters"
        )
    module = sys.modules[cls.__module__]
    top = sys.modules[cls.__module__.partition(".")[0]]
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).is_file():  # as "<stdin>" is none
        code, distribution = _notebook_code(cls), NOTEBOOK
    elif getattr(top, "__path__", None):
        code, distribution = code_fingerprint(top), top.__name__
    else:
        code, distribution = _file_code(module), Path(file).name
    return Registered(name, cls, distribution, code[:SHOWN], code=code)


def _file_code(module: ModuleType) -> str:
    path = Path(str(module.__file__))
    content = path.read_bytes()
    tree = parsed(path, content)
    refuse_siblings(path, tree)
    if isinstance(getattr(module, "__loader__", None), SourceFileLoader):
        # others, as pytest's, change what they load
        _refuse_stale(module, compile(tree, str(path), "exec", dont_inherit=True))
    return hashlib.sha256(content).hexdigest()


def _refuse_stale(module: ModuleType, now: CodeType) -> None:
    """UsageError where functions of a module are none that its file has now."""
    written = list(_codes_in(now))
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        for function in _functions(value):
            code = function.__code__
            # what decorators and dataclasses make is of other files
            if code.co_filename == module.__file__ and code not in written:
                raise UsageError(
                    f"{module.__file__} was edited after '{function.__qualname__}' was imported; "
                    f"import it anew (importlib.reload), or restart"
                )


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_in(constant)


def _functions(value: object) -> list[FunctionType]:
    """Those that a function or a class is made of."""
    parts = [value, *(vars(value).values() if inspect.isclass(value) else ())]
    bare = [getattr(part, "fget", None) or getattr(part, "__func__", part) for part in parts]
    return [inspect.unwrap(one) for one in bare if inspect.isfunction(one)]


def _names_used(function: FunctionType) -> set[str]:
    """Variables of its module, or builtins, that a function reads."""
    return {
        str(one.argval)
        for code in _codes_in(function.__code__)
        for one in dis.get_instructions(code)
        if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }


def _notebook_code(cls: type) -> str:
    """sha256 over the cells that define a class and whatever of the notebook it uses."""
    found: dict[str, str] = {}
    _gather(cls.__name__, cls, sys.modules[cls.__module__], found)
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _gather(name: str, value: Any, notebook: ModuleType, found: dict[str, str]) -> None:
    """The text of what `name` of a notebook is, and of what that uses in turn."""
    if name in found or isinstance(value, ModuleType):
        return
    if isinstance(value, PLAIN):
        found[name] = repr(value)
        return
    is_code = inspect.isclass(value) or inspect.isfunction(value)
    if is_code and value.__module__ != notebook.__name__:
        return  # an installed module's
    functions = [one for one in _functions(value) if one.__module__ == notebook.__name__]
    functions = [one for one in functions if one.__code__.co_filename != "<string>"]
    text = "".join(linecache.getlines(functions[0].__code__.co_filename)) if functions else ""
    if not text:
        raise UsageError(
            f"'{name}' is part of a class that is defined in no file, and its source can't be "
            f"had; write it to a file and give that, as denoisers=['./mine.py:Laplace'], or make "
            f"'{name}' a parameter of the class"
        )
    found[name] = text
    for function in functions:
        for used in _names_used(function):
            if used in vars(notebook):
                _gather(used, vars(notebook)[used], notebook, found)
    for base in value.__mro__[1:] if inspect.isclass(value) else ():
        _gather(base.__name__, base, notebook, found)
