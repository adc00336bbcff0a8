"""The registry reads entry points of real dist-info folders; a broken one costs only itself."""

import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from fpmc_bench import hookspecs
from fpmc_bench.catalog.datasets import load_dataset
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.process_state import ProcessState
from fpmc_bench.catalog.registry import KINDS, Registry, build_registry
from fpmc_bench.cli.inspect import info
from fpmc_bench.contracts import AugmentationTask
from fpmc_bench.errors import PluginError, UnknownNameError
from fpmc_bench.testing import check_denoiser

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "plugins" / "example"
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")

GOOD = """
    from dataclasses import dataclass
    from typing import ClassVar
    from fpmc_bench import FPMC, hookimpl
    from fpmc_bench.contracts import FPMCDenoiser
    from fpmc_bench.fpmc import Uniform

    @dataclass(frozen=True)
    class Plain(FPMCDenoiser):
        name: ClassVar[str] = "{name}"
        citation: ClassVar[str] = "a test"

        def fpmc(self, setting, sigma):
            return FPMC(Uniform(setting.shape), Uniform(setting.shape))

    @hookimpl
    def fpmc_denoisers():
        return [Plain]
"""


class Site:
    """A folder on sys.path into which distributions are put as pip would put them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, distribution: str, code: str | None, version: str = "1.0") -> None:
        """A distribution with one module (none where `code` is None) and one entry point."""
        module = distribution.replace("-", "_")
        if code is not None:
            (self.folder / f"{module}.py").write_text(dedent(code), encoding="utf-8")
        self.declare(distribution, version, module)

    def declare(self, distribution: str, version: str, module: str) -> None:
        """The dist-info of a distribution whose entry point is `module`."""
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[{hookspecs.PROJECT}]\nhooks = {module}\n")

    def registry(self) -> Registry:
        """The registry of this folder alone, whatever else is installed."""
        importlib.invalidate_caches()
        found = importlib.metadata.distributions(path=[str(self.folder)])
        return build_registry(
            importlib.metadata.EntryPoints(point for dist in found for point in dist.entry_points)
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        origin = getattr(sys.modules[name], "__file__", None) or ""
        if origin.startswith((str(tmp_path), str(EXAMPLE))):
            del sys.modules[name]


def reason_of(site: Site, code: str) -> str:
    """What the registry says about a single plugin with this code."""
    site.install("stranger", code)
    (broken,) = site.registry().broken
    return broken.reason


def test_a_good_plugin_is_registered_with_its_distribution(site: Site) -> None:
    site.install("good-plugin", GOOD.format(name="plain"), version="2.3")
    registry = site.registry()
    found = registry.get("denoisers", "plain")
    assert (found.name, found.distribution, found.version) == ("plain", "good-plugin", "2.3")
    assert registry.broken == ()


def test_a_duplicate_name_names_both_distributions_and_stops(site: Site) -> None:
    site.install("first-plugin", GOOD.format(name="same"), version="1.1")
    site.install("second-plugin", GOOD.format(name="same"), version="2.2")
    with pytest.raises(PluginError) as caught:
        site.registry()
    message = str(caught.value)
    assert "'same'" in message
    assert "first-plugin 1.1" in message
    assert "second-plugin 2.2" in message
    assert "uninstall one" in message


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("import a_module_nobody_has", "No module named 'a_module_nobody_has'"),
        ("from fpmc_bench.errors import Nothing", "ImportError: cannot import name 'Nothing'"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        (None, "No module named 'stranger'"),
        ("raise ValueError('first line\\nsecond line')", "first line second line"),
    ],
)
def test_a_plugin_that_cannot_be_imported_costs_only_itself(
    site: Site, code: str | None, reason: str
) -> None:
    site.install("stranger", code, version="0.7")
    site.install("good-plugin", GOOD.format(name="plain"))
    registry = site.registry()
    assert registry.get("denoisers", "plain").distribution == "good-plugin"
    (broken,) = registry.broken
    assert (broken.distribution, broken.version) == ("stranger", "0.7")
    assert reason in broken.reason
    line = str(broken)
    assert "stranger 0.7" in line
    assert "pip uninstall stranger" in line
    assert "\n" not in line


def test_a_plugin_that_a_user_interrupts_is_not_called_broken(site: Site) -> None:
    site.install("stranger", "import signal\nsignal.raise_signal(signal.SIGINT)")
    with pytest.raises(KeyboardInterrupt):
        site.registry()


def test_a_plugin_that_interrupts_itself_or_exits_costs_only_itself(site: Site) -> None:
    site.install("first", "raise KeyboardInterrupt")
    site.install("second", "import os\nos._exit(0)")
    site.install("good-plugin", GOOD.format(name="plain"))
    first, second = site.registry().broken
    assert "raised KeyboardInterrupt" in first.reason
    assert "raised SystemExit: os._exit(0)" in second.reason


def test_what_a_plugin_changes_as_it_is_imported_is_put_back_and_told(site: Site) -> None:
    before, numbers = ProcessState.now(), torch.get_rng_state()
    code = """
        import os, torch
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(5)
        torch.manual_seed(7)
        os.environ["MINE"] = "1"
    """
    site.install("stranger", dedent(code) + dedent(GOOD.format(name="plain")))
    registry = site.registry()
    assert registry.get("denoisers", "plain").distribution == "stranger"
    (notice,) = registry.notices
    assert notice.startswith("plugin 'hooks' of stranger 1.0 changed torch's default dtype (from ")
    assert "torch's number of threads" in notice
    assert "the environment's variable MINE" in notice
    assert notice.endswith("which was put back")
    assert ProcessState.now() == before
    assert torch.equal(torch.get_rng_state(), numbers)


def test_a_misspelled_hook_is_caught_with_a_suggestion(site: Site) -> None:
    reason = reason_of(site, GOOD.format(name="plain").replace("fpmc_denoisers", "fpmc_denoiser"))
    assert "Unknown hook 'fpmc_denoiser'. Did you mean 'fpmc_denoisers'?" in reason


def test_a_wrong_hook_argument_is_named(site: Site) -> None:
    code = GOOD.format(name="plain").replace("fpmc_denoisers()", "fpmc_denoisers(registry)")
    reason = reason_of(site, code)
    assert "'stranger'" in reason
    assert "'fpmc_denoisers'" in reason
    assert "'registry'" in reason


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("@dataclass(frozen=True)", "@dataclass", "Plain must be decorated with @dataclass(frozen"),
        ("@dataclass(frozen=True)", "", "Plain must be decorated with @dataclass(frozen=True)"),
        ('name: ClassVar[str] = "plain"', "", "Plain needs a class attribute 'name'"),
        ('citation: ClassVar[str] = "a test"', "", "Plain needs a class attribute 'citation'"),
        ('"a test"', '"a test"; formula = ("D",)', "attribute 'formula' must be a string"),
        ("def fpmc(", "def fmpc(", "Plain lacks fpmc"),
        ("return [Plain]", "return [int]", "must list subclasses of Denoiser, got <class 'int'>"),
        ("return [Plain]", "return [Plain()]", "must list subclasses of Denoiser, got Plain()"),
        ("return [Plain]", "return Plain", "fpmc_denoisers must return a list, got"),
        ("def fpmc_denoisers", "def fpmc_suites", "fpmc_suites must list pathlib.Path objects"),
    ],
)
def test_an_unfit_class_is_refused_by_name(site: Site, old: str, new: str, complaint: str) -> None:
    code = GOOD.format(name="plain")
    assert old in code
    assert complaint in reason_of(site, code.replace(old, new))


def test_an_unknown_name_suggests_a_near_one_and_lists_all(site: Site) -> None:
    site.install("good-plugin", GOOD.format(name="plain"))
    with pytest.raises(UnknownNameError) as caught:
        site.registry().get("denoisers", "plian")
    assert str(caught.value) == (
        "Unknown denoiser 'plian'. Did you mean 'plain'? Available: plain."
    )


def test_suites_are_registered_by_the_stem_of_their_file(site: Site) -> None:
    code = """
        from pathlib import Path
        from fpmc_bench import hookimpl

        @hookimpl
        def fpmc_suites():
            return [Path(__file__).with_name("tiny.toml")]
    """
    site.install("suite-plugin", code)
    assert site.registry().get("suites", "tiny").item == site.folder / "tiny.toml"


def test_nothing_installed_is_an_empty_registry(site: Site) -> None:
    registry = site.registry()
    assert registry.broken == ()
    assert {kind: dict(named) for kind, named in registry.items.items()} == {k: {} for k in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_has_a_section_of_the_guide(kind: str) -> None:
    assert hasattr(hookspecs, f"fpmc_{kind}")
    assert f"\n## `fpmc_{kind}`\n" in GUIDE


def test_there_are_no_other_hooks() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("fpmc_")}
    assert hooks == {f"fpmc_{kind}" for kind in KINDS}


def test_the_modules_of_the_guide_are_working_plugins(site: Site) -> None:
    for index, code in enumerate(re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)):
        site.install(f"guide-{index}", code)
    for name in ("tiny", "small-study"):
        (site.folder / f"{name}.toml").touch()
    registry = site.registry()
    assert registry.broken == ()
    assert {kind: list(named) for kind, named in registry.items.items()} == {
        "denoisers": ["image-rows", "isotropic-gaussian"],
        "augmentations": ["dither"],
        "datasets": ["gratings", "moths"],
        "teachers": ["gratings-ddpmpp"],
        "suites": ["small-study", "tiny"],
        "studies": ["small-study"],
        "listeners": ["bell"],
    }
    gratings = load_dataset("gratings", {"side_px": 8}, registry=registry)
    assert (len(gratings.train), len(gratings.test)) == (1000, 200)
    Image.new("RGB", (32, 32)).save(site.folder / "moth.png")
    moths = make_plugin(registry.get("datasets", "moths").item)
    assert len(moths.load_from(site.folder, "train")) == 1
    dither = make_plugin(registry.get("augmentations", "dither").item)
    first, again = (dither.augment(AugmentationTask(gratings.train, 0.5, seed=0)) for _ in range(2))
    assert len(first) == 500
    assert first.fingerprint == again.fingerprint
    for denoiser in registry.items["denoisers"].values():
        check_denoiser(denoiser.item)


def test_the_built_in_plugins_say_where_they_come_from() -> None:
    shown = {name: CliRunner().invoke(info, [name]).output for name in ("els", "hflip")}
    assert "url: https://github.com/Kambm/convolutional_diffusion\n" in shown["els"]
    assert "url" not in shown["hflip"]
    found = [
        named.item for items in installed_registry().items.values() for named in items.values()
    ]
    urls = {cls.url for cls in found if isinstance(cls, type)}
    assert {url.partition("//")[0] for url in urls} == {"", "https:"}


def test_the_example_distribution_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    site.declare("soft-optimal", "0.1.0", "soft_optimal")
    registry = site.registry()
    assert registry.broken == ()
    assert registry.get("denoisers", "soft-optimal").distribution == "soft-optimal"
    assert registry.get("suites", "soft-optimal").item.is_file()


def test_the_example_distribution_passes_its_own_tests() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", "tests"],
        cwd=EXAMPLE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLE), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
