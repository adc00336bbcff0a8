"""`--teacher tuning=module:function`: any torch function in a teacher's role."""

import json
import textwrap
from pathlib import Path

import pytest
from runs import fpmc_bench, write_suite

from fpmc_bench import load_teacher
from fpmc_bench.errors import UnknownNameError, UsageError

MODULE = """
    import torch

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.SiLU(),
                                  torch.nn.Conv2d(4, 1, 3, padding=1))

    def denoise(z, sigma):
        '''Between the noisy image and a small network's idea of it.'''
        kept = 1 / (1 + sigma**2)
        return kept * z + (1 - kept) * network(z * kept**0.5)

    def wrong_shape(z, sigma):
        return z[:, :, 1:]

    def wrong_type(z, sigma):
        return z.numpy()

    def nan(z, sigma):
        return z * float("nan")

    def half(z, sigma):
        return denoise(z, sigma).half()

    def broken(z, sigma):
        return network(z[:, :0])

    def noise(z, sigma):
        return (z - denoise(z, sigma)) / sigma

    def unit_interval(z, sigma):
        return denoise(z, sigma) / 2 + 0.5

    def in_place(z, sigma):
        return z.mul_(1 / (1 + sigma**2))

    number = 3
"""
SMALL = ("run", "small.toml", "--quiet", "-d", "pspc-flex", "-p", "denoiser-mse")
"""pspc-flex takes the gradients of the tuning teacher."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mynet.py").write_text(textwrap.dedent(MODULE))
    write_suite(tmp_path)
    return tmp_path


def test_a_run_measures_against_it(folder: Path) -> None:
    """So it does in several processes: see `test_held_out`."""
    given = ("--teacher", "tuning=mynet:denoise", "--run-dir", "run")
    done = fpmc_bench(*SMALL, *given, cwd=folder)
    assert done.returncode == 0, done.stderr
    record = json.loads((folder / "run" / "records" / "pspc-flex.denoiser-mse.json").read_text())
    assert record["reference"] == "mynet:denoise"


@pytest.mark.parametrize(
    ("what", "complaint", "status"),
    [
        ("mynet:denoize", "Unknown function of mynet: 'denoize'. Did you mean 'denoise'?", 2),
        ("mynet:number", "Unknown function of mynet: 'number'.", 2),
        ("nowhere:denoise", "'nowhere' can't be imported from here (ModuleNotFoundError", 2),
        ("broken:denoise", "'broken' can't be imported from here (ZeroDivisionError", 2),
        ("mynet:wrong_shape", "returned [1, 1, 7, 8] for z [1, 1, 8, 8]", 2),
        ("mynet:wrong_type", "returned a ndarray for z [1, 1, 8, 8]", 2),
        ("mynet:nan", "returned NaN or infinite values at sigma", 2),
        ("mynet:half", "returned torch.float16; expected torch.float32", 2),
        ("mynet:broken", "can't be asked for images [1, 1, 8, 8] at sigma 80 (RuntimeError", 2),
        ("mynet:noise", "is no denoiser of these images: at sigma 0.002 its answer", 2),
        ("mynet:unit_interval", "and not noise, codes or images in [0, 1]", 2),
        ("mynet:in_place", "changes the images that it is asked about; copy them first", 2),
    ],
)
def test_what_is_no_denoiser(what: str, complaint: str, status: int, folder: Path) -> None:
    (folder / "broken.py").write_text("1 / 0\n")
    run = ("run", "small.toml", "--quiet", "-d", "ls", "-p", "denoiser-mse")
    done = fpmc_bench(*run, "--teacher", f"tuning={what}", cwd=folder)
    assert done.returncode == status, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert complaint in line


def test_the_fingerprint_follows_source_and_what_the_function_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    source = (folder / "mynet.py").read_text()
    found = set()
    variants = {"one": source, "two": source + "\n# another line\n"}
    variants["three"] = source + "\ndenoise.fingerprint = 'weights of May'\n"
    for name, text in variants.items():
        (folder / f"net_{name}.py").write_text(text)
        found.add(load_teacher(f"net_{name}:denoise").fingerprint)
    assert len(found) == 3
    again = load_teacher("net_one:denoise").fingerprint
    assert again in found
    with pytest.raises(UnknownNameError, match="Did you mean 'denoise'"):
        load_teacher("net_one:denois")
    with pytest.raises(UsageError, match="can't be imported"):
        load_teacher("net_none:denoise")
