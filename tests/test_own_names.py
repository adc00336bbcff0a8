"""Data sets and networks that a user names in the configuration file stand beside all others."""

import shutil
from pathlib import Path

import pytest
from pictures import edm_zip
from plans import small_suite
from runs import fpmc_bench

import fpmc_plugins
from fpmc_bench import load_dataset, load_teacher
from fpmc_bench.errors import CheckpointError, ParameterError, UsageError
from fpmc_bench.jobs.run import run_suite

NETWORK = Path(fpmc_plugins.__path__[0]) / "teachers" / "digits-ddpmpp.safetensors"
OWN = """
[datasets.lab]
plugin = "image-zip"
path = "lab.zip"
test_images = 4

[datasets.large-photos]
plugin = "photos"
side_px = 32

[teachers.lab-net]
network = "networks/net.safetensors"
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(OWN)
    edm_zip(tmp_path / "lab.zip", 9, side_px=8)
    (tmp_path / "networks").mkdir()
    shutil.copy(NETWORK, tmp_path / "networks" / "net.safetensors")
    monkeypatch.setenv("FPMC_BENCH_CONFIG", str(path))
    return path


def test_they_are_used_like_those_of_plugins(config: Path) -> None:
    """Paths are those from the folder of the file, whatever the working directory."""
    lab = load_dataset("lab")
    assert (lab.name, len(lab.train), len(lab.test or ())) == ("lab", 5, 4)
    assert len(load_dataset("lab", {"test_images": 2}).train) == 7
    assert load_dataset("large-photos").shape == (3, 32, 32)
    named = load_teacher("lab-net")
    assert named.name == "lab-net"
    assert named.fingerprint == load_teacher("digits-ddpmpp").fingerprint


def test_a_suite_may_name_them_and_its_rows_have_their_names(config: Path) -> None:
    suite = small_suite(teachers={"tuning": "digits-ncsnpp", "evaluation": "lab-net"})
    done = run_suite(suite, run_dir=config.parent / "run", progress=False)
    rows = {record.entry: record for record in done.records if record.protocol == "denoiser-mse"}
    assert set(rows) == {"lab-net", "optimal"}
    built_in = small_suite(teachers={"tuning": "digits-ncsnpp", "evaluation": "digits-ddpmpp"})
    other = run_suite(built_in, run_dir=config.parent / "other", progress=False)
    assert rows["lab-net"].figures == other.records[0].figures


def test_commands_know_them(config: Path) -> None:
    listed = fpmc_bench("list", "--name", "lab", cwd=config.parent).stdout
    assert "lab-net" in listed
    assert "your configuration" in listed
    shown = fpmc_bench("info", "lab", cwd=config.parent).stdout
    assert "read by 'image-zip' from" in shown
    assert "test_images  int     4" in shown
    done = fpmc_bench("data", "info", "lab", cwd=config.parent)
    assert (done.returncode, "5  3x8x8" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[dataset.x]\n", "Unknown section 'dataset'. Did you mean 'datasets'"),
        ("[datasets]\nx = 'y'\n", r"\[datasets\] must hold tables of their own, \[datasets.NAME\]"),
        ("[datasets.x]\npath = 'y'\n", r"\[datasets.x\] needs a line plugin"),
        ("[datasets.x]\nplugin = 'image-zp'\n", "Unknown dataset 'image-zp'. Did you mean"),
        ("[datasets.x]\nplugin = 'image-zip'\ntest_image = 3\n", "'test_image'. Did you mean"),
        ("[datasets.x]\nplugin = 'image-zip'\ntest_images = -1\n", "must not be negative"),
        ("[datasets.x]\nplugin = 'digits'\npath = 'y'\n", "'digits' is not read from files"),
        ("[datasets.digits]\nplugin = 'photos'\n", "fpmc-bench .* offers 'digits' already"),
        ("[datasets.'a/b']\nplugin = 'photos'\n", "must be named by letters"),
        ("[data]\nx='a'\n[datasets.x]\nplugin='image-zip'\npath='b'\n", "so has 'x' under"),
        ("[teachers.x]\npath = 'y'\n", "Unknown line 'path'"),
        ("[teachers.x]\nnetwork = 'y'\n", "'y' is no network; give a path"),
        ("[teachers.digits-ddpmpp]\nnetwork = './y'\n", "offers 'digits-ddpmpp' already"),
    ],
)
def test_what_can_t_be_meant_is_refused(content: str, complaint: str, config: Path) -> None:
    config.write_text(content)
    with pytest.raises(UsageError, match=complaint) as caught:
        load_dataset("digits")
    assert str(config) in str(caught.value)


def test_what_is_not_there_is_said_by_its_name(config: Path) -> None:
    (config.parent / "lab.zip").unlink()
    (config.parent / "networks" / "net.safetensors").unlink()
    with pytest.raises(UsageError, match=r"dataset 'lab': there is nothing at .*lab.zip"):
        load_dataset("lab")
    with pytest.raises(CheckpointError, match=r"net.safetensors"):
        load_teacher("lab-net")
    with pytest.raises(ParameterError, match="'test_image'"):
        load_dataset("lab", {"test_image": 3})


def test_a_configuration_that_is_named_and_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FPMC_BENCH_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match=r"FPMC_BENCH_CONFIG says .*none\.toml, which can't be"):
        load_dataset("digits")
