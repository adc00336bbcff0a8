"""No row can move another's figures, end the run, or leave the process otherwise than it was."""

import os
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from plans import ARITHMETIC, loaded, measure_all, small_plan, small_suite
from torch import Tensor

from fpmc_bench.catalog.built import assemble
from fpmc_bench.catalog.context import Context, load_context
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.process_state import ProcessState
from fpmc_bench.catalog.registry import Registered, Registry
from fpmc_bench.contracts import (
    Dataset,
    DenoiseFunction,
    FPMCDenoiser,
    FunctionDenoiser,
    Setting,
    Split,
)
from fpmc_bench.errors import ParameterError, PluginError, RunError
from fpmc_bench.fpmc.source import Source
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.plan import Plan, plan_entries
from fpmc_bench.harness.units import Workload

PROTOCOL = "denoiser-mse"
MEMORY = torch.empty(7, 1, 8, 8)


@dataclass(frozen=True)
class FloatDigits(Dataset):
    """The digits as floats, of which a view is as good as the images themselves."""

    name: ClassVar[str] = "float-digits"
    citation: ClassVar[str] = "none"

    def load(self, split: Split) -> Source:
        test = loaded().dataset.test
        assert test is not None
        return Source((loaded().dataset.train if split == "train" else test).values())


def network(setting: Setting) -> torch.nn.Module:
    found: torch.nn.Module = setting.teacher.network  # type: ignore[union-attr]
    return found


def spoil_and_raise(setting: Setting) -> None:
    setting.source.images.mul_(0.5)
    raise ValueError("and then it broke")


def fail(error: BaseException) -> None:
    raise error


def silence(*_: object) -> None:
    return None


ACTS: Mapping[str, tuple[Callable[[Setting], object], str]] = {
    # .numpy() and .data raise no version
    "images": (lambda s: s.source.images.numpy().__imul__(0.5), "changed the training images"),
    "spoils-and-raises": (spoil_and_raise, "and then it broke"),
    "weights": (
        lambda s: next(network(s).parameters()).data.mul_(1.5),
        "changed the network 'digits-ddpmpp'",
    ),
    "mode": (lambda s: network(s).train(), "changed the network 'digits-ddpmpp'"),
    "hooks": (
        lambda s: network(s).register_forward_hook(silence),
        "changed the network 'digits-ddpmpp'",
    ),
    "dtype": (lambda s: torch.set_default_dtype(torch.float64), "changed torch's default dtype"),
    "threads": (lambda s: torch.set_num_threads(3), "changed torch's number of threads"),
    "denormals": (lambda s: torch.set_flush_denormal(True), "changed flushing of denormal numbers"),
    "gradients": (lambda s: torch.set_grad_enabled(True), "changed torch's grad mode"),
    "precision": (
        lambda s: torch.set_float32_matmul_precision("medium"),
        "changed torch's float32 matmul precision",
    ),
    "environment": (lambda s: os.environ.update(MINE="1"), "changed the environment's variable"),
    "directory": (lambda s: os.chdir("/"), "changed the working directory"),
    "exit": (lambda s: sys.exit(0), "raised SystemExit: 0"),
    "os-exit": (lambda s: os._exit(0), "raised SystemExit: os._exit(0)"),
    "interrupt": (lambda s: fail(KeyboardInterrupt()), "raised KeyboardInterrupt"),
    "base": (lambda s: fail(BaseException("odd")), "raised BaseException: odd"),
}
"""What a stranger does when it is asked, and why its row fails."""


def draws(mean: Tensor, z: Tensor) -> Tensor:
    return mean + 0.1 * float(np.random.rand() + random.random()) + 0.1 * torch.rand(1)


ANSWERS: Mapping[str, Callable[[Tensor, Tensor], Any]] = {
    "": lambda mean, z: mean,
    "float64": lambda mean, z: mean.double(),
    "float16": lambda mean, z: mean.half(),
    "bfloat16": lambda mean, z: mean.bfloat16(),
    "int32": lambda mean, z: mean.int(),
    "bool": lambda mean, z: mean.bool(),
    "complex64": lambda mean, z: torch.complex(mean, mean),
    "ndarray": lambda mean, z: mean.numpy(),
    "NoneType": lambda mean, z: None,
    "chance": draws,
    "batch": lambda mean, z: mean + 0.1 * z.mean(),
    "rounding": lambda mean, z: mean + 1e-5 * z.mean().clamp(-1, 1),
    "energy": lambda mean, z: mean / (1 + z.square().mean((1, 2, 3), keepdim=True)),
    # the same into memory that is used for every answer, and writing into its input
    "reused": lambda mean, z: torch.div(
        mean, 1 + z.square_().mean((1, 2, 3), keepdim=True), out=MEMORY[: len(z)]
    ),
}


@dataclass(frozen=True)
class Stranger(FunctionDenoiser):
    """Answers by the mean image, after an act; or goes wrong earlier."""

    name: ClassVar[str] = "stranger"
    citation: ClassVar[str] = "none"

    act: str = ""
    answer: str = ""
    fault: str = ""
    """As "check exits": where, and how."""

    def _go_wrong(self, place: str) -> None:
        if self.fault == f"{place} exits":
            sys.exit(0)
        if self.fault == f"{place} raises":
            raise ValueError("odd")
        if self.fault == f"{place} sets":
            torch.set_default_dtype(torch.float64)
        if self.fault == f"{place} refuses":
            raise ParameterError("stranger: it doesn't fit")

    def check(self, shape: object, sigmas: object) -> None:
        self._go_wrong("check")

    def check_setting(self, setting: Setting) -> None:
        if self.fault == "spoils":
            setting.source.images[0] = 0

    @property
    def needs(self) -> frozenset[Any]:  # type: ignore[override]
        self._go_wrong("needs")
        return frozenset()

    def build(self, setting: Setting) -> DenoiseFunction:
        self._go_wrong("build")
        mean = setting.source.values().mean(0)

        def denoise(z: Tensor, sigma: float) -> Any:
            if self.act:
                ACTS[self.act][0](setting)
            return ANSWERS[self.answer](mean.expand_as(z), z)

        return denoise


@dataclass(frozen=True)
class BuildsNothing(FunctionDenoiser):
    """Forgets to return its function."""

    name: ClassVar[str] = "builds-nothing"
    citation: ClassVar[str] = "none"

    def build(self, setting: Setting) -> Any:
        return None


@dataclass(frozen=True)
class StatesNothing(FPMCDenoiser):
    """Forgets to return its collection."""

    name: ClassVar[str] = "states-nothing"
    citation: ClassVar[str] = "none"

    def fpmc(self, setting: Setting, sigma: float) -> Any:
        return None


@cache
def registry() -> Registry:
    """All that is installed, and what is above."""
    items: dict[str, Mapping[str, Registered]] = dict(installed_registry().items)
    for kind, cls in (("datasets", FloatDigits), ("denoisers", Stranger)):
        items[kind] = {**items[kind], cls.name: Registered(cls.name, cls, "strangers", "1")}
    return Registry(MappingProxyType(items))


@cache
def context() -> Context:
    """Of the small suite over floats: for tests that leave it as it is."""
    return fresh_context()


def fresh_context() -> Context:
    return load_context(small_suite(dataset={"name": "float-digits"}), registry(), "cpu")


def plan_of(*strangers: Mapping[str, str], over: Context | None = None) -> Plan:
    """Of strangers with these parameters, each named by the last of them, amid two good entries."""
    odd = [
        {"name": [*params.values(), "plain"][0].replace(" ", "-"), "denoiser": "stranger"}
        | {"params": params}
        for params in strangers
    ]
    wiener, optimal = ({"name": name, "denoiser": name} for name in ("wiener", "optimal"))
    suite = small_suite(dataset={"name": "float-digits"}, entries=[wiener, *odd, optimal])
    return plan_entries((over or context()).of(suite))


def run(folder: Path, plan: Plan, world: int = 1) -> tuple[Ledger, Workload]:
    """Both stages of denoiser-mse, by `world` processes one after the other."""
    workload = Workload(plan, ARITHMETIC)
    return measure_all(folder, workload, PROTOCOL, world), workload


def errors(ledger: Ledger, workload: Workload) -> dict[str, list[bytes]]:
    """Row -> the errors of each of its units that are there."""
    found: dict[str, list[bytes]] = {}
    for unit in workload.rows(PROTOCOL):
        if known := ledger.read(unit.key):
            found.setdefault(unit.contestant.name, []).append(known.arrays["mse@1"].tobytes())
    return found


def reports(ledger: Ledger) -> dict[str, str]:
    """Entry -> why it failed."""
    return {name.removesuffix(f".{PROTOCOL}"): text for name, text in ledger.failures().items()}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """Of rows that none has spoiled."""
    found = errors(*run(tmp_path_factory.mktemp("good"), plan_of()))
    assert set(found) == {"digits-ncsnpp", "wiener", "optimal"}
    return found


def test_rows_that_spoil_something_fail_and_move_no_other(
    tmp_path: Path, good: dict[str, list[bytes]]
) -> None:
    before = ProcessState.now()
    plan = plan_of(*({"act": act} for act in ACTS), over=fresh_context())
    ledger, workload = run(tmp_path, plan)
    found = reports(ledger)
    assert set(found) == set(ACTS)
    for act, (_, reason) in ACTS.items():
        assert reason in found[act]
        assert f"'{act}'" in found[act] or "'stranger'" in found[act] or act.endswith("raises")
    assert errors(ledger, workload) == good, "to the bit, and nothing of theirs is kept"
    assert ProcessState.now() == before


def test_what_cannot_be_loaded_anew_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataset that gives out the same tensor again gives out what was spoiled."""
    train, load = Source(loaded().dataset.train.values()), FloatDigits.load
    monkeypatch.setattr(
        FloatDigits, "load", lambda self, split: train if split == "train" else load(self, split)
    )
    with pytest.raises(RunError, match=r"images\.denoiser-mse changed the training images, and"):
        run(tmp_path, plan_of({"act": "images"}, over=fresh_context()))


def test_whatever_of_a_plugin_goes_wrong_costs_its_own_row(
    tmp_path: Path, good: dict[str, list[bytes]]
) -> None:
    how = {"raises": "ValueError: odd", "exits": "SystemExit: 0", "sets": "torch's default dtype"}
    places = [f"{place} {one}" for place in ("check", "needs", "build") for one in how]
    plan = plan_of(*({"fault": fault} for fault in places))
    ledger, workload = run(tmp_path, plan)
    assert set(reports(ledger)) == {f"build-{one}" for one in how}
    found = {**plan.failures, **reports(ledger)}
    assert set(found) == {place.replace(" ", "-") for place in places}
    for name, report in found.items():
        assert how[name.partition("-")[2]] in report
    assert errors(ledger, workload) == good
    with pytest.raises(PluginError, match=r"check-raises failed:\n(.|\n)*ValueError: odd"):
        plan.whole()
    assert plan_of().whole().failures == {}


def test_a_refused_parameter_or_spoiled_images_stop_a_plan() -> None:
    with pytest.raises(ParameterError, match="it doesn't fit"):
        plan_of({"fault": "check refuses"})
    with pytest.raises(PluginError, match="'spoils' changed the training images when"):
        plan_of({"fault": "spoils"}, over=fresh_context())


def test_what_it_is_given_and_what_it_gives_are_its_own(tmp_path: Path) -> None:
    found = errors(*run(tmp_path, plan_of({"answer": "energy"}, {"answer": "reused"})))
    assert found["energy"] == found["reused"]


def test_copies_are_given_out() -> None:
    source = Source(torch.zeros(3, 1, 2, 2), torch.zeros(3))
    source.values().add_(1)
    for images, weights in source.chunks(2, "cpu", torch.float32):
        images.add_(1)
        weights.add_(1)
    source.squared_norms.add_(1)
    assert source.log_weights is not None
    assert not any(map(torch.any, (source.images, source.log_weights, source.squared_norms)))


def test_answers_are_float32_or_float64(tmp_path: Path) -> None:
    others = ("float16", "bfloat16", "int32", "bool", "complex64", "ndarray", "NoneType")
    plan = plan_of(*({"answer": one} for one in (*others, "float64")), {})
    ledger, workload = run(tmp_path, plan)
    found = reports(ledger)
    assert set(found) == set(others)
    for name, report in found.items():
        kind = f"a {name}" if name in ("ndarray", "NoneType") else f"torch.{name}"
        complaint = f"'{name}' returned {kind} at sigma 80; expected a tensor of float32 or float64"
        assert complaint in report
    rows = errors(ledger, workload)
    assert rows["float64"] == rows["plain"]


def test_what_builds_or_states_nothing_is_told_so() -> None:
    setting = context().setting(context().dataset.train)
    with pytest.raises(PluginError, match="of 'builds-nothing' returned None; expected a function"):
        assemble(BuildsNothing(), setting)
    with pytest.raises(PluginError, match="of 'states-nothing' returned None; expected an FPMC"):
        assemble(StatesNothing(), setting).fpmc(1.0)


def test_rows_that_are_no_function_of_a_query_are_marked(tmp_path: Path) -> None:
    plan = plan_of(*({"answer": one} for one in ("chance", "batch", "rounding")))
    ledger, workload = run(tmp_path, plan)
    marks: dict[str, list[str]] = {}
    for unit in workload.rows(PROTOCOL):
        for remark in ledger.required(unit.key, unit.row).note.remarks:
            marks.setdefault(unit.contestant.name, []).append(remark)
    assert {name: len(remarks) for name, remarks in marks.items()} == {"chance": 1, "batch": 1}
    assert marks["chance"][0].startswith("answers depend on chance: the same query twice, at sig")
    assert marks["batch"][0].startswith("answers depend on the batch: a query alone, at sigma ")


def test_chance_is_the_same_for_equal_units_wherever_they_are_computed(tmp_path: Path) -> None:
    plan = plan_of({"answer": "chance"})
    torch.manual_seed(1)
    alone = errors(*run(tmp_path / "1", plan))
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    assert errors(*run(tmp_path / "3", plan, world=3)) == alone
    assert torch.rand(1) == expected, "nor are anyone else's numbers moved"
    assert len(set(alone["chance"])) == 3, "units draw numbers of their own"


def test_figures_follow_no_default_type_of_the_process(tmp_path: Path) -> None:
    sides = {"patch_sizes": [15, 7, 3, 3]}
    entries = [
        {"name": "wiener", "denoiser": "wiener"},
        {"name": "els", "denoiser": "els", "params": sides},
        {"name": "flex", "denoiser": "pspc-flex", "params": {"thresholds": [1, 0.8, 0.5, 0.5]}},
    ]
    plan = small_plan(entries=entries, items=2, block_items=2)
    expected = errors(*run(tmp_path / "32", plan))
    torch.set_default_dtype(torch.float64)
    try:
        found = errors(*run(tmp_path / "64", plan))
    finally:
        torch.set_default_dtype(torch.float32)
    assert set(found) == {"digits-ncsnpp", "wiener", "els", "flex"}
    assert found == expected
