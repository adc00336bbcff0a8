"""`fpmc-bench plugin new`: what it writes works as it comes, and nothing is overwritten."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from runs import fpmc_bench

from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.errors import UsageError
from fpmc_bench.jobs.plugin_new import NewPlugin, write_plugin

ROOT = Path(__file__).parents[1]
KINDS = ("denoiser", "augmentation", "teacher", "dataset")


def written(folder: Path) -> dict[str, str]:
    """Place -> text of every file that is no leftover of running it."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts[:-1])
    }


def installed(distribution: Path) -> Path:
    """The folder, with the dist-info that an editable install would make."""
    project = tomllib.loads((distribution / "pyproject.toml").read_text())["project"]
    info = distribution / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["fpmc_bench"].items()
    lines = [f"{name} = {module}" for name, module in points]
    (info / "entry_points.txt").write_text("\n".join(["[fpmc_bench]", *lines, ""]))
    return distribution


def test_the_example_is_what_the_command_writes(tmp_path: Path) -> None:
    """From its folder: fpmc-bench plugin new soft-optimal, and the folder renamed."""
    done = fpmc_bench("plugin", "new", "soft-optimal", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "soft-optimal") == written(ROOT / "plugins" / "example")
    assert "python -m pip install -e 'soft-optimal[test]'" in done.stdout
    assert "Yours is the class SoftOptimal in soft-optimal/soft_optimal/denoiser.py." in done.stdout


def test_a_new_denoiser_is_found_kept_and_run(tmp_path: Path) -> None:
    assert fpmc_bench("plugin", "new", "my-denoiser", cwd=tmp_path).returncode == 0
    site = installed(tmp_path / "my-denoiser")
    checked = fpmc_bench("plugin", "check", "my-denoiser", cwd=tmp_path, paths=(site,))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "my-denoiser (denoiser, from my-denoiser 0.1.0)" in checked.stdout
    assert "  23 checks: 22 ok, 1 expected\n" in checked.stdout
    command = ("run", "my-denoiser", "--items", 4, "-p", "denoiser-mse", "--quiet")
    ran = fpmc_bench(*command, cwd=tmp_path, paths=(site,))
    assert ran.returncode == 0, ran.stderr
    assert "my-denoiser-8" in ran.stdout


def test_the_tests_of_all_other_kinds_pass_as_they_come(tmp_path: Path) -> None:
    folders = [
        write_plugin(NewPlugin(f"my-{kind}", kind, installed_registry()), tmp_path)
        for kind in KINDS[1:]
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *(folder / "tests" for folder in folders)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, folders), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_in_order(tmp_path: Path, kind: str) -> None:
    folder = write_plugin(
        NewPlugin("a-rather-long-name-of-2", kind, installed_registry()), tmp_path
    )
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My Denoiser!", "call it 'my-denoiser', say"),
        ("2fast", "expected up to 60 small letters and digits, a letter first"),
        ("a--b", "with single dashes between; call it 'a-b', say"),
        ("../up", "call it 'up', say"),
        ("x" * 61, "expected up to 60"),
        ("random", "package 'random', a name that Python and pytest have taken; call it 'my-rand"),
        ("tests", "package 'tests', a name that Python"),
        ("torch", "package 'torch', and there is a module of that name here"),
        ("uniform", "class Uniform, a name that it uses for something else"),
        ("ls", "there is a 'ls' already, of fpmc-bench"),
        ("digits", "there is a 'digits' already, of fpmc-bench"),
    ],
)
def test_a_name_that_will_not_do(name: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        NewPlugin(name, "denoiser", installed_registry())
    assert says in str(caught.value)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    done = fpmc_bench("plugin", "new", "mine", "--into", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "mine is there already; give another name, or another --into" in done.stderr
    assert list((tmp_path / "mine").iterdir()) == []
