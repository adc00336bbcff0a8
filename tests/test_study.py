"""Studies: the rows that a document asks for, and the command that carries them out."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image
from runs import figures, fpmc_bench, kill_when, write_plugin, write_suite

from fpmc_bench import sigma_grid
from fpmc_bench.documents.failure import read_failures
from fpmc_bench.documents.record import read_record
from fpmc_bench.documents.study import read_study
from fpmc_bench.errors import SuiteError

STUDIES = sorted((Path(__file__).parents[1] / "plugins/fpmc_plugins/studies").glob("*.toml"))
QUICK = ("--steps", "4", "--batch", "16", "--evaluate-every", "2", "--validation-items", "8")

FINETUNE = """
name = "axes"
view = "finetune"
protocols = ["denoiser-mse"]
bases = ["ls", "pspc-square"]
axes = [["q"], ["q", "r"]]
"""
AUGMENTATION = """
name = "added"
view = "augmentation"
protocols = ["denoiser-mse"]
sigmas = [5.0, 0.6]
bases = ["ls"]
augmentations = ["hflip", "translate", "synthetic"]
rates = [0.02, 2.0]
"""
TABLE = """
name = "both"
view = "table"
with_entries = true
[[rows]]
name = "ls+q+hflip"
base = "ls"
axes = ["q"]
augmentations = [{ name = "hflip", rate = 1.0 }]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text)
    return path


# --- the document


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_are_named_as_their_files(path: Path) -> None:
    study = read_study(path)
    assert study.name == path.stem
    assert study.description
    rows = study.all_rows()
    assert len({row.name for row in rows}) == len(rows) > 3


def test_all_combinations_of_the_bases_that_there_are(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, FINETUNE)).for_entries(("ls", "optimal"))
    assert [row.name for row in study.all_rows()] == ["ls", "ls+q", "ls+qr"]
    added = read_study(write(tmp_path, AUGMENTATION)).all_rows()
    assert [row.name for row in added][:3] == ["ls", "ls+hflip-0.02", "ls+hflip-2"]
    assert added[2].augmentations[0].rate == 2.0


def test_rows_that_the_suite_has_already_are_the_suites(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, TABLE))
    rows = study.all_rows(("optimal", "ls", "ls+q+hflip"))
    assert [row.name for row in rows] == ["optimal", "ls", "ls+q+hflip"]
    assert not any(row.axes for row in rows)
    assert study.all_rows(("ls",))[1].axes == ("q",)


def test_what_the_suite_has_learned_serves_other_sources(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, TABLE))
    row = study.all_rows(("ls", "ls+q"))[-1]
    assert (row.name, row.base, row.axes) == ("ls+q+hflip", "ls+q", ())
    assert row.augmentations[0].name == "hflip"
    shared = study.model_copy(
        update={"rows": (study.rows[0].model_copy(update={"kernels": "shared"}),)}
    )
    assert shared.all_rows(("ls", "ls+q"))[-1].axes == ("q",)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('axes = [["q"], ["q", "r"]]', "", "needs axes"),
        ('["denoiser-mse"]', '["sample-mse"]', "shows denoiser-mse alone"),
        ('"finetune"', '"fine"', "view"),
        ("bases", "basis", "basis"),
        ('name = "axes"', "", "name"),
        ("view", "view = = ", "not valid TOML"),
        ('"ls", "pspc-square"', '"ls", "ls"', "bases must differ, but 'ls' stands there twice"),
        ('[["q"], ["q", "r"]]', '[["q"], ["q"]]', "axes must differ"),
        ("bases", "sigmas = [1.0, 0.0]\nbases", r"sigmas\.1: .* greater than 0"),
        ("bases", "sigmas = [nan]\nbases", r"sigmas\.0: .* finite"),
        ("bases", "sigmas = []\nbases", "sigmas: "),
        ("bases", "rates = [0.2, 0]\nbases", r"rates\.1: .* greater than 0"),
        ("bases", "rates = [21.0]\nbases", r"rates\.0: .* less than or equal to 20"),
    ],
)
def test_faults_are_named(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=complaint):
        read_study(write(tmp_path, FINETUNE.replace(old, new)))


def test_rows_have_names_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(
        SuiteError, match=r"rows must differ, but 'ls\+q\+hflip' stands there twice"
    ):
        read_study(write(tmp_path, TABLE + TABLE[TABLE.index("[[rows]]") :]))


# --- the command


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite, a study, and what the study left in `out`."""
    folder = tmp_path_factory.mktemp("studied")
    suite, study = write_suite(folder), write(folder, FINETUNE)
    command = ("study", study, "--suite", suite, "--items", "4", "--out", "out", *QUICK)
    done = fpmc_bench(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_fine_tuned_against_their_bases(tmp_path: Path) -> None:
    suite, study = write_suite(tmp_path), write(tmp_path, FINETUNE)
    command = ("study", study, "--suite", suite, "--items", "5", "--out", "out", *QUICK)
    done = fpmc_bench(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pspc-square" not in done.stdout, "the suite has none"
    data = pd.read_csv(tmp_path / "out/axes.csv")
    assert list(data["axes"].unique()) == ["q", "qr"]
    assert len(data) == 2 * 4
    base, own = (
        read_record(tmp_path / f"out/run/records/{name}.denoiser-mse.json")[1]["mse@1"]
        for name in ("ls", "ls+qr")
    )
    found = data[data["axes"] == "qr"]
    np.testing.assert_allclose(found["base_mse"], base.mean(0))
    np.testing.assert_allclose(found["mse"], own.mean(0))
    np.testing.assert_allclose(found["difference"], (own - base).mean(0), atol=1e-15)
    np.testing.assert_allclose(
        found["difference_se"], (own - base).std(0, ddof=1) / 5**0.5, atol=1e-15
    )
    with Image.open(tmp_path / "out/axes.png") as figure:
        assert figure.width > 400
    before = figures(tmp_path / "out/run"), (tmp_path / "out/axes.csv").read_bytes()
    again = fpmc_bench(*command, cwd=tmp_path)
    assert again.stdout == done.stdout
    shown = json.loads(fpmc_bench(*command, "--json", cwd=tmp_path).stdout)
    assert (shown["study"], shown["suite"], shown["data"]) == ("axes", "small", "out/axes.csv")
    pd.testing.assert_frame_equal(pd.DataFrame(shown["points"]), data)
    assert (figures(tmp_path / "out/run"), (tmp_path / "out/axes.csv").read_bytes()) == before


def test_a_base_with_parameters_of_its_own(tmp_path: Path) -> None:
    suite, study = write_suite(tmp_path), write(tmp_path, FINETUNE)
    base = ("--base", "ls[patch_sizes=[15,7,3,1]]")
    command = ("study", study, "--suite", suite, "--items", "4", "--out", "out", *base, *QUICK)
    done = fpmc_bench(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/weights/ls_patch_sizes-15-7-3-1+q.safetensors").is_file()
    assert len(pd.read_csv(tmp_path / "out/axes.csv")) == 2 * 4


def test_at_the_noise_levels_asked_for(tmp_path: Path) -> None:
    suite, study = write_suite(tmp_path), write(tmp_path, FINETUNE)
    more = ("--sigma", "5", "--sigma", "0.002")
    command = ("study", study, "--suite", suite, "--items", "4", "--out", "out", *QUICK, *more)
    done = fpmc_bench(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(tmp_path / "out/axes.csv")["sigma"].unique()
    all_sigmas = np.array(sigma_grid(4).tolist())
    nearest = [all_sigmas[abs(np.log(all_sigmas / wanted)).argmin()] for wanted in (5, 0.002)]
    np.testing.assert_allclose(found, nearest)


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a study of augmentations left, carried out by one process."""
    folder = tmp_path_factory.mktemp("added")
    suite, study = write_suite(folder), write(folder, AUGMENTATION)
    command = ("study", study, "--suite", suite, "--items", "4", "--out", "out")
    done = fpmc_bench(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "out"


def test_several_processes_find_the_same(
    added: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is added to a source, made anew: they have a cache of their own."""
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path / "cache"))
    suite, study = write_suite(tmp_path), write(tmp_path, AUGMENTATION)
    more = ("--items", "4", "--out", "out", "--processes", "2")
    done = fpmc_bench("study", study, "--suite", suite, *more, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/added.csv").read_bytes() == (added / "added.csv").read_bytes()
    assert figures(tmp_path / "out/run") == figures(added / "run")


def test_sources_with_more_in_them(added: Path) -> None:
    data = pd.read_csv(added / "added.csv")
    rates = {name: list(part["rate"].unique()) for name, part in data.groupby("augmentation")}
    assert rates == {"hflip": [0.02], "translate": [0.02, 2.0], "synthetic": [0.02, 2.0]}
    assert len(data["sigma"].unique()) == 2, "at the noise levels asked for and no others"
    base, own = (
        read_record(added / f"run/records/{name}.denoiser-mse.json")[1]["mse@1"]
        for name in ("ls", "ls+translate-2")
    )
    assert base.shape == (4, 2)
    found = data[(data["augmentation"] == "translate") & (data["rate"] == 2)]
    expected = 100 * (own - base).mean(0) / base.mean(0)
    np.testing.assert_allclose(found["change_percent"], expected)


def test_a_table_of_everything(tmp_path: Path) -> None:
    suite, study = write_suite(tmp_path), write(tmp_path, TABLE)
    command = ("study", study, "--suite", suite, "--items", "4", "--out", "out", *QUICK)
    done = fpmc_bench(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = pd.read_csv(tmp_path / "out/both.csv")
    entries = set(data[data["role"] == "entry"]["entry"])
    assert entries == {"optimal", "ls", "pspc-flex", "ls+q+hflip"}
    assert set(data["protocol"]) == {"denoiser-mse", "sample-mse"}
    assert re.search(r"ls\+q\+hflip +\d+\.\d+", done.stdout)
    (first, second) = json.loads(fpmc_bench(*command, "--json", cwd=tmp_path).stdout)["tables"]
    assert (first["protocol"], second["protocol"]) == ("denoiser-mse", "sample-mse")
    assert {row["entry"] for row in first["rows"] if row["role"] == "entry"} == entries


def test_a_level_that_diverges_is_said_and_everything_else_goes_on(tmp_path: Path) -> None:
    suite, study = write_suite(tmp_path), write(tmp_path, FINETUNE)
    command = ("study", study, "--suite", suite, "--items", "4", "--out", "out", *QUICK)
    command += ("--learning-rate", "1e4")
    done = fpmc_bench(*command, cwd=tmp_path)
    assert done.returncode == 1
    said = r"^fpmc-bench: ls\+q: sigma 0\.47: .*lower learning_rate, now 10000"
    assert re.search(said, done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr
    assert len(pd.read_csv(tmp_path / "out/axes.csv")) == 2 * 4
    again = fpmc_bench(*command, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (1, done.stdout)


RAISES = """
    from dataclasses import dataclass
    from fpmc_bench import FPMC, hookimpl
    from fpmc_bench.contracts import FPMCDenoiser
    from fpmc_bench.fpmc import Uniform

    @dataclass(frozen=True)
    class Raises(FPMCDenoiser):
        name = "raises"
        citation = "nobody"
        below: float = 1.0

        def fpmc(self, setting, sigma):
            if sigma < self.below:
                raise RuntimeError("out of ideas")
            return FPMC(Uniform(setting.shape), Uniform(setting.shape))

    @hookimpl
    def fpmc_denoisers():
        return [Raises]
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_denoiser_that_raises_fails_alone(
    processes: int, studied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later, or at once; what is learned beside it, made anew by each process, stays the same."""
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path / "cache"))
    suite, study = write_suite(tmp_path), write(tmp_path, FINETUNE)
    plugin = write_plugin(tmp_path / "plugins", "raises", RAISES)
    bases = ("ls", "raises[below=1.0]", "raises[below=100.0]")
    more = [text for base in bases for text in ("--base", base)]
    command = ("study", study, "--suite", suite, "--items", "4", "--out", "out", *QUICK, *more)
    done = fpmc_bench(*command, "--processes", processes, cwd=tmp_path, paths=(plugin,))
    assert done.returncode == 1, done.stderr
    for below in (1.0, 100.0):
        for row in (r"\.denoiser-mse", r"\+q", r"\+qr"):
            assert re.search(rf"^fpmc-bench: raises_below-{below}{row} failed:", done.stderr, re.M)
    assert done.stderr.count("RuntimeError: out of ideas") == 6
    failed = {one.stem: one.reason for one in read_failures(tmp_path / "out" / "run")}
    assert len(failed) == 6, "the run's own tables show them too"
    assert set(failed.values()) == {"RuntimeError: out of ideas"}
    data = pd.read_csv(tmp_path / "out/axes.csv")
    assert set(data["base"]) == {"ls"}
    assert len(data) == 2 * 4
    assert (tmp_path / "out/axes.csv").read_bytes() == (studied / "out/axes.csv").read_bytes()


ADDS_NONE = """
    from dataclasses import dataclass
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import Augmentation

    @dataclass(frozen=True)
    class AddsNone(Augmentation):
        name = "adds-none"
        citation = "nobody"

        def augment(self, task):
            raise RuntimeError("out of images")

    @hookimpl
    def fpmc_augmentations():
        return [AddsNone]
"""


def test_an_augmentation_that_raises_fails_alone(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    study = write(tmp_path, AUGMENTATION.replace('"translate", "synthetic"', '"adds-none"'))
    plugin = write_plugin(tmp_path / "plugins", "adds-none", ADDS_NONE)
    command = ("study", study, "--suite", suite, "--items", "4", "--out", "out")
    done = fpmc_bench(*command, cwd=tmp_path, paths=(plugin,))
    assert done.returncode == 1, done.stderr
    for rate in ("0.02", "2"):
        said = f"fpmc-bench: ls+adds-none-{rate}.denoiser-mse failed:\nTraceback"
        assert said in done.stderr
    data = pd.read_csv(tmp_path / "out/added.csv")
    assert set(data["augmentation"]) == {"hflip"}


def test_a_base_over_an_augmented_source_is_learned_over_it(tmp_path: Path) -> None:
    entry = """
[[entries]]
name = "ls-mirrored"
denoiser = "ls"
params = {patch_sizes = [15, 7, 3, 3]}
augmentations = [{name = "hflip", rate = 1.0}]
"""
    suite, study = write_suite(tmp_path, entry), write(tmp_path, FINETUNE)
    command = ("study", study, "--suite", suite, "--items", "4", "--out", "out", *QUICK)
    done = fpmc_bench(*command, "--base", "ls-mirrored", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    other = ("finetune", suite, "--base", "ls-mirrored", "--axes", "q", "--out", "a.safetensors")
    assert fpmc_bench(*other, *QUICK, cwd=tmp_path).returncode == 0
    own = (tmp_path / "out/weights/ls-mirrored+q.safetensors").read_bytes()
    assert own == (tmp_path / "a.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--items", "5"), "items 4, now 5"),
        (("--learning-rate", "0.2"), "settings {"),
        (("--sigma", "0.5"), "levels null, now [2]"),
        (("--base", "pspc-flex"), "rows {"),
    ],
)
def test_what_another_study_left_is_not_overwritten(
    more: tuple[str, ...], complaint: str, studied: Path
) -> None:
    before = {path: path.read_bytes() for path in studied.rglob("out/**/*") if path.is_file()}
    command = ("study", "study.toml", "--suite", "small.toml", "--out", "out", *QUICK)
    done = fpmc_bench(*command, "--items", "4", *more, cwd=studied)
    assert done.returncode == 2, done.stderr
    assert f"out holds a study that was begun otherwise ({complaint}" in done.stderr
    assert "choose another --out" in done.stderr
    assert before == {path: path.read_bytes() for path in before}


def test_killed_and_repeated_it_finds_the_same(studied: Path, tmp_path: Path) -> None:
    suite, study = write_suite(tmp_path), write(tmp_path, FINETUNE)
    command = ("study", study, "--suite", suite, "--items", "4", "--out", "out", *QUICK)
    levels = tmp_path / "out/weights/levels"
    whole = (sys.executable, "-m", "fpmc_bench", *command)
    kill_when(lambda: len(list(levels.glob("*.safetensors"))) >= 5, whole, tmp_path)
    assert not (tmp_path / "out/axes.csv").exists()
    done = fpmc_bench(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("axes.csv", "weights/ls+q.safetensors", "weights/ls+qr.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (studied / "out" / name).read_bytes()


def test_one_study_at_a_time(studied: Path) -> None:
    command = ("study", "study.toml", "--suite", "small.toml", "--out", "out", *QUICK)
    with FileLock(studied / "out/.lock"):
        done = fpmc_bench(*command, "--items", "4", cwd=studied)
    assert done.returncode == 1
    assert "out is in use by another study; wait for it" in done.stderr


def test_where_all_fail_that_is_what_is_said(tmp_path: Path) -> None:
    suite, study = write_suite(tmp_path), write(tmp_path, FINETUNE)
    plugin = write_plugin(tmp_path / "plugins", "raises", RAISES)
    command = ("study", study, "--suite", suite, "--items", "4", *QUICK, "--base", "raises")
    done = fpmc_bench(*command, cwd=tmp_path, paths=(plugin,))
    assert done.returncode == 1
    assert done.stderr.count("RuntimeError: out of ideas") == 3
    assert "no row is left to be compared with its base: all of them failed" in done.stderr


TWICE_MIRRORED = TABLE.replace("rate = 1.0", "rate = 2.0")
ALONE = TABLE.replace('base = "ls"', 'base = "windows"')
SHARED = TABLE.replace('base = "ls"', 'base = "optimal"\nkernels = "shared"')


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("finetune-axis",), "Did you mean 'finetune-axes'"),
        (("none.toml",), "no study file at none.toml"),
        ((FINETUNE.replace('"ls"', '"pspc-sqare"'),), "Did you mean 'pspc-square'"),
        ((FINETUNE.replace('"ls", ', ""),), "has no row that suite 'small' has"),
        (("finetune-axes", "--base", "lss", "--base", "ls"), "Did you mean 'ls'"),
        (("finetune-axes", "--base", "ls", "--base", "ls"), "'ls' stands there twice"),
        (("finetune-axes", "--base", "ls", "--base", " ls"), "has two rows 'ls'"),
        ((FINETUNE + '[settings]\nkernels = "shared"',), "kernels belong to the study or its rows"),
        ((FINETUNE.replace('["q"]', "[]"),), "axes.0: "),
        ((TABLE.replace('axes = ["q"]', 'kernels = "shared"'),), "give the row axes"),
        ((TABLE[: TABLE.index("with_entries")],), "a study with view 'table' needs rows"),
        (("finetune-axes", "--out", "small.toml/inside"), "can't write into small.toml/inside"),
        (("table2", "--base", "ls"), "there are no bases to replace"),
        (("finetune-axes", "--sigma", "nan"), "sigmas.0"),
        (("augmentation", "--steps", "4"), "so steps would change nothing"),
        (("finetune-axes", "--base", "els[patch_sizes=[15,7,3,3]]"), "take ls"),
        (("finetune-axes", "--base", "ls", "--batch", "5000"), "leaves nothing of 1297"),
        ((TWICE_MIRRORED,), "hflip: it can add 1 images per image, so rate <= 1, got 2"),
        ((ALONE,), "builds upon 'windows', which is no complete entry on suite 'small'"),
        ((SHARED,), "'optimal' at sigma 80: shared kernels need one estimator a pixel"),
        ((FINETUNE + "[settings]\nstep = 3",), "Did you mean 'steps'"),
    ],
)
def test_what_can_not_be_studied(
    arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    """Found before any work is done."""
    suite, (study, *more) = write_suite(tmp_path), arguments
    if "\n" in study:
        study = str(write(tmp_path, study))
    arguments = (study, "--suite", suite, "--out", "out", *more)
    done = fpmc_bench("study", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("out/**/*.safetensors"))
    assert not (tmp_path / "out/run").exists()
