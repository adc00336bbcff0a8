"""Where a user keeps files: command line before environment before configuration file."""

from pathlib import Path

import pytest
from runs import fpmc_bench

from fpmc_bench.catalog.configuration import config_file
from fpmc_bench.catalog.finding import load_suite
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.places import Places, variable
from fpmc_bench.errors import UnknownNameError, UsageError
from fpmc_bench.harness.plan import make_plan


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv("FPMC_BENCH_CONFIG", str(path))
    return path


def test_the_order(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Places().find("data", "afhqv2-64") is None
    config.write_text('[data]\nafhqv2-64 = "from-file"\n[teacher]\nafhqv2-64 = "a-network"\n')
    assert Places().find("data", "afhqv2-64") == str(config.parent / "from-file")
    assert Places().find("teacher", "afhqv2-64") == str(config.parent / "a-network")
    monkeypatch.setenv("FPMC_BENCH_DATA_AFHQV2_64", "from-environment")
    assert Places().find("data", "afhqv2-64") == "from-environment"
    assert Places.given(["afhqv2-64=a=b"]).find("data", "afhqv2-64") == "a=b"


def test_a_changed_file_is_read_anew(config: Path) -> None:
    config.write_text('[data]\nx = "one"\n')
    assert Places().find("data", "x") == str(config.parent / "one")
    config.write_text('[data]\nx = "/another"\n')
    assert Places().find("data", "x") == "/another"


def test_an_error_names_all_three_ways(config: Path) -> None:
    ways = Places().ways("teacher", "edm-vp", "tuning")
    assert variable("teacher", "edm-vp") == "FPMC_BENCH_TEACHER_EDM_VP"
    for part in ("--teacher tuning=PATH", "FPMC_BENCH_TEACHER_EDM_VP", str(config), "edm-vp = "):
        assert part in ways
    assert config_file() == config


@pytest.mark.parametrize("text", ["cifar10", "=path", "cifar10=", " = "])
def test_options_that_are_no_places(text: str) -> None:
    with pytest.raises(UsageError, match=r"--data .*: expected NAME=PATH"):
        Places.given([text])


def test_a_place_given_twice() -> None:
    with pytest.raises(UsageError, match="--data x= was given twice: a and b"):
        Places.given(["x=a", "x=b"])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[data", "is not valid TOML"),
        (
            "[datas]\nx = 'y'\n",
            r"Unknown section 'datas'. Did you mean 'data'",
        ),
        ("[data]\nx = 3\n", r"\[data\] must hold lines NAME"),
        ("data = 'x'\n", r"\[data\] must hold lines NAME"),
    ],
)
def test_a_malformed_file(content: str, complaint: str, config: Path) -> None:
    config.write_text(content)
    with pytest.raises(UsageError, match=complaint):
        Places().find("data", "x")


def test_a_place_of_something_that_nobody_asks_for() -> None:
    registry = installed_registry()
    for places in (Places.given(["cifar=x"]), Places.given((), ["tunning=x"])):
        with pytest.raises(UnknownNameError, match=r"Did you mean '(cifar10|tuning)'"):
            make_plan(load_suite("digits"), registry, "cpu", places)


def test_a_misspelt_role_on_the_command_line(tmp_path: Path) -> None:
    done = fpmc_bench("run", "digits", "--teacher", "tunning=x.safetensors", cwd=tmp_path)
    assert done.returncode == 2
    assert "Unknown role or teacher 'tunning'. Did you mean 'tuning'?" in done.stderr
    done = fpmc_bench("run", "digits", "--teacher", "tuning=x.safetensors", cwd=tmp_path)
    assert done.returncode == 2
    assert "tuning teacher: there is nothing at x.safetensors" in done.stderr
    assert list(tmp_path.iterdir()) == []
