"""A dataset without test images: items are samples of the tuning teacher (paper C.1)."""

import json
import shutil
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import figures, fpmc_bench, write_suite, write_train_only

from fpmc_bench import heun_sample, load_teacher, sigma_grid
from fpmc_bench.diffusion.noise import unit_noise

FUNCTION = """
    from torch.nn.functional import avg_pool2d

    def denoise(z, sigma):
        kept = 1 / (1 + sigma**2)
        return kept * z + (1 - kept) * avg_pool2d(z * kept**0.5, 3, 1, 1)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin, its file and the suite."""
    folder = tmp_path_factory.mktemp("held-out")
    write_train_only(folder)
    suite = write_suite(folder)
    suite.write_text(suite.read_text().replace('name = "digits"', 'name = "train-only"'))
    return folder


def run(folder: Path, name: str, *options: str) -> Path:
    done = fpmc_bench(
        "run",
        folder / "small.toml",
        *("--data", f"train-only={folder / 'levels.npy'}"),
        *("--run-dir", folder / name),
        *options,
        cwd=folder,
        paths=(folder / "site",),
    )
    assert done.returncode == 0, done.stderr
    return folder / name


@pytest.fixture(scope="module")
def finished(folder: Path) -> Path:
    return run(folder, "one")


def test_items_are_samples_of_the_tuning_teacher(finished: Path) -> None:
    """The errors of `optimal`, from the public functions alone."""
    teacher, sigmas = load_teacher("digits-ddpmpp"), sigma_grid(4).tolist()
    with np.load(finished / "records" / "optimal.denoiser-mse.npz") as file:
        errors = file["mse@1"]
    levels = torch.from_numpy(np.load(finished.parent / "levels.npy"))
    images = levels.flatten(1).double() / 8 - 1
    for item, level in ((0, 1), (6, 3)):
        start = unit_noise(3, "held-out-samples", [item], (1, 8, 8))
        with torch.no_grad():
            clean = heun_sample(teacher, start, sigmas).clamp(-1, 1)
        noise = unit_noise(3, f"denoiser-mse/{level}", [item], (1, 8, 8))
        z = clean + sigmas[level] * noise
        energies = torch.cdist(z.flatten(1).double(), images).square() / (2 * sigmas[level] ** 2)
        mean = torch.softmax(-energies, dim=1) @ images
        error = (mean - teacher(z, sigmas[level]).flatten(1).double()).square().mean()
        assert errors[item, level] == pytest.approx(float(error), rel=1e-3)


def test_two_processes_sample_the_same(folder: Path) -> None:
    """Of a teacher that is a function of a module beside the suite."""
    (folder / "mynet.py").write_text(textwrap.dedent(FUNCTION))
    options = ("--teacher", "tuning=mynet:denoise", "--quiet", "-d", "pspc-flex", "-d", "optimal")
    one, two = (run(folder, name, *options, "--processes", name) for name in ("1", "2"))
    assert figures(one) == figures(two)
    record = json.loads((two / "records" / "pspc-flex.denoiser-mse.json").read_text())
    assert [one["environment"]["processes"] for one in record["computed"]] == [2]


def test_the_record_says_which_samples(folder: Path, finished: Path) -> None:
    """Another seed, another teacher or another count is another test set."""

    def fingerprint(directory: Path) -> str:
        record = json.loads((directory / "records" / "ls.denoiser-mse.json").read_text())
        return str(record["provenance"]["test"])

    only = ("-d", "ls", "-p", "denoiser-mse")
    swapped = ("--teacher", "tuning=digits-ncsnpp", "--teacher", "evaluation=digits-ddpmpp")
    found = {
        fingerprint(finished),
        fingerprint(run(folder, "seed", "--seed", "4", *only)),
        fingerprint(run(folder, "items", "--items", "5", *only)),
        fingerprint(run(folder, "teacher", *swapped, *only)),
    }
    assert len(found) == 4


def test_one_network_in_both_roles_is_refused(folder: Path) -> None:
    done = fpmc_bench(
        "run",
        folder / "small.toml",
        *("--data", f"train-only={folder / 'levels.npy'}"),
        *("--teacher", "evaluation=digits-ddpmpp"),
        cwd=folder,
        paths=(folder / "site",),
    )
    assert done.returncode == 2
    assert "'digits-ddpmpp' is both the tuning and the evaluation teacher" in done.stderr


def test_rows_on_sampled_images_are_verified(folder: Path, finished: Path, tmp_path: Path) -> None:
    """Images are sampled anew; that another device's have another key is no contradiction."""
    records = shutil.copytree(finished / "records", tmp_path / "records")
    shutil.copy(finished / "run.json", tmp_path)
    other = records / "ls.denoiser-mse.json"
    content = json.loads(other.read_text())
    content["provenance"].update(device="cuda", test="0" * 24)
    other.write_text(json.dumps(content))
    given = (
        "--data",
        f"train-only={folder / 'levels.npy'}",
        "--quiet",
        "--no-attest",
        "--entry",
        "ls",
    )
    done = fpmc_bench("verify", tmp_path, *given, cwd=folder, paths=(folder / "site",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("7 of 7 items agree") == 2
    assert "ls (denoiser-mse): computed here on another kind of device" in done.stdout
    content["provenance"].update(device="cpu")
    other.write_text(json.dumps(content))
    done = fpmc_bench("verify", tmp_path, *given, cwd=folder, paths=(folder / "site",))
    assert done.returncode == 1
    assert 'ls (denoiser-mse): it is not of what is here: test is "0000' in done.stdout
