"""Helpers of the run tests: small suites, plugins on a path of their own, the command line."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
from in_process import call

SMALL_SUITE = """
schema_version = 1
name = "small"
items = 7
block_items = 2
seed = 3
[dataset]
name = "digits"
[sigmas]
steps = 4
[teachers]
tuning = "digits-ddpmpp"
evaluation = "digits-ncsnpp"
[sensitivity]
samples = 2
[[entries]]
name = "optimal"
denoiser = "optimal"
[[entries]]
name = "ls"
denoiser = "ls"
params = {patch_sizes = [15, 7, 3, 3]}
[[entries]]
name = "pspc-flex"
denoiser = "pspc-flex"
params = {thresholds = [1.0, 0.8, 0.5, 0.5]}
"""

TRAIN_ONLY = """
    from dataclasses import dataclass
    from typing import ClassVar
    import numpy as np
    import torch
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import FileDataset, StoredImages

    @dataclass(frozen=True)
    class TrainOnly(FileDataset):
        '''Images without a test split, from a .npy file of uint8 levels [N,C,H,W].'''
        name: ClassVar[str] = "train-only"
        citation: ClassVar[str] = "none"
        expects: ClassVar[str] = "a .npy file"

        @property
        def splits(self):
            return ("train",)

        def images(self, path, split):
            assert split == "train"
            return StoredImages(torch.from_numpy(np.load(path)), scale=1 / 8)

    @hookimpl
    def fpmc_datasets():
        return [TrainOnly]
"""


def write_suite(folder: Path, *extra_entries: str) -> Path:
    """The small suite, with more entries (TOML tables) at its end."""
    path = folder / "small.toml"
    path.write_text(SMALL_SUITE + "\n".join(extra_entries))
    return path


def write_plugin(folder: Path, name: str, code: str, version: str = "1.0") -> Path:
    """An installed-looking distribution with one module, to be put on PYTHONPATH."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(textwrap.dedent(code))
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[fpmc_bench]\n{module} = {module}\n")
    return folder


def write_train_only(folder: Path) -> None:
    """The dataset "train-only": its plugin, in `site`, and 60 images of noise, `levels.npy`."""
    write_plugin(folder / "site", "train-only", TRAIN_ONLY)
    levels = np.random.default_rng(0).integers(0, 17, (60, 1, 8, 8), dtype=np.uint8)
    np.save(folder / "levels.npy", levels)


def environment(*paths: Path) -> dict[str, str]:
    """One thread, and these folders importable."""
    joined = os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": joined.strip(os.pathsep)}


def fpmc_bench(
    *arguments: str | Path | int, cwd: Path, paths: tuple[Path, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """`python -m fpmc_bench ARGUMENTS`, from `cwd`, in the tests' own process.

    With plugins of `paths`. Several `--processes` are started by a process of their own.
    """
    texts = list(map(str, arguments))
    if "--processes" in texts and texts[texts.index("--processes") + 1] != "1":
        return fpmc_bench_process(*arguments, cwd=cwd, paths=paths)
    return subprocess.CompletedProcess(texts, *call(texts, cwd, paths))


def fpmc_bench_process(
    *arguments: str | Path | int, cwd: Path, paths: tuple[Path, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """The same as a user runs it, in a process of its own: seconds of imports.

    Once for each command, and where a test is about processes.
    """
    return subprocess.run(
        [sys.executable, "-m", "fpmc_bench", *map(str, arguments)],
        cwd=cwd,
        env=environment(*paths),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def kill_when(
    ready: Callable[[], object],
    command: Sequence[str | Path],
    cwd: Path | None = None,
) -> None:
    """SIGKILL for a command, once something is `ready` and it is still at work.

    Its workers, where it has any, end with it.
    """
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=cwd,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not ready() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert process.poll() is None, "it finished before it could be killed"
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    _, left = psutil.wait_procs(workers, timeout=30)
    assert not left, "they go on without their launcher"


MEASURED = ("seconds_per_query", "computed", "publication")
"""What a record says of who computed it, on what and how fast."""


def figures(run_dir: Path) -> dict[str, object]:
    """Everything a run's records say, but for what it cost and on what."""
    content: dict[str, object] = {}
    for path in sorted((run_dir / "records").iterdir()):
        if path.suffix == ".json":
            record = json.loads(path.read_text())
            content[path.name] = {k: v for k, v in record.items() if k not in MEASURED}
        else:
            with np.load(path) as file:
                content[path.name] = {key: file[key].tobytes() for key in file.files}
    return content
