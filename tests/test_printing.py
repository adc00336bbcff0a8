"""stdout is what was asked for: whoever else prints, whatever can't be drawn, encoded or read."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from runs import environment, fpmc_bench, write_plugin, write_suite
from synthetic_records import write_exact_records

from fpmc_bench.cli.printing import echo, replace_what_has_no_code
from fpmc_bench.documents.record import read_records
from fpmc_bench.results.render import figures as figures_module
from fpmc_bench.results.render import forest as forest_module
from fpmc_bench.results.render.terminal import render_terminal
from fpmc_bench.results.table import build_tables

LOUD = """
    from dataclasses import dataclass
    from typing import ClassVar
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import FunctionDenoiser

    print("LOUD: imported")

    @dataclass(frozen=True)
    class Loud(FunctionDenoiser):
        '''Half of z, and much noise about it.'''
        name: ClassVar[str] = "loud"
        citation: ClassVar[str] = "none"

        def check(self, shape, sigmas):
            print("LOUD: checked")

        def build(self, setting):
            print("LOUD: built")

            def denoise(z, sigma):
                print("LOUD: asked")
                return z * 0.5

            return denoise

    @hookimpl
    def fpmc_denoisers():
        print("LOUD: offered")
        return [Loud]
"""


def test_prints_of_a_plugin_are_not_in_the_document(tmp_path: Path) -> None:
    site = write_plugin(tmp_path / "site", "loud-plugin", LOUD)
    suite = write_suite(tmp_path)
    run = ("run", suite, "-d", "loud", "--items", "2", "-p", "denoiser-mse", "--run-dir", "run")
    for arguments in (
        (*run, "--json"),
        ("list", "--json"),
        ("info", "loud", "--json"),
    ):
        done = fpmc_bench(*arguments, cwd=tmp_path, paths=(site,))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        assert "LOUD: imported" in done.stderr
    again = fpmc_bench(*run, cwd=tmp_path, paths=(site,))
    assert "LOUD" not in again.stdout
    table = fpmc_bench("leaderboard", "render", "run", "-f", "csv", cwd=tmp_path, paths=(site,))
    assert len({len(line) for line in csv.reader(io.StringIO(table.stdout))}) == 1
    assert "--json" in fpmc_bench("run", "--help", cwd=tmp_path, paths=(site,)).stdout


def test_what_a_program_of_a_plugin_prints_is_not_in_the_document(tmp_path: Path) -> None:
    loud = LOUD.replace("from dataclasses", "import os\n    from dataclasses").replace(
        'print("LOUD: imported")', 'os.system("echo LOUD: program"); os.write(1, b"LOUD: raw\\n")'
    )
    site = write_plugin(tmp_path / "site", "loud-plugin", loud)
    script = "import sys; from fpmc_bench.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", script, "list", "--json"],
        env=environment(site),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)
    assert "LOUD: program" in done.stderr
    assert "LOUD: raw" in done.stderr


def test_only_echo_prints() -> None:
    """So that all of it goes where it belongs, and holds no control characters."""
    for path in Path("fpmc_bench/cli").resolve().glob("*.py"):
        text = path.read_text()
        assert not re.search(r"(?<![\w.])print\(", text), path
        assert path.name == "printing.py" or "click.echo" not in text, path


def started(
    arguments: list[str], cwd: Path, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, where encodings and settings are the matter."""
    return subprocess.run(
        [sys.executable, "-m", "fpmc_bench", *arguments],
        cwd=cwd,
        env={**environment(), **variables},
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_exact_records(folder / "records")
    return folder


@pytest.mark.parametrize("encoding", ["ascii", "cp932", "cp1252", "utf-8"])
def test_what_has_no_code_in_an_encoding_is_replaced(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    with redirect_stdout(stream):
        replace_what_has_no_code()
        echo("0.1 ± 0.2 — 画")
    stream.seek(0)
    assert stream.read() == "0.1 ± 0.2 — 画\n".encode(encoding, "replace").decode(encoding)


def test_ascii_a_notebook_s_backend_and_no_home(run_directory: Path) -> None:
    """A backend that may not be installed, and nowhere to keep matplotlib's settings."""
    done = started(
        ["leaderboard", "render", ".", "--write"],
        run_directory,
        PYTHONIOENCODING="ascii",
        MPLBACKEND="module://matplotlib_inline.backend_inline",
        HOME="/nonexistent",
        XDG_CONFIG_HOME="/nonexistent",
        XDG_CACHE_HOME="/nonexistent",
        MPLCONFIGDIR="/nonexistent/matplotlib",
    )
    assert done.returncode == 0, done.stderr.decode()
    tables = build_tables(read_records(run_directory / "records"))
    expected = "\n\n".join(map(render_terminal, tables)) + "\n"
    assert done.stdout == expected.encode("ascii", "replace")
    assert b"wrote figures/denoiser-mse.png" in done.stderr
    assert b"Traceback" not in done.stderr
    assert (run_directory / "figures" / "denoiser-mse.svg").is_file()


def test_a_reader_that_has_gone_is_no_fault(run_directory: Path) -> None:
    """As `| head` is gone; what was to be written is written."""
    (run_directory / "tables").mkdir(exist_ok=True)
    (run_directory / "tables" / "sample-mse.md").unlink(missing_ok=True)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "fpmc_bench", "leaderboard", "render", ".", "--write"],
        cwd=run_directory,
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 0
    assert all(line.startswith(b"wrote ") for line in done.stderr.splitlines()), done.stderr
    assert (run_directory / "tables" / "sample-mse.md").is_file()


@pytest.fixture
def _no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no font\nanywhere")

    monkeypatch.setattr(figures_module, "draw_sigma_figure", fail)
    monkeypatch.setattr(forest_module, "draw_forest", fail)


@pytest.mark.usefixtures("_no_fonts")
def test_a_run_does_not_end_with_its_figures(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    done = fpmc_bench(
        *("run", suite, "-d", "ls", "--items", "2", "-p", "denoiser-mse", "--run-dir", "run"),
        *("--quiet",),
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert "small: denoiser-mse" in done.stdout
    assert "wrote run/tables/denoiser-mse.md" in done.stdout
    assert "figures/" not in done.stdout
    assert done.stderr.splitlines() == [
        f"fpmc-bench: run/figures/{name} was not drawn: RuntimeError: no font anywhere"
        for kind in ("png", "svg")
        for name in (f"denoiser-mse-forest.{kind}", f"denoiser-mse.{kind}")
    ]


@pytest.mark.usefixtures("_no_fonts")
def test_figures_that_were_asked_for_are_missed(run_directory: Path) -> None:
    done = fpmc_bench("leaderboard", "render", ".", "--write", cwd=run_directory)
    assert done.returncode == 1
    assert "synthetic: denoiser-mse" in done.stdout
    assert "figures/denoiser-mse.png was not drawn" in done.stderr
    assert "wrote tables/denoiser-mse.md" in done.stderr
