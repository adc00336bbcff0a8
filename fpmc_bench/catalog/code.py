"""The code of a plugin as a hash: an edited one is never mixed with what it made before."""

import hashlib
import inspect
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from fpmc_bench.catalog.registry import Registered
from fpmc_bench.documents.provenance import PluginOrigin


def origin_of(registered: Registered) -> PluginOrigin:
    """Distribution, version and code of a registered class."""
    return PluginOrigin(
        distribution=registered.distribution,
        version=registered.version,
        code=registered.code
        or code_fingerprint(sys.modules[registered.item.__module__.partition(".")[0]]),
    )


@cache
def code_fingerprint(top: ModuleType) -> str:
    """sha256 over the source of a whole top-level package, or of a module that is one file."""
    file = Path(inspect.getfile(top))
    paths = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(file.parent).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
