"""Provenance: whatever can change a figure changes the key of its unit, and nothing else does."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_records import synthetic_provenance

from fpmc_bench.documents.provenance import (
    AddedImages,
    ArithmeticFacts,
    PluginOrigin,
    Provenance,
    SensitivityRecipe,
    SourceRecipe,
    TeacherFingerprints,
)

PLUGIN = PluginOrigin(distribution="other", version="2.0", code="1" * 64)
OTHERS: dict[str, list[Any]] = {
    "numerics": [2],
    "protocol": ["sample-mse"],
    "metrics": [("mse@2", "r2@1"), ("mse@1",)],
    "role": ["other network", "reference"],
    "denoiser": ["ls"],
    "params": [{"threshold": 0.1}, {"threshold": 0.10000000000000002}],
    "plugin": [PLUGIN],
    "files": ["f" * 64],
    "source": [
        SourceRecipe(images="e" * 64),
        *(
            SourceRecipe(
                images="a" * 64,
                added=(AddedImages(augmentation=name, params={}, rate=rate, plugin=plugin),),
            )
            for name, rate, plugin in (
                ("hflip", 1.0, PLUGIN),
                ("hflip", 0.5, PLUGIN),
                ("vflip", 1.0, PLUGIN),
                ("hflip", 1.0, PLUGIN.model_copy(update={"code": "2" * 64})),
            )
        ),
    ],
    "test": ["e" * 64],
    "teachers": [
        TeacherFingerprints(tuning="e" * 64, evaluation="d" * 64),
        TeacherFingerprints(tuning="c" * 64, evaluation="e" * 64),
    ],
    "sensitivity": [
        SensitivityRecipe(samples=8, version=1),
        SensitivityRecipe(samples=9, version=1),
    ],
    "sigmas": [(80.0, 8.0, 0.5, 0.003)],
    "levels": [(0, 1, 2)],
    "seed": [1],
    "block_items": [49],
    "items": [(0, 7), (1, 8)],
    "device": ["cuda"],
    "dtype": ["float64"],
    "arithmetic": [
        ArithmeticFacts(addition=1.6, split_multiply_add=1.5, forced=None),
        ArithmeticFacts(addition=1.5, split_multiply_add=1.5, forced="float32"),
    ],
}


def test_every_field_is_tried() -> None:
    assert OTHERS.keys() == Provenance.model_fields.keys()


@pytest.mark.parametrize("field", OTHERS)
def test_every_field_is_part_of_the_key(field: str) -> None:
    known = synthetic_provenance()
    changed = [known.model_copy(update={field: other}) for other in OTHERS[field]]
    keys = [one.key for one in (known, *changed)]
    assert len(set(keys)) == len(keys)


def test_equal_provenance_has_equal_keys_and_comes_back_from_json() -> None:
    known = synthetic_provenance(params={"b": [1, 2], "a": 0.1})
    assert synthetic_provenance(params={"b": [1, 2], "a": 0.1}).key == known.key
    again = Provenance.model_validate_json(known.model_dump_json(), strict=True)
    assert (again, again.key) == (known, known.key)


@given(start=st.integers(0, 50), size=st.integers(1, 50))
def test_a_block_differs_from_its_row_by_its_items_alone(start: int, size: int) -> None:
    row = synthetic_provenance(items=100)
    block = row.of(range(start, start + size))
    assert block.items == (start, start + size)
    assert block.model_copy(update={"items": row.items}) == row
    assert (block.key == row.key) == (block.items == row.items)


def test_a_key_is_fit_to_name_a_file() -> None:
    key = synthetic_provenance().key
    assert len(key) == 24
    assert set(key) <= set("0123456789abcdef")


def test_one_type_alone_is_computed_with() -> None:
    """Where another one comes in, it has to be chosen somewhere, and tried above."""
    assert get_args(Provenance.model_fields["dtype"].annotation) == ("float32",)
