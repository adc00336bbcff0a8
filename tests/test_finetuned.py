"""`fpmc-bench finetune` as a user runs it, and the denoiser that reads what it wrote."""

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from damage import swapped, truncated, turned
from filelock import FileLock
from PIL import Image
from runs import SMALL_SUITE, environment, figures, fpmc_bench, kill_when, write_suite
from safetensors.torch import load_file

from fpmc_bench import Source, build_denoiser, load_dataset, load_teacher
from fpmc_bench.documents.suite import read_suite
from fpmc_bench.errors import CheckpointError, ParameterError, UnknownNameError
from fpmc_bench.finetune.weights import FinetuneCard, FinetunedWeights
from fpmc_bench.finetune.weights_file import load_finetuned
from fpmc_bench.storage.tensor_file import TensorFile
from fpmc_bench.storage.tensors import load_tensors, save_tensors
from fpmc_bench.testing import check_denoiser
from fpmc_bench.testing.programs import SIGMAS
from fpmc_plugins.denoisers.finetuned import FOLDER, Finetuned

SHAPE = (1, 3, 4)


def header(content: object, after: int = 0) -> bytes:
    """A safetensors file with this header, and so many bytes of numbers."""
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text + bytes(after)


FEW = ("--steps", "6", "--batch", "16", "--evaluate-every", "2", "--validation-items", "8")


def small_weights(
    *, source: Source, sigmas: tuple[float, ...], teacher: str = "", **changes: object
) -> FinetunedWeights:
    """Random precisions and responses for images of SHAPE, with a card that fits them."""
    draw = torch.Generator().manual_seed(0)
    levels = [{"sigma": sigma, "curve": [[0, None, 0.5]]} for sigma in sigmas]
    card = {
        "base": "ls",
        "params": {},
        "dataset": "small",
        "source": source.fingerprint,
        "shape": tuple(source.shape),
        "teacher": "small-teacher",
        "teacher_fingerprint": teacher,
        "plan": {},
        "levels": levels,
        **changes,
    }
    pixels = source.shape.pixels
    tensors = {
        f"{axis}.{level}": torch.randn(5, pixels, generator=draw).half()
        for level in range(len(sigmas))
        for axis in ("q", "r")
    }
    return FinetunedWeights(FinetuneCard.model_validate(card), tensors)


@pytest.fixture
def source() -> Source:
    return Source(torch.rand(9, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1)


@pytest.fixture
def path(source: Source, tmp_path: Path) -> Path:
    small_weights(source=source, sigmas=(2.0, 0.1)).save(tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


# --- the denoiser


def test_it_keeps_the_promises_of_a_denoiser(tmp_path: Path) -> None:
    size = (3, 6, 5)
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(60, 256, (12, *size), generator=draw, dtype=torch.uint8)
    weights = small_weights(source=Source(images), sigmas=SIGMAS)
    weights.save(tmp_path / "some.safetensors")
    check_denoiser(Finetuned, {"weights": str(tmp_path / "some.safetensors")}, shape=size)


def test_the_file_alone_says_what_it_computes(path: Path, source: Source) -> None:
    built = build_denoiser("finetuned", source, sigmas=[2.0, 0.1], params={"weights": str(path)})
    q, r = (load_file(path)[f"{axis}.1"].float().exp().double() for axis in ("q", "r"))
    z, images = torch.rand(1, *SHAPE).double(), source.values(torch.float64).flatten(1)
    energies = (z.flatten() - images).square() @ q.T / (2 * 0.1**2)
    means = (-energies).softmax(0).T @ images
    expected = ((r * means).sum(0) / r.sum(0)).reshape(z.shape)
    torch.testing.assert_close(built(z, 0.1), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        ("images", "made for the training images of 'small', and these are others"),
        ("shape", "for images 1x3x4 of 'small', not for 1x4x3"),
        ("sigmas", "made for 2 noise levels from 2 to 0.1, the suite has 2 noise levels from 3 to"),
        ("grid", "the suite has 1 noise levels"),
        ("teacher", "made against teacher 'small-teacher', not against this 'digits-ddpmpp'"),
    ],
)
def test_it_refuses_what_it_was_not_made_for(
    what: str, complaint: str, path: Path, source: Source
) -> None:
    images = {"images": source.images.flip(0), "shape": source.images.transpose(2, 3)}
    sigmas = {"sigmas": [3.0, 0.1], "grid": [2.0]}
    teacher = load_teacher("digits-ddpmpp") if what == "teacher" else None
    with pytest.raises(ParameterError, match=re.escape(complaint)):
        build_denoiser(
            "finetuned",
            images.get(what, source.images),
            sigmas=sigmas.get(what, [2.0, 0.1]),
            params={"weights": str(path)},
            teacher=teacher,
        )


def test_names_of_shipped_weights_get_suggestions(source: Source) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'digits-pspc-flex'"):
        build_denoiser("finetuned", source, sigmas=[2.0], params={"weights": "digits-pspc-flx"})


def test_shipped_weights_of_which_a_bit_was_turned_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(FOLDER, tmp_path / "weights")
    monkeypatch.setattr("fpmc_plugins.denoisers.finetuned.FOLDER", tmp_path / "weights")
    damaged = tmp_path / "weights/digits-windows.safetensors"
    turned(damaged)
    assert Finetuned("digits-pspc-flex").file.card.base == "pspc-flex"
    with pytest.raises(CheckpointError, match=r"digits-windows.* is not the file that ships.*inst"):
        _ = Finetuned("digits-windows").file
    load_finetuned(damaged)  # nothing else would notice


@pytest.mark.parametrize("shipped", sorted(FOLDER.glob("*.safetensors")), ids=lambda p: p.stem)
def test_shipped_weights_fit_what_is_shipped(shipped: Path) -> None:
    card = load_finetuned(shipped).card
    dataset = load_dataset(card.dataset)
    assert card.source == dataset.train.fingerprint
    assert card.teacher_fingerprint == load_teacher(card.teacher).fingerprint
    better = [level.best.error < 0.99 * level.base_error for level in card.levels]
    assert sum(better) > 9, "of 18"
    assert not card.stopped
    assert all(level.learned for level in card.levels)


def test_shipped_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.safetensors")) < 8 * 2**20


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ({"q.1": None}, "lacks q.1"),
        ({"r.0": torch.zeros(5, 11)}, r"r.0 has shape [5, 11]; expected [M,12]"),
        ({"r.0": torch.zeros(4, 12)}, "q and r of level 0 have 5 and 4 estimators"),
        ({"q.0": torch.full((5, 12), float("nan"))}, "q.0 holds values that are no logarithms"),
        ({"q.0": torch.full((5, 12), float("inf"))}, "q.0 holds values that are no logarithms"),
        ({"q.0": torch.zeros(5, 12, dtype=torch.int64)}, "no logarithms"),
        ({"q.1": torch.full((5, 12), 100.0)}, "q.1 holds values that are no logarithms"),
        (
            {"r.1": torch.full((5, 12), -200.0)},
            "r.1 leaves 12 pixels or dimensions without a response",
        ),
    ],
)
def test_damaged_tensors(damage: dict[str, object], complaint: str, path: Path) -> None:
    tensors, card = load_tensors(path)
    changed = {name: values for name, values in {**tensors, **damage}.items() if values is not None}
    save_tensors(path, changed, card)
    with pytest.raises(CheckpointError, match=re.escape(complaint)):
        load_finetuned(path)


def test_a_shape_that_is_only_stated_takes_no_memory(path: Path) -> None:
    """Of structures that are not in the file, and of kernels, which are a square root in size."""
    _, card = load_tensors(path)
    curve = {"sigma": 1.0, "curve": [[0, None, 1.0]]}
    stated = {"q": "uniform", "r": "uniform"}
    large = {**card, "shape": [3, 10**6, 10**6], "levels": [{**curve, "structures": stated}]}
    save_tensors(path, {"q.0": torch.zeros(1)}, large)
    assert load_finetuned(path).model(0).precision.estimators == 1
    card = {**card, "shape": [1, 129, 128], "levels": [{**curve, "structures": {}}]}
    save_tensors(path, {"q.0": torch.zeros(257, 255, dtype=torch.float16)}, card)
    with pytest.raises(CheckpointError, match="a kernel for images of 1x129x128; expected at most"):
        load_finetuned(path)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ({"kind": "teacher"}, "not a file of 'fpmc-bench finetune'"),
        ({"shape": [1, 3]}, "damaged card: shape"),
        ({"shape": [1, -3, 4]}, "damaged card: shape"),
        ({"levels": []}, "damaged card: levels"),
        ({"extra": 1}, "damaged card: extra"),
        ({"levels": [{"sigma": 1.0, "curve": [], "structures": {}}]}, "damaged card: levels.0"),
    ],
)
def test_damaged_cards(damage: dict[str, object], complaint: str, path: Path) -> None:
    tensors, card = load_tensors(path)
    save_tensors(path, tensors, {**card, **damage})
    with pytest.raises(CheckpointError, match=re.escape(complaint)):
        load_finetuned(path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no checkpoint at"),
        (b"", "is not a safetensors file"),
        (b"<html>", "is not a safetensors file"),
        (b"\xff" * 8, "header is not whole"),
        (header({"a": 1}), "is not a safetensors file"),
        (header([]), "header is no JSON object"),
        (header({"__metadata__": {"fpmc_bench": 3}}), "metadata is not text"),
        (header({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}), "outside of it"),
        (header({"a": {"dtype": "F16", "shape": [2], "data_offsets": [-4, 0]}}), "outside of it"),
        (header({"a": {"dtype": "F16", "shape": [2**62], "data_offsets": [0, 4]}}), "outside of"),
        (header({"a": {"dtype": "U8", "shape": [9], "data_offsets": [0, 4]}}, 4), "another size"),
        (header({"a": {"dtype": "F1", "shape": [4], "data_offsets": [0, 4]}}, 4), "type 'F1'"),
        (header({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}, 4), "has no 'fpmc"),
        (struct.pack("<Q", 400_000) + b"[" * 400_000, "is not a safetensors file"),
    ],
)
def test_what_is_no_file_of_weights(content: bytes | None, complaint: str, path: Path) -> None:
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{complaint}.*'fpmc-bench finetune'"):
        load_finetuned(path)


def test_what_was_read_stays_whatever_becomes_of_the_file(path: Path) -> None:
    content = path.read_bytes()
    plugin = Finetuned(weights=str(path))
    precision = plugin.file.model(0).precision.dense()
    tensors, card = load_tensors(path)
    save_tensors(path, {**tensors, "q.0": tensors["q.0"] + 1}, card)
    assert plugin.fingerprint == hashlib.sha256(content).hexdigest()
    assert torch.equal(plugin.file.model(0).precision.dense(), precision)
    assert Finetuned(weights=str(path)).fingerprint != plugin.fingerprint


def test_a_file_that_was_written_into_is_refused(path: Path) -> None:
    for damage in (lambda content: content[:-5], lambda content: content[:-5] + b"12345"):
        os.utime(path, (0, 0))  # so that no clock is too coarse to tell
        weights = load_finetuned(path)
        content = path.read_bytes()
        path.write_bytes(damage(content))
        with pytest.raises(CheckpointError, match="was changed while it was in use"):
            weights.model(1)
        path.write_bytes(content)


def test_an_open_file_reads_what_its_format_s_own_reader_reads(tmp_path: Path) -> None:
    kinds = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8)
    tensors = {str(kind): (100 * torch.rand(3, 5)).to(kind) for kind in (*kinds, torch.bool)}
    tensors |= {"number": torch.tensor(3.0), "row": torch.arange(7, dtype=torch.int32)}
    save_tensors(tmp_path / "a.safetensors", tensors, {"some": "card"})
    file = TensorFile(tmp_path / "a.safetensors", "a command")
    assert file.card == {"some": "card"}
    assert file.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert file[name].dtype == tensor.dtype
        assert torch.equal(file[name], tensor)
    with pytest.raises(KeyError):
        file["other"]


def test_a_file_larger_than_memory_can_be_checked(source: Source, tmp_path: Path) -> None:
    """Resident memory, whose peak only grows, after a file of one level and after one of 40."""
    side = 24
    pixels = side**2
    for count in (1, 40):
        weights = small_weights(
            source=source, sigmas=tuple(range(1, count + 1)), shape=(1, side, side)
        )
        values = torch.randn(1500, pixels, generator=torch.Generator().manual_seed(0)).half()
        tensors = {name: values.clone() for name in weights.tensors}
        FinetunedWeights(weights.card, tensors).save(tmp_path / f"{count}.safetensors")
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from fpmc_bench.finetune.weights_file import load_finetuned\n"
        "for path in sys.argv[1:]:\n"
        "    weights = load_finetuned(Path(path))\n"
        "    for level in range(len(weights.card.levels)):\n"
        "        weights.model(level)\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    paths = [str(tmp_path / f"{count}.safetensors") for count in (1, 40)]
    done = subprocess.run(
        [sys.executable, "-c", program, *paths],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    small, large = (1024 * int(line) for line in done.stdout.split())
    size = (tmp_path / "40.safetensors").stat().st_size
    assert size > 130e6
    assert large - small < size / 5


def test_levels_that_were_not_learned_are_refused(path: Path) -> None:
    tensors, card = load_tensors(path)
    card["levels"][1]["learned"] = False
    save_tensors(path, tensors, card)
    weights = load_finetuned(path)
    assert weights.model(0).estimators == 5
    with pytest.raises(ParameterError, match=r"were not learned at sigma 0\.1"):
        weights.model(1)


@pytest.mark.parametrize("weights", ["nowhere.safetensors", "~nobody-of-that-name/a.safetensors"])
def test_weights_that_are_nowhere(weights: str, source: Source) -> None:
    with pytest.raises(ParameterError, match=r"there is nothing at .*relative to the folder"):
        build_denoiser("finetuned", source, sigmas=[2.0], params={"weights": weights})


def test_unknown_structures(path: Path) -> None:
    tensors, card = load_tensors(path)
    card["levels"][0]["structures"] = {"q": "os.system"}
    save_tensors(path, tensors, card)
    with pytest.raises(CheckpointError, match=r"q\.0 has the unknown structure 'os\.system'"):
        load_finetuned(path)


# --- the command


def finetune(
    suite: Path, *more: str | Path, cwd: Path, base: str = "ls"
) -> subprocess.CompletedProcess[str]:
    return fpmc_bench("finetune", suite, "--base", base, *FEW, *more, cwd=cwd)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite and ls fine-tuned for it."""
    folder = tmp_path_factory.mktemp("made")
    done = finetune(write_suite(folder), cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


def test_it_shows_what_it_did_and_how_to_use_it(made: Path) -> None:
    text = (made / "stdout.txt").read_text()
    assert text.startswith("ls: MSE against digits-ddpmpp on 8 samples")
    rows = re.findall(r"^ +([\d.]+) +(\d\.\d+) +(\d\.\d+) +([+-][\d.]+) +\d+ +\d+$", text, re.M)
    assert [row[0] for row in rows] == ["80", "9.72", "0.47", "0.002"]
    assert any(float(tuned) < float(base) for _, base, tuned, _ in rows)
    assert 'params = { weights = "small-ls-qr" }' in text
    assert "--weights small-ls-qr=small-ls-qr.safetensors" in text
    with Image.open(made / "small-ls-qr.png") as figure:
        assert figure.width > 800
    assert len(list(made.glob("small-ls-qr.finetuning/*.safetensors"))) == 4
    assert not list(made.glob("small-ls-qr.finetuning/*.checkpoint"))


def test_its_weights_run_in_a_suite(made: Path, tmp_path: Path) -> None:
    entry = f"""
[[entries]]
name = "ls-qr"
denoiser = "finetuned"
params = {{ weights = "{made / "small-ls-qr.safetensors"}" }}
augmentations = [{{ name = "synthetic", rate = 0.02 }}]
"""
    suite = write_suite(tmp_path, entry)
    done = fpmc_bench("run", suite, "-d", "ls", "-d", "ls-qr", "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run/records/ls-qr.denoiser-mse.json").read_text())
    provenance = record["provenance"]
    assert provenance["denoiser"] == "finetuned"
    assert provenance["params"] == {"weights": "small-ls-qr"}
    assert provenance["files"] == load_finetuned(made / "small-ls-qr.safetensors").fingerprint
    assert [one["augmentation"] for one in provenance["source"]["added"]] == ["synthetic"]


def test_no_place_on_the_disk_is_written_into_a_run(made: Path, tmp_path: Path) -> None:
    """Two ways to say where weights are, and either of them is the same row, computed once."""
    suite, path = write_suite(tmp_path), made / "small-ls-qr.safetensors"
    asked = ("-p", "denoiser-mse", "--run-dir", "run")
    by_path = ("-d", f'finetuned[weights="{path}"]', *asked)
    by_name = ("-d", "finetuned[weights=small-ls-qr]", "--weights", f"small-ls-qr={path}", *asked)
    units = []
    for arguments in (by_path, by_name):
        done = fpmc_bench("run", suite, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        units.append({one: one.stat().st_mtime_ns for one in tmp_path.glob("run/ledger/*.npz")})
    assert units[0] == units[1]
    records = sorted((tmp_path / "run/records").glob("*.json"))
    assert [file.name.partition("_weights-small-ls-qr")[0] for file in records] == [
        "digits-ncsnpp.denoiser-mse.json",
        "finetuned",
    ]
    for file in (*records, tmp_path / "run/run.json"):
        for folder in (made, tmp_path, *made.parents):
            assert folder == Path("/") or str(folder) not in file.read_text()


def test_other_weights_are_other_units(made: Path, tmp_path: Path) -> None:
    """The name of a file says nothing of its content."""
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes((made / "small-ls-qr.safetensors").read_bytes())
    suite = write_suite(tmp_path)
    chosen = ("-d", f'finetuned[weights="{weights.name}"]', "-p", "denoiser-mse")
    chosen += ("--run-dir", "run")
    assert fpmc_bench("run", suite, *chosen, cwd=tmp_path).returncode == 0
    before = figures(tmp_path / "run")
    tensors, card = load_tensors(weights)
    tensors["q.2"] = tensors["q.2"] + 1
    save_tensors(weights, tensors, card)
    assert fpmc_bench("run", suite, *chosen, cwd=tmp_path).returncode == 0
    assert figures(tmp_path / "run") != before


def test_weights_of_another_suite_are_refused_before_any_work(made: Path, tmp_path: Path) -> None:
    suite = tmp_path / "other.toml"
    suite.write_text(SMALL_SUITE.replace("steps = 4", "steps = 4\nsmax = 70.0"))
    weights = made / "small-ls-qr.safetensors"
    chosen = ("-d", f'finetuned[weights="{weights}"]', "--run-dir", "run")
    done = fpmc_bench("run", suite, *chosen, cwd=tmp_path)
    assert done.returncode == 2
    assert "4 noise levels from 80 to 0.002, the suite has 4 noise levels from 70" in done.stderr
    assert not (tmp_path / "run").exists()


def test_several_processes_give_the_same_weights(made: Path, tmp_path: Path) -> None:
    done = finetune(write_suite(tmp_path), "--processes", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    name = "small-ls-qr.safetensors"
    assert (tmp_path / name).read_bytes() == (made / name).read_bytes()


def test_killed_and_repeated_gives_the_same_weights(made: Path, tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    command = (sys.executable, "-m", "fpmc_bench", "finetune", suite, "--base", "ls", *FEW)
    folder = tmp_path / "small-ls-qr.finetuning"
    kill_when(lambda: list(folder.glob("level-01-*.checkpoint")), command, tmp_path)
    assert not (tmp_path / "small-ls-qr.safetensors").exists()
    assert list(folder.glob("level-00-*.safetensors"))
    done = finetune(suite, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    name = "small-ls-qr.safetensors"
    assert (tmp_path / name).read_bytes() == (made / name).read_bytes()


def test_a_damaged_level_is_said_and_made_again(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(made, tmp_path / "made")
    whole = (made / "small-ls-qr.safetensors").read_bytes()
    (tmp_path / "made/small-ls-qr.safetensors").unlink()
    levels = sorted((tmp_path / "made").glob("*.finetuning/*.safetensors"))
    first, second, third, fourth = levels
    truncated(first)
    turned(second)
    swapped(third, fourth)
    done = finetune(tmp_path / "made/small.toml", cwd=tmp_path / "made")
    assert done.returncode == 0, done.stderr
    assert [Path(line.split(" ")[0]).name for line in caplog.messages] == [
        path.name for path in levels
    ], "each is said, once"
    assert (tmp_path / "made/small-ls-qr.safetensors").read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--steps", "8"), "(steps 6, now 8); move it away, or choose another --out"),
        (("--axes", "q", "--seed", "1"), '(axes ["q", "r"], now ["q"]; seed 0, now 1)'),
    ],
)
def test_what_other_settings_made_is_not_overwritten(
    arguments: tuple[str, ...], complaint: str, made: Path, tmp_path: Path
) -> None:
    target = tmp_path / "mine.safetensors"
    target.write_bytes((made / "small-ls-qr.safetensors").read_bytes())
    done = finetune(write_suite(tmp_path), "--out", target, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert f"{target} is there already, and was made otherwise {complaint}" in done.stderr
    assert target.read_bytes() == (made / "small-ls-qr.safetensors").read_bytes()
    assert not (tmp_path / "mine.finetuning").exists()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("steps = 4", "steps = 3", "sigmas [80.0, "),
        ("samples = 2", "samples = 3", 'sensitivity maps {"samples": 2}, now {"samples": 3}'),
        ("seed = 3", "seed = 4", "seed of the suite 3, now 4"),
        ("[15, 7, 3, 3]", "[15, 7, 3, 1]", 'params {"patch_sizes": [15, 7, 3, 3]}, now'),
    ],
)
def test_what_another_suite_made_is_not_overwritten(
    old: str, new: str, complaint: str, made: Path, tmp_path: Path
) -> None:
    target = tmp_path / "small-ls-qr.safetensors"
    target.write_bytes((made / "small-ls-qr.safetensors").read_bytes())
    suite = write_suite(tmp_path)
    changed = suite.read_text().replace(old, new)
    if new == "steps = 3":
        changed = re.sub(r"\[(15|1\.0), ", "[", changed)  # schedules of three levels
    suite.write_text(changed)
    done = finetune(suite, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
    assert target.read_bytes() == (made / "small-ls-qr.safetensors").read_bytes()


def test_a_picture_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_text("not to be lost")
    done = finetune(write_suite(tmp_path), "--out", "photo.safetensors", cwd=tmp_path)
    assert done.returncode == 2
    assert "photo.png, where the figure goes, is there already" in done.stderr
    assert (tmp_path / "photo.png").read_text() == "not to be lost"


def test_one_fine_tuning_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "a.finetuning").mkdir()
    with FileLock(tmp_path / "a.finetuning/.lock"):
        done = finetune(write_suite(tmp_path), "--out", "a.safetensors", cwd=tmp_path)
    assert done.returncode == 1
    assert "a.finetuning is in use by another fine-tuning; wait for it" in done.stderr


@pytest.mark.parametrize("out", ["file/a.safetensors", "b.safetensors"])
def test_where_nothing_can_be_written(out: str, tmp_path: Path) -> None:
    for name in ("file", "b.finetuning"):
        (tmp_path / name).write_text("in the way")
    done = finetune(write_suite(tmp_path), "--out", out, cwd=tmp_path)
    assert done.returncode == 2
    assert "can't write into" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_suite_that_measures_one_level_is_fine_tuned_at_all(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    one_level = 'levels = [1]\nprotocols = ["denoiser-mse"]\n[dataset]'
    suite.write_text(suite.read_text().replace("[dataset]", one_level))
    done = finetune(suite, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(level["curve"][-1][0] > 0 for level in json.loads(done.stdout)["levels"])


def test_the_entry_that_is_printed_is_one(tmp_path: Path) -> None:
    done = finetune(write_suite(tmp_path), "--out", 'my "own" weights.safetensors', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    entry = done.stdout[done.stdout.index("[[entries]]") :]
    suite = write_suite(tmp_path, entry)
    (own,) = [one for one in read_suite(suite).entries if one.denoiser == "finetuned"]
    assert own.params == {"weights": 'my "own" weights'}
    run = ("-d", own.name, "-p", "denoiser-mse", "--items", "4", "--run-dir", "run")
    run += ("--weights", 'my "own" weights=my "own" weights.safetensors')
    assert fpmc_bench("run", suite, *run, cwd=tmp_path).returncode == 0


def test_what_is_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.safetensors").write_text("not to be lost")
    done = finetune(write_suite(tmp_path), "--out", "notes.safetensors", cwd=tmp_path)
    assert done.returncode == 2
    assert "notes.safetensors is not a safetensors file" in done.stderr
    assert "move it away, or choose another --out" in done.stderr
    assert (tmp_path / "notes.safetensors").read_text() == "not to be lost"


def test_shared_kernels_of_windows_that_see_the_whole_image(tmp_path: Path) -> None:
    """Where the base is one estimator, as many kernels as pixels begin as the same denoiser."""
    base = "windows[query_widths=[Infinity,4,1,0],response_widths=[Infinity,2,1,0]]"
    more = ("--kernels", "shared", "--json")
    done = finetune(write_suite(tmp_path), *more, cwd=tmp_path, base=base)
    assert done.returncode == 0, done.stderr
    (written,) = tmp_path.glob("*.safetensors")
    assert written.name.endswith("-qr-shared.safetensors")
    weights = load_finetuned(written)
    first = weights.card.levels[0]
    assert first.best.step > 0
    assert first.curve[1].error < 1.5 * first.base_error, "it begins at what the base is"
    assert tuple(weights.tensors["q.0"].shape) == (15, 15)
    assert weights.model(0).estimators == 64
    again = finetune(tmp_path / "small.toml", *more, cwd=tmp_path, base=base)
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout


def test_what_diverges_is_said_and_the_best_is_kept(tmp_path: Path) -> None:
    done = finetune(write_suite(tmp_path), "--learning-rate", "1e4", "--json", cwd=tmp_path)
    assert done.returncode == 1
    said = "sigma 0.47: the loss became nan at step 1: lower learning_rate, now 10000; the best"
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    card = json.loads(done.stdout)
    assert [level["curve"][-1][0] for level in card["levels"]] == [0, 0, 0, 0]
    built = Finetuned(weights=str(tmp_path / card["weights"]))
    patches = built.file.model(2).precision.dense()
    assert set(patches.unique().tolist()) == {0, 1}, "those of ls"


def test_what_leaves_half_precision_is_said_too(tmp_path: Path) -> None:
    """Seen at a measurement, before a loss could say so."""
    more = ("--learning-rate", "1e4", "--evaluate-every", "1", "--json")
    done = finetune(write_suite(tmp_path), *more, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "weights left the range of numbers" in done.stderr
    assert "lower learning_rate" in done.stderr
    assert len(json.loads(done.stdout)["levels"]) == 4


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--base", "wiener"), "'wiener' is no filtered posterior mean collection"),
        (("--base", "lss"), "Did you mean 'ls'"),
        (("--base", "els[patch_sizes=[15,7,3,3]]"), "take ls, which has the same patches"),
        (("--base", "ls", "--axes", "q,s"), "axes must be q, r or q,r, got q,s"),
        (("--base", "ls", "--batch", "1297"), "leaves nothing of 1297 training images"),
        (("--base", "ls", "--out", "weights.pt"), "must end in .safetensors"),
        (
            ("--base", "pspc-square[patch_sizes=[8,7,3,1]]", "--kernels", "shared"),
            "at sigma 9.72: shared kernels need one estimator a pixel and channels that are "
            "treated alike, 64 x 64; here are 4 x 64; take --kernels free",
        ),
    ],
)
def test_what_can_not_be_fine_tuned(
    arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    done = fpmc_bench("finetune", write_suite(tmp_path), *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.safetensors"))
