"""The kit finds every broken promise by its name alone, and shows it; sound plugins pass."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import broken_plugins
import pytest
import torch
from broken_plugins import (
    AUGMENTATIONS,
    DATASETS,
    DENOISERS,
    TEACHERS,
    BrokenAugmentation,
    BrokenDataset,
    BrokenDenoiser,
    BrokenTeacher,
    Inexact,
)

from fpmc_bench import FPMC
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.process_state import ProcessState
from fpmc_bench.catalog.registry import singular
from fpmc_bench.contracts import FPMCDenoiser, FunctionDenoiser, Setting
from fpmc_bench.errors import UnknownNameError, UsageError
from fpmc_bench.fpmc import PixelMasks
from fpmc_bench.testing import (
    check_augmentation,
    check_dataset,
    check_denoiser,
    check_teacher,
    plugin_class,
)
from fpmc_bench.testing.examination import examine
from fpmc_bench.testing.findings import Finding, failed
from fpmc_bench.testing.programs import PROGRAMS, Conditions
from fpmc_bench.testing.subjects import subject_of

KINDS: dict[str, tuple[type, list[str]]] = {
    "denoisers": (BrokenDenoiser, list(DENOISERS)),
    "augmentations": (BrokenAugmentation, list(AUGMENTATIONS)),
    "datasets": (BrokenDataset, list(DATASETS)),
    "teachers": (BrokenTeacher, [*TEACHERS, "identity"]),
}
FEW = Conditions(sigmas=(1.0, 0.1))
"""Half of the noise levels, in half of the time."""
FAULTS = [(kind, fault) for kind, (_, faults) in KINDS.items() for fault in faults]


def findings(kind: str, cls: type, fault: str) -> tuple[Finding, ...]:
    return examine(subject_of(kind, cls, {"fault": fault}), FEW)


@pytest.mark.parametrize(("kind", "fault"), FAULTS)
def test_a_broken_promise_is_found_by_its_check_alone_and_shown(kind: str, fault: str) -> None:
    before, numbers = ProcessState.now(), torch.get_rng_state()
    (found,) = failed(findings(kind, KINDS[kind][0], fault))
    assert found.check == fault.partition(":")[0]
    assert ProcessState.now() == before
    assert torch.equal(torch.get_rng_state(), numbers)
    with pytest.raises(Exception, match=r"\S") as caught:
        shown(found.snippet)
    if isinstance(caught.value, AssertionError):
        assert str(caught.value) == found.reason or found.check in ("repeatable", "built-anew")


def shown(snippet: str) -> None:
    """Run a snippet as its reader would, and leave no trace of it."""
    from fpmc_bench.testing.examination import _isolated

    with _isolated("a snippet"):
        exec(compile(snippet, "<snippet>", "exec"), {})


def test_every_check_has_a_plugin_that_it_finds() -> None:
    broken = {(kind, fault.partition(":")[0]) for kind, fault in FAULTS}
    checks = {(kind, check.name) for kind, program in PROGRAMS.items() for check in program.checks}
    assert checks - broken == {("denoisers", "exact")}  # which an FPMC alone can break, below


def test_a_snippet_is_a_program_of_its_own() -> None:
    (found,) = failed(findings("denoisers", BrokenDenoiser, "noise-level: double"))
    done = subprocess.run(
        [sys.executable, "-c", found.snippet],
        env={"PYTHONPATH": ":".join([*sys.path, str(broken_plugins.__file__).rpartition("/")[0]])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"AssertionError: {found.reason}" in done.stderr


@pytest.mark.parametrize(("kind", "cls"), [(kind, cls) for kind, (cls, _) in KINDS.items()])
def test_a_sound_plugin_passes_every_check(kind: str, cls: type) -> None:
    statuses = {one.check: one.status for one in examine(subject_of(kind, cls, None))}
    assert set(statuses.values()) == {"ok"}, statuses


def test_a_collection_that_is_not_its_matrix_is_caught() -> None:
    (found,) = failed(examine(subject_of("denoisers", Inexact, None)))
    assert found.check == "exact"
    with pytest.raises(AssertionError, match=r"inexact: exact FAILED: at sigma .* off"):
        check_denoiser(Inexact)


def test_a_plugin_that_ends_the_process_is_named() -> None:
    @dataclass(frozen=True)
    class Leaves(FunctionDenoiser):
        """Gone."""

        name: ClassVar[str] = "leaves"
        citation: ClassVar[str] = "none"

        def build(self, setting: Setting) -> Any:
            sys.exit(0)

    with pytest.raises(AssertionError, match=r"builds FAILED: .* raised SystemExit: 0"):
        check_denoiser(Leaves)


@dataclass(frozen=True)
class Gaussian(FPMCDenoiser):
    """A sound method that is none of the built-in ones: soft windows, needs nothing."""

    name: ClassVar[str] = "gaussian"
    citation: ClassVar[str] = "none"

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        _, height, width = setting.shape
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixels = torch.stack([y, x], dim=-1).reshape(-1, 2).double()
        squares = torch.cdist(pixels, pixels).square().unflatten(1, (height, width))
        filters = ((-squares / spread).exp() for spread in (40, 1))
        return FPMC(*(PixelMasks(setting.shape, one) for one in filters))


def test_sound_denoisers_come_back_built() -> None:
    assert check_denoiser(BrokenDenoiser, {"fault": ""}).params == {"fault": ""}
    assert check_denoiser(Gaussian, shape=(1, 4, 5)).fpmc(1.0).estimators == 20


def changed(expected: object, fault: str = "weights") -> type[BrokenDenoiser]:
    return type(
        "Changed", (BrokenDenoiser,), {"expected_failures": expected, "__module__": __name__}
    )


def test_an_expected_failure_has_its_reason_and_one_that_passes_is_said() -> None:
    cls = changed({"weights": "all images count alike", "order": "it never had one"})
    found = {one.check: one for one in findings("denoisers", cls, "weights")}
    assert (found["weights"].status, found["weights"].reason) == (
        "expected",
        "all images count alike",
    )
    assert found["order"].status == "surprise"
    assert "it is kept, though it is said to fail: it never had one" in found["order"].reason
    check_denoiser(cls, {"fault": "weights"})


@pytest.mark.parametrize(
    ("expected", "error"),
    [
        ({"wieghts": "a slip"}, UnknownNameError),
        ({"weights": ""}, UsageError),
        (["weights"], UsageError),
    ],
)
def test_expected_failures_that_say_nothing_are_refused(
    expected: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match="expected_failures"):
        check_denoiser(changed(expected))


def test_what_comes_after_a_broken_promise_is_not_looked_at() -> None:
    found = {one.check: one for one in findings("denoisers", BrokenDenoiser, "answers")}
    assert (found["batch"].status, found["batch"].reason) == ("not checked", "asks for answers")
    assert found["process-state"].status == "ok"


def test_parameters_are_checked_as_everywhere() -> None:
    with pytest.raises(
        AssertionError, match=r"builds FAILED: .*parameter 'patch_sizes' is require"
    ):
        check_denoiser(plugin_class("ls"))


AUGMENTERS = list(installed_registry().items["augmentations"])


@pytest.mark.parametrize("name", AUGMENTERS)
def test_built_in_augmentations_pass(name: str) -> None:
    check_augmentation(plugin_class(name))


@pytest.mark.parametrize("name", ["digits", "photos"])
def test_built_in_images_pass(name: str) -> None:
    check_dataset(installed_registry().get("datasets", name).item)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["digits", "photos"])
@pytest.mark.parametrize("kind", ["ddpmpp", "ncsnpp"])
def test_built_in_networks_pass(dataset: str, kind: str) -> None:
    check_teacher(plugin_class(f"{dataset}-{kind}"))


def checks_table() -> str:
    """Every check, whose it is, and what it promises: as docs/plugins.md has it."""
    kinds = list(PROGRAMS)
    promises: dict[str, str] = {}
    for kind in kinds:
        for check in PROGRAMS[kind].checks:
            promises.setdefault(check.name, check.promise)
    names = {kind: {check.name for check in PROGRAMS[kind].checks} for kind in kinds}
    rows = [
        [f"`{name}`", *("x" if name in names[kind] else "" for kind in kinds), promise]
        for name, promise in promises.items()
    ]
    head = ["check", *(f"{singular(kind)}" for kind in kinds), "what is promised"]
    lines = [head, ["---", *[":-:" for _ in kinds], "---"], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def test_the_guide_lists_every_check() -> None:
    text = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")
    listed = text.partition("<!-- checks -->")[2].partition("<!-- end of checks -->")[0]
    assert listed.strip() == checks_table()
