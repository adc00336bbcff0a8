"""Work units: blocks of items, whatever the process count, each named by its provenance."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import loaded, small_plan, small_workload

from fpmc_bench.engine import Arithmetic
from fpmc_bench.harness.units import Workload, WorkUnit

PSPC = {"name": "pspc", "denoiser": "pspc-flex", "params": {"thresholds": [1.0, 0.8, 0.5, 0.5]}}


def keys(units: list[WorkUnit]) -> list[str]:
    return [unit.key for unit in units]


@settings(max_examples=30, deadline=None)  # the first one loads images and networks
@given(items=st.integers(2, 40), block=st.integers(1, 45))
def test_blocks_hold_every_item_once_in_order(items: int, block: int) -> None:
    blocks = small_workload(items=items, block_items=block).blocks()
    assert [item for one in blocks for item in one] == list(range(items))
    assert all(len(one) == block for one in blocks[:-1])


def test_rows_come_the_other_network_first_and_units_in_the_order_of_their_items() -> None:
    units = small_workload(entries=[{"name": "z", "denoiser": "optimal"}, PSPC]).rows("sample-mse")
    assert [unit.contestant.name for unit in units] == [
        *["digits-ddpmpp"] * 3,
        *["z"] * 3,
        *["pspc"] * 3,
    ]
    assert [unit.items for unit in units[:3]] == [range(3), range(3, 6), range(6, 7)]
    assert {unit.provenance.role for unit in units[:3]} == {"other network"}
    assert len(set(keys(units))) == 9
    assert units[4].row == "z.sample-mse"


CHANGES: dict[str, dict[str, Any]] = {
    "seed": {"seed": 4},
    "parameters": {
        "entries": [{**PSPC, "params": {"thresholds": [1.0, 0.8, 0.5, 0.4]}}],
    },
    "source": {"entries": [{**PSPC, "augmentations": [{"name": "hflip", "rate": 1.0}]}]},
    "levels": {"levels": [0, 1]},
    "block": {"block_items": 4},
    "sensitivity": {"sensitivity": {"samples": 3}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_a_figure_changes_the_key(change: str) -> None:
    known = small_workload(entries=[PSPC]).rows("denoiser-mse")[-1]
    other = small_workload(**{"entries": [PSPC], **CHANGES[change]}).rows("denoiser-mse")[-1]
    assert other.key != known.key


@pytest.mark.parametrize(
    "change",
    [
        {"description": "another text"},
        {"name": "another-name"},
        {"items": 9},
        {"protocols": ["denoiser-mse"]},
        {"entries": [{**PSPC, "name": "renamed"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_no_figure_changes_no_key(change: dict[str, Any]) -> None:
    known = small_workload(entries=[PSPC]).rows("denoiser-mse")
    other = small_workload(**{"entries": [PSPC], **change}).rows("denoiser-mse")
    assert keys(other)[3:5] == keys(known)[3:5]


@dataclass(frozen=True)
class OtherNetwork:
    """Of the same name, with other weights."""

    name: str
    fingerprint: str = "f" * 64


def test_what_a_plan_has_loaded_is_part_of_every_key() -> None:
    """Same suite, other bytes: of a network, of test images, of weights, of a plugin's code."""
    plan = small_plan(entries=[PSPC])
    context, entry = plan.context, plan.contestants[0]
    loaded_otherwise = [
        replace(plan, context=replace(context, **{role: OtherNetwork(getattr(context, role).name)}))
        for role in ("tuning", "evaluation")
    ]
    dataset = replace(context.dataset, test=context.dataset.train)
    loaded_otherwise.append(replace(plan, context=replace(context, dataset=dataset)))
    other_code = entry.origin.model_copy(update={"code": "f" * 64})
    for contestant in (replace(entry, files="f" * 64), replace(entry, origin=other_code)):
        loaded_otherwise.append(replace(plan, contestants=(contestant,)))
    arithmetic = small_workload().arithmetic
    found = [
        Workload(one, arithmetic).rows("denoiser-mse")[-1].key for one in (plan, *loaded_otherwise)
    ]
    assert len(set(found)) == len(found) == 6


def test_maps_are_part_of_the_key_of_those_alone_who_ask_for_them() -> None:
    optimal = {"name": "optimal", "denoiser": "optimal"}
    few = small_workload(entries=[optimal, PSPC], sensitivity={"samples": 2})
    more = small_workload(entries=[optimal, PSPC], sensitivity={"samples": 3})
    same = [a == b for a, b in zip(keys(few.rows("sample-mse")), keys(more.rows("sample-mse")))]  # noqa: B905
    assert same == [*[True] * 6, *[False] * 3]


def test_arithmetic_is_part_of_the_key() -> None:
    plan = small_plan()
    first, second = (
        Workload(plan, Arithmetic(addition=1.0, split_multiply_add=cost)) for cost in (1.0, 2.0)
    )
    assert not set(keys(first.rows("sample-mse"))) & set(keys(second.rows("sample-mse")))


def test_the_levels_of_a_suite_are_those_of_protocols_that_measure_by_noise_level() -> None:
    workload = small_workload(levels=[1, 3])
    (row, *_) = workload.rows("denoiser-mse")
    assert row.provenance.levels == (1, 3)
    assert workload.evaluations("denoiser-mse") == 2
    (row, *_) = workload.rows("sample-mse")
    assert row.provenance.levels == (0, 1, 2, 3)
    assert workload.evaluations("sample-mse") == 7


def test_sampled_test_images_are_keyed_by_all_that_determines_them() -> None:
    context = replace(loaded(), dataset=replace(loaded().dataset, test=None))
    plan = small_plan()
    workload = Workload(replace(plan, context=context.of(plan.suite)), small_workload().arithmetic)
    assert workload.samples_test_images
    blocks = workload.sampled_images()
    assert [items for items, _ in blocks] == workload.blocks()
    assert len({key for _, key in blocks}) == 3
    assert workload.test_fingerprint not in {key for _, key in blocks}
    assert workload.rows("sample-mse")[0].provenance.test == workload.test_fingerprint
    reseeded = Workload(
        replace(plan, context=context.of(plan.suite.replaced(seed=4))), workload.arithmetic
    )
    assert not {k for _, k in reseeded.sampled_images()} & {k for _, k in blocks}
    other = replace(workload.plan.context, tuning=OtherNetwork(context.tuning.name))
    resampled = Workload(replace(plan, context=other), workload.arithmetic)
    assert not {k for _, k in resampled.sampled_images()} & {k for _, k in blocks}
