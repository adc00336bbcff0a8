"""`fpmc-bench run`: results, resuming, processes, failures, refusals."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runs import environment, figures, fpmc_bench, kill_when, write_plugin, write_suite

from fpmc_bench.results.render.sample_grid import read_samples

FAULTY = """
    import sys
    from dataclasses import dataclass
    from typing import ClassVar
    import torch
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import FunctionDenoiser

    torch.set_default_dtype(torch.float64)

    @dataclass(frozen=True)
    class Faulty(FunctionDenoiser):
        '''Fails below some sigma, in a way of your choice.'''
        name: ClassVar[str] = "faulty"
        citation: ClassVar[str] = "none"
        how: str = "raise"

        def check(self, shape, sigmas):
            if self.how == "check":
                raise KeyError("a key of its own")

        def build(self, setting):
            def denoise(z, sigma):
                if self.how == "raise" and sigma < 1:
                    raise RuntimeError("the roof is on fire")
                if self.how == "exit":
                    sys.exit(0)
                if self.how == "spoil":
                    setting.source.images.numpy()[:] = 0
                if self.how == "chance":
                    return z + torch.rand(1)
                if self.how == "nan":
                    return z * float("nan")
                return z[:, :, 1:] if self.how == "shape" else z
            return denoise

    @hookimpl
    def fpmc_denoisers():
        return [Faulty]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory that one uninterrupted process made."""
    folder = tmp_path_factory.mktemp("finished")
    suite = write_suite(folder)
    done = fpmc_bench("run", suite, "--run-dir", folder / "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_a_run_leaves_records_tables_and_figures(finished: Path) -> None:
    names = {"optimal", "ls", "pspc-flex", "digits-ddpmpp", "digits-ncsnpp"}
    stems = {path.stem for path in (finished / "records").glob("*.json")}
    expected = {
        f"{name}.{protocol}" for name in names - {"digits-ddpmpp"} for protocol in ("denoiser-mse",)
    }
    expected |= {f"{name}.sample-mse" for name in names - {"digits-ncsnpp"}}
    assert stems == expected
    for protocol in ("denoiser-mse", "sample-mse"):
        for suffix in ("md", "csv", "tex"):
            assert (finished / "tables" / f"{protocol}.{suffix}").stat().st_size > 0
    assert (finished / "figures" / "denoiser-mse.png").is_file()
    assert (finished / "figures" / "sample-mse-samples.png").is_file()


def test_repeated_it_shows_the_same_as_json(finished: Path) -> None:
    before = figures(finished)
    command = ("run", finished.parent / "small.toml", "--run-dir", finished, "--json")
    done = fpmc_bench(*command, cwd=finished.parent)
    assert done.returncode == 0, done.stderr
    for table in json.loads(done.stdout):
        for row in table["rows"]:
            record = finished / "records" / f"{row['entry']}.{table['protocol']}.json"
            mean = row["figures"]["mse@1"]["mean"]
            assert mean == json.loads(record.read_text())["figures"]["mse@1"]["mean"]
    assert figures(finished) == before


def test_figures_are_those_of_the_items(finished: Path) -> None:
    record = json.loads((finished / "records" / "ls.denoiser-mse.json").read_text())
    with np.load(finished / "records" / "ls.denoiser-mse.npz") as file:
        errors = file["mse@1"]
    assert errors.shape == (7, 4)
    per_item = errors.mean(axis=1)
    figure = record["figures"]["mse@1"]
    assert figure["n"] == 7
    assert figure["mean"] == pytest.approx(per_item.mean(), rel=1e-12)
    assert figure["standard_error"] == pytest.approx(per_item.std(ddof=1) / 7**0.5, rel=1e-12)


def test_a_record_is_what_the_definitions_say(finished: Path) -> None:
    """Item by item from the public functions, without the harness."""
    from fpmc_bench import build_denoiser, load_dataset, load_teacher, sigma_grid
    from fpmc_bench.diffusion.noise import unit_noise

    data, sigmas = load_dataset("digits"), sigma_grid(4).tolist()
    teacher = load_teacher("digits-ddpmpp")
    ls = build_denoiser("ls", data.train, sigmas=sigmas, params={"patch_sizes": [15, 7, 3, 3]})
    with np.load(finished / "records" / "ls.denoiser-mse.npz") as file:
        errors = file["mse@1"]
    clean = data.test.values()
    for item, level in ((0, 0), (3, 2), (6, 3)):
        noise = unit_noise(3, f"denoiser-mse/{level}", [item], tuple(data.shape))
        z = clean[item : item + 1] + sigmas[level] * noise
        error = (ls(z, sigmas[level]) - teacher(z, sigmas[level])).double().square().mean()
        assert errors[item, level] == pytest.approx(float(error), rel=1e-3, abs=1e-9)


LAUNCHERS = {
    "torchrun": ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"),
    "accelerate": ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"),
}


@pytest.mark.parametrize("launcher", sorted(LAUNCHERS))
def test_launchers_give_identical_records(finished: Path, tmp_path: Path, launcher: str) -> None:
    run = tmp_path / "run"
    arguments = ["-m", "fpmc_bench", "run", str(write_suite(tmp_path)), "--run-dir", str(run)]
    done = subprocess.run(
        [sys.executable, *LAUNCHERS[launcher], *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert figures(run) == figures(finished)


def test_killed_and_repeated_gives_the_uninterrupted_records(
    finished: Path, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path)
    run = tmp_path / "run"
    command = (sys.executable, "-m", "fpmc_bench", "run", suite, "--run-dir", run)
    kill_when(lambda: len(list(run.glob("ledger/*.npz"))) >= 9, command)
    survivors = {path: path.stat().st_mtime_ns for path in run.glob("ledger/*.npz")}
    assert survivors
    assert not (run / "records").exists(), "the run had finished before it was killed"
    done = fpmc_bench("run", suite, "--run-dir", run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert figures(run) == figures(finished)
    assert all(path.stat().st_mtime_ns == before for path, before in survivors.items())


def test_one_failure_stays_one(finished: Path, tmp_path: Path) -> None:
    plugin = write_plugin(tmp_path / "site", "faulty-plugin", FAULTY)
    complaints = {
        "raise": "the roof is on fire",
        "nan": "NaN or infinite",
        "shape": "returned shape",
        "exit": "'exit' raised SystemExit: 0",
        "spoil": "'spoil' changed the training images",
        "check": "a key of its own",
    }
    entries = (
        f'[[entries]]\nname = "{how}"\ndenoiser = "faulty"\nparams = {{how = "{how}"}}'
        for how in (*complaints, "chance")
    )
    suite = write_suite(tmp_path, *entries)
    arguments = ("run", suite, "--run-dir", tmp_path / "run", "--processes", 2)
    done = fpmc_bench(*arguments, cwd=tmp_path, paths=(plugin,))
    assert done.returncode == 1
    shown = fpmc_bench("leaderboard", "render", tmp_path / "run", cwd=tmp_path).stdout
    for how, complaint in complaints.items():
        assert complaint in done.stderr
        assert f"{how}.denoiser-mse failed" in done.stderr
        assert f"{how}.sample-mse failed" in done.stderr
        assert done.stdout.count(f"{how} (failed)") == 2
        assert shown.count(f"{how} (failed)") == 2, "whoever renders tables later"
    assert done.stderr.count("faulty-plugin 1.0 changed torch's default dtype") == 1
    assert (
        " ".join(done.stdout.split()).count("answers depend on chance: the same query twice") == 2
    )
    found = figures(tmp_path / "run")
    marked = found.pop("chance.denoiser-mse.json")
    assert isinstance(marked, dict)
    assert len(marked["remarks"]) == 1
    others = {name: one for name, one in found.items() if not name.startswith("chance")}
    assert others == figures(finished), "in two processes, and in one after the images were spoiled"
    record = json.loads((tmp_path / "run" / "records" / "ls.sample-mse.json").read_text())
    assert [one["environment"]["processes"] for one in record["computed"]] == [2]


def test_a_broken_plugin_costs_only_itself(tmp_path: Path) -> None:
    plugin = write_plugin(tmp_path / "site", "broken-plugin", "import no_such_module")
    done = fpmc_bench("list", cwd=tmp_path, paths=(plugin,))
    assert done.returncode == 0
    complaints = [line for line in done.stderr.splitlines() if "broken-plugin" in line]
    assert len(complaints) == 1
    assert "no_such_module" in complaints[0]
    assert "pip uninstall broken-plugin" in complaints[0]
    assert "pspc-flex" in done.stdout
    assert fpmc_bench("doctor", cwd=tmp_path, paths=(plugin,)).returncode == 1


def test_another_configuration_is_refused_and_loses_nothing(finished: Path) -> None:
    before = figures(finished)
    suite = finished.parent / "small.toml"
    arguments = ("run", suite, "--items", "4", "--run-dir", finished, "--processes", "2")
    done = fpmc_bench(*arguments, cwd=finished.parent)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, "though only one of two processes knows"
    assert "items 7, now 4" in done.stderr
    assert "--fresh" in done.stderr
    assert figures(finished) == before


def test_another_teacher_is_refused_before_any_work_and_the_first_goes_on(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def denoise(z, sigma):\n    return z / (1 + sigma**2)\n")
    command = ("run", write_suite(tmp_path), "--run-dir", "run", "-d", "optimal", "--quiet")
    assert fpmc_bench(*command, cwd=tmp_path).returncode == 0
    before = figures(tmp_path / "run")
    done = fpmc_bench(*command, "--teacher", "tuning=mine:denoise", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "run holds a run of suite 'small' with other settings (networks" in line
    assert "tuning teacher" in line
    assert figures(tmp_path / "run") == before
    assert fpmc_bench(*command, cwd=tmp_path).returncode == 0


def test_a_row_is_added_to_a_published_folder_and_nothing_is_lost(
    finished: Path, tmp_path: Path
) -> None:
    """Without its ledger, which nobody publishes."""
    board = shutil.copytree(finished, tmp_path / "board", ignore=shutil.ignore_patterns("ledger"))
    suite = write_suite(tmp_path)
    done = fpmc_bench("run", suite, "--run-dir", board, "-d", "wiener", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for path in (finished / "records").iterdir():
        assert (board / "records" / path.name).read_bytes() == path.read_bytes()
    assert done.stdout.count("  pspc-flex  ") >= 2
    assert done.stdout.count("  wiener  ") >= 2
    assert len(list((board / "records").glob("*.json"))) == 10
    entries = json.loads((board / "run.json").read_text())["suite"]["entries"]
    assert [one["name"] for one in entries] == ["optimal", "ls", "pspc-flex", "wiener"]
    old, new = (read_samples(one / "samples" / "sample-mse.npz") for one in (finished, board))
    assert list(new) == [*old, "wiener"]
    assert all(np.array_equal(new[name], old[name]) for name in old)
    assert not (board / "earlier").exists()


def test_several_processes_refuse_once(tmp_path: Path) -> None:
    done = fpmc_bench("run", "--items", "501", "--processes", "2", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "fpmc-bench: suite 'digits' asks for 501 items, but the test split of 'digits' has 500 "
        "images; lower --items"
    ]


def test_a_busy_directory_is_refused(tmp_path: Path) -> None:
    from filelock import FileLock

    suite = write_suite(tmp_path)
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"):
        done = fpmc_bench("run", suite, "--run-dir", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 1
    assert "in use by another run" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("run", "digts"), "Did you mean 'digits'?"),
        (("run", "-d", "pspc-sqare"), "Did you mean 'pspc-square'?"),
        (("run", "--items", "501"), "has 500 images"),
        (("run", "-d", "ls[patch_sizes=[3]]"), "patch_sizes has 1 values"),
        (("run", "-d", "lukoianov[treshold=1]"), "Did you mean 'threshold'?"),
        (("run", "--device", "cuda:7"), "no CUDA GPU"),
        (("run", "missing.toml"), "no suite file"),
        (("run", "--items", "many"), "is not a valid integer"),
        (("info", "optimum"), "Did you mean 'optimal'?"),
    ],
)
def test_wrong_usage_is_refused_before_any_work(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    done = fpmc_bench(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
