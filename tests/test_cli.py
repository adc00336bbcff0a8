"""The other commands as a user runs them: help, list, info, doctor, tune, leaderboard."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import environment, fpmc_bench, write_plugin, write_suite

from fpmc_bench.cli import COMMANDS

HEAVY = ("torch", "pandas", "scipy", "sklearn", "matplotlib", "numpy", "pydantic")
"""Of no use to `--help`; the last two are too quick for its time to tell."""


def test_help_is_quick_and_names_every_command(tmp_path: Path) -> None:
    """Against a bare interpreter with click, in turns: a busy machine slows both alike.

    The best of several each: it may also slow any one of them.
    """
    bare, helped = [], []
    for _ in range(8):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", "import click"], cwd=tmp_path, env=environment(), check=True
        )
        between = time.perf_counter()
        done = fpmc_bench("--help", cwd=tmp_path)
        helped.append(time.perf_counter() - between)
        bare.append(between - started)
        assert done.returncode == 0
    assert min(helped) < 5 * min(bare), "2.4 times as measured; 9 with pandas"
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)


def test_help_does_not_import_torch() -> None:
    """Nor anything else that takes long."""
    code = (
        "import sys, fpmc_bench.cli\n"
        "try: fpmc_bench.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        f"sys.exit(' '.join(name for name in {HEAVY} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    done = fpmc_bench(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_list_shows_everything_built_in(tmp_path: Path) -> None:
    done = fpmc_bench("list", "--json", cwd=tmp_path)
    offered = {(row["kind"], row["name"]) for row in json.loads(done.stdout)["plugins"]}
    methods = ("optimal", "wiener", "ls", "els", "pspc-square", "pspc-flex", "lukoianov")
    teachers = ("digits-ddpmpp", "digits-ncsnpp", "photos-ddpmpp", "photos-ncsnpp")
    assert {("denoiser", name) for name in methods} <= offered
    assert {("teacher", name) for name in teachers} <= offered
    for kind in ("dataset", "suite"):
        assert {(kind, "digits"), (kind, "photos")} <= offered
    assert {("augmentation", "hflip"), ("augmentation", "vflip")} <= offered
    text = fpmc_bench("list", cwd=tmp_path).stdout
    assert all(name in text for _, name in offered)


def test_info_shows_parameters_and_suites(tmp_path: Path) -> None:
    details = json.loads(fpmc_bench("info", "lukoianov", "--json", cwd=tmp_path).stdout)[0]
    assert [row["name"] for row in details["parameters"]] == ["threshold", "orientation"]
    text = fpmc_bench("info", "digits", cwd=tmp_path).stdout
    assert "evaluation teacher" in text
    assert "digits-ncsnpp" in text
    assert "patch_sizes" in text
    assert re.search(
        r"windows\+qr\+synthetic +finetuned +weights=digits-windows +synthetic x 1", text
    )
    assert (
        "rate: images added per image, at most 1"
        in fpmc_bench("info", "hflip", cwd=tmp_path).stdout
    )


def test_doctor_names_versions_and_devices(tmp_path: Path) -> None:
    done = fpmc_bench("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0
    facts = json.loads(done.stdout)
    assert facts["torch"].startswith("2.")
    assert "pspc-flex" in facts["plugins"]["denoisers"]


def test_tune_picks_the_least_error_at_each_sigma(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    arguments = ("tune", suite, "-d", "pspc-square[patch_sizes={2,3,8}]", "--items", "4")
    first = fpmc_bench(*arguments, "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (tuning,) = json.loads(first.stdout)
    errors = tuning["mean_errors"]
    assert [len(row) for row in errors] == [3, 3, 3, 3]
    best = [tuning["candidates"][row.index(min(row))]["patch_sizes"] for row in errors]
    assert tuning["chosen"] == {"patch_sizes": best}
    assert best[0] == 8, "at sigma 80 only the whole image tells anything"
    text = fpmc_bench(*arguments, cwd=tmp_path).stdout
    assert f"patch_sizes = {best}" in text


def test_tune_tries_every_combination_of_two_parameters(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    widths = "{0.7,2,Infinity}"
    swept = f"windows[query_widths={widths},response_widths={widths}]"
    arguments = ("tune", suite, "-d", swept, "--items", "4")
    first = fpmc_bench(*arguments, "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (tuning,) = json.loads(first.stdout)
    errors, tried = tuning["mean_errors"], tuning["candidates"]
    assert len({tuple(one.values()) for one in tried}) == 9
    for name, values in tuning["chosen"].items():
        assert values == [tried[row.index(min(row))][name] for row in errors]
    assert tuning["chosen"]["query_widths"][0] == "Infinity", "as JSON can say it"
    text = fpmc_bench(*arguments, cwd=tmp_path).stdout
    assert "query_widths = [inf, " in text, "as TOML has it"


def test_tune_refuses_what_has_nothing_to_tune(tmp_path: Path) -> None:
    done = fpmc_bench("tune", write_suite(tmp_path), "-d", "optimal", cwd=tmp_path)
    assert done.returncode == 2
    assert "offers no parameter to tune" in done.stderr


def test_tune_refuses_weights_that_no_entry_asks_for(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    done = fpmc_bench("tune", suite, "--weights", "mine=mine.safetensors", cwd=tmp_path)
    assert done.returncode == 2
    assert "Unknown weights 'mine'" in done.stderr


def test_leaderboard_renders_what_the_run_showed(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    arguments = ("run", suite, "-d", "optimal", "--items", "4", "--run-dir", "run")
    shown = fpmc_bench(*arguments, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    again = fpmc_bench("leaderboard", "render", "run", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    tables = [line for line in shown.stdout.splitlines() if not line.startswith("wrote ")]
    assert again.stdout.split() == "\n".join(tables).split()


def test_an_edited_plugin_is_computed_anew(tmp_path: Path) -> None:
    """The ledger's keys hold the plugin's code: a stale unit is never read."""
    code = """
        from dataclasses import dataclass
        from typing import ClassVar
        from fpmc_bench import hookimpl
        from fpmc_bench.contracts import FunctionDenoiser

        @dataclass(frozen=True)
        class Shrink(FunctionDenoiser):
            '''z times a number.'''
            name: ClassVar[str] = "shrink"
            citation: ClassVar[str] = "none"

            def build(self, setting):
                return lambda z, sigma: z * 0.5

        @hookimpl
        def fpmc_denoisers():
            return [Shrink]
    """
    plugin = write_plugin(tmp_path / "site", "shrink-plugin", code)
    suite = write_suite(tmp_path)
    arguments = ("run", suite, "-d", "shrink", "-p", "denoiser-mse", "--items", "4")
    record = tmp_path / "run" / "records" / "shrink.denoiser-mse.json"
    means = []
    for factor in ("0.5", "0.25"):
        module = plugin / "shrink_plugin.py"
        module.write_text(module.read_text().replace("0.5", factor))
        done = fpmc_bench(*arguments, "--run-dir", "run", cwd=tmp_path, paths=(plugin,))
        assert done.returncode == 0, done.stderr
        means.append(json.loads(record.read_text())["figures"]["mse@1"]["mean"])
    assert means[0] != means[1]


def test_the_module_is_the_command(tmp_path: Path) -> None:
    module = fpmc_bench("--version", cwd=tmp_path).stdout
    script = subprocess.run(
        ["fpmc-bench", "--version"],
        env={**environment(), "PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert module == script


def test_list_shows_one_kind_or_what_has_a_text_in_its_name(tmp_path: Path) -> None:
    def listed(*arguments: str) -> set[tuple[str, str]]:
        done = fpmc_bench("list", *arguments, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return {(row["kind"], row["name"]) for row in json.loads(done.stdout)["plugins"]}

    everything = listed()
    studies = {(kind, name) for kind, name in everything if kind == "study"}
    assert studies
    assert listed("studies") == studies
    assert listed("--name", "pspc") == {("denoiser", "pspc-flex"), ("denoiser", "pspc-square")}
    assert listed("teachers", "--name", "digits-d") == {("teacher", "digits-ddpmpp")}
    for arguments, complaint in (
        (("denoiser",), "Unknown kind 'denoiser'. Did you mean 'denoisers'?"),
        (("suites", "--name", "digts"), "Unknown name 'digts'. Did you mean 'digits'?"),
    ):
        done = fpmc_bench("list", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert complaint in done.stderr


DEFAULTS = '''
    from dataclasses import dataclass, field
    from typing import ClassVar
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import FunctionDenoiser

    @dataclass(frozen=True)
    class Settled(FunctionDenoiser):
        """A parameter of every kind."""
        name: ClassVar[str] = "settled"
        citation: ClassVar[str] = "none"
        needed: float
        off: bool = False
        on: bool = True
        most: float = float("inf")
        sides: tuple[int, ...] = field(default_factory=lambda: (3, 5))
        by: str = "rows"

        def build(self, setting):
            return lambda z, sigma: z

    @hookimpl
    def fpmc_denoisers():
        return [Settled]
'''


def test_info_shows_defaults_as_a_suite_says_them(tmp_path: Path) -> None:
    site = write_plugin(tmp_path / "site", "settled", DEFAULTS)
    text = fpmc_bench("info", "settled", cwd=tmp_path, paths=(site,)).stdout
    shown = dict(re.findall(r"^(\w+) .*  (.+)$", text.partition("----")[2], re.MULTILINE))
    assert shown == {
        "needed": "required",
        "off": "false",
        "on": "true",
        "most": "inf",
        "sides": "[3, 5]",
        "by": '"rows"',
    }
    done = fpmc_bench("info", "settled", "--json", cwd=tmp_path, paths=(site,))
    details = json.loads(done.stdout)
    assert [one["default"] for one in details[0]["parameters"]] == [
        "required",
        False,
        True,
        "Infinity",
        [3, 5],
        "rows",
    ]


def test_doctor_says_which_plugins_clash(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        write_plugin(tmp_path / folder, f"settled-{folder}", DEFAULTS)
    done = fpmc_bench("doctor", cwd=tmp_path, paths=(tmp_path / "one", tmp_path / "other"))
    assert done.returncode == 1
    assert "torch" in done.stdout
    for text in (done.stdout, done.stderr):
        assert "two plugins offer the denoiser 'settled'" in " ".join(text.split())
    assert "Traceback" not in done.stderr
