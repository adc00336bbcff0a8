"""A wrong name is refused with what it may have been, before anything is read or evaluated."""

from pathlib import Path

import pytest
from runs import fpmc_bench, write_suite

from fpmc_bench.contracts import Dataset, FileDataset
from fpmc_plugins.datasets.digits import Digits

TRAIN = ("teacher", "train", "digits", "--architecture", "ddpmpp", "--out", "x.safetensors")
ON_A_SUITE = (("run",), ("tune",), ("bench",), ("finetune", "--base", "ls"), ("study", "table2"))
WRONG = [
    (("run", "digit"), "Unknown suite 'digit'. Did you mean 'digits'?"),
    (("tune", "digit"), "Unknown suite 'digit'. Did you mean 'digits'?"),
    (("bench", "digit"), "Unknown suite 'digit'. Did you mean 'digits'?"),
    (("finetune", "digit"), "Unknown suite 'digit'. Did you mean 'digits'?"),
    (("study", "table2", "--suite", "digit"), "Unknown suite 'digit'. Did you mean 'digits'?"),
    (("study", "tabel2"), "Unknown study 'tabel2'. Did you mean 'table2'?"),
    (("run", "-d", "lss"), "Unknown entry or denoiser 'lss'. Did you mean 'ls'?"),
    (("tune", "-d", "windows", "-d", "lss"), "Unknown entry or denoiser 'lss'. Did you mean 'ls'?"),
    (("bench", "-d", "lss"), "Unknown entry or denoiser 'lss'. Did you mean 'ls'?"),
    (("finetune", "--base", "lss"), "Unknown entry or denoiser 'lss'. Did you mean 'ls'?"),
    (("study", "finetune-axes", "--base", "lss"), "'lss'. Did you mean 'ls'?"),
    (("run", "-d", "ls[patch_size=[3]]"), "'patch_size'. Did you mean 'patch_sizes'?"),
    (("tune", "-d", "ls[patch_size=[3]]"), "'patch_size'. Did you mean 'patch_sizes'?"),
    (("bench", "-d", "ls[patch_size=[3]]"), "'patch_size'. Did you mean 'patch_sizes'?"),
    (("run", "-d", "finetuned"), "parameter 'weights' is required"),
    (("tune", "-d", "ls[patch_size={3,5}]"), "'patch_size'. Did you mean 'patch_sizes'?"),
    (("tune", "-d", "ls[patch_sizes={3,x}]"), "parameter 'patch_sizes' must be"),
    (("run", "-d", "windows[query_width={1,2}]"), "Did you mean 'query_widths'?"),
    (("finetune", "--base", "ls[patch_sizes={1,3}]"), "must be one denoiser"),
    (("run", "-p", "sample"), "'sample' is not one of"),
    (("data", "info", "digit"), "Unknown dataset 'digit'. Did you mean 'digits'?"),
    (("data", "fetch", "digits"), "'digits' is not 'cifar10'"),
    (("teacher", "info", "digits-ncspp"), "Did you mean 'digits-ncsnpp'?"),
    ((*TRAIN[:2], "digit", *TRAIN[3:]), "Unknown dataset 'digit'. Did you mean 'digits'?"),
    ((*TRAIN, "--data", "cifar=x"), "Unknown dataset 'cifar'. Did you mean 'cifar10'?"),
    ((*TRAIN, "--size", "tiniest"), "'tiniest' is not one of"),
    ((*TRAIN, "--device", "gpu"), "unknown device 'gpu'"),
    (("data", "info", "digits", "--data", "cifar=x"), "Did you mean 'cifar10'?"),
    (("teacher", "info", "digits-ncsnpp", "--data", "cifar=x"), "Did you mean 'cifar10'?"),
    (("teacher", "info", "digits-ncsnpp", "--teacher", "tunning=x"), "Did you mean 'tuning'?"),
    (("finetune", "--axes", "p"), "axes must be q, r or q,r"),
    (("info", "lss"), "Unknown name 'lss'. Did you mean 'ls'?"),
    *(((*one, "--data", "cifar=x"), "Did you mean 'cifar10'?") for one in ON_A_SUITE),
    *(((*one, "--teacher", "tunning=x"), "Did you mean 'tuning'?") for one in ON_A_SUITE),
    *(((*one, "--teacher", "tuning=digits-ncspp"), "'digits-ncsnpp'?") for one in ON_A_SUITE),
    *(((*one, "--teacher", "tuning=no_such:net"), "can't be imported") for one in ON_A_SUITE),
    *(((*one, "--weights", "digit-windows=x"), "Unknown weights") for one in ON_A_SUITE),
    *(((*one, "--device", "gpu"), "unknown device 'gpu'") for one in ON_A_SUITE),
]


@pytest.fixture
def _nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """No images, and so nothing that could be evaluated."""

    def too_early(*_: object) -> None:
        raise AssertionError("images are read before names are checked")

    for cls in (Dataset, FileDataset, Digits):
        monkeypatch.setattr(cls, "load", too_early)
    monkeypatch.setattr(FileDataset, "load_from", too_early)


@pytest.mark.usefixtures("_nothing_is_read")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    WRONG,
    ids=lambda one: " ".join(one)[:60] if isinstance(one, tuple) else "",
)
def test_wrong_names_on_the_command_line(
    arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    done = fpmc_bench(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert complaint in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_nothing_is_read")
@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('denoiser = "ls"', 'denoiser = "lss"', "Unknown denoiser 'lss'. Did you mean 'ls'?"),
        ("patch_sizes", "patch_size", "Did you mean 'patch_sizes'?"),
        ("[15, 7, 3, 3]", '"15"', "parameter 'patch_sizes' must be tuple[int, ...]"),
        ('name = "digits"', 'name = "digit"', "Unknown dataset 'digit'. Did you mean 'digits'?"),
        ('name = "digits"', 'name = "digits"\nparams = {x = 1}', "Unknown parameter of 'digits'"),
        ("digits-ddpmpp", "digits-dppm", "Unknown teacher 'digits-dppm'. Did you mean"),
        ("items = 7", 'items = 7\nprotocols = ["sample"]', "'sample'. Did you mean 'sample-mse'?"),
        (
            'denoiser = "optimal"',
            'denoiser = "optimal"\naugmentations = [{name = "hfip"}]',
            "Unknown augmentation 'hfip'. Did you mean 'hflip'?",
        ),
        (
            'denoiser = "optimal"',
            'denoiser = "optimal"\naugmentations = [{name = "hflip", rate = 2.0}]',
            "rate <= 1, got 2",
        ),
    ],
)
@pytest.mark.parametrize("command", ["run", "tune", "bench"])
def test_wrong_names_in_a_suite(
    command: str, old: str, new: str, complaint: str, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path)
    suite.write_text(suite.read_text().replace(old, new, 1))
    done = fpmc_bench(command, suite, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert complaint in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == [suite]


def test_tune_takes_what_run_takes(tmp_path: Path) -> None:
    """An entry by its name, which is no denoiser's, with its other parameters."""
    entry = '[[entries]]\nname = "mine"\ndenoiser = "lukoianov"\nparams = {orientation = "columns"}'
    suite = write_suite(tmp_path, entry)
    arguments = ("tune", suite, "-d", "mine[threshold={0.1,0.5}]", "--items", "2")
    done = fpmc_bench(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mine: MSE against the tuning teacher by threshold" in done.stdout
