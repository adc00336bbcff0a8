"""What people write: suites, studies, the configuration, and what -d is given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fpmc_bench.catalog.configuration import CONFIG_VARIABLE
from fpmc_bench.catalog.places import Places
from fpmc_bench.documents.names import parse_selection, selection_name
from fpmc_bench.documents.study import read_study
from fpmc_bench.documents.suite import read_suite
from fuzzing.places import variable
from fuzzing.trials import Loader

SUITE = """schema_version = 1
name = "small"
description = "of words"
items = 20
seed = 3
levels = [0, 2]
protocols = ["denoiser-mse"]
[dataset]
name = "digits"
[sigmas]
steps = 4
smax = 80.0
[teachers]
tuning = "digits-ddpmpp"
evaluation = "digits-ncsnpp"
[[entries]]
name = "ls"
denoiser = "ls"
params = {patch_sizes = [15, 7, 3, 3], threshold = 1e-3}
[[entries]]
name = "optimal+flips"
denoiser = "optimal"
augmentations = [{name = "hflip", rate = 1.0}]
"""
STUDY = """schema_version = 1
name = "axes"
view = "finetune"
protocols = ["denoiser-mse"]
bases = ["ls", "pspc-square[threshold=0.5]"]
axes = [["q"], ["r", "q"]]
sigmas = [80.0, 1.0]
[settings]
steps = 10
learning_rate = 0.1
"""
TABLE_STUDY = """schema_version = 1
name = "table"
view = "table"
with_entries = true
[[rows]]
name = "ls+q"
base = "ls"
axes = ["q"]
[[rows]]
name = "optimal+flips"
base = "optimal"
augmentations = [{name = "hflip", rate = 0.5}]
"""
SELECTIONS = """ls
ls[a=1,b="c"]
lukoianov[threshold=0.02,sizes=[3, 5]]
"""
CONFIGURATION = """[data]
cifar10 = "/somewhere/cifar-10-python.tar.gz"
[teacher]
mine = "~/mine.safetensors"
"""


def of_text(**files: str) -> Callable[[Path], list[Path]]:
    """Files NAME_ENDING with these contents."""

    def write(folder: Path) -> list[Path]:
        paths = [folder / name.replace("_", ".") for name in files]
        for path, content in zip(paths, files.values(), strict=True):
            path.write_text(content)
        return paths

    return write


def study_rows(path: Path) -> Any:
    return read_study(path).all_rows(("ls", "optimal"))


def read_configuration(path: Path) -> str:
    with variable(CONFIG_VARIABLE, path):
        return Places().find("teacher", "mine") or "none"


def read_selections(path: Path) -> Any:
    lines = path.read_text(errors="replace").splitlines()
    return [selection_name(*parse_selection(line)) for line in lines]


LOADERS = (
    Loader("suite", of_text(a_toml=SUITE), read_suite),
    Loader("study", of_text(a_toml=STUDY, b_toml=TABLE_STUDY), study_rows),
    Loader("configuration", of_text(config_toml=CONFIGURATION), read_configuration),
    Loader("selections", of_text(chosen_txt=SELECTIONS), read_selections),
)
