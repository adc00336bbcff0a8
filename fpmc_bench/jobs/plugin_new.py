"""plugin new: a distribution with one plugin, its tests and a page, from templates beside this.

PACKAGE and NAME in a template's place stand for the new plugin's.
"""

import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import jinja2

from fpmc_bench.catalog.registry import Registry
from fpmc_bench.errors import UsageError
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.folders import refuse_unwritable

TEMPLATES = files("fpmc_bench.jobs") / "templates"
SUFFIX = ".jinja"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 60


@dataclass(frozen=True)
class NewPlugin:
    """What is to be written: a plugin of a kind, under a name that is also its distribution's.

    UsageError for a name that no distribution can have, that would hide another module, or that is
    taken.
    """

    name: str
    kind: str
    registry: Registry

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or len(self.name) > LONGEST:
            raise UsageError(
                f"'{self.name}' can't name a distribution: expected up to {LONGEST} small letters "
                f"and digits, a letter first, with single dashes between{self._suggestion()}"
            )
        if keyword.iskeyword(self.package) or self.package in (*sys.stdlib_module_names, "tests"):
            raise self._taken(f"package '{self.package}', a name that Python and pytest have taken")
        spec = importlib.util.find_spec(self.package)
        if spec is not None and spec.origin is not None:  # of a mere folder there is none
            raise self._taken(f"package '{self.package}', and there is a module of that name here")
        if any(re.search(rf"\b{self.cls}\b", text) for text in self._templates().values()):
            raise self._taken(f"class {self.cls}, a name that it uses for something else")
        for kind in dict.fromkeys((f"{self.kind}s", "suites")):
            if there := self.registry.items[kind].get(self.name):
                raise UsageError(f"there is a '{self.name}' already, of {there.origin}")

    @property
    def package(self) -> str:
        """The module that is imported."""
        return self.name.replace("-", "_")

    @property
    def cls(self) -> str:
        """The class: `soft-optimal` has SoftOptimal."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    def _taken(self, what: str) -> UsageError:
        return UsageError(f"'{self.name}' would make a {what}; call it 'my-{self.name}', say")

    def _suggestion(self) -> str:
        plain = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-0123456789")[:LONGEST]
        return f"; call it '{plain.rstrip('-')}', say" if NAME.fullmatch(plain.rstrip("-")) else ""

    def contents(self) -> dict[str, str]:
        """Place within the distribution's folder -> text."""
        environment = jinja2.Environment(
            undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
        )
        words = {"name": self.name, "package": self.package, "cls": self.cls, "kind": self.kind}
        return {
            place.replace("PACKAGE", self.package).replace("NAME", self.name): (
                environment.from_string(text).render(words)
            )
            for place, text in self._templates().items()
        }

    def _templates(self) -> dict[str, str]:
        folders = (TEMPLATES / "common", TEMPLATES / self.kind)
        return {
            place: template.read_text(encoding="utf-8")
            for folder in folders
            for place, template in _found(folder)
        }


def write_plugin(plugin: NewPlugin, into: Path) -> Path:
    """Write it into a new folder of its name in `into`; the folder.

    UsageError where something is there by that name, or `into` can't be written into.
    """
    folder = into / plugin.name
    refuse_unwritable(into, "--into")
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} is there already; give another name, or another --into")
    for place, text in plugin.contents().items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    return folder


def _found(folder: Traversable, within: str = "") -> Iterator[tuple[str, Traversable]]:
    """(place without the suffix, template) of a folder of templates, and of those in it."""
    for one in folder.iterdir():
        if one.is_dir():
            yield from _found(one, f"{within}{one.name}/")
        elif one.name.endswith(SUFFIX):
            yield f"{within}{one.name.removesuffix(SUFFIX)}", one
