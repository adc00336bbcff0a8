"""The user's configuration file: where things lie, and names of the user's own.

    [data]
    cifar10 = "cifar-10-python.tar.gz"      where a data set lies that plugins know

    [datasets.lab]
    plugin = "image-zip"                    a data set of one's own: what reads it,
    path = "lab.zip"                        where it lies,
    test_images = 500                       and parameters

    [teachers.lab-net]
    network = "lab.safetensors"             or FILE[label=3], or module:function

Paths are those from the folder of the file. [teacher] and [weights] are as [data].
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import platformdirs

from fpmc_bench.documents.names import ROW_NAME
from fpmc_bench.errors import UnknownNameError, UsageError
from fpmc_bench.storage.toml_file import refuse_codes, toml_content

Kind = Literal["data", "teacher", "weights"]
KINDS: tuple[Kind, ...] = ("data", "teacher", "weights")
OWN = ("datasets", "teachers")
CONFIG_VARIABLE = "FPMC_BENCH_CONFIG"


@dataclass(frozen=True, eq=False)
class Configuration:
    """What the file says. `places`: kind -> name -> path. `datasets` and `teachers` by name."""

    file: Path
    places: Mapping[Kind, Mapping[str, str]] = field(default_factory=dict)
    datasets: Mapping[str, "OwnDataset"] = field(default_factory=dict)
    teachers: Mapping[str, str] = field(default_factory=dict)
    """What each network is, as `load_teacher` is told."""


@dataclass(frozen=True)
class OwnDataset:
    """A data set of the user's: the plugin that reads it, and that one's parameters."""

    plugin: str
    params: Mapping[str, Any]


def config_file() -> Path:
    """$FPMC_BENCH_CONFIG, or config.toml in the user's configuration folder."""
    chosen = os.environ.get(CONFIG_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_config_path("fpmc-bench") / "config.toml"


def configuration() -> Configuration:
    """The same object as long as the file does not change; an empty one where there is no file.

    UsageError, naming the file, for what can't be read or has another form, and for a file that
    the environment names and that is not there.
    """
    path = config_file()
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        if os.environ.get(CONFIG_VARIABLE):
            raise UsageError(
                f"{CONFIG_VARIABLE} says {path}, which can't be read ({error.strerror}); name a "
                f"file that is there, or unset it"
            ) from error
        return _none(path)
    return _read(path, changed)


@cache
def _none(path: Path) -> Configuration:
    return Configuration(path)


@cache
def _read(path: Path, changed: int) -> Configuration:
    """Read once for each state of the file."""
    content = toml_content(path, "configuration")
    sections = [*KINDS, *OWN]
    for section in content:
        if section not in sections:
            raise UsageError(f"{path}: {UnknownNameError('section', section, sections)}")
    places = {kind: _places(path, kind, content.get(kind, {})) for kind in KINDS}
    own = {section: _tables(path, section, content.get(section, {})) for section in OWN}
    datasets = {}
    for name, table in own["datasets"].items():
        where = f"{path}: [datasets.{name}]"
        params = {key: value for key, value in table.items() if key not in ("plugin", "path")}
        datasets[name] = OwnDataset(_text(where, "plugin", table), params)
        if "path" in table:
            if name in places["data"]:
                raise UsageError(f"{where} has a path, and so has '{name}' under [data]")
            places["data"][name] = beside(path, _text(where, "path", table))
    teachers = {}
    for name, table in own["teachers"].items():
        where = f"{path}: [teachers.{name}]"
        for key in table:
            if key != "network":
                raise UsageError(f"{where}: {UnknownNameError('line', key, ['network'])}")
        teachers[name] = _text(where, "network", table)
    return Configuration(path, places, datasets, teachers)


def beside(file: Path, place: str) -> str:
    """A path from the folder of the file that says it. UsageError for one with codes in it."""
    refuse_codes(file, place)
    return str(file.parent / Path(place).expanduser())


def _places(file: Path, kind: str, table: Any) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise UsageError(f'{file}: [{kind}] must hold lines NAME = "PATH"')
    return {name: beside(file, place) for name, place in table.items()}


def _tables(file: Path, section: str, content: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise UsageError(f"{file}: [{section}] must hold tables of their own, [{section}.NAME]")
    for name in content:
        if not re.fullmatch(ROW_NAME, name):
            raise UsageError(
                f"{file}: [{section}.{name}] must be named by letters, digits, '.', '_', '+' and "
                f"'-', a letter or digit first"
            )
    return content


def _text(where: str, key: str, table: Mapping[str, Any]) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f'{where} needs a line {key} = "...", got {value!r}')
    return value
