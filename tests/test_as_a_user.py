"""Every command in a process of its own, as a user starts it: what the other tests see in theirs.

Most tests run commands in the process that they are in themselves, for starting one takes seconds.
"""

import functools
import hashlib
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from edm_files import SMALL, edm_object, network_of, write_edm
from PIL import Image
from runs import fpmc_bench, fpmc_bench_process, write_suite
from synthetic_records import write_exact_records
from trainings import SMALL as SMALL_TRAINING
from trainings import TINY

from fpmc_bench.cli import main
from fpmc_bench.teachers.files.teacher_file import export_teacher
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond

REPOSITORY = Path(__file__).parents[1]
FEW = ("--steps", "2", "--batch", "4", "--evaluate-every", "2", "--validation-items", "2")
STUDY = """
name = "axes"
view = "finetune"
protocols = ["denoiser-mse"]
sigmas = [5.0]
bases = ["ls"]
axes = [["q"]]
"""
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("small.toml", "-d", "ls", "--items", "2", "-p", "denoiser-mse", "--run-dir", "run"),
    "plan": (
        *("small.toml", "-d", "ls", "-p", "denoiser-mse", "--items", "2", "--run-dir", "measured"),
        "--quiet",
    ),
    "list": (),
    "info": ("digits",),
    "status": ("measured", "--json"),
    "leaderboard add": (str(REPOSITORY / "leaderboards" / "digits"), "--to", "added"),
    "leaderboard check": (str(REPOSITORY / "leaderboards" / "digits"),),
    "leaderboard items": ("board", "--entry", "ls", "--worst", "2"),
    "leaderboard push": (
        str(REPOSITORY / "leaderboards" / "digits"),
        *("--hub", "me/digits", "--dry-run"),
    ),
    "leaderboard render": ("board",),
    "leaderboard site": ("board",),
    "tune": ("small.toml", "-d", "pspc-square[patch_sizes={2,8}]", "--items", "2"),
    "compare": ("ls", "optimal", "--in", "board"),
    "finetune": ("small.toml", "--base", "ls", *FEW),
    "study": ("study.toml", "--suite", "small.toml", "--items", "2", "--out", "out", *FEW),
    "bench": ("small.toml", "-d", "ls", "--levels", "1", "--queries", "1", "--repetitions", "1"),
    "teacher train": ("digits", "--out", "a.safetensors", *SMALL_TRAINING, "--held-out-every", "0"),
    "teacher convert": ("edm.pkl", "edm.safetensors"),
    "teacher info": ("tiny.safetensors",),
    "plugin new": ("my-denoiser",),
    "plugin check": ("hflip",),
    "data info": ("digits",),
    "data fetch": ("cifar10", "--to", "got"),
    "data prepare": ("pictures", "out.zip", "--side-px", "4"),
    "verify": ("measured", "--seed", "1", "--quiet"),
    "cache list": (),
    "cache explain": ("names/3022e70f8aab",),  # what the network digits-ncsnpp is called
    "cache clear": ("--dry-run",),
    "doctor": (),
}
"""What each is given, from a folder with what `inputs` are."""
TIMED = ("run", "plan", "bench", "doctor", "cache list", "cache explain")
"""Some of their numbers are never twice the same: how long something took, or when."""
LEDGER = re.compile("ledger/[0-9a-f]{24}")
"""A unit is named after what it depends on, how quick the machine is at two sums among it."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite, a study, records, teachers and pictures."""
    folder = tmp_path_factory.mktemp("inputs")
    write_suite(folder)
    write_exact_records(folder / "board")
    run = ("run", "small.toml", "-d", "ls", "-p", "denoiser-mse", "--items", "2", "--quiet")
    assert fpmc_bench(*run, "--run-dir", "measured", cwd=folder).returncode == 0
    (folder / "study.toml").write_text(STUDY)
    write_edm(folder / "edm.pkl", edm_object(network_of(SMALL)))
    weights = EDMPrecond(TINY).state_dict()
    export_teacher(folder / "tiny.safetensors", weights, TINY, None, "digits", "", 1)
    (folder / "pictures").mkdir()
    Image.new("RGB", (6, 5), "teal").save(folder / "pictures" / "a.png")
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Options of `data fetch` for a small file at a local address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    folder = tmp_path_factory.mktemp("served")
    (folder / "archive.tar.gz").write_bytes(b"of no use")
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/archive.tar.gz"
        yield ("--url", url, "--sha256", hashlib.sha256(b"of no use").hexdigest())
        server.shutdown()
        thread.join()


def relative(folder: Path) -> Iterator[Path]:
    """Everything in a folder."""
    return (path.relative_to(folder) for path in folder.rglob("*"))


def commands(group: click.Group) -> Iterator[str]:
    """Names of all commands, those of groups with the group's before them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from (f"{name} {own}" for own in commands(command))
        else:
            yield name


def test_no_command_is_forgotten() -> None:
    assert set(COMMANDS) == set(commands(main))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_process_of_its_own_does_the_same(
    command: str, inputs: Path, served: tuple[str, ...], tmp_path: Path
) -> None:
    arguments = (*command.split(), *COMMANDS[command], *(served if "fetch" in command else ()))
    texts, left = [], []
    for name, start in (("own", fpmc_bench_process), ("here", fpmc_bench)):
        folder = shutil.copytree(inputs, tmp_path / name)
        done = start(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
        text = done.stdout.replace(str(folder), ".")
        texts.append(re.sub(r"[-+]?\d[-+.%e\d]*|[-\s]+", " ", text) if command in TIMED else text)
        left.append(sorted(LEDGER.sub("ledger/", str(path)) for path in relative(folder)))
    assert texts[0] == texts[1]
    assert left[0] == left[1]
