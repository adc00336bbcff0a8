"""Everything of fpmc_bench that reads files, with sound files for each."""

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from edm_files import edm_object, network_of, write_edm
from PIL import Image
from synthetic_records import ENVIRONMENT, write_synthetic
from torch import Tensor

from fpmc_bench import Source, load_dataset, load_teacher
from fpmc_bench.catalog.places import CONFIG_VARIABLE, Places
from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.documents.names import parse_selection, selection_name
from fpmc_bench.documents.record import read_records
from fpmc_bench.documents.study import read_study
from fpmc_bench.documents.suite import Suite, read_suite, validated_suite
from fpmc_bench.engine import Arithmetic
from fpmc_bench.finetune.checkpoint import load_descent, save_descent
from fpmc_bench.finetune.descent import Descent
from fpmc_bench.finetune.problem import LevelProblem, validation_batch
from fpmc_bench.finetune.settings import FinetuneSettings
from fpmc_bench.finetune.weights import finished_level, joined
from fpmc_bench.finetune.weights_file import load_finetuned
from fpmc_bench.fpmc import FPMC, PixelOneHot
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.images.cifar_archive import TEST_FILES, read_cifar_archive
from fpmc_bench.images.made import made_images
from fpmc_bench.images.store import decoded_images, stored_images
from fpmc_bench.results.render.csv import render_csv
from fpmc_bench.results.render.json import render_json
from fpmc_bench.results.render.latex import render_latex
from fpmc_bench.results.render.markdown import render_markdown
from fpmc_bench.results.render.sample_grid import read_samples, write_sample_grid
from fpmc_bench.results.render.terminal import render_terminal
from fpmc_bench.results.table import build_tables
from fpmc_bench.storage.arrays import Arrays, write_arrays
from fpmc_bench.storage.cache import ENVIRONMENT_VARIABLE, cached_tensors
from fpmc_bench.teachers.files.teacher_file import (
    convert_edm,
    export_teacher,
    read_edm,
    read_teacher,
)
from fpmc_bench.teachers.training.checkpoint import read_training, write_training
from fpmc_bench.teachers.training.log import HeldOutError, LogLine, append_line, read_log
from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond
from fuzzing.trials import Loader

TINY = NetworkConfig(
    architecture="ddpmpp",
    side_px=4,
    channels=1,
    model_channels=4,
    channel_mult=(1, 1),
    num_blocks=1,
    attention_sides=(),
)
FORMATS = {"png": "RGB", "jpg": "RGB", "bmp": "P", "webp": "RGB", "ppm": "RGB", "tif": "L"}
"""Endings of image files, and a mode of Pillow that each can hold."""
MEBI = 2**20


def picture(number: int, mode: str = "RGB", side_px: int = 16) -> Image.Image:
    codes = np.random.default_rng(number).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    return Image.fromarray(codes).convert(mode)


def encoded(number: int, ending: str = "png", mode: str = "RGB") -> bytes:
    output = io.BytesIO()
    names = {"jpg": "jpeg", "tif": "tiff"}
    picture(number, mode).save(output, names.get(ending, ending))
    return output.getvalue()


# --- documents and what runs leave ------------------------------------------------------------


def write_records(folder: Path) -> list[Path]:
    levels, scales = np.array([1 / 64, 1 / 2, 1 / 8, 1 / 1024]), np.array([[1.0], [3.0], [2.0]])
    for entry, size in (("optimal", 8), ("ls", 2)):
        errors = size * scales * levels
        write_synthetic(folder, entry, {"mse@1": errors, "r2@1": 1 - errors})
    return sorted(folder.iterdir())


def read_leaderboard(path: Path) -> Any:
    tables = build_tables(read_records(path.parent))
    each = (render_terminal, render_markdown, render_latex)
    together = (render_csv, render_json)
    return [
        *(one(table) for one in each for table in tables),
        *(all_(*tables) for all_ in together),
    ]


def write_samples(folder: Path) -> list[Path]:
    rows = {"teacher": np.zeros((3, 1, 4, 4), np.float32), "ls": np.ones((3, 1, 4, 4), np.float32)}
    order = {"order": np.array(json.dumps(list(rows)))}
    write_arrays(folder / "sample-mse.npz", {**rows, **order}, compressed=True)
    return [folder / "sample-mse.npz"]


def draw_samples(path: Path) -> Path:
    write_sample_grid(path.with_name("grid.png"), read_samples(path))
    return path


NOTE = UnitNote(
    environment=ENVIRONMENT, seconds=1.0, date_utc="2026-01-01T00:00:00Z", command="", commit=None
)


def write_unit(folder: Path) -> list[Path]:
    arrays: Arrays = {"mse@1": np.ones((3, 2)), "prediction": np.zeros((3, 2, 1, 4, 4), np.float32)}
    Ledger(folder).write("key", arrays, NOTE)
    return [folder / "key.npz"]


def a_suite() -> Suite:
    content = {
        "name": "small",
        "items": 4,
        "dataset": {"name": "digits"},
        "teachers": {"tuning": "a", "evaluation": "b"},
        "entries": [{"name": "ls", "denoiser": "ls", "params": {"patch_sizes": [3, 1]}}],
    }
    return validated_suite(content, "a suite")


def write_run(folder: Path) -> list[Path]:
    arithmetic = Arithmetic(addition=1.5, split_multiply_add=2.0)
    (folder / "arithmetic.json").write_text(json.dumps(arithmetic.describe()))
    open_run(folder / "run.json")
    return [folder / "run.json"]


def open_run(path: Path) -> Path:
    RunDirectory(path.parent).open(a_suite(), "cpu", fresh=False)
    return path


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


# --- networks and weights ---------------------------------------------------------------------


def write_teacher(folder: Path) -> list[Path]:
    network = network_of(TINY)
    export_teacher(folder / "a.safetensors", network.state_dict(), TINY, None, "digits", "", 1)
    write_edm(folder / "b.pkl", edm_object(network))
    convert_edm(folder / "b.safetensors", folder / "b.pkl")
    return [folder / "a.safetensors", folder / "b.safetensors"]


def write_published(folder: Path) -> list[Path]:
    network = network_of(TINY)
    return [write_edm(folder / f"{n}.pkl", edm_object(network), protocol=n) for n in (2, 4)]


@cache
def a_training() -> tuple[EDMPrecond, EDMPrecond, torch.optim.Optimizer]:
    network = network_of(TINY).requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return network, network_of(TINY), optimizer


ORIGIN = {"config": TINY.model_dump(mode="json"), "dataset": "digits"}


def write_checkpoint(folder: Path) -> list[Path]:
    write_training(folder / "mine.checkpoint", *a_training(), {**ORIGIN, "step": 3, "notes": {}})
    return [folder / "mine.checkpoint"]


def go_on_training(path: Path) -> Any:
    network, average, optimizer = a_training()
    found = read_training(path, network, average, optimizer, ORIGIN)
    optimizer.step()  # with what it was given
    return found


def write_log(folder: Path) -> list[Path]:
    for step in (10, 20):
        held_out = (HeldOutError(sigma=1.0, mse=0.5),)
        line = LogLine(
            step=step,
            images=step,
            loss=0.5,
            learning_rate=0.1,
            images_per_second=1.0,
            held_out=held_out,
        )
        append_line(folder / "log.jsonl", line)
    return [folder / "log.jsonl"]


@cache
def a_descent() -> Descent:
    digits = load_dataset("digits").train
    source = Source(digits.images[:30], scale=digits.scale)
    problem = LevelProblem(source, load_teacher("digits-ddpmpp"), 0.6, 0, "cpu")
    plan = FinetuneSettings(steps=4, batch=4, evaluate_every=2, validation_items=2)
    validation = validation_batch(problem, digits.values()[30:32], 0)
    base = FPMC(PixelOneHot(source.shape), PixelOneHot(source.shape))
    descent = Descent(problem, base, plan, validation, 2**28)
    descent.start()
    descent.advance()
    return descent


def new_descent() -> Descent:
    old = a_descent()
    descent = Descent(old.problem, old.base, old.settings, old.validation, old.budget_bytes)
    descent.start()
    return descent


def write_descent(folder: Path) -> list[Path]:
    save_descent(folder / "level.checkpoint", a_descent())
    return [folder / "level.checkpoint"]


def go_on_descending(path: Path) -> Any:
    descent = new_descent()
    if not load_descent(path, descent):
        return None
    descent.optimizer.step()
    return descent.finished, descent.best_error


def write_weights(folder: Path) -> list[Path]:
    descent = a_descent()
    card = {
        "base": "ls",
        "params": {},
        "dataset": "digits",
        "source": "0",
        "shape": tuple(descent.base.precision.shape),
        "teacher": "a",
        "teacher_fingerprint": "0",
        "plan": {},
    }
    levels = [finished_level(descent), finished_level(new_descent(), learned=False)]
    joined(card, levels).save(folder / "w.safetensors")
    return [folder / "w.safetensors"]


def read_weights(path: Path) -> Any:
    weights = load_finetuned(path)
    for level, card in enumerate(weights.card.levels):
        if card.learned:
            weights.model(level)
    return weights.card.stopped, weights.card.levels[0].best, weights.card.sigmas


def write_pipeline(folder: Path) -> list[Path]:
    import diffusers

    torch.manual_seed(0)
    network = diffusers.UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        block_out_channels=(4, 4),
        layers_per_block=1,
        norm_num_groups=2,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        add_attention=False,
    )
    pipeline: Any = diffusers.DDPMPipeline(network, diffusers.DDPMScheduler(num_train_timesteps=50))
    pipeline.save_pretrained(folder)
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def ask_pipeline(path: Path) -> Any:
    folder = path.parent if path.name == "model_index.json" else path.parent.parent
    return load_teacher(folder).fingerprint


# --- images -----------------------------------------------------------------------------------


@contextmanager
def variable(name: str, value: Path) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = str(value)
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def python2_array(data: np.ndarray) -> bytes:
    """A dict of images and labels, as Python 2 wrote the official files."""
    content = data.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array += b"(K\x01K" + bytes([len(data)]) + b"M\x00\x0c\x86"
    array += b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
    array += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array += b"\x89T" + struct.pack("<i", len(content)) + content + b"tb"
    labels = b"U\x06labels]q\x05(" + b"K\x07" * len(data) + b"e"
    return b"\x80\x02}q\x01(" + labels + b"U\x04data" + array + b"u."


def write_cifar(folder: Path) -> list[Path]:
    inside = folder / "cifar-10-batches-py"
    inside.mkdir(exist_ok=True)
    data = np.random.default_rng(0).integers(0, 256, (2, 3072), dtype=np.uint8)
    (inside / TEST_FILES[0]).write_bytes(python2_array(data))
    for protocol in (2, 4):
        batch = {b"data": data, b"labels": [1, 2], b"filenames": [b"a", b"b"]}
        again = folder / str(protocol) / "cifar-10-batches-py"
        again.mkdir(parents=True, exist_ok=True)
        (again / TEST_FILES[0]).write_bytes(pickle.dumps(batch, protocol))
    archive = folder / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(inside, inside.name)
    return [*sorted(folder.rglob(TEST_FILES[0])), archive]


def read_cifar(path: Path) -> Any:
    place = path if path.suffix == ".gz" else path.parent
    return read_cifar_archive(place, "test", place.parent / "images.npy")


def write_image_zip(folder: Path) -> list[Path]:
    names = [f"00000/img{number:08}.png" for number in range(3)]
    listed = {"labels": [[name, number] for number, name in enumerate(names)]}
    (folder / "zip").mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "zip" / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, name in enumerate(names):
            archive.writestr(name, encoded(number))
        archive.writestr("dataset.json", json.dumps(listed))
    return [folder / "zip" / "images.zip"]


def read_images(path: Path) -> Any:
    """Of a zip, or of all the files of a folder."""
    with variable(ENVIRONMENT_VARIABLE, path.parent.parent / "cache"):
        return decoded_images(path if path.suffix == ".zip" else path.parent)


def write_image_files(folder: Path) -> list[Path]:
    (folder / "images").mkdir(exist_ok=True)
    paths = [folder / "images" / f"a.{ending}" for ending in FORMATS]
    for number, (path, mode) in enumerate(zip(paths, FORMATS.values(), strict=True)):
        path.write_bytes(encoded(number, path.suffix[1:], mode))
    index = folder / "images" / "dataset.json"
    index.write_text(json.dumps({"labels": [[path.name, 1] for path in paths]}))
    return [*paths, index]


def produce(path: Path) -> tuple[int, ...]:
    np.save(path, np.zeros((2, 1, 4, 4), np.uint8))
    return (1, 2)


def write_store(folder: Path) -> list[Path]:
    read_store(folder / "images" / "any")
    return [path for path in sorted((folder / "images").iterdir()) if path.suffix != ".lock"]


def read_store(path: Path) -> Any:
    with variable(ENVIRONMENT_VARIABLE, path.parent.parent):
        found = stored_images("0" * 64, produce)
        return found.codes.sum(), found.labels


def write_made(folder: Path) -> list[Path]:
    read_made(folder / "made" / "any")
    return sorted((folder / "made").glob("*.npy"))


def read_made(path: Path) -> Any:
    with variable(ENVIRONMENT_VARIABLE, path.parent.parent):
        made = made_images("made", {"of": "zeros"}, 4, zeros, block_images=2)
        return made.sum()


def zeros(rows: range) -> Tensor:
    return torch.zeros(len(rows), 1, 4, 4)


def write_cached(folder: Path) -> list[Path]:
    read_cached(folder / "fitted" / "any")
    return sorted((folder / "fitted").glob("*.safetensors"))


def read_cached(path: Path) -> Any:
    with variable(ENVIRONMENT_VARIABLE, path.parent.parent):
        return cached_tensors("fitted", {"of": "ones"}, lambda: {"a": torch.ones(5)})["a"].sum()


LOADERS = (
    Loader("records", write_records, read_leaderboard, 64 * MEBI),
    Loader("samples", write_samples, draw_samples, 64 * MEBI),
    Loader("ledger", write_unit, lambda path: Ledger(path.parent).read(path.stem)),
    Loader("run.json", write_run, open_run),
    Loader("suite", of_text(a_toml=SUITE), read_suite),
    Loader("study", of_text(a_toml=STUDY, b_toml=TABLE_STUDY), study_rows),
    Loader("configuration", of_text(config_toml=CONFIGURATION), read_configuration),
    Loader(
        "selections",
        of_text(chosen_txt='ls\nls[a=1,b="c"]\nlukoianov[threshold=0.02,sizes=[3, 5]]\n'),
        read_selections,
    ),
    Loader("teacher file", write_teacher, read_teacher),
    Loader("EDM pickle", write_published, read_edm),
    Loader("checkpoint of a training", write_checkpoint, go_on_training),
    Loader("training log", write_log, read_log),
    Loader("checkpoint of a fine-tuning", write_descent, go_on_descending),
    Loader("fine-tuned weights", write_weights, read_weights),
    Loader("diffusers folder", write_pipeline, ask_pipeline),
    Loader("CIFAR-10 archive", write_cifar, read_cifar),
    Loader("image zip", write_image_zip, read_images),
    Loader("image files", write_image_files, read_images),
    Loader("decoded images", write_store, read_store),
    Loader("made images", write_made, read_made),
    Loader("cached tensors", write_cached, read_cached),
)
